"""The verbs before a rollout and after it: `lint`, `simulate`, `report`, `promote-to`, `doctor`."""

from pathlib import Path
from typing import Annotated

import typer

from rollout_cli.cluster.connection import Connection
from rollout_cli.exit_codes import WrongUsage
from rollout_cli.verbs.options import (
    Context,
    Everywhere,
    Format,
    Kubeconfig,
    MaybeName,
    Name,
    Namespace,
    Prometheus,
)


def lint(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Manifests, directories of them, or - for stdin."),
    ],
    values: Annotated[
        Path | None,
        typer.Option(
            "--values", "-f", help="The chart's values, for the metrics that gates may be on."
        ),
    ] = None,
    output: Format = None,
) -> None:
    """Judge manifests offline by the CRD's own schema and CEL rules, with line numbers."""
    # Deferred: the evaluator of CEL takes half a second to load.
    from rollout_cli.commands import lint as command  # noqa: PLC0415

    command.run(files, output, values)


def simulate(
    manifest: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="A ModelRollout; else one with all defaults."),
    ] = None,
    metrics: Annotated[
        list[Path] | None,
        typer.Option(
            "--metrics",
            help="A recording: Prometheus' range reply (JSON) or CSV; may be given again.",
        ),
    ] = None,
    candidate: Annotated[
        str | None,
        typer.Option(help="Revision on trial in the recording; else the one that appears last."),
    ] = None,
    stable: Annotated[
        str | None, typer.Option(help="Revision it is compared with in the recording.")
    ] = None,
    accuracy: Annotated[
        float, typer.Option(min=0, max=1, help="Generated: the candidate's share of right answers.")
    ] = 0.85,
    stable_accuracy: Annotated[
        float, typer.Option(min=0, max=1, help="Generated: stable's share of right answers.")
    ] = 0.85,
    errors: Annotated[
        float, typer.Option(min=0, max=1, help="Generated: the candidate's share of server errors.")
    ] = 0.0,
    latency: Annotated[
        float,
        typer.Option(
            min=0.0001, max=60, help="Generated: the candidate's median latency in seconds."
        ),
    ] = 0.02,
    shift: Annotated[
        float,
        typer.Option(
            min=0,
            max=0.5,
            help="Generated: share of the candidate's answers that would have to be others.",
        ),
    ] = 0.0,
    drift: Annotated[
        float,
        typer.Option(min=0, max=100, help="Generated: PSI of live rows against training."),
    ] = 0.0,
    differs: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="Generated: share of copies of stable's requests that it answers otherwise.",
        ),
    ] = 0.0,
    rps: Annotated[
        float, typer.Option(min=0, max=2000, help="Generated: requests per second to the host.")
    ] = 20.0,
    labels: Annotated[
        float, typer.Option(min=0, max=1, help="Generated: share of predictions that get a label.")
    ] = 0.9,
    values: Annotated[
        Path | None,
        typer.Option(
            "--values", "-f", help="The chart's values, for the metrics that gates may be on."
        ),
    ] = None,
    own: Annotated[
        list[str] | None,
        typer.Option(
            "--own",
            metavar="NAME=VALUE[:STABLE]",
            help="Generated: what a metric of the values comes to; may be given again.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Generated: the same seed gives the same trial.")] = 0,
    runs: Annotated[
        int,
        typer.Option(
            min=1, max=10000, help="Generated: so many trials, and how often each verdict came."
        ),
    ] = 1,
    first_deploy: Annotated[
        bool, typer.Option("--first-deploy", help="As if there were no stable revision yet.")
    ] = False,
    output: Format = None,
) -> None:
    """Replay recorded or generated metrics through the operator's own gates, before anything ships.

    Exit 0 promoted, 1 rolled back or halted, 2 no verdict.
    """
    # Deferred: the evaluator of CEL takes half a second to load.
    from rollout_cli.commands import simulate as command  # noqa: PLC0415

    command.run(
        command.Request(
            manifest=manifest,
            metrics=metrics or [],
            candidate_revision=candidate,
            stable_revision=stable,
            accuracy=accuracy,
            stable_accuracy=stable_accuracy,
            errors=errors,
            latency=latency,
            shift=shift,
            drift=drift,
            differs=differs,
            rps=rps,
            labels=labels,
            values=values,
            own=own or [],
            seed=seed,
            runs=runs,
            first_deploy=first_deploy,
            output=output,
        )
    )


