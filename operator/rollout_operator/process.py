"""The process: everything that lives as long as it does, put together and taken apart again."""

import asyncio
import contextlib
import gc
import logging
import os
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from functools import partial
from typing import Any

import uvloop
from prometheus_client import start_http_server

from rollout_operator import kopf_compat, metrics
from rollout_operator.adapters.health_server import serve_health
from rollout_operator.adapters.http_session import http_session
from rollout_operator.adapters.kubernetes_api import Cluster
from rollout_operator.adapters.login import login
from rollout_operator.adapters.model_pods import ModelPods
from rollout_operator.adapters.model_registry import ModelRegistry, authorization
from rollout_operator.adapters.prometheus import Prometheus
from rollout_operator.adapters.prometheus_login import PrometheusLogin
from rollout_operator.adapters.router_probe import Routers, router_session
from rollout_operator.adapters.tls_files import TlsFiles
from rollout_operator.controller.cache import Store
from rollout_operator.controller.drains import Drains
from rollout_operator.controller.foreign_routes import KINDS as CLAIMING
from rollout_operator.controller.informer import ForeignRouteInformer, Informer, NamespaceInformer
from rollout_operator.controller.message_senders import make_messenger
from rollout_operator.controller.messenger import Timing
from rollout_operator.controller.namespaces import Namespaces
from rollout_operator.controller.ports import Ports
from rollout_operator.controller.raw_objects import Key, WatchEvent, at_rest, event_of, key_of
from rollout_operator.controller.resync import OWNED_KINDS, every, resync
from rollout_operator.controller.shadows import Shadows
from rollout_operator.controller.verdict_writeback import (
    VerdictWriteback,
    unrecorded,
    verdicts_after,
)
from rollout_operator.controller.watch_health import OVERDUE, Health, UnseenWrites
from rollout_operator.controller.workqueue import LONGEST_SLEEP, WorkQueue
from rollout_operator.desired.common import Gateways
from rollout_operator.domain.api.names import KIND, SHARD
from rollout_operator.domain.observed import MetricsUnreachable
from rollout_operator.errors import CallFailed, Gone
from rollout_operator.kopf_compat import kopf
from rollout_operator.settings import Settings

log = logging.getLogger(__name__)

GARBAGE_AT = 10_000
"""Objects made, and not freed, after which cycles among them are looked for: looking each 700 of
them was a 20th of an operator's CPU, and what it finds is little.
"""


@contextlib.contextmanager
def opening(variable: str, port: int) -> Iterator[None]:
    """Have the operator end where a port cannot be opened: kopf takes any other failure at start
    for one that passes, and waits.
    """
    try:
        yield
    except OSError as failure:
        reason = os.strerror(failure.errno) if failure.errno else str(failure)
        raise kopf.PermanentError(
            f"{variable}={port} cannot be opened: {reason}. Write another port, or end what listens"
            " there."
        ) from failure


