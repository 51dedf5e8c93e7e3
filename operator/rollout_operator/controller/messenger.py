"""Sends the messages that a status says are this process's to send, in tasks of its own: a
destination that is down delays nothing else, and no other destination.
"""

import asyncio
import contextlib
import logging
import random
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol

from rollout_operator import metrics
from rollout_operator.controller.raw_objects import Key
from rollout_operator.domain.api.status import Notification, Status
from rollout_operator.domain.message_text import Message, Rollout, message, stable_uri
from rollout_operator.domain.messages import MOST as MOST_OF_ONE
from rollout_operator.domain.outbox import Destination, Outbox

log = logging.getLogger(__name__)

FIRST_RETRY, LONGEST_RETRY = 5.0, 120.0
"""Seconds between tries at one destination."""
MOST = 2000
"""Messages that wait in memory; what is beyond waits in status."""
ASK_AGAIN = 5.0
"""Seconds after which a claim that has run out is asked for again."""
MOST_ASKED = 10
"""Claims that are asked for at once: as many messages can be sent before they run out again."""

Place = tuple[int, str]
"""Attempt and kind of a message, with what it is about."""
Labels = Callable[[str], Mapping[str, str]]
"""The labels of a namespace."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long messages are held and tried."""

    hold: timedelta = timedelta(seconds=60)
    """For how long at least a message is one process's alone; half of it is for one try."""
    give_up: timedelta = timedelta(hours=24)
    """Age after which a message is not tried any more."""


class Sender(Protocol):
    """Reaches one destination."""

    async def send(self, message: Message) -> str:
        """Send it once; "" where the destination has answered, else what went wrong, without
        anything secret.
        """


@dataclass(slots=True)
class _Owed:
    """One message to one destination."""

    key: Key
    uid: str
    place: Place
    message: Message
    until: datetime
    """Up to then it is this process's to send."""
    free: bool = False
    """Whether nobody else could have it: the rollout is gone."""
    dropped: bool = False
    """Whether it is another process's now."""


@dataclass
class _Lane:
    """What one destination is owed, in the order in which it came."""

    destination: Destination
    sender: Sender
    owed: deque[_Owed] = field(default_factory=deque)
    sending: _Owed | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    failures: int = 0
    """In a row."""

    @property
    def waiting(self) -> list[_Owed]:
        """All that is this process's, with the one that is being sent."""
        first = [] if self.sending is None else [self.sending]
        return [one for one in (*first, *self.owed) if not one.dropped]


