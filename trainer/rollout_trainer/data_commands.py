"""The commands about data: `validate`, `prepare`, `draft`. Exit code 1: the data is refused; 2: a
file or an option is wrong.
"""

import sys
from pathlib import Path

import click
from rich.console import Console

from rollout_trainer.errors import TrainerError

SAMPLE = Path("data/raw/iris.csv")
FILE = click.Path(path_type=Path, dir_okay=False)
contract_option = click.option(
    "--contract",
    type=FILE,
    help="Its contract; by default data/contracts/<name>.yaml beside its folder.",
)
reference_option = click.option(
    "--reference",
    type=FILE,
    help="Data it must not drift from; by default data/processed/<name>.csv.",
)
html_option = click.option(
    "--html", "page", type=FILE, help="Also write the report to this HTML file."
)


class UsageTrouble(click.ClickException):
    """A file that cannot be read or is no contract: not the data's fault."""

    exit_code = 2


@click.command()
@click.argument("data", type=FILE, required=False)
@click.option(
    "--sample", is_flag=True, help=f"Check the sample that comes with this repository, {SAMPLE}."
)
@contract_option
@reference_option
@html_option
def validate(
    data: Path | None,
    sample: bool,
    contract: Path | None,
    reference: Path | None,
    page: Path | None,
) -> None:
    """Hold the CSV file DATA against its contract: columns, ranges, missing values, duplicates,
    balance of classes, drift.
    """
    if (data is None) == (not sample):
        raise click.UsageError(
            "Name a CSV file, or give --sample."
            if data is None
            else "Give either a file or --sample."
        )
    _checked(data or SAMPLE, contract, reference, page)


@click.command()
@click.argument("data", type=FILE)
@click.option("--output", type=FILE, help="File to write; by default data/processed/<name>.csv.")
@contract_option
@reference_option
@html_option
def prepare(
    data: Path,
    output: Path | None,
    contract: Path | None,
    reference: Path | None,
    page: Path | None,
) -> None:
    """Validate the raw CSV file DATA and write what a model may learn from: the contract's columns,
    rows that miss nothing that is required.

    Data that breaks its contract changes nothing: the last accepted data stays.
    """
    target = output or data.parent.parent / "processed" / data.name
    if target.resolve() == data.resolve():
        raise click.UsageError(
            f"{data} would be overwritten: give the raw file, or another --output."
        )
    clean = _checked(data, contract, reference, page)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_name(target.name + ".part")
        beside.write_text(clean, encoding="utf-8", newline="\n")
        beside.replace(target)
    except OSError as trouble:
        raise UsageTrouble(f"{target} cannot be written: {trouble}") from trouble
    click.echo(f"Wrote {target}, {clean.count(chr(10)) - 1} rows.")


@click.command()
@click.argument("data", type=FILE)
@click.option("--label", required=True, help="The column to predict.")
@click.option(
    "--output",
    type=FILE,
    help="File to write; by default data/contracts/<name>.yaml. It must not exist yet.",
)
@click.option(
    "--task",
    type=click.Choice(["classification", "regression"]),
    help="What the label is: one of classes, or a number to estimate. By default the labels tell.",
)
@click.option(
    "--metadata",
    multiple=True,
    metavar="COLUMN",
    help="A column that no model sees, to split by: a patient, a day. Repeat for more.",
)
def draft(
    data: Path, label: str, output: Path | None, task: str | None, metadata: tuple[str, ...]
) -> None:
    """Draft a contract that the CSV file DATA meets: numbers, text, truth values, dates and gaps.
    Read it and correct it: data alone cannot tell what is allowed.
    """
    # --help does not wait for pandas.
    from rollout_trainer import contract as contracts  # noqa: PLC0415
    from rollout_trainer import data as files  # noqa: PLC0415
    from rollout_trainer import draft as drafts  # noqa: PLC0415

    target = output or contracts.home_of(data)
    try:
        drafted = drafts.draft(files.read(data, None), label, task, metadata)
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8", newline="\n") as file:
            file.write(drafted.text)
    except FileExistsError as there:
        raise UsageTrouble(
            f"{target} exists and is not overwritten: remove it, or give another --output."
        ) from there
    except (TrainerError, OSError) as trouble:
        raise UsageTrouble(str(trouble)) from trouble
    for note in drafted.notes:
        click.echo(note)
    click.echo(
        f"Wrote {target}. Correct its ranges by what you know, then: python -m rollout_trainer"
        f" prepare {data}"
    )


def _checked(data: Path, contract: Path | None, reference: Path | None, page: Path | None) -> str:
    """Report on the data; returns the clean table as CSV, or ends with exit code 1."""
    # --help does not wait for pandas.
    from rollout_trainer import checks, report  # noqa: PLC0415
    from rollout_trainer import contract as contracts  # noqa: PLC0415
    from rollout_trainer import data as files  # noqa: PLC0415

    try:
        agreed = contracts.contract_for(data, contract)
        table = files.read(data, agreed.as_text)
        before = reference or files.reference_for(data)
        examined = checks.examine(
            table, agreed, None if before is None else files.read(before, agreed.as_text)
        )
        report.show(Console(), str(data), examined)
        if page is not None:
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(report.html(str(data), examined, table, agreed), encoding="utf-8")
    except (TrainerError, OSError) as trouble:
        raise UsageTrouble(str(trouble)) from trouble
    if examined.left_out:
        click.echo(
            f"Left out {examined.left_out} rows that miss a label, or a value that is required:"
            " `required: false` in the contract keeps a column's."
        )
    if before is None:
        click.echo("No data was accepted before, so nothing can have drifted.")
    click.echo(report.verdict(str(data), examined))
    if examined.clean is None:
        click.echo("Correct the data; or the contract, where the data is right.", err=True)
        sys.exit(1)
    return files.to_csv(examined.clean)
