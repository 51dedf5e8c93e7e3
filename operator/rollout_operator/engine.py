"""When to look at which rollout: woken by changes and by due times, one pass at a time for each rollout."""

import asyncio
import contextlib
import heapq
import logging
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from rollout_operator import telemetry
from rollout_operator.domain.names import KIND
from rollout_operator.errors import CallFailed, Conflict, Gone
from rollout_operator.reconcile import Ports, reconcile
from rollout_operator.store import Key
from rollout_operator.turns import Turns

log = logging.getLogger(__name__)

LONGEST_SLEEP = 30.0
"""Seconds; bounds what a jump of the wall clock can do to due times."""
PASS_TIMEOUT = 60.0
MAX_BACKOFF = 30.0

Pass = Callable[[Key, Ports, datetime], Awaitable[datetime | None]]


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


class Engine:
    """A queue of due times and a task for each rollout that is due. Broken rollouts back off alone."""

    def __init__(self, ports: Ports, one_pass: Pass = reconcile, turns: Turns | None = None) -> None:
        self.ports = ports
        self._turns = turns or Turns()
        self._pass = one_pass
        self._due: dict[Key, datetime] = {}
        self._heap: list[tuple[datetime, Key]] = []
        self._running: dict[Key, asyncio.Task[None]] = {}
        self._again: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._changed = asyncio.Event()
        self.turned = time.monotonic()
        """When the loop last turned; it does so at least every LONGEST_SLEEP seconds."""

    def wake(self, key: Key) -> None:
        """Look at this rollout now."""
        if key in self._running:
            self._again.add(key)
        else:
            self._schedule(key, utc_now())

    def forget(self, key: Key) -> None:
        """The rollout is gone."""
        self._due.pop(key, None)
        self._failures.pop(key, None)
        self._again.discard(key)
        telemetry.forget(key)

    async def run(self) -> None:
        """Start passes as they become due, until cancelled."""
        try:
            while True:
                self._changed.clear()
                self.turned = time.monotonic()
                self._start_due()
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

    def _start_due(self) -> None:
        now = utc_now()
        while self._heap and self._heap[0][0] <= now:
            at, key = heapq.heappop(self._heap)
            if self._due.get(key) == at and key not in self._running:
                del self._due[key]
                self._running[key] = asyncio.create_task(self._look(key, at), name=f"{key[0]}/{key[1]}")
        telemetry.QUEUE_DEPTH.set(len(self._running))

    def _sleep(self) -> float:
        if not self._heap:
            return LONGEST_SLEEP
        return min(LONGEST_SLEEP, max(0.0, (self._heap[0][0] - utc_now()).total_seconds()))

    async def _look(self, key: Key, due: datetime) -> None:
        look_at: datetime | None = None
        try:
            # A thousand rollouts may be due at once; those that wait for a turn hold nothing yet.
            async with self._turns, asyncio.timeout(PASS_TIMEOUT):
                with telemetry.RECONCILE_SECONDS.time():
                    look_at = await self._pass(key, self.ports, utc_now())
            telemetry.DECISION_LAG.observe(max(0.0, (utc_now() - due).total_seconds()))
            self._failures.pop(key, None)
        except Exception as failure:  # whatever it is, this rollout is looked at again and the others go on
            look_at = await self._failed(key, failure)
        finally:
            del self._running[key]
            telemetry.QUEUE_DEPTH.set(len(self._running))
            if not self.ports.store.has(key):
                self.forget(key)
            elif key in self._again:
                self._again.discard(key)
                # After a failure the backoff holds even if something changed: a broken rollout must not spin.
                self._schedule(key, look_at if key in self._failures and look_at else utc_now())
            elif look_at is not None:
                self._schedule(key, look_at)

    async def _failed(self, key: Key, failure: Exception) -> datetime:
        """When to try again; after a conflict, with the object as it is now."""
        count = self._failures[key] = self._failures.get(key, 0) + 1
        telemetry.RECONCILE_ERRORS.labels(type(failure).__name__).inc()
        name = "/".join(key)
        if isinstance(failure, CallFailed | TimeoutError):
            log.warning("%s: will be tried again (%d): %s", name, count, failure or type(failure).__name__)
        else:
            log.exception("%s: will be tried again (%d)", name, count, exc_info=failure)
        if isinstance(failure, Conflict | Gone):
            await self._read_again(key)
        delay = min(MAX_BACKOFF, 0.1 * 2**count) * random.uniform(0.8, 1.2)  # noqa: S311 - spreads load, no secret
        return utc_now() + timedelta(seconds=delay)

    async def _read_again(self, key: Key) -> None:
        try:
            self.ports.store.put_rollout(await self.ports.cluster.read(KIND, *key))
        except Gone:
            if (known := self.ports.store.rollout(key)) is not None:
                self.ports.store.drop_rollout(known)
        except CallFailed as failure:
            log.warning("%s: could not be read again: %s", "/".join(key), failure)