@dataclass
class _Known:
    """What is known of the messages of one rollout."""

    owed: dict[tuple[int, str, str], _Owed] = field(default_factory=dict)
    """By attempt, kind and destination."""
    settled: set[tuple[int, str, str]] = field(default_factory=set)
    """Delivered or given up, which status does not say yet."""
    asks: set[Place] = field(default_factory=set)
    """Claims that are to be made longer."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _pending(lane: _Lane) -> float:
    return len(lane.waiting)


def _no_labels(_: str) -> Mapping[str, str]:
    return {}


@dataclass
class Messenger:
    """A lane for each destination. Nothing here is durable: what is owed stands in status."""

    senders: Iterable[tuple[Destination, Sender]]
    """Each destination with what reaches it."""
    timing: Timing = field(default_factory=Timing)
    """How long a message is this process's, and how long it is tried."""
    dashboard: str = ""
    """Its URL, without a trailing slash; "" for none."""
    labels: Labels = _no_labels
    """Of namespaces; asked only where a destination selects by them."""
    wake: Callable[[Key], None] = lambda _: None
    """Has a rollout looked at, so that its status says what became of a message."""
    clock: Callable[[], datetime] = _utc_now
    """The wall clock."""
    holder: str = field(default_factory=lambda: secrets.token_hex(6))
    """By which status knows this process."""
    _lanes: dict[str, _Lane] = field(default_factory=dict)
    _known: dict[str, _Known] = field(default_factory=dict)
    """By the rollout's uid."""

    def __post_init__(self) -> None:
        self._lanes = {d.name: _Lane(d, sender) for d, sender in self.senders}
        for name, lane in self._lanes.items():
            metrics.MESSAGES_PENDING.labels(name).set_function(partial(_pending, lane))
            metrics.MESSAGES_OLDEST.labels(name).set_function(partial(self._oldest, lane))
            for outcome in metrics.MESSAGE_OUTCOMES:
                metrics.MESSAGES.labels(name, outcome)

    def outbox(self, uid: str, namespace: str) -> Outbox:
        """What a decision about a rollout may know of its messages."""
        known = self._known.get(uid)
        every = [lane.destination for lane in self._lanes.values()]
        labels = self.labels(namespace) if any(d.namespace_selector for d in every) else {}
        outbox = Outbox(
            holder=self.holder,
            names=frozenset(self._lanes),
            recipients=tuple(d for d in every if d.is_of(namespace, labels)),
            hold=self.timing.hold,
            room=sum(len(lane.owed) for lane in self._lanes.values()) < MOST,
        )
        if known is None:
            return outbox
        return replace(
            outbox,
            settled=frozenset(known.settled),
            asks=frozenset(known.asks),
            owned=frozenset(one.place for one in known.owed.values()),
        )

    def follow(self, key: Key, uid: str, status: Status) -> None:
        """Take over what a status, as the API server has it, says is this process's to send; let go
        of what it says is not any more.
        """
        known = self._known.get(uid)
        if known is None:
            if not any(entry.to for entry in status.messages):
                return
            known = self._known[uid] = _Known()
        mine = {
            (*entry.place, to): entry
            for entry in status.messages
            if entry.holder == self.holder
            for to in entry.to
            if to in self._lanes
        }
        known.settled &= {(*m.place, to) for m in status.messages for to in m.to}
        for place, one in list(known.owed.items()):
            if place not in mine:
                one.dropped = True
                del known.owed[place]
        for place, entry in mine.items():
            if place not in known.settled and entry.until is not None:
                self._take(known, key, uid, status, entry, self._lanes[place[2]])
        waits = {one.place for one in known.owed.values() if not self._is_held(one)}
        known.asks &= waits
        if not known.owed and not known.settled:
            del self._known[uid]

    def _take(  # noqa: PLR0917 - what one entry is about
        self, known: _Known, key: Key, uid: str, status: Status, entry: Notification, lane: _Lane
    ) -> None:
        until = entry.until or entry.at
        place = (*entry.place, lane.destination.name)
        one = known.owed.get(place)
        if one is None:
            if len(lane.owed) >= MOST:
                return
            told = message(Rollout(*key, uid), status, entry, self.dashboard)
            one = known.owed[place] = _Owed(key, uid, entry.place, told, until)
            lane.owed.append(one)
        # It may be sent hours later, and what is stable may be another by then.
        one.message = replace(one.message, stable=stable_uri(status))
        one.until = until
        lane.changed.set()

    def drop(self, key: Key, dropped: Iterable[Notification]) -> None:
        """Tell of messages that were owed, and that a status has no room for any more."""
        for one, name in ((entry, to) for entry in dropped for to in entry.to):
            metrics.MESSAGES.labels(name, "dropped").inc()
            log.error(
                "%s/%s: the message %s of attempt %d is not sent to %s: more than %d are owed.",
                *key,
                one.place[1],
                one.attempt,
                name,
                MOST_OF_ONE,
            )

    def forget(self, uid: str) -> None:
        """The rollout is gone; what is still owed is sent nevertheless, and nobody else can."""
        known = self._known.pop(uid, None)
        for one in known.owed.values() if known is not None else ():
            one.free = True

    def _is_held(self, one: _Owed) -> bool:
        """Whether there is time left for one try."""
        return one.free or one.until - self.clock() > self.timing.hold / 2

    async def run(self) -> None:
        """Send, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for name, lane in self._lanes.items():
                group.create_task(self._work(lane), name=f"messages {name}")

    async def _work(self, lane: _Lane) -> None:
        while True:
            lane.changed.clear()
            if not lane.owed:
                await lane.changed.wait()
            elif not any(self._is_held(one) or self._is_old(one) for one in lane.owed):
                for one in list(lane.owed)[:MOST_ASKED]:
                    self._ask(one)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(lane.changed.wait(), ASK_AGAIN)
                lane.owed = deque(one for one in lane.owed if not one.dropped)
            elif delay := await self._next(lane):
                await asyncio.sleep(delay)

    async def _next(self, lane: _Lane) -> float:
        """Try the first that can be; how many seconds to wait then."""
        one = lane.owed.popleft()
        if one.dropped:
            return 0.0
        if self._is_old(one):
            log.error(
                "%s: message %s (%s) was not delivered to %s within %.0f s.",
                one.message.rollout.place,
                one.message.id,
                one.message.kind,
                lane.destination.name,
                self.timing.give_up.total_seconds(),
            )
            self._settle(lane, one, "given_up")
            return 0.0
        if not self._is_held(one):
            lane.owed.append(one)
            self._ask(one)
            return 0.0
        lane.sending = one
        try:
            failure = await lane.sender.send(one.message)
        except Exception as broken:  # whatever a library does: its own words may hold the URL
            failure = type(broken).__name__
        finally:
            lane.sending = None
        return self._tried(lane, one, failure)

    def _tried(self, lane: _Lane, one: _Owed, failure: str) -> float:
        name = lane.destination.name
        if not failure:
            if lane.failures:
                log.info("Messages reach %s again.", name)
            lane.failures = 0
            self._settle(lane, one, "delivered")
            return 0.0
        metrics.MESSAGES.labels(name, "failed").inc()
        delay = min(LONGEST_RETRY, FIRST_RETRY * 2.0 ** min(lane.failures, 16))
        delay *= random.uniform(0.8, 1.2)  # noqa: S311 - spreads load, no secret
        lane.failures += 1
        log.warning(
            "%s: message %s did not reach %s, tried again in %.0f s: %s",
            one.message.rollout.place,
            one.message.id,
            name,
            delay,
            failure,
        )
        if not one.dropped:
            lane.owed.append(one)
        return delay

    def _ask(self, one: _Owed) -> None:
        """Have the claim made longer: by a write, which fails where another has it."""
        if not one.dropped and (known := self._known.get(one.uid)) is not None:
            known.asks.add(one.place)
            self.wake(one.key)

    def _is_old(self, one: _Owed) -> bool:
        return self.clock() - one.message.at > self.timing.give_up

    def _settle(self, lane: _Lane, one: _Owed, outcome: str) -> None:
        metrics.MESSAGES.labels(lane.destination.name, outcome).inc()
        if not one.free:
            known = self._known.setdefault(one.uid, _Known())
            place = *one.place, lane.destination.name
            known.owed.pop(place, None)
            known.settled.add(place)
            self.wake(one.key)

    def _oldest(self, lane: _Lane) -> float:
        now = self.clock()
        return max(((now - o.message.at).total_seconds() for o in lane.waiting), default=0.0)
