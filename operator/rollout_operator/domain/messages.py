"""Which messages a rollout owes, and whose they are to send: claimed in the very write of the
status that decides them.

That write is fenced by its resourceVersion, so that of several operators one has the claim, once.
Who holds a claim sends; once a destination has answered, its name goes. Where the holder dies
before that, another takes the claim over when its time is up, and sends under the same id.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import sha256

from rollout_operator.domain.api.conditions import truths, why
from rollout_operator.domain.api.status import Notification, Status
from rollout_operator.domain.api.words import Phase, Reason
from rollout_operator.domain.outbox import Kind, Outbox

SKEW = timedelta(seconds=5)
"""How far the clocks of two operators may be apart."""
LONGEST_HOLD = timedelta(minutes=10)
"""For which a message that is tried again and again stays with one process at a time."""
NO_ROOM = timedelta(seconds=30)
"""After which a process that has too much to send looks again at what others have left."""
MOST = 20
"""Entries of status.messages."""


def message_id(uid: str, place: tuple[int, str]) -> str:
    """The same for the same message, whoever sends it and however often: 32 hex digits.

    place: of its entry in status.messages.
    """
    return sha256("/".join(map(str, (uid, *place))).encode()).hexdigest()[:32]


def waits_for(status: Status) -> str:
    """The kind of the message that says what a person is waited for; "" where none is."""
    if status.reason is Reason.WAITING_FOR_APPROVAL:
        return Kind.WAITING_FOR_APPROVAL
    return Kind.WAITING_FOR_DECISION if status.halted else ""


def stalls(status: Status) -> bool:
    """Whether Stalled is True by what is neither a verdict nor the wait for a person."""
    if truths(status)["Stalled"] != "True":
        return False
    if status.invalid or status.api_rejection:
        return True
    return status.phase is not Phase.ROLLED_BACK and not status.halted


def arisen(before: Status, after: Status) -> Iterator[tuple[int, str, str]]:
    """Attempt and kind of each message that a step from one status to the next brings, in order,
    and what it is about: "" of all but what stalls, which may do so for several reasons.

    What was so before brings none: an operator that begins to send messages has nothing to say of
    the past.
    """
    known = {(ended.attempt, ended.verdict) for ended in before.history}
    for ended in reversed(after.history):
        if (ended.attempt, ended.verdict) not in known:
            yield ended.attempt, ended.verdict.value, ""
    if (waits := waits_for(after)) and (waits, after.attempt) != (
        waits_for(before),
        before.attempt,
    ):
        yield after.attempt, waits, ""
    if not stalls(after):
        return
    reason, _ = why(after)
    same = (after.attempt, reason) == (before.attempt, why(before)[0])
    if not (stalls(before) and same):
        yield after.attempt, Kind.STALLED, reason


def notifications(
    before: Status, after: Status, outbox: Outbox | None, now: datetime
) -> tuple[tuple[Notification, ...], tuple[Notification, ...]]:
    """What `after` is to say of messages, and those that are still owed and have no room in it.

    outbox: None for a process that sends none.
    """
    if outbox is None:
        return after.messages, ()
    entries = [_followed(one, outbox, now) for one in after.messages]
    known = {one.place for one in entries}
    for attempt, kind, about in arisen(before, after):
        to = tuple(one.name for one in outbox.recipients if one.wants(kind))
        held = {"holder": outbox.holder, "until": now + outbox.hold}
        new = Notification(attempt=attempt, kind=kind, about=about, at=now, to=to, **held)
        if to and new.place not in known:
            entries.append(new)
    # What was told of former attempts need not be known: attempts only grow.
    kept = [one for one in entries if one.to or one.attempt >= after.attempt]
    # The oldest go, and before all that is owed what has been told: under its id, should it come
    # again.
    excess = sorted(kept, key=lambda one: bool(one.to))[: max(0, len(kept) - MOST)]
    fitting = tuple(one for one in kept if one not in excess)
    return fitting, tuple(one for one in excess if one.to)


def _followed(one: Notification, outbox: Outbox, now: datetime) -> Notification:
    """A claim as it is now: without those who were told, held longer, or taken over."""
    if not one.to or one.until is None:
        return one
    ours = one.holder == outbox.holder
    place = one.place
    to = tuple(name for name in one.to if (*place, name) not in outbox.settled)
    if not ours and now >= one.until + SKEW and outbox.room:
        ours, asks = True, True
    else:
        asks = ours and place in outbox.asks
    if ours:
        to = tuple(name for name in to if name in outbox.names)
    if not to:
        return one.model_copy(update={"to": (), "holder": "", "until": None})
    if asks:
        hold = max(outbox.hold, min(LONGEST_HOLD, now - one.at))
        return one.model_copy(update={"to": to, "holder": outbox.holder, "until": now + hold})
    return one if to == one.to else one.model_copy(update={"to": to})


def look_again(status: Status, outbox: Outbox | None, now: datetime) -> datetime | None:
    """When what no process may be about to send is looked at again: another's claim that runs out,
    or one of ours for which there was no memory. None where there is nothing of that kind.
    """
    if outbox is None:
        return None
    moments = [
        one.until + SKEW
        for one in status.messages
        if one.to
        and one.until is not None
        and not (one.holder == outbox.holder and one.place in outbox.owned)
    ]
    if not moments:
        return None
    return min(moments) if outbox.room else max(min(moments), now + NO_ROOM)
