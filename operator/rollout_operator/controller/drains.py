"""Routers are watched while a phase waits for them: by requests through the routes, each on a
connection of its own, until it is known that they follow.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rollout_operator import metrics
from rollout_operator.adapters.router_probe import Routers
from rollout_operator.controller.raw_objects import Key
from rollout_operator.desired.common import CANDIDATE_HEADER
from rollout_operator.domain.api.words import Phase
from rollout_operator.domain.drain import Question, Row, follows, of_rows
from rollout_operator.domain.observed import APART, Followed
from rollout_operator.domain.route_probe import Door, Way

log = logging.getLogger(__name__)

PACE = 0.2
"""Seconds between two requests at one door, where few are watched."""
RATE = 200
"""Requests a second that all rollouts together may send."""
TESTER = {CANDIDATE_HEADER: "true"}

Mark = tuple[str, Phase, datetime]
"""The wait that is meant: the rollout's uid, the phase, and when it, or its step, began."""
Place = tuple[Way, Door]


@dataclass(frozen=True, slots=True)
class Watched:
    """What is asked, of whom, and how long."""

    mark: Mark
    """The wait that it is for."""
    ways: tuple[Way, ...]
    """Every route that requests come by."""
    asked: Question
    """Who is to answer, and how often."""
    late: timedelta
    """How long after the beginning of the phase this begins."""
    lasts: timedelta
    """How long it is asked at most: after that the time alone decides."""
    waited_for: bool = True
    """Whether the rollout goes on as soon as it is known; else a later look takes it up."""

    def asks(self, mark: Mark, ways: tuple[Way, ...]) -> bool:
        """Whether this is of that wait, and asks every router by which these routes lead now."""
        return self.mark == mark and _routers(ways) <= _routers(self.ways)


def _routers(ways: tuple[Way, ...]) -> set[tuple[str, str, str]]:
    """Each route with its router, and with each address that is known of it."""
    return {(w.name, w.by, address) for w in ways for address in ("", *(w.published or ()))}


@dataclass(slots=True)
class _Wait:
    """A wait that is under way, or over."""

    watched: Watched
    addresses: set[tuple[Way, str]] = field(default_factory=set)
    """Where routers are by what they publish."""
    rows: dict[Place, Row] = field(default_factory=dict)
    """What comes back at every door where the rollout has answered; times count from the beginning
    of the phase.
    """
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    def followed(self) -> Followed | None:
        """What all addresses show together; None where one of them does not answer."""
        if {(way, door.address) for way, door in self.rows} != self.addresses:
            return None
        return of_rows(self.rows.values())

    def known(self, apart: timedelta) -> bool:
        """Whether routers are known to follow."""
        return follows(self.watched.asked, self.followed(), apart)


@dataclass
class Drains:
    """One task for each rollout that waits for its routers."""

    routers: Routers
    """By whom routes are asked."""
    wake: Callable[[Key], None]
    """Has a rollout looked at, because its routers are known to follow."""
    apart: timedelta = APART
    """How far apart the replicas of a router follow."""
    _waits: dict[Key, _Wait] = field(default_factory=dict)
    _asking: int = 0
    """Doors that are asked now."""

    def begin(self, key: Key, watched: Watched) -> None:
        """Watch the routers of this rollout; nothing where that is under way, or over."""
        known = self._waits.get(key)
        if known is not None and known.watched.asks(watched.mark, watched.ways):
            return
        self.forget(key)
        wait = self._waits[key] = _Wait(watched)
        wait.task = asyncio.create_task(self._watch(key, wait), name=f"drain {key[0]}/{key[1]}")

    def followed(self, key: Key, mark: Mark, ways: tuple[Way, ...]) -> Followed | None:
        """How the routers of these routes answer in this wait; None where one of them is not asked,
        or cannot be: another class or address shows nothing of the new one.
        """
        wait = self._waits.get(key)
        return wait.followed() if wait is not None and wait.watched.asks(mark, ways) else None

    def forget(self, key: Key) -> None:
        """The routers of this rollout are not waited for any more."""
        if (wait := self._waits.pop(key, None)) is not None and wait.task is not None:
            wait.task.cancel()

    async def close(self) -> None:
        """End all of it."""
        tasks = [wait.task for wait in self._waits.values() if wait.task is not None]
        for key in list(self._waits):
            self.forget(key)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, key: Key, wait: _Wait) -> None:
        watched = wait.watched
        began = asyncio.get_running_loop().time() - watched.late.total_seconds()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(watched.lasts.total_seconds()):
                places = await self._places(watched)
                wait.addresses = {(way, door.address) for way, door in places}
                asking = [asyncio.create_task(self._ask(*p, wait, began)) for p in places]
                try:
                    while asking and not wait.known(self.apart):
                        await wait.answered.wait()
                        wait.answered.clear()
                finally:
                    for one in asking:
                        one.cancel()
        if wait.known(self.apart):
            # What was under way for long before a new process asked shows nothing of the lag.
            for (way, _), row in wait.rows.items() if watched.late < watched.lasts else ():
                metrics.ROUTER_LAG.labels(way.provider, way.by).observe(row.first)
            if watched.waited_for:
                self.wake(key)

    async def _places(self, watched: Watched) -> list[Place]:
        """Where the routes can be asked; empty where nobody says so of one of them."""
        found = list[Place]()
        for way in watched.ways:
            doors = await self.routers.doors(way)
            if not doors:
                log.info("%s/%s: no router can be asked", way.namespace, way.name)
                return []
            found += [(way, door) for door in doors]
        return found

    async def _ask(self, way: Way, door: Door, wait: _Wait, began: float) -> None:
        """Ask at this door, or at the one that wants TLS in its place, until cancelled."""
        clock, asked, number = asyncio.get_running_loop().time, wait.watched.asked, 0
        self._asking += 1
        try:
            while True:
                sent = clock()
                headers = TESTER if asked.as_tester and number % 2 == 0 else {}
                answer = await self.routers.answering(way, door, headers)
                if isinstance(answer, Door):
                    door = answer
                    continue
                if answer or (way, door) in wait.rows:
                    # A door that never answers is a guess that was wrong.
                    row = wait.rows.get((way, door), Row())
                    right = answer == asked.revision
                    wait.rows[way, door] = row.then(right, sent - began, clock() - began)
                    wait.answered.set()
                number += 1
                await asyncio.sleep(max(PACE, self._asking / RATE) - (clock() - sent))
        finally:
            self._asking -= 1