def report(
    name: Name,
    attempt: Annotated[
        int | None, typer.Option("--attempt", help="Number of the attempt; else the last one.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("-f", "--file", help="The file to write; else NAME-ATTEMPT.html.")
    ] = None,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    prometheus: Prometheus = None,
) -> None:
    """Write one self-contained HTML file with the evidence of an attempt, plots included."""
    # Deferred: matplotlib and jinja2 take more than half a second to load.
    try:
        from rollout_cli.commands import report as command  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        if missing.name != "matplotlib":
            raise
        raise WrongUsage(
            "`report` draws with matplotlib, which the single file leaves out: install the command"
            " line with `pip install 'model-rollouts[cli]'`."
        ) from missing

    request = command.Request(name, attempt, file, prometheus)
    command.run(Connection(kubeconfig, context, namespace), request)


def promote_to(
    name: Name,
    repository: Annotated[
        str, typer.Option("--repository", "-r", help="The other cluster's: OWNER/NAME on GitHub.")
    ],
    path: Annotated[str, typer.Option("--path", "-p", help="Its manifest in there.")],
    base: Annotated[
        str | None, typer.Option("--base", help="Branch to change; else the repository's own.")
    ] = None,
    named: Annotated[
        str | None, typer.Option("--as", help="Name of the ModelRollout there; else the same.")
    ] = None,
    environment: Annotated[
        str, typer.Option("--from", help="What this cluster is called, for the text.")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the change and the text; ask for nothing.")
    ] = False,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Hand on what was promoted here: open a pull request that asks for it in another cluster's
    manifest, with the evidence in its text. GITHUB_TOKEN must be set.
    """
    # Deferred: the operator's models are slow to load, and help does without.
    from rollout_cli.commands import promote_to as command  # noqa: PLC0415

    request = command.Request(name, repository, path, base, named, environment, dry_run)
    command.run(Connection(kubeconfig, context, namespace), request)


def feedback(
    name: Name,
    file: Annotated[
        str, typer.Argument(help="CSV with a header line, or JSON lines; - for standard input.")
    ],
    labels: Annotated[
        str, typer.Option("--labels", help="What labels of CSV are: text, number or truth.")
    ] = "text",
    batch: Annotated[
        int, typer.Option("--batch", min=1, max=10_000, help="Labels of one request.")
    ] = 500,
    progress: Annotated[
        Path | None,
        typer.Option("--progress", help="File that remembers how many were sent, to go on there."),
    ] = None,
    refused: Annotated[
        Path | None,
        typer.Option("--refused", help="File that refused labels are added to, as JSON lines."),
    ] = None,
    patience: Annotated[
        str, typer.Option("--patience", help="How long to wait for pods that were there: 30s, 10m.")
    ] = "1m",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read the whole file, and send nothing.")
    ] = False,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Send labels, or values, of a file to a rollout. Columns: id, or request_id and perhaps row;
    label, or value; perhaps version. Exit 0: all were taken, 1: some were refused.
    """
    # Deferred: the operator's models are slow to load, and help does without.
    from rollout_cli.commands import feedback as command  # noqa: PLC0415

    request = command.Request(name, file, labels, batch, progress, refused, patience, dry_run)
    if code := command.run(Connection(kubeconfig, context, namespace), request):
        raise typer.Exit(code)


def doctor(
    name: MaybeName = None,
    output: Format = None,
    everywhere: Everywhere = False,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    prometheus: Prometheus = None,
) -> None:
    """Check what rollouts depend on (cluster, rights, operator, router, Prometheus and its series)
    and say what to do.
    """
    # Deferred: the operator's models and its CRD are slow to load, and help does without.
    from rollout_cli.commands import doctor as command  # noqa: PLC0415

    command.run(
        Connection(kubeconfig, context, namespace),
        command.Request(name, everywhere, output, prometheus),
    )
