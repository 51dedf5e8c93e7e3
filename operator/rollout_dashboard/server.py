"""Runs the application: in a cluster, or on loopback for one person."""

import socket
from collections.abc import Callable
from dataclasses import replace

import uvicorn

from rollout_cli.api.kubernetes import KubeApi, WatchingApi
from rollout_cli.api.prometheus import Prometheus
from rollout_cli.exit_codes import Failure, WrongUsage
from rollout_dashboard.api_server import ApiServer
from rollout_dashboard.app import create_app
from rollout_dashboard.context import Dashboard
from rollout_dashboard.registry_runs import Runs
from rollout_dashboard.sessions import OneTimeSecret
from rollout_dashboard.settings import Settings
from rollout_dashboard.viewers import Viewers

GRACE = 3
"""Seconds that requests under way have when the program ends."""


def in_cluster(settings: Settings) -> Dashboard:
    """A dashboard without any rights: whoever looks brings a token."""
    from rollout_cli.cluster.prometheus import by_own_url  # noqa: PLC0415 - deferred for --help

    server = ApiServer(settings)
    prometheus = by_own_url(settings.prometheus) if settings.prometheus else None
    return Dashboard(
        settings=settings,
        viewers=Viewers(server.as_viewer, settings.namespaces),
        prometheus=lambda _: prometheus,
        runs=Runs(settings.mlflow_runs) if settings.mlflow_runs else None,
    )


def on_loopback(
    api: WatchingApi,
    settings: Settings,
    find: Callable[[KubeApi], Prometheus | None],
    authorization: str = "",
) -> Dashboard:
    """A dashboard by one kubeconfig, for whoever has the one-time secret.

    authorization: what MLflow is sent as that header; "" for none.
    """
    return Dashboard(
        settings=settings,
        viewers=Viewers(lambda _: api, settings.namespaces),
        prometheus=find,
        runs=Runs(settings.mlflow_runs, authorization) if settings.mlflow_runs else None,
        secret=OneTimeSecret(),
    )


def listen(settings: Settings) -> tuple[socket.socket, Settings]:
    """Take the port; returns it as it is, where any was asked for. Raises WrongUsage where it is
    taken.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    place = socket.socket(family, socket.SOCK_STREAM)
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        place.bind((settings.host, settings.port))
    except OSError as failure:
        place.close()
        raise WrongUsage(
            f"Port {settings.port} cannot be used: {failure.strerror}. Give another --port, or 0"
            " for any that is free."
        ) from failure
    place.set_inheritable(True)
    return place, replace(settings, port=int(place.getsockname()[1]))


def serve(board: Dashboard, place: socket.socket) -> None:
    """Answer until the process is told to end. Raises Failure where it cannot begin."""
    settings = board.settings
    config = uvicorn.Config(
        create_app(board),
        log_level=settings.log_level.lower(),
        access_log=settings.log_level == "DEBUG",
        server_header=False,
        proxy_headers=False,
        ssl_certfile=settings.tls_cert or None,
        ssl_keyfile=settings.tls_key or None,
        timeout_graceful_shutdown=GRACE,
        lifespan="on",
    )
    server = _Server(config, board)
    server.run(sockets=[place])
    if not server.started:
        raise Failure("The dashboard could not begin: see above.")


class _Server(uvicorn.Server):
    """Open streams end before it waits for them."""

    def __init__(self, config: uvicorn.Config, board: Dashboard) -> None:
        super().__init__(config)
        self._board = board

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End."""
        self._board.hub.close()
        await super().shutdown(sockets)
