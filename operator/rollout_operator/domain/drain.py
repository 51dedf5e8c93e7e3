"""When no request comes by an older weight any more: known from how the operator's own requests
through the routes are answered. Pure.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from rollout_operator.domain.api.route_status import Drain
from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import Status
from rollout_operator.domain.api.traffic import Provider
from rollout_operator.domain.api.words import Phase
from rollout_operator.domain.observed import Followed, Observed

CHANCE = 1e-6
"""How likely a router that has not followed may give the answers that are taken for following."""
LEAST = 20
"""Answers in a row that are waited for, whatever the weight was before."""
WAITS = frozenset({Phase.SHIFTING, Phase.SWITCHING, Phase.SETTLING, Phase.ROLLING_BACK})
"""Phases that wait for routers."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of routers while a phase waits for them, or a step shows how they lag."""

    revision: str
    """Whose pods are to answer."""
    answers: int
    """By how many answers in a row it is known."""
    as_tester: bool = False
    """Whether every second request asks for the candidate, as testers do."""


def gives_all(status: Status) -> bool:
    """Whether a step of the trial gives the candidate all requests: how routers follow it shows how
    they will follow the stable Service.
    """
    return status.phase is Phase.TRIAL and status.weight == 100


def waits_since(status: Status) -> datetime | None:
    """When that began which routers are to follow now; None where there is nothing."""
    if gives_all(status):
        return status.step_since
    return status.phase_since if status.phase in WAITS else None


def question(spec: Spec, status: Status) -> Question | None:
    """What shows that routers have followed the phase, or the step of all requests; None where no
    request could show it.

    In Switching the canary route has all requests, and nobody sees the stable Service; in Settling
    both lead to the same pods. Where the Service divides connections, a
    router beside it shows nothing of the nodes that carry them.
    """
    by_service = spec.traffic.provider is Provider.NONE
    if status.candidate is None or status.stable is None or by_service:
        return None
    match status.phase:
        case Phase.SHIFTING | Phase.TRIAL:
            if status.weight < 100:
                return None
            left = 100 - _weight_before(spec, status)
            return Question(status.candidate.revision, needed(left / 100)) if left else None
        case Phase.ROLLING_BACK:
            # A tester's request shows it whatever the weight was.
            return Question(status.stable.revision, LEAST, as_tester=True)
        case _:
            return None


def _weight_before(spec: Spec, status: Status) -> int:
    """The candidate's share before it got all requests, in percent; where steps were skipped it was
    less, which takes fewer answers to show.
    """
    steps, step = spec.strategy.steps, status.step
    if step is None or (gives_all(status) and step == 0):
        return 0
    return steps[min(step - gives_all(status), len(steps) - 1)].weight


def needed(former: float) -> int:
    """How many answers in a row a router that sends the share `former` (0 to 1) to the former
    revision gives from the new one by CHANCE only: n with (1 - former)^n <= CHANCE.
    """
    return max(LEAST, math.ceil(math.log(CHANCE) / math.log1p(-former)) if former < 1 else 1)


@dataclass(frozen=True, slots=True)
class Row:
    """The last answers in a row, at one address, by whom they are to come from; times in seconds
    since the phase began.
    """

    answers: int = 0
    """How many."""
    first: float = 0.0
    """When the first of them had come back."""
    last: float = 0.0
    """When the last of them was asked for."""

    def then(self, right: bool, asked: float, answered: float) -> "Row":
        """With one more answer; one from somebody else, or none, ends the row."""
        if not right:
            return Row()
        if not self.answers:
            return Row(1, answered, asked)
        return Row(self.answers + 1, self.first, asked)


def of_rows(rows: Iterable[Row]) -> Followed | None:
    """What all addresses show together, by the worst of them; None of none."""
    known = list(rows)
    if not known:
        return None
    return Followed(
        answers=min(row.answers for row in known),
        stretch=timedelta(seconds=min(max(0.0, row.last - row.first) for row in known)),
        lag=timedelta(seconds=max(row.first for row in known)),
    )


def follows(asked: Question, followed: Followed | None, apart: timedelta) -> bool:
    """Whether routers are known to follow: by enough answers, over a time in which all replicas and
    workers of a router follow the first of them.
    """
    return followed is not None and followed.answers >= asked.answers and followed.stretch >= apart


def is_known(observed: Observed, spec: Spec) -> bool:
    """Whether routers are known to follow what this phase, or step, has changed."""
    asked = question(spec, observed.status)
    return asked is not None and follows(asked, observed.followed, observed.apart)


def as_long_as(status: Status, apart: timedelta) -> timedelta | None:
    """How long routers take to follow the stable Service, and that the canary route is closed,
    which no request shows: as they lagged when the candidate got all requests, and `apart`; None
    where that is not known.
    """
    given = {Phase.SHIFTING, Phase.TRIAL}
    shifted = next((d for d in reversed(status.drains) if d.phase in given), None)
    if (
        status.phase not in {Phase.SWITCHING, Phase.SETTLING}
        or shifted is None
        or shifted.lag is None
    ):
        return None
    return timedelta(seconds=shifted.lag) + apart


def ended(observed: Observed, spec: Spec) -> tuple[Drain, ...]:
    """The drains of the attempt, with that of the phase, or of the step of all requests, which ends
    now.
    """
    status, followed = observed.status, observed.followed
    since = waits_since(status) or observed.now
    known = is_known(observed, spec) and followed is not None
    one = Drain(
        phase=status.phase,
        seconds=round((observed.now - since).total_seconds(), 3),
        known=known,
        answers=followed.answers if followed is not None else 0,
        lag=round(followed.lag.total_seconds(), 3) if followed is not None and known else None,
    )
    return (*status.drains, one)[-4:]
