"""Tells the registry the verdicts, in tasks of its own: a registry that is down delays nothing but that."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from rollout_operator.domain.names import GROUP
from rollout_operator.domain.report import Report
from rollout_operator.registry import Registry
from rollout_operator.store import Key

log = logging.getLogger(__name__)

FIRST_RETRY, LONGEST_RETRY = 5.0, 120.0
"""Seconds between tries."""


@dataclass
class Reporter:
    """Sets the tag `rollouts.mlops.dev/<namespace>.<name>` on the version, and on promotion the alias.

    alias: a pattern with {namespace} and {name}; "" for none. wake: called with the rollout's key once it was told.
    """

    registry: Registry
    alias: str = ""
    wake: Callable[[Key], None] = lambda _: None
    _told: dict[str, set[int]] = field(default_factory=dict)
    _tasks: dict[tuple[str, int], asyncio.Task[None]] = field(default_factory=dict)

    def told(self, uid: str) -> frozenset[int]:
        """Attempts of this rollout that the registry was told by this process."""
        return frozenset(self._told.get(uid, ()))

    def tell(self, key: Key, uid: str, report: Report) -> None:
        """Tell it, unless that is done or under way."""
        if report.attempt in self._told.get(uid, ()) or (uid, report.attempt) in self._tasks:
            return
        task = asyncio.create_task(self._tell(key, uid, report), name=f"report {key[0]}/{key[1]}")
        self._tasks[uid, report.attempt] = task
        task.add_done_callback(lambda _: self._tasks.pop((uid, report.attempt), None))

    def forget(self, uid: str) -> None:
        """The rollout is gone."""
        self._told.pop(uid, None)
        for (of, _), task in list(self._tasks.items()):
            if of == uid:
                task.cancel()

    async def close(self) -> None:
        """End what is under way; the next process tells it again."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _tell(self, key: Key, uid: str, report: Report) -> None:
        delay = FIRST_RETRY
        while failure := await self._once(key, report):
            if failure.startswith("HTTP 4") and not failure.startswith(("HTTP 401", "HTTP 403", "HTTP 408", "HTTP 429")):
                log.warning("%s/%s: the registry refuses the verdict of attempt %d: %s", *key, report.attempt, failure)
                break
            log.warning("%s/%s: the registry was not told of attempt %d, tried again in %.0f s: %s", *key, report.attempt, delay, failure)
            await asyncio.sleep(delay)
            delay = min(LONGEST_RETRY, 2 * delay)
        self._told.setdefault(uid, set()).add(report.attempt)
        # The rollout may have come to rest since the report was made: nothing else would look at it, and status would not say it.
        self.wake(key)

    async def _once(self, key: Key, report: Report) -> str:
        tag = f"{GROUP}/{key[0]}.{key[1]}"
        failure = await self.registry.set_tag(report.model, report.version, tag, report.text)
        if failure or not (report.promoted and self.alias):
            return failure
        return await self.registry.set_alias(report.model, report.version, self.alias.format(namespace=key[0], name=key[1]))
