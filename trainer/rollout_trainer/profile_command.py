"""The command `profile`: a profile of the training data for a model that another trainer made."""

from pathlib import Path

import click

from rollout_trainer.errors import TrainerError


@click.command()
@click.argument("model", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.argument("rows", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option(
    "--answers",
    metavar="COLUMN",
    help="The column with what the model says to each row; best of rows that it has not learnt.",
)
def profile(model: Path, rows: Path, answers: str | None) -> None:
    """Write training_profile.json into the folder MODEL, by the CSV file ROWS that it learnt from.

    MODEL is as MLflow saved it, and is registered afterwards: the file is part of its content.
    ROWS has a header with the columns of the model's signature; others are left out.
    """
    # --help does not wait for pandas.
    from rollout_trainer.profile import FILE, of_csv  # noqa: PLC0415

    try:
        made = of_csv(model, rows, answers)
        (model / FILE).write_text(made, encoding="utf-8", newline="\n")
    except (TrainerError, OSError) as trouble:
        raise click.ClickException(str(trouble)) from trouble
    click.echo(
        f"Wrote {model / FILE}. Register the folder now; what is registered already stays as it is."
    )
