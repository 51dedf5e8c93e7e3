"""A story told with the operator's own parts in this process, under a clock that the test turns:
observe, decide, act, fault.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

import aiohttp
import kopf

from rollout_operator.adapters.kubernetes_api import Cluster
from rollout_operator.controller.ports import Ports
from rollout_operator.controller.reconcile import reconcile
from rollout_operator.controller.verdict_writeback import VerdictWriteback
from rollout_operator.controller.watch_health import LONGEST_UNSEEN, OVERDUE
from rollout_operator.errors import CallFailed
from rollout_operator.process import Shell
from rollout_operator.settings import Settings
from tests.faults.audit import Audit, broken, end_state
from tests.faults.proxy import STALE, Fault, Proxy
from tests.faults.scripted_adapters import OWN, ScriptedPrometheus, ScriptedRegistry
from tests.faults.stories import NAME, Act, Story, due, kubelet_of, perform
from tests.support.api_client import AsyncApiClient
from tests.support.kinds import Lists, fingerprint
from tests.support.scripted_world import ScriptedWorld

DRAIN = timedelta(seconds=10)
AFTER_A_FAILURE = timedelta(seconds=1)
A_MOMENT = timedelta(milliseconds=200)
FAR = timedelta(hours=1)
MOST_LOOKS = 400
"""More than four times what the longest story takes."""


@dataclass
class Stage:
    """What all stories of a run share."""

    api: AsyncApiClient
    proxy: Proxy
    url: str
    audit: Audit
    session: aiohttp.ClientSession
    told: "dict[str, Telling]" = field(default_factory=dict)

    def fault_of(self, namespace: str, number: int) -> Fault | None:
        """For the proxy: what happens to this write."""
        return self.told[namespace].fault_of(number) if namespace in self.told else None

    def kill(self, namespace: str) -> None:
        """For the proxy: end the operator of this namespace at once."""
        self.told[namespace].kill()


class Gate(asyncio.Semaphore):
    """Before the writes of an operator: where it is to stop, the write waits here until everything
    else is done.
    """

    def __init__(self, stops: Callable[[], bool]) -> None:
        super().__init__(32)
        self.stops = stops
        self.stopped, self.goes_on = asyncio.Event(), asyncio.Event()

    async def acquire(self) -> Literal[True]:
        """Wait for a turn."""
        if self.stops():
            self.stopped.set()
            await self.goes_on.wait()
        return await super().acquire()


class Order(StrEnum):
    """What the watch tells of a status that was written,
    and when the reply to the write is read.
    """

    REPLY_FIRST = "the reply, then the event"
    EVENT_FIRST = "the event, then the reply"
    RELISTED = "the reply, then a list: the watch had expired"
    SILENT = "the reply, and nothing more"
    DELETED_FIRST = "written, deleted and told, then the reply"
    DELETED_AFTER = "the reply, then deleted and told"
    DELETED_UNTOLD = "the reply, then deleted between two lists"


DELETIONS = frozenset({Order.DELETED_FIRST, Order.DELETED_AFTER, Order.DELETED_UNTOLD})


class Cut(Exception):
    """The story ends where its rollout was deleted."""


class Heard(Cluster):
    """Has `after` called with each status that was written, before who wrote it has the reply."""

    after: Callable[[dict[str, Any]], Awaitable[None]]

    async def write_status(self, seen: dict[str, Any], status: dict[str, Any]) -> dict[str, Any]:
        """As the operator has it."""
        made = await super().write_status(seen, status)
        await self.after(made)
        return made


@dataclass
class Ending:
    """What a story came to."""

    state: dict[str, Any]
    """The end state."""
    broken: list[str]
    """Invariants that were broken on the way."""
    writes: int
    """How many there were from its beginning on."""
    idle: int
    """Writes while nothing was to be done."""
    spoiled: bool
    """Whether the fault happened."""
    trouble: str
    """What /healthz says two minutes after the end."""


class Telling:
    """One story in its own namespace, with a fault at the `number`-th write of its second part (0:
    none).
    """

    def __init__(
        self,
        stage: Stage,
        story: Story,
        namespace: str,
        number: int = 0,
        fault: Fault | None = None,
        order: Order = Order.REPLY_FIRST,
    ) -> None:
        self.order, self.statuses, self.cut = order, 0, False
        self.stage, self.story, self.namespace, self.number, self.fault = (
            stage,
            story,
            namespace,
            number,
            fault,
        )
        self.now = datetime(2026, 11, 23, 12, tzinfo=UTC)
        self.world = ScriptedWorld(clock=self._time)
        self.kubelet = kubelet_of(self.world)
        self.begun: int | None = None
        self.spoiled = self.killed = self.woken = False
        self.pass_: asyncio.Task[datetime | None] | None = None
        self.past: deque[Lists] = deque(maxlen=4)
        self.left: asyncio.Task[datetime | None] | None = None
        self._start()

    def _time(self) -> float:
        return self.now.timestamp()

    def fault_of(self, number: int) -> Fault | None:
        """What happens to the write of this number."""
        if self.begun is None or number - self.begun != self.number:
            return None
        if self.fault is Fault.STOPPED:
            return None
        self.spoiled = True
        return self.fault

    def _stops(self) -> bool:
        """Whether the operator stops before its next write: once, at the one of this number or,
        where that is an Event, at the next.
        """
        next_one = self.stage.proxy.count(self.namespace) + 1
        reached = self.begun is not None and next_one - self.begun >= self.number > 0
        return self.fault is Fault.STOPPED and reached and not self.spoiled

    def kill(self) -> None:
        """The process ends between two instructions."""
        self.killed = True
        if self.pass_ is not None:
            self.pass_.cancel()

    async def tell(self) -> Ending:
        """Tell the story to its end; raises AssertionError where it has none."""
        await self.stage.api.namespace(self.namespace)
        self.stage.told[self.namespace] = self
        for act in self.story.before:
            await self._until(act)
        await self._until(None)
        self.begun = self._written()
        for act in self.story.then:
            await self._until(act)
        lists = await self._until(None)
        if self.left is not None:
            self.stopped.goes_on.set()
            with contextlib.suppress(CallFailed):
                await self.left
            lists = await self._until(None)
        written, look_back = self._written(), self.now
        while self.now < look_back + timedelta(seconds=60):
            self.now += timedelta(seconds=10)
            await self._look(lists)
        trouble = self.trouble_later()
        told = {"tags": self.world.tags, "aliases": self.world.aliases}
        events = await self.stage.audit.caught_up(self.namespace)
        state = end_state(lists, told, self.world.versions(), self.namespace)
        return Ending(
            state,
            broken(events),
            written - self.begun,
            self._written() - written,
            self.spoiled,
            trouble,
        )

    async def cut_short(self) -> None:
        """Tell the story until its rollout is deleted, by the order, right after the `number`-th
        status; then what waits is asked after.
        """
        with contextlib.suppress(Cut):
            await self.tell()
        assert self.cut, f"there are {self.statuses} statuses"
        self.now += timedelta(seconds=OVERDUE + 1)
        await self.shell.ask_after(self.ports.cluster)

    def trouble_later(self) -> str:
        """What /healthz says once every write must have come back."""
        self.now += timedelta(seconds=LONGEST_UNSEEN + 1)
        return self.shell.health.trouble()

    async def _wrote(self, made: dict[str, Any]) -> None:
        """A status was written, and nobody has read the reply yet."""
        self.statuses += 1
        if self.order is Order.EVENT_FIRST:
            self.shell.told("MODIFIED", made)
        elif self.order in DELETIONS and self.statuses == self.number:
            self.cut = True
            await self.stage.api.delete("ModelRollout", self.namespace, NAME)
            if self.order is Order.DELETED_FIRST:
                self.shell.told("MODIFIED", made)
                self.shell.told("DELETED", made)

    async def _until(self, act: Act | None) -> Lists:
        """Go on until the act is due, and do it; for None, until nothing changes any more."""
        requeue_at: datetime | None = self.now
        known: object = None
        for _ in range(MOST_LOOKS):
            lists = await self._played()
            version = fingerprint(lists)
            resting = (
                version == known
                and not self.woken
                and (requeue_at is None or requeue_at > self.now + FAR)
            )
            if act is None and resting:
                return lists
            if act is not None and due(act, lists, resting):
                await perform(act, self.namespace, self.stage.api, self.world)
                return lists
            if version == known and requeue_at is not None and not self.woken:
                self.now = max(self.now + A_MOMENT, requeue_at)
            else:
                self.now += A_MOMENT
            known, self.woken = version, False
            requeue_at = await self._look(lists)
        raise AssertionError(
            f"after {MOST_LOOKS} looks {self.namespace} is still waiting for {act}:"
            f" {lists['ModelRollout']}"
        )

    async def _played(self) -> Lists:
        """What is there once the kubelet has nothing left to do."""
        while True:
            lists = await self.stage.api.lists(self.namespace)
            if not await self.kubelet.work(self.stage.api, lists):
                return lists

    async def _look(self, lists: Lists) -> datetime | None:
        """One pass of the operator; after a kill the next process begins with what it reads."""
        self._feed(lists)
        self.past.append(lists)
        requeue_at = await self._pass()
        if self.cut:
            if self.order is Order.DELETED_AFTER:
                self.shell.gone(
                    (self.namespace, NAME),
                    self.ports.store.known("ModelRollout", self.namespace)[self.namespace, NAME][0],
                )
            raise Cut
        # The writeback's tasks have their turn, as in a process that goes on.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if self.killed:
            self.killed = False
            await self.ports.writeback.close()
            self._start()
            if self.fault in STALE:
                await self._look_back()
            return self.now
        return requeue_at

    async def _pass(self) -> datetime | None:
        self.pass_ = asyncio.create_task(reconcile((self.namespace, NAME), self.ports, self.now))
        stopped = asyncio.create_task(self.gate.stopped.wait())
        await asyncio.wait({self.pass_, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not self.pass_.done():
            self.left, self.stopped, self.spoiled = self.pass_, self.gate, True
            self._start()
            return self.now
        try:
            return await self.pass_
        except CallFailed:
            return self.now + AFTER_A_FAILURE
        except asyncio.CancelledError:
            if not self.killed:
                raise
            return self.now

    async def _look_back(self) -> None:
        """The new process is shown the past first, whole or in part, and decides from it."""
        old, new = self.past[0], await self.stage.api.lists(self.namespace)
        mixed = {kind: self._shown(kind, old[kind], new[kind]) for kind in new}
        self._feed(mixed)
        await self._pass()

    def _shown(
        self, kind: str, old: list[dict[str, Any]], new: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        if self.fault is Fault.STALE_ROLLOUT:
            return old if kind == "ModelRollout" else new
        if self.fault is Fault.STALE_OBJECTS:
            return new if kind == "ModelRollout" else old
        return old

    def _feed(self, lists: Lists) -> None:
        """Bring the store where its watches would bring it."""
        store = self.ports.store
        for kind, objects in lists.items():
            known = store.known(kind, self.namespace)
            for one in objects:
                if kind != "ModelRollout" or self.order is Order.SILENT:
                    store.put(kind, one)
                else:
                    self.shell.told(None if self.order is Order.RELISTED else "MODIFIED", one)
                known.pop((one["metadata"]["namespace"], one["metadata"]["name"]), None)
            for (_, name), (uid, key) in known.items():
                if kind == "ModelRollout":
                    self.shell.gone(key, uid)
                else:
                    store.remove(kind, key, name, uid)

    def _start(self) -> None:
        """A new process: nothing is remembered."""
        registry = ScriptedRegistry(self.world, self.stage.session)
        self.gate = Gate(self._stops)
        self.shell = Shell(
            Settings("localhost/rollouts/inference:test", "http://prometheus", "http://mlflow"),
            self._time,
        )
        cluster = Heard(
            self.stage.session, lambda: kopf.ConnectionInfo(server=self.stage.url), self.gate, ""
        )
        cluster.after = self._wrote
        self.ports = Ports(
            store=self.shell.store,
            cluster=cluster,
            prometheus=ScriptedPrometheus(self.world, self.stage.session),
            registry=registry,
            writeback=VerdictWriteback(registry, "{namespace}-{name}", wake=self._wake),
            image="localhost/rollouts/inference:test",
            unseen_writes=self.shell.unseen_writes,
            environment={"LOG_LEVEL": "INFO"},
            metrics=OWN,
            drain=DRAIN,
        )

    def _wake(self, _: object) -> None:
        self.woken = True

    def _written(self) -> int:
        return sum(1 for w in self.stage.proxy.writes if w.namespace == self.namespace)