class Shell:
    """Everything that lives as long as the operator's process."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings
        self.store = Store(settings.gateway_namespace)
        self.unseen_writes = UnseenWrites(clock)
        self.namespaces = Namespaces()
        self.queue: WorkQueue | None = None
        self.health = Health(self._queue, self.unseen_writes.trouble)
        self._exit = contextlib.AsyncExitStack()

    async def start(self) -> None:
        """Connect, and start the queue; kopf's watches follow."""
        ports = await self._connect()
        self.queue = WorkQueue(ports, turns=ports.turns)
        await self._serve()
        # Before anything is decided, all is known: what is owned, who else answers where, and every
        # ModelRollout.
        await self._watch(ports)
        namespaces = self.settings.namespaces or ("",)
        for namespace in namespaces:
            await self.learn(ports.cluster, namespace)
        self._keep(self.queue.run(), "queue")
        if ports.messenger is not None:
            self._keep(ports.messenger.run(), "messages")
        around = self.store, ports.cluster, self.settings.namespaces
        compare = partial(resync, *around, self.enqueue, self.gone)
        self._keep(every(self.settings.resync.total_seconds(), compare), "resync")
        self._keep(every(OVERDUE / 6, partial(self.ask_after, ports.cluster)), "unseen writes")
        self._keep(_try_metrics(ports.prometheus), "metrics tried")

    async def _connect(self) -> Ports:
        """The clients, each with connections of its own: a registry that hangs must not hold those
        that measurements need.
        """
        settings, enter = self.settings, self._exit.enter_async_context
        files = settings.registry_files
        of_registry = await enter(http_session())
        of_prometheus = await enter(http_session())
        of_routers = await enter(router_session())
        cluster = await Cluster.connect(login, settings.write_limit, settings.shard)
        self._exit.push_async_callback(cluster.close)
        registry = ModelRegistry(
            settings.registry_url,
            of_registry,
            authorization(os.environ),
            settings.pin_digests,
            TlsFiles("REGISTRY", files.ca, files.cert, files.key),
        )
        writeback = VerdictWriteback(
            registry,
            settings.registry_alias,
            partial(verdicts_after, cluster),
            self.enqueue,
            partial(unrecorded, self.store.rollout, cluster),
        )
        self._exit.push_async_callback(writeback.close)
        routers = Routers(of_routers, cluster.read) if settings.routes_ask else None
        messenger = await make_messenger(
            settings.messages,
            Timing(settings.messages_hold, settings.messages_give_up),
            settings.dashboard_url,
            self.namespaces.labels,
            self.enqueue,
            self._exit,
        )
        shadows = Shadows(
            cluster, ModelPods(await enter(http_session())), fields=settings.shadow_fields
        )
        self._exit.push_async_callback(shadows.close)
        drains = Drains(routers, self.enqueue) if routers is not None else None
        if drains is not None:
            self._exit.push_async_callback(drains.close)
        return Ports(
            store=self.store,
            cluster=cluster,
            prometheus=Prometheus(
                settings.prometheus_url,
                of_prometheus,
                PrometheusLogin(settings.prometheus_access),
                own=settings.metrics.by_name,
            ),
            registry=registry,
            writeback=writeback,
            unseen_writes=self.unseen_writes,
            image=settings.inference_image,
            environment=settings.model_environment,
            drain=settings.router_drain,
            gateways=Gateways(settings.gateway_namespace, settings.gateway_mirrors),
            egress=settings.model_egress,
            credentials=settings.model_credentials,
            feedback_stores=settings.feedback_stores,
            profiles=settings.model_profiles,
            windows=settings.windows,
            proof_rules=settings.proof_rules,
            proof_signer=settings.proof_signer,
            metrics=settings.metrics,
            names_verified=settings.names_verified,
            annotations=settings.route_annotations,
            feedback_key=settings.feedback_key,
            routers=routers,
            drains=drains,
            shadows=shadows,
            messenger=messenger,
        )

    async def _serve(self) -> None:
        """Health and metrics, each on its port."""
        health_port, metrics_port = self.settings.health_port, self.settings.metrics_port
        with opening("HEALTH_PORT", health_port):
            await self._exit.enter_async_context(
                serve_health(health_port, self.health.trouble, self.store.count)
            )
        metrics.ROLLOUTS.set_function(self.store.count)
        loop = asyncio.get_running_loop()
        metrics.TASKS.set_function(lambda: len(asyncio.all_tasks(loop)))
        with opening("METRICS_PORT", metrics_port):
            start_http_server(metrics_port)

    async def _watch(self, ports: Ports) -> None:
        """Begin to watch owned objects and others' routes; returns once all of them are known."""
        around = self.store, ports.cluster, self.enqueue
        watches: list[Informer] = []
        for namespace in self.settings.namespaces or ("",):
            watches += [Informer(kind, namespace, *around) for kind in OWNED_KINDS]
            watches += [
                ForeignRouteInformer(kind, namespace, ports.foreign_routes, around)
                for kind in CLAIMING
            ]
        if any(one.namespace_selector is not None for one in self.settings.messages):
            watches.append(NamespaceInformer(self.namespaces, *around))
        for watch in watches:
            self._keep(watch.run(), f"watch {watch.kind} {watch.namespace}")
        await asyncio.gather(*(watch.listed.wait() for watch in watches))

    def _keep(self, forever: Coroutine[Any, Any, None], name: str) -> None:
        """Run it as a task until the process ends."""
        self._exit.push_async_callback(_end, asyncio.create_task(forever, name=name))

    async def learn(self, cluster: Cluster, namespace: str) -> None:
        """Know every ModelRollout before the first one is looked at: of two with one host and path
        it is the older's.

        kopf lists them page by page, and tells of the first while the others are still unknown.
        Tries again until it succeeds.
        """
        found: dict[Key, bool] = {}
        while True:
            try:
                async for items, _ in cluster.pages(KIND, namespace):
                    for raw in items:
                        self.store.put_rollout(raw)
                        found[key_of(raw["metadata"])] = at_rest(raw)
                break
            except Gone:
                # Not installed: kopf waits for it.
                return
            except CallFailed as failure:
                log.warning("ModelRollouts could not be listed, tried again: %s", failure)
                await asyncio.sleep(1)
        for key, rests in found.items():
            if rests and self.queue is not None:
                self.queue.enqueue_initial(key)
            else:
                self.enqueue(key)

    def _queue(self) -> str:
        still = time.monotonic() - self.queue.turned if self.queue is not None else 0.0
        most = 3 * LONGEST_SLEEP
        return (
            f"The queue has not been looked at for more than {most:.0f} s." if still > most else ""
        )

    def told(self, event: str | None, raw: dict[str, Any]) -> None:
        """The watch of the ModelRollouts has told this; event: None for what a list has."""
        meta = raw["metadata"]
        key = key_of(meta)
        if event == "DELETED":
            self.gone(key, meta["uid"])
            return
        rivals = self.store.rivals(key)
        self.unseen_writes.seen(key, int(meta["resourceVersion"]))
        # What this process wrote itself is known already, and nothing new.
        if not self.store.put_rollout(raw):
            return
        if moved := set(rivals) ^ set(self.store.rivals(key)):
            self.enqueue_rivals(moved)
        if event is None and at_rest(raw) and self.queue is not None:
            self.queue.enqueue_initial(key, event_of(KIND, meta))
        else:
            self.enqueue(key, event_of(KIND, meta))

    def gone(self, key: Key, uid: str) -> None:
        """The ModelRollout with this uid is gone; another may have taken its name meanwhile."""
        rivals = self.store.rivals(key)
        self.store.remove(KIND, key, key[1], uid)
        if self.queue is not None:
            self.queue.ports.writeback.forget(uid)
            if (messenger := self.queue.ports.messenger) is not None:
                messenger.forget(uid)
            if (shadows := self.queue.ports.shadows) is not None:
                shadows.forget(key)
        if self.store.has(key):
            return
        self.enqueue_rivals(rivals)
        self.unseen_writes.forget(key)
        if self.queue is not None:
            self.queue.forget(key)

    async def ask_after(self, cluster: Cluster) -> None:
        """Ask the API server after rollouts whose writes are long in coming back: no watch tells of
        what is deleted between two lists.

        Raises CallFailed where it does not answer.
        """
        for key in self.unseen_writes.overdue():
            known = self.store.rollout(key)
            uid = known["metadata"]["uid"] if known is not None else ""
            try:
                labels = (await cluster.read(KIND, *key))["metadata"].get("labels") or {}
            except Gone:
                self.gone(key, uid)
                continue
            if self.settings.shard and labels.get(SHARD) != self.settings.shard:
                # Another operator's now.
                self.gone(key, uid)

    async def stop(self) -> None:
        """End what `start` began, in reverse."""
        await self._exit.aclose()

    def enqueue(self, key: Key, event: WatchEvent | None = None) -> None:
        """Look at this rollout now."""
        if self.queue is not None and self.store.has(key):
            self.queue.enqueue(key, event)

    def enqueue_rivals(self, rivals: Iterable[Key]) -> None:
        """Look at those that share a host and path with a rollout that has come, moved or gone."""
        for key in rivals:
            self.enqueue(key)


async def _try_metrics(prometheus: Prometheus) -> None:
    """Ask for each metric of the configuration once: what Prometheus refuses is told before a
    rollout waits for it.
    """
    for name in prometheus.own:
        found = (await prometheus.snapshot(name, prometheus.clock())).answer
        if isinstance(found, MetricsUnreachable):
            log.warning(
                "Metric %s of the configuration cannot be asked for: %s", name, found.message
            )
        else:
            log.info("Metric %s: %d revisions have it.", name, len(found))


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def run(settings: Settings, handlers: kopf.OperatorRegistry) -> None:
    """Run until a signal ends it; SystemExit with a sentence where it cannot begin."""
    kopf_compat.log_to_stderr(settings.log_level)
    shell = Shell(settings)
    # What was imported stays: collections that pass it over are cheap, and come early enough for
    # garbage to be little.
    gc.freeze()
    gc.set_threshold(GARBAGE_AT)
    # TLS is most of what an operator computes, and uvloop's is compiled.
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        memo = kopf.Memo(shell=shell)
        kopf_compat.run(handlers, memo, settings.namespaces, runner.get_loop())
