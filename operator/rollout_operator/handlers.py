"""The kopf shell: watches tell the store and wake the engine; nothing is decided here."""

import asyncio
import contextlib
import gc
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, cast

import aiohttp
import uvloop
from prometheus_client import start_http_server

from rollout_operator import metrics
from rollout_operator.adapters.kubernetes_api import Cluster
from rollout_operator.adapters.login import login
from rollout_operator.adapters.model_registry import ModelRegistry, authorization
from rollout_operator.adapters.prometheus import Prometheus
from rollout_operator.adapters.router_probe import Routers, session
from rollout_operator.controller.cache import Store
from rollout_operator.controller.foreign_routes import KINDS as CLAIMING
from rollout_operator.controller.informer import Watching, WatchingClaims
from rollout_operator.controller.ports import Ports
from rollout_operator.controller.raw_objects import Key, WatchEvent, at_rest, event_of, key_of
from rollout_operator.controller.resync import OWNED_KINDS, every, resync
from rollout_operator.controller.verdict_writeback import VerdictWriteback, verdicts_after
from rollout_operator.controller.watch_health import OVERDUE, Health, UnseenWrites, serve_health
from rollout_operator.controller.workqueue import LONGEST_SLEEP, WorkQueue
from rollout_operator.desired.common import Gateways
from rollout_operator.domain.api.names import GROUP, KIND, PLURAL, SHARD, VERSION
from rollout_operator.errors import CallFailed, Gone
from rollout_operator.kopf_compat import ActivityError, ResourceMemories, ResourceMemory, kopf
from rollout_operator.settings import Settings

log = logging.getLogger(__name__)


class NoMemory(kopf.DiffBaseStorage):
    """Nothing is compared with what was handled before, so nothing is copied to be compared: that
    was half of kopf's time.
    """

    def build(self, **_: Any) -> kopf.BodyEssence:
        return cast("kopf.BodyEssence", {})

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        return None

    def store(self, **_: Any) -> None:
        return


class NoMemories(ResourceMemories):
    """No handler of ours has a memo or a daemon: what kopf would remember of an object is made for
    each event, and let go.
    """

    async def recall(self, raw_body: kopf.RawBody, **more: Any) -> ResourceMemory:
        return await super().recall(raw_body, **{**more, "ephemeral": True})


class NoProgress(kopf.ProgressStorage):
    """No handler of ours is ever half done: what is durable is the status."""

    def fetch(self, **_: Any) -> None:
        return

    def store(self, **_: Any) -> None:
        return

    def purge(self, **_: Any) -> None:
        return

    def touch(self, **_: Any) -> None:
        return

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence


def configure(settings: kopf.OperatorSettings, shard: str = "") -> None:
    """Measured settings: no Events by kopf, small lists, workers that leave early, nothing watched
    but what is ours.
    """
    settings.posting.enabled = False
    settings.queueing.idle_timeout = 0.05
    settings.watching.chunk_size = 100
    settings.watching.initial_streaming = False
    settings.watching.server_timeout = 10 * 60
    settings.networking.request_timeout = 30
    settings.scanning.disabled = True
    if shard:
        settings.watching.label_selectors[GROUP, VERSION, PLURAL] = f"{SHARD}={shard}"
    settings.persistence.diffbase_storage = NoMemory()
    settings.persistence.progress_storage = NoProgress()


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
        self.queue: WorkQueue | None = None
        self.health = Health(self._queue, self.unseen_writes.trouble)
        self._exit = contextlib.AsyncExitStack()

    async def start(self) -> None:
        """Connect, and start the engine; kopf's watches follow."""
        # One for each: a registry that hangs must not hold the connections that measurements need.
        of_registry = await self._exit.enter_async_context(aiohttp.ClientSession())
        of_prometheus = await self._exit.enter_async_context(aiohttp.ClientSession())
        of_routers = await self._exit.enter_async_context(session())
        cluster = await Cluster.connect(login, self.settings.write_limit, self.settings.shard)
        self._exit.push_async_callback(cluster.close)
        registry = ModelRegistry(self.settings.registry_url, of_registry, authorization(os.environ))
        writeback = VerdictWriteback(
            registry, self.settings.registry_alias, partial(verdicts_after, cluster), self.wake
        )
        self._exit.push_async_callback(writeback.close)
        ports = Ports(
            store=self.store,
            cluster=cluster,
            prometheus=Prometheus(self.settings.prometheus_url, of_prometheus),
            registry=registry,
            writeback=writeback,
            unseen_writes=self.unseen_writes,
            image=self.settings.inference_image,
            environment=self.settings.model_environment,
            drain=self.settings.router_drain,
            gateways=Gateways(self.settings.gateway_namespace, self.settings.gateway_mirrors),
            egress=self.settings.model_egress,
            feedback_key=self.settings.feedback_key,
            routers=Routers(of_routers, cluster.read) if self.settings.routes_ask else None,
        )
        self.queue = WorkQueue(ports, turns=ports.turns)
        with opening("HEALTH_PORT", self.settings.health_port):
            await self._exit.enter_async_context(
                serve_health(self.settings.health_port, self.health.trouble, self.store.count)
            )
        metrics.ROLLOUTS.set_function(self.store.count)
        loop = asyncio.get_running_loop()
        metrics.TASKS.set_function(lambda: len(asyncio.all_tasks(loop)))
        with opening("METRICS_PORT", self.settings.metrics_port):
            start_http_server(self.settings.metrics_port)
        # Before anything is decided, all is known: what is owned, who else answers where, and every
        # ModelRollout.
        namespaces = self.settings.namespaces or ("",)
        watched = [
            Watching(kind, ns, self.store, cluster, self.wake)
            for kind in OWNED_KINDS
            for ns in namespaces
        ]
        around = self.store, cluster, self.wake
        watched += [
            WatchingClaims(kind, ns, ports.claims, around) for kind in CLAIMING for ns in namespaces
        ]
        for one in watched:
            task = asyncio.create_task(one.run(), name=f"watch {one.kind} {one.namespace}")
            self._exit.push_async_callback(_end, task)
        await asyncio.gather(*(one.listed.wait() for one in watched))
        for ns in namespaces:
            await self.learn(cluster, ns)
        self._exit.push_async_callback(_end, asyncio.create_task(self.queue.run(), name="queue"))
        once = partial(resync, self.store, cluster, self.settings.namespaces, self.wake, self.gone)
        comparing = asyncio.create_task(
            every(self.settings.resync.total_seconds(), once), name="resync"
        )
        self._exit.push_async_callback(_end, comparing)
        asking = asyncio.create_task(
            every(OVERDUE / 6, partial(self.ask_after, cluster)), name="unseen writes"
        )
        self._exit.push_async_callback(_end, asking)

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
                self.wake(key)

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
            self.meet_again(moved)
        if event is None and at_rest(raw) and self.queue is not None:
            self.queue.enqueue_initial(key)
        else:
            self.wake(key, event_of(KIND, meta))

    def gone(self, key: Key, uid: str) -> None:
        """The ModelRollout with this uid is gone; another may have taken its name meanwhile."""
        rivals = self.store.rivals(key)
        self.store.remove(KIND, key, key[1], uid)
        if self.queue is not None:
            self.queue.ports.writeback.forget(uid)
        if self.store.has(key):
            return
        self.meet_again(rivals)
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

    def wake(self, key: Key, event: WatchEvent | None = None) -> None:
        """Look at this rollout now."""
        if self.queue is not None and self.store.has(key):
            self.queue.enqueue(key, event)

    def meet_again(self, rivals: Iterable[Key]) -> None:
        """Look at those that share a host and path with a rollout that has come, moved or gone."""
        for key in rivals:
            self.wake(key)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def registry(shell: Shell) -> kopf.OperatorRegistry:
    """The handlers."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.login(registry=handlers)
    def log_in(settings: kopf.OperatorSettings, **_: Any) -> kopf.ConnectionInfo:
        return login(settings)

    @kopf.on.startup(registry=handlers)
    async def start(settings: kopf.OperatorSettings, **_: Any) -> None:
        configure(settings, shell.settings.shard)
        await shell.start()

    @kopf.on.cleanup(registry=handlers)
    async def stop(**_: Any) -> None:
        await shell.stop()

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=handlers)
    async def changed(event: kopf.RawEvent, **_: Any) -> None:
        shell.told(event["type"], cast("dict[str, Any]", event["object"]))

    return handlers


def run(settings: Settings) -> None:
    """Run until a signal ends it; SystemExit with a sentence where it cannot begin."""
    kopf.configure(debug=settings.log_level == "DEBUG", log_format=kopf.LogFormat.FULL)
    if settings.log_level != "DEBUG":
        # kopf tells of every event that its handler succeeded.
        logging.getLogger("kopf.objects").setLevel(logging.WARNING)
    shell = Shell(settings)
    # What was imported stays: collections that pass it over are cheap, and come early enough for
    # garbage to be little.
    gc.freeze()
    # TLS is most of what an operator computes, and uvloop's is compiled.
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            kopf.run(
                loop=runner.get_loop(),
                registry=registry(shell),
                settings=kopf.OperatorSettings(),
                memories=NoMemories(),
                standalone=True,
                # Else kopf asks for the user's name, and the container's user has none.
                identity=cast("Any", "rollout-operator"),
                clusterwide=not settings.namespaces,
                namespaces=settings.namespaces,
            )
        except ActivityError as failed:
            if isinstance(failed.__cause__, kopf.PermanentError):
                raise SystemExit(f"The operator ends: {failed.__cause__}") from None
            raise
