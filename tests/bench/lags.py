"""How long a router goes on by what a route said before, and how long the operator waits for it.
Pure: what was written and what was answered in, seconds out.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Literal, NamedTuple

from scripts.demo.traffic import Answer

Kind = Literal["promotion", "rollback"]
NEXT: dict[Kind, str] = {"promotion": "Switching", "rollback": "RolledBack"}
"""The phase that begins when the operator has waited long enough for the router."""


class Written(NamedTuple):
    """What a route says from some moment on."""

    at: float
    """Monotonic time at which the API server told of it, s."""
    candidate: str | None
    """Its revision; None where the route has none."""
    weight: int
    """Of the candidate, 0 to 100."""


class Entered(NamedTuple):
    """A phase that a rollout entered."""

    at: float
    """Monotonic time at which the API server told of it, s."""
    phase: str
    """Its word."""


@dataclass(frozen=True, slots=True)
class Move:
    """All requests were given to one side."""

    kind: Kind
    """promotion: to the candidate; rollback: to the stable version."""
    at: float
    """When it was written, monotonic s."""
    until: float
    """When the route next gives a candidate requests, monotonic s; inf where it does not."""
    candidate: str
    """Its revision."""

    def late(self, answer: Answer) -> bool:
        """Whether a request that was sent after the move was answered by the side that had lost
        it.
        """
        by_candidate = answer.revision == self.candidate
        return (
            answer.ok
            and self.at <= answer.sent < self.until
            and by_candidate == (self.kind == "rollback")
        )


@dataclass(frozen=True, slots=True)
class Course:
    """What happened to one rollout under load."""

    written: Sequence[Written]
    """What its route said, oldest first."""
    entered: Sequence[Entered]
    """Its phases, oldest first."""
    answers: Sequence[Answer]
    """Of all requests to it."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Some times in short."""

    times: int
    """How many."""
    middle: float
    """Their median, s."""
    most: float
    """The longest, s."""


@dataclass(frozen=True, slots=True)
class Waits:
    """Routers and operator after all moves of one kind."""

    lag: Spread
    """How long the router went on by what was written before."""
    drain: Spread
    """How long the operator waited for it."""
    spare: float
    """The least that a drain was longer than the lag behind the same move, s: below 0 a request
    could have come to pods that were gone."""


def moves(written: Sequence[Written]) -> Iterator[Move]:
    """The moves in what a route said, oldest first.

    A promotion writes weight 100, and takes the candidate's part out when the stable Service leads
    to it: that is no move. A rollback takes the part out, or the weight, at less than 100.
    """
    for number, (before, now) in enumerate(pairwise(written), start=1):
        later = written[number + 1 :]
        until = next((w.at for w in later if 0 < w.weight < 100), float("inf"))
        changed = before.candidate != now.candidate or before.weight != now.weight
        if now.candidate is not None and now.weight == 100 and changed:
            yield Move("promotion", now.at, until, now.candidate)
        elif before.candidate is not None and 0 < before.weight < 100 and now.weight == 0:
            yield Move("rollback", now.at, until, before.candidate)


def lag(move: Move, answers: Iterable[Answer]) -> float:
    """Seconds from the move to the last request that was sent after it and answered by the side
    that had lost it; 0 where there was none.
    """
    return max((a.sent - move.at for a in answers if move.late(a)), default=0.0)


def drain(move: Move, entered: Iterable[Entered]) -> float | None:
    """Seconds from the move to the phase that follows it; None where it was not seen."""
    return next(
        (e.at - move.at for e in entered if e.at >= move.at and e.phase == NEXT[move.kind]), None
    )


def moment(course: Course, answer: Answer) -> str:
    """What the route said when a request was sent, and since when: for one that failed."""
    said = next((w for w in reversed(course.written) if w.at <= answer.sent), None)
    phase = next((e.phase for e in reversed(course.entered) if e.at <= answer.sent), "unknown")
    if said is None:
        return f"in phase {phase}"
    share = f"{said.weight} %" if said.candidate else "no candidate"
    return f"in phase {phase}, {answer.sent - said.at:.2f} s after the route said {share}"


def spread(times: Sequence[float]) -> Spread:
    """Some times in short; of none, all is 0."""
    return Spread(len(times), median(times or [0.0]), max(times, default=0.0))


def waits(courses: Iterable[Course]) -> dict[Kind, Waits]:
    """For each kind of move that happened in any of the rollouts: lags and drains. A move whose
    next phase was not seen is left out.
    """
    found: dict[Kind, list[tuple[float, float]]] = {}
    for course in courses:
        for move in moves(course.written):
            if (waited := drain(move, course.entered)) is not None:
                found.setdefault(move.kind, []).append((lag(move, course.answers), waited))
    return {
        kind: Waits(
            lag=spread([lag for lag, _ in times]),
            drain=spread([drain for _, drain in times]),
            spare=min(drain - lag for lag, drain in times),
        )
        for kind, times in found.items()
    }
