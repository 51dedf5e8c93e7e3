"""How far an attempt has come, and the sentence that says why a rollout stands where it does. Pure,
without a terminal.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from rollout_cli.api.rollout import Rollout
from rollout_cli.view.formatting import span
from rollout_operator.domain.api.status import Status
from rollout_operator.domain.api.words import Phase


class Place(StrEnum):
    """Where a rung of the ladder lies."""

    DONE = "done"
    """Behind."""
    HERE = "here"
    """Under way."""
    BAD = "bad"
    """Where it was rolled back."""
    AHEAD = "ahead"
    """To come."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of an attempt's way."""

    name: str
    """`pods`, `10 %`, `gates`, `stable`."""
    place: Place
    """Where it lies."""
    clock: str = ""
    """How long it has lasted, of how long it is held: `20 s of 1 min`; "" for all but the step
    under way.
    """


def summary(rollout: Rollout) -> str:
    """The sentence that says why the rollout stands where it does."""
    status = rollout.status
    if status.observed_generation < 0:
        return (
            "The operator has not seen this rollout yet. Should that last, `kubectl modelrollout"
            " doctor` says why."
        )
    if rollout.spec is None:
        return rollout.spec_error
    if not rollout.is_observed:
        return f"The spec has changed; the operator has not seen that yet. Before: {status.message}"
    return status.message


def ladder(rollout: Rollout, now: datetime) -> tuple[Rung, ...]:
    """The way of an attempt, and how far it has come."""
    status, spec = rollout.status, rollout.spec
    weights = (
        [f"{step.weight} %" if step.weight else "shadow" for step in spec.strategy.steps]
        if spec is not None and status.stable is not None
        else []
    )
    names = ["pods", *weights, "100 %", "stable"] if weights else ["pods", "gates", "stable"]
    here = _place(status, len(weights))
    at = Place.BAD if status.phase is Phase.ROLLING_BACK else Place.HERE
    return tuple(
        Rung(
            name,
            Place.DONE if n < here else at if n == here else Place.AHEAD,
            _clock(rollout, now) if n == here and status.phase is Phase.TRIAL else "",
        )
        for n, name in enumerate(names)
    )


def _clock(rollout: Rollout, now: datetime) -> str:
    """How long the step has lasted, of how long it is held at least."""
    status, spec = rollout.status, rollout.spec
    if (
        spec is None
        or status.step is None
        or status.step_since is None
        or status.step >= len(spec.strategy.steps)
    ):
        return ""
    lasted = (status.paused_since or now) - status.step_since
    hold = spec.strategy.steps[status.step].hold
    return f"{span(lasted)} of {span(hold)}" if lasted < hold else span(lasted)


def _place(status: Status, weights: int) -> int:
    """Which of the rungs the attempt has come to."""
    steps = max(1, weights)
    match status.phase:
        case Phase.PENDING | Phase.STARTING:
            return 0
        case Phase.TRIAL:
            return 1 + (status.step or 0)
        case Phase.ROLLING_BACK:
            return 1 + (status.step or 0) if status.step_since is not None else 0
        case Phase.PROMOTING | Phase.SHIFTING:
            return 1 + steps
        case _:
            return 1 + steps + (1 if weights else 0)
