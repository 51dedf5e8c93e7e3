"""The verbs that look: `get`, `status`, `explain`, `history`."""

from typing import Annotated

import typer

from rollout_cli.cluster.connection import Connection
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
    # Deferred: the operator's models and rich's tables are slow to load, and help does without.
    from rollout_cli.commands import get as command  # noqa: PLC0415

    command.run(
        Connection(kubeconfig, context, namespace),
        command.Request(name, watch, output, everywhere, prometheus),
    )


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
    # Deferred: the operator's models are slow to load, and help does without.
    from rollout_cli.commands import status as command  # noqa: PLC0415

    command.run(
        Connection(kubeconfig, context, namespace),
        command.Request(name, wait, timeout, model_uri, output),
    )


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
    # Deferred: the operator's decisions are slow to load, and help does without.
    from rollout_cli.commands import explain as command  # noqa: PLC0415

    command.run(Connection(kubeconfig, context, namespace), name, prometheus)


def history(
    name: Name,
    output: Format = None,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """List the attempts with their verdicts and reasons."""
    # Deferred: the operator's models are slow to load, and help does without.
    from rollout_cli.commands import history as command  # noqa: PLC0415

    command.run(Connection(kubeconfig, context, namespace), name, output)


def dashboard(
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port on loopback; 0 for any free one.")
    ] = 0,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Only print the address.")
    ] = False,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Look only: commands are refused.")
    ] = False,
    mlflow: Annotated[
        str, typer.Option("--mlflow", help="Address of MLflow's pages, to link to them.")
    ] = "",
    everywhere: Everywhere = False,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    prometheus: Prometheus = None,
) -> None:
    """Open the dashboard in a browser: all rollouts, live, and commands, by your kubeconfig's
    rights.
    """
    # Deferred: the web server is slow to load, and help does without.
    from rollout_cli.commands import dashboard as command  # noqa: PLC0415

    command.run(
        Connection(kubeconfig, context, namespace),
        command.Request(port, not no_browser, read_only, everywhere, mlflow, prometheus),
    )
