"""`dashboard`: the dashboard on loopback, by the kubeconfig's rights, in a browser."""

import base64
import logging
import os
import webbrowser
from dataclasses import dataclass

from rollout_cli.api.kubernetes import KubeApi
from rollout_cli.api.prometheus import Prometheus
from rollout_cli.cluster.connection import Connection
from rollout_cli.cluster.prometheus import find
from rollout_cli.view.terminal import console
from rollout_dashboard.server import listen, on_loopback, serve
from rollout_dashboard.settings import Settings


@dataclass(frozen=True, slots=True)
class Request:
    """The command line."""

    port: int
    """`--port`; 0 for one that is free."""
    browser: bool
    """Whether a browser is opened: not with `--no-browser`."""
    read_only: bool
    """`--read-only`: commands are refused."""
    everywhere: bool
    """`-A`: only asks for all namespaces."""
    mlflow: str
    """`--mlflow`: where people open MLflow; "" for no links to it."""
    prometheus: str | None
    """`--prometheus`; None for what the environment names, else the operator's own."""


def run(connection: Connection, request: Request) -> None:
    """Do it, until Ctrl-C."""
    kube = connection.open_for_watching()
    namespaces = () if request.everywhere else (kube.namespace,)
    place, settings = listen(
        Settings(
            port=request.port,
            read_only=request.read_only,
            namespaces=namespaces,
            mlflow=request.mlflow.rstrip("/"),
            mlflow_runs=os.environ.get("MLFLOW_TRACKING_URI", "").rstrip("/"),
            log_level="WARNING",
        )
    )
    logging.basicConfig(level=logging.WARNING)

    def prometheus(api: KubeApi) -> Prometheus | None:
        return find(api, request.prometheus)

    board = on_loopback(kube, settings, prometheus, _mlflow_login())
    assert board.secret is not None
    url = f"http://127.0.0.1:{settings.port}/enter?code={board.secret.code}"
    out = console()
    out.print(
        "The dashboard acts by your kubeconfig, for whoever opens this address first; Ctrl-C ends"
        " it:",
        soft_wrap=True,
    )
    out.out(url, highlight=False)
    if request.browser and not webbrowser.open(url):
        out.print("No browser could be opened: open the address yourself.", style="yellow")
    serve(board, place)


def _mlflow_login() -> str:
    """The header by which MLflow knows the viewer, from MLflow's own variables; "" for none."""
    if token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
        return f"Bearer {token}"
    if user := os.environ.get("MLFLOW_TRACKING_USERNAME"):
        pair = f"{user}:{os.environ.get('MLFLOW_TRACKING_PASSWORD', '')}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}"
    return ""
