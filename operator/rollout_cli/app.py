"""The command line: names, options and help. What a command does is in `commands`, imported when it
runs, so that help is quick.
"""

from pathlib import Path
from typing import Annotated

import typer

from rollout_cli.options import (
    Context,
    Everywhere,
    Format,
    Kubeconfig,
    MaybeName,
    Name,
    Namespace,
    Prometheus,
)

EXITS = (
    "Exit codes: 0 done, or promoted · 1 rolled back, or something found · 2 timed out · 3"
    " superseded · 64 wrong usage · 66 not there · 69 cluster or Prometheus unreachable · 77"
    " refused."
)

app = typer.Typer(
    name="kubectl-modelrollout",
    help="See, explain and steer ModelRollouts.",
    epilog=EXITS,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
)

SEE, STEER, OFFLINE = "See", "Steer", "Before and after"


@app.command(rich_help_panel=SEE)
def get(
    name: MaybeName = None,
    watch: Annotated[
        bool, typer.Option("-w", "--watch", help="Stay and follow what happens.")
    ] = False,
    output: Format = None,
    everywhere: Everywhere = False,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    prometheus: Prometheus = None,
) -> None:
    """Show one rollout as a tree, with its share of requests and accuracy against the threshold; or
    list all.
    """
    from rollout_cli.commands import get as command

    command.run(
        command.Request(name, watch, output, everywhere, prometheus), kubeconfig, context, namespace
    )


@app.command(rich_help_panel=SEE)
def status(
    name: Name,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait",
            help="Wait for the end: exit 0 promoted, 1 rolled back, 2 timed out, 3 superseded.",
        ),
    ] = False,
    timeout: Annotated[
        str, typer.Option("--timeout", help="Longest wait: 30s, 10m or 1h30m.")
    ] = "30m",
    model_uri: Annotated[
        str | None,
        typer.Option(
            "--model-uri",
            help="The MODEL_URI to wait for; else the one that the spec asks for now.",
        ),
    ] = None,
    output: Format = None,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Say where a rollout stands, and why; with --wait, how it ends, as an exit code too."""
    from rollout_cli.commands import status as command

    command.run(
        command.Request(name, wait, timeout, model_uri, output), kubeconfig, context, namespace
    )


@app.command(rich_help_panel=SEE)
def explain(
    name: Name,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    prometheus: Prometheus = None,
) -> None:
    """Say what each gate sees: its exact query, series, value and verdict, and when the operator
    looks next.
    """
    from rollout_cli.commands import explain as command

    command.run(name, prometheus, kubeconfig, context, namespace)


@app.command(rich_help_panel=SEE)
def history(
    name: Name,
    output: Format = None,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """List the attempts with their verdicts and reasons."""
    from rollout_cli.commands import history as command

    command.run(name, output, kubeconfig, context, namespace)


@app.command(rich_help_panel=STEER)
def promote(
    name: Name, namespace: Namespace = None, context: Context = None, kubeconfig: Kubeconfig = None
) -> None:
    """Promote the candidate now, whatever the gates say."""
    _steer("promote", name, kubeconfig, context, namespace)


@app.command(rich_help_panel=STEER)
def abort(
    name: Name, namespace: Namespace = None, context: Context = None, kubeconfig: Kubeconfig = None
) -> None:
    """Roll the candidate back now."""
    _steer("abort", name, kubeconfig, context, namespace)


@app.command(rich_help_panel=STEER)
def retry(
    name: Name,
    forget_evidence: Annotated[
        bool, typer.Option("--forget-evidence", help="Count labels from nought again.")
    ] = False,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Try a version again that was rolled back, or whose trial was halted."""
    _steer("retry", name, kubeconfig, context, namespace, forget_evidence)


@app.command(rich_help_panel=STEER)
def skip(
    name: Name, namespace: Namespace = None, context: Context = None, kubeconfig: Kubeconfig = None
) -> None:
    """End the step under way and go on with the next one."""
    _steer("skip", name, kubeconfig, context, namespace)


@app.command(rich_help_panel=STEER)
def pause(
    name: Name, namespace: Namespace = None, context: Context = None, kubeconfig: Kubeconfig = None
) -> None:
    """Hold everything where it is: sets spec.paused, which a GitOps tool would set back."""
    _steer("pause", name, kubeconfig, context, namespace)


@app.command(rich_help_panel=STEER)
def resume(
    name: Name, namespace: Namespace = None, context: Context = None, kubeconfig: Kubeconfig = None
) -> None:
    """Go on after a pause: clears spec.paused, which a GitOps tool would set back."""
    _steer("resume", name, kubeconfig, context, namespace)


def _steer(
    verb: str,
    name: str,
    kubeconfig: str | None,
    context: str | None,
    namespace: str | None,
    forget_evidence: bool = False,
) -> None:
    from rollout_cli.commands import steer as command

    command.run(verb, name, forget_evidence, kubeconfig, context, namespace)


@app.command(rich_help_panel=OFFLINE)
def lint(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Manifests, directories of them, or - for stdin."),
    ],
    output: Format = None,
) -> None:
    """Judge manifests offline by the CRD's own schema and CEL rules, with line numbers."""
    from rollout_cli.commands import lint as command

    command.run(files, output)


@app.command(rich_help_panel=OFFLINE)
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
    rps: Annotated[
        float, typer.Option(min=0, max=2000, help="Generated: requests per second to the host.")
    ] = 20.0,
    labels: Annotated[
        float, typer.Option(min=0, max=1, help="Generated: share of predictions that get a label.")
    ] = 0.9,
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
    from rollout_cli.commands import simulate as command
    from rollout_cli.offline.synthetic_metrics import Load, Quality

    ours, theirs = Quality(accuracy, errors, latency), Quality(stable_accuracy)
    command.run(
        command.Request(
            manifest,
            metrics or [],
            candidate,
            stable,
            ours,
            theirs,
            Load(rps, labels),
            seed,
            runs,
            first_deploy,
            output,
        )
    )


@app.command(rich_help_panel=OFFLINE)
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
    from rollout_cli.commands import report as command

    command.run(command.Request(name, attempt, file, prometheus), kubeconfig, context, namespace)


@app.command(rich_help_panel=OFFLINE)
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
    from rollout_cli.commands import doctor as command

    command.run(name, everywhere, output, prometheus, kubeconfig, context, namespace)
