"""The kopf shell: watches tell the store and wake the engine; nothing is decided here."""

import asyncio
import contextlib
import os
import time
from collections.abc import Mapping
from functools import partial
from typing import Any, cast

import aiohttp
import kopf
from prometheus_client import start_http_server

from rollout_operator.cluster import Cluster
from rollout_operator.domain.names import GROUP, MANAGED_BY, PLURAL, VERSION
from rollout_operator.engine import LONGEST_SLEEP, Engine
from rollout_operator.liveness import Echoes, served
from rollout_operator.prometheus import Prometheus
from rollout_operator.reconcile import Ports
from rollout_operator.registry import Registry, authorization
from rollout_operator.reporter import Reporter
from rollout_operator.resync import every, resync
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
        self.echoes = Echoes()
        self.engine: Engine | None = None
        self._exit = contextlib.AsyncExitStack()

    async def start(self) -> None:
        """Connect, and start the engine; kopf's watches follow."""
        session = await self._exit.enter_async_context(aiohttp.ClientSession())
        cluster = await Cluster.connect(self.settings.write_limit)
        self._exit.push_async_callback(cluster.close)
        registry = Registry(self.settings.registry_url, session, authorization(os.environ))
        reporter = Reporter(registry, self.settings.registry_alias, self.wake)
        self._exit.push_async_callback(reporter.close)
        ports = Ports(
            store=self.store,
            cluster=cluster,
            prometheus=Prometheus(self.settings.prometheus_url, session),
            registry=registry,
            reporter=reporter,
            echoes=self.echoes,
            image=self.settings.inference_image,
            environment=self.settings.model_environment,
            drain=self.settings.router_drain,
            feedback_key=self.settings.feedback_key,
        )
        self.engine = Engine(ports)
        self._exit.push_async_callback(_end, asyncio.create_task(self.engine.run(), name="engine"))
        once = partial(resync, self.store, cluster, self.settings.namespaces, self.wake)
        comparing = asyncio.create_task(every(self.settings.resync.total_seconds(), once), name="resync")
        self._exit.push_async_callback(_end, comparing)
        await self._exit.enter_async_context(served(self.settings.health_port, self.trouble))
        start_http_server(self.settings.metrics_port)

    def trouble(self) -> str:
        """What is wrong with this process, "" if nothing: its own writes do not come back, or its queue stands still."""
        still = time.monotonic() - self.engine.turned if self.engine is not None else 0.0
        if still > 3 * LONGEST_SLEEP:
            return f"The queue has not been looked at for {still:.0f} s."
        return self.echoes.trouble()

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
        meta = body["metadata"]
        shell.echoes.heard((meta["namespace"], meta["name"]), int(meta["resourceVersion"]))

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=handlers)
    async def changed(event: kopf.RawEvent, body: kopf.Body, **_: Any) -> None:
        namespace, name = body["metadata"]["namespace"], body["metadata"]["name"]
        if event["type"] == "DELETED":
            shell.store.drop_rollout(body)
            shell.echoes.forget((namespace, name))
            if shell.engine is not None:
                shell.engine.forget((namespace, name))
                shell.engine.ports.reporter.forget(body["metadata"]["uid"])
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
    )
