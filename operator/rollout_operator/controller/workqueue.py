"""When to look at which rollout: woken by changes and by due times, one pass at a time for each
rollout, and where many are due what is urgent first.
"""

import asyncio
import contextlib
import heapq
import logging
import random
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from rollout_operator import metrics
from rollout_operator.controller.concurrency import Turns
from rollout_operator.controller.ports import Ports
from rollout_operator.controller.raw_objects import Key, WatchEvent
from rollout_operator.controller.reconcile import reconcile
from rollout_operator.domain.api.names import KIND
from rollout_operator.domain.urgency import HEAD_START
from rollout_operator.errors import CallFailed, Conflict, Gone

log = logging.getLogger(__name__)

LONGEST_SLEEP = 30.0
"""Seconds; bounds what a jump of the wall clock can do to due times."""
SET_BACK = timedelta(seconds=1)
"""By how much the wall clock must have gone back for due times to follow it."""
RECONCILE_TIMEOUT = 60.0
MAX_BACKOFF = 30.0
INITIAL_SPACING = timedelta(milliseconds=2)
"""Between first looks at rollouts at rest."""

Reconciler = Callable[[Key, Ports, datetime], Awaitable[datetime | None]]


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


class WorkQueue:
    """A queue of due times and a task for each rollout that is due.
    Broken rollouts back off alone.
    """

    def __init__(
        self, ports: Ports, reconciler: Reconciler = reconcile, turns: Turns | None = None
    ) -> None:
        self.ports = ports
        self._turns = turns or Turns()
        self._reconcile = reconciler
        self._due: dict[Key, datetime] = {}
        self._heap: list[tuple[datetime, Key]] = []
        self._waiting: list[tuple[datetime, datetime, Key]] = []
        """What is due and has no turn yet: its rank, since when it is due, and whose look it is."""
        self._running: dict[Key, asyncio.Task[None]] = {}
        self._again: dict[Key, set[WatchEvent | None]] = defaultdict(set)
        self._failures: dict[Key, tuple[int, datetime]] = {}
        """How often in a row each broken rollout has failed, and until when it backs off."""
        self._changed = asyncio.Event()
        self._initial_at = utc_now()
        self._read_at = utc_now(), time.monotonic()
        """When the wall clock was last read for what is due, by itself and in seconds that pass."""
        self._back = timedelta(0)
        """By how much it was set back, all together."""
        self.turned = time.monotonic()
        """When the loop last turned; it does so at least every LONGEST_SLEEP seconds."""

    def enqueue(self, key: Key, event: WatchEvent | None = None) -> None:
        """Look at this rollout now; while it is being looked at, once more afterwards, unless the
        event is what the look has written.
        """
        if key in self._running:
            self._again[key].add(event)
        else:
            self._schedule(key, utc_now())

    def enqueue_initial(self, key: Key, event: WatchEvent | None = None) -> None:
        """Look at a rollout at rest that a new process meets: so many a second, so that ten
        thousand of them delay nobody.
        """
        if key in self._running:
            # A list may tell of a first look's own write before its reply is read.
            self._again[key].add(event)
            return
        self._initial_at = max(utc_now(), self._initial_at + INITIAL_SPACING)
        self._schedule(key, self._initial_at)

    def forget(self, key: Key) -> None:
        """The rollout is gone."""
        self._due.pop(key, None)
        self._failures.pop(key, None)
        self._again.pop(key, None)
        self.ports.memory.forget(key)
        if self.ports.drains is not None:
            self.ports.drains.forget(key)
        metrics.forget(key)

    async def run(self) -> None:
        """Start passes as they become due, until cancelled."""
        metrics.QUEUE_DEPTH.set_function(self._depth)
        metrics.QUEUE_WAIT.set_function(self._longest_wait)
        try:
            while True:
                self._changed.clear()
                await self._start_due()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), self._sleep())
        finally:
            for task in self._running.values():
                task.cancel()
            await asyncio.gather(*self._running.values(), return_exceptions=True)

    def _schedule(self, key: Key, at: datetime) -> None:
        if (known := self._due.get(key)) is None or at < known:
            self._due[key] = at
            heapq.heappush(self._heap, (at, key))
            self._changed.set()

    async def _start_due(self) -> None:
        """Start looks at what is due, each once it has its turn: those that wait are entries of a
        heap, and no tasks.
        """
        while self._have_wait():
            self.turned = time.monotonic()
            await self._turns.acquire(self._first_rank)
            # Something urgent may have become due meanwhile; or what waited has gone.
            if not self._have_wait():
                self._turns.release()
                break
            rank, at, key = heapq.heappop(self._waiting)
            if self._due.get(key) != at or key in self._running:
                self._turns.release()
                continue
            del self._due[key]
            self._running[key] = asyncio.create_task(
                self._process(key, at, rank), name=f"{key[0]}/{key[1]}"
            )
        self.turned = time.monotonic()

    def _first_rank(self) -> datetime:
        """The rank of whoever begins next."""
        return self._waiting[0][0] if self._have_wait() else utc_now()

    def _have_wait(self) -> bool:
        """Have what has become due wait by age and urgency; says whether anything waits."""
        now = self._read_clock()
        while self._heap and self._heap[0][0] <= now:
            at, key = heapq.heappop(self._heap)
            rank = at - HEAD_START if self.ports.store.is_urgent(key) else at
            heapq.heappush(self._waiting, (rank, at, key))
        return bool(self._waiting)

    def _read_clock(self) -> datetime:
        """Now. Where the wall clock was set back, what is due goes back with it: nobody would be
        looked at until the clock is there again.
        """
        (before, then), now, passed = self._read_at, utc_now(), time.monotonic()
        self._read_at = now, passed
        back = before + timedelta(seconds=passed - then) - now
        if back > SET_BACK:
            log.warning("The clock was set back by %.0f s.", back.total_seconds())
            self._due = {key: at - back for key, at in self._due.items()}
            self._failures = {key: (n, until - back) for key, (n, until) in self._failures.items()}
            self._initial_at -= back
            self._back += back
            self._waiting, self._heap = [], [(at, key) for key, at in self._due.items()]
            heapq.heapify(self._heap)
        return now

    def _depth(self) -> int:
        """Rollouts that are due and whose look has not ended."""
        now = utc_now()
        return len(self._running) + sum(at <= now for at in self._due.values())

    def _longest_wait(self) -> float:
        """Seconds for which the rollout that waits longest for its look has been due."""
        now = utc_now()
        return max(0.0, (now - min(self._due.values(), default=now)).total_seconds())

    def _sleep(self) -> float:
        if not self._heap:
            return LONGEST_SLEEP
        return min(LONGEST_SLEEP, max(0.0, (self._heap[0][0] - utc_now()).total_seconds()))

    async def _process(self, key: Key, due: datetime, rank: datetime) -> None:
        self._turns.ranks(rank)
        requeue_at: datetime | None = None
        now, back = self._read_clock(), self._back
        rivals = self.ports.store.rivals(key)
        try:
            async with asyncio.timeout(RECONCILE_TIMEOUT):
                with metrics.RECONCILE_SECONDS.time():
                    requeue_at = await self._reconcile(key, self.ports, now)
            self._read_clock()
            if requeue_at is not None:
                # Of a look in which the clock was set back.
                requeue_at -= self._back - back
            metrics.DECISION_LAG.observe(max(0.0, (utc_now() - due).total_seconds()))
            self._failures.pop(key, None)
        except (
            Exception
        ) as failure:  # whatever it is, this rollout is looked at again and the others go on
            requeue_at = await self._failed(key, failure)
        finally:
            self._turns.release()
            del self._running[key]
            news = self._again.pop(key, set()) - self.ports.memory.take_own_writes(key)
            if not self.ports.store.has(key):
                self.forget(key)
            elif news:
                # After a failure the backoff holds even if something changed: a broken rollout must
                # not spin.
                self._schedule(
                    key, requeue_at if key in self._failures and requeue_at else utc_now()
                )
            elif requeue_at is not None:
                self._schedule(key, requeue_at)
            # A former way that has gone frees its place for another, whom no watch tells: this
            # process has written the status itself.
            for one in {*rivals} ^ {*self.ports.store.rivals(key)}:
                self.enqueue(one)

    async def _failed(self, key: Key, failure: Exception) -> datetime:
        """When to try again; after a conflict, with the object as it is now."""
        count, until = self._failures.get(key, (0, utc_now()))
        # A look that a change called for, before its time, does not make the backoff longer.
        count += until <= utc_now() or not count
        metrics.RECONCILE_ERRORS.labels(type(failure).__name__).inc()
        name = "/".join(key)
        if isinstance(failure, CallFailed | TimeoutError):
            log.warning(
                "%s: will be tried again (%d): %s", name, count, failure or type(failure).__name__
            )
        else:
            log.exception("%s: will be tried again (%d)", name, count, exc_info=failure)
        if isinstance(failure, Conflict | Gone):
            await self._read_again(key)
        delay = min(MAX_BACKOFF, 0.1 * 2**count) * random.uniform(0.8, 1.2)  # noqa: S311 - spreads load, no secret
        self._failures[key] = count, utc_now() + timedelta(seconds=delay)
        return self._failures[key][1]

    async def _read_again(self, key: Key) -> None:
        try:
            self.ports.store.put_rollout(await self.ports.cluster.read(KIND, *key))
        except Gone:
            if (known := self.ports.store.rollout(key)) is not None:
                rivals = self.ports.store.rivals(key)
                self.ports.store.remove(KIND, key, key[1], known["metadata"]["uid"])
                for one in rivals:
                    self.enqueue(one)
        except CallFailed as failure:
            log.warning("%s: could not be read again: %s", "/".join(key), failure)
