"""The kopf shell: watches tell the store and wake the engine; nothing is decided here."""

import asyncio
import contextlib
import os
from collections.abc import Mapping
from typing import Any, cast

import aiohttp
import kopf
from prometheus_client import start_http_server

from rollout_operator.cluster import Cluster
from rollout_operator.domain.names import GROUP, MANAGED_BY, PLURAL, VERSION
from rollout_operator.engine import Engine
from rollout_operator.prometheus import Prometheus
from rollout_operator.reconcile import Ports
from rollout_operator.registry import Registry, authorization
from rollout_operator.settings import Settings
from rollout_operator.store import Store, rollout_of

OWNED = {
    "Deployment": ("apps", "v1", "deployments"),
    "Service": ("", "v1", "services"),
    "Ingress": ("networking.k8s.io", "v1", "ingresses"),
    "EndpointSlice": ("discovery.k8s.io", "v1", "endpointslices"),
}
"""What is watched beside ModelRollouts, filtered by label on the server."""


def configure(settings: kopf.OperatorSettings) -> None:
    """Measured settings: no Events by kopf, small lists, workers that leave early, nothing watched but what is ours."""
    settings.posting.enabled = False
    settings.queueing.idle_timeout = 0.2
    settings.watching.chunk_size = 500
    settings.watching.initial_streaming = False
    settings.watching.server_timeout = 10 * 60
    settings.networking.request_timeout = 30
    settings.scanning.disabled = True
    for group, version, plural in OWNED.values():
        settings.watching.label_selectors[group, version, plural] = f"{MANAGED_BY}={GROUP}"


class Shell:
    """Everything that lives as long as the operator's process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store()
        self.engine: Engine | None = None
        self._exit = contextlib.AsyncExitStack()

    async def start(self) -> None:
        """Connect, and start the engine; kopf's watches follow."""
        session = await self._exit.enter_async_context(aiohttp.ClientSession())
        cluster = await Cluster.connect(self.settings.write_limit)
        self._exit.push_async_callback(cluster.close)
        ports = Ports(
            store=self.store,
            cluster=cluster,
            prometheus=Prometheus(self.settings.prometheus_url, session),
            registry=Registry(self.settings.registry_url, session, authorization(os.environ)),
            image=self.settings.inference_image,
            environment=self.settings.model_environment,
            drain=self.settings.router_drain,
        )
        self.engine = Engine(ports)
        self._exit.push_async_callback(_end, asyncio.create_task(self.engine.run(), name="engine"))
        start_http_server(self.settings.metrics_port)

    async def stop(self) -> None:
        """End what `start` began, in reverse."""
        await self._exit.aclose()

    def wake(self, key: tuple[str, str]) -> None:
        """Look at this rollout now."""
        if self.engine is not None and self.store.rollout(key) is not None:
            self.engine.wake(key)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def registry(shell: Shell) -> kopf.OperatorRegistry:
    """The handlers. The index handlers fill the store before any event handler runs: kopf holds those back until all lists are in."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.login(registry=handlers)
    def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**kwargs) or kopf.login_via_client(**kwargs)

    @kopf.on.startup(registry=handlers)
    async def start(settings: kopf.OperatorSettings, **_: Any) -> None:
        configure(settings)
        await shell.start()

    @kopf.on.cleanup(registry=handlers)
    async def stop(**_: Any) -> None:
        await shell.stop()

    @kopf.index(GROUP, VERSION, PLURAL, registry=handlers)
    async def listed(body: kopf.Body, **_: Any) -> None:
        shell.store.put_rollout(body)

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=handlers)
    async def changed(event: kopf.RawEvent, body: kopf.Body, **_: Any) -> None:
        namespace, name = body["metadata"]["namespace"], body["metadata"]["name"]
        if event["type"] == "DELETED":
            shell.store.drop_rollout(body)
            if shell.engine is not None:
                shell.engine.forget((namespace, name))
        shell.wake((namespace, name))

    for kind, resource in OWNED.items():
        _watch(handlers, shell, kind, resource)
    return handlers


def _watch(handlers: kopf.OperatorRegistry, shell: Shell, kind: str, resource: tuple[str, str, str]) -> None:
    labels: Mapping[str, str] = {MANAGED_BY: GROUP}

    @kopf.index(*resource, id=f"{kind}-listed", labels=labels, registry=handlers)
    async def listed(body: kopf.Body, **_: Any) -> None:
        shell.store.put_child(kind, body)

    @kopf.on.event(*resource, id=f"{kind}-changed", labels=labels, registry=handlers)
    async def changed(event: kopf.RawEvent, body: kopf.Body, **_: Any) -> None:
        if event["type"] == "DELETED":
            shell.store.drop_child(kind, body)
        shell.wake(rollout_of(body))


def run(settings: Settings) -> None:
    """Run until a signal ends it."""
    kopf.configure(debug=settings.log_level == "DEBUG", log_format=kopf.LogFormat.FULL)
    shell = Shell(settings)
    kopf.run(
        registry=registry(shell),
        settings=kopf.OperatorSettings(),
        standalone=True,
        # Else kopf asks for the user's name, and the container's user has none.
        identity=cast("Any", "rollout-operator"),
        clusterwide=not settings.namespaces,
        namespaces=settings.namespaces,
        liveness_endpoint=f"http://0.0.0.0:{settings.health_port}/healthz",
    )
