"""A clock that was set back by an hour: what began later than now begins anew."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rollout_operator.domain.api.analysis import Metric
from rollout_operator.domain.api.status import Status, Watch
from rollout_operator.domain.api.words import Phase, Reason, Verdict
from rollout_operator.domain.machine.decide import decide
from rollout_operator.domain.observed import Answer
from tests.support.builders import accuracy, at, observed, on_trial, ready, revision, spec

V1, V2 = (revision(v) for v in (1, 2))
AHEAD = 3600.0
"""Seconds by which the clock had been ahead."""
READY = V2.model_copy(update={"ready_at": at(AHEAD - 20)})
WATCH = Watch(former=V1.revision, since=at(AHEAD), until=at(AHEAD + 600))


def bad(sampled: float) -> dict[str, Answer]:
    """An accuracy below the bound, of a thousand labels."""
    (gauge,) = accuracy(0.5, sampled)[Metric.ACCURACY]
    live = replace(gauge, source="feedback")
    return {Metric.ACCURACY: (live, replace(live, name="ml_model_accuracy_samples", value=1000))}


BEGUN: dict[str, tuple[Status, dict[str, Any], tuple[Phase, Reason]]] = {
    "a step, whose version is bad": (
        on_trial(candidate=READY, step_since=at(AHEAD), phase_since=at(AHEAD)),
        {},
        (Phase.ROLLING_BACK, Reason.GATE_FAILED),
    ),
    "a step that is paused": (
        on_trial(candidate=READY, step_since=at(AHEAD), paused_since=at(AHEAD + 5)),
        {"paused": True},
        (Phase.TRIAL, Reason.MEASURING),
    ),
    "a version that is watched, and bad": (
        on_trial(
            phase=Phase.PROMOTED, stable=V2, candidate=None, step=None, retiring=(V1,), watch=WATCH
        ),
        {"strategy__watch": "10m"},
        (Phase.SHIFTING, Reason.GATE_FAILED),
    ),
    "pods that never come": (
        on_trial(phase=Phase.PROMOTING, phase_since=at(AHEAD), candidate=revision(3)),
        {"strategy__progressDeadline": "60s"},
        (Phase.ROLLING_BACK, Reason.PROGRESS_DEADLINE_EXCEEDED),
    ),
    "a wait for routers": (
        on_trial(
            phase=Phase.ROLLING_BACK,
            weight=0,
            phase_since=at(AHEAD),
            reason=Reason.GATE_FAILED,
            verdict=Verdict.ROLLED_BACK,
        ),
        {},
        (Phase.ROLLED_BACK, Reason.GATE_FAILED),
    ),
}


@pytest.mark.parametrize(("status", "asked", "ends"), BEGUN.values(), ids=BEGUN)
def test_what_began_later_than_now_begins_anew(
    status: Status, asked: dict[str, Any], ends: tuple[Phase, Reason]
) -> None:
    version = 3 if status.phase is Phase.PROMOTING else 2
    wanted = spec(f"models:/iris/{version}", **asked)
    for second in range(0, 180, 5):
        plan = decide(
            observed(
                second,
                spec=wanted,
                status=status,
                workloads=ready(V1, V2),
                answers=bad(second - 1),
            )
        )
        status = plan.status
        if status.phase is ends[0]:
            break
    assert (status.phase, status.reason) == ends


@pytest.mark.parametrize(
    ("ahead", "since"),
    [
        pytest.param(4, 4, id="as clocks of two nodes differ"),
        pytest.param(6, 0, id="by more than they may"),
    ],
)
def test_clocks_may_differ_a_little(ahead: float, since: float) -> None:
    status = on_trial(candidate=V2, step_since=at(ahead), phase_since=at(ahead))
    plan = decide(observed(0, spec=spec("models:/iris/2"), status=status, workloads=ready(V1, V2)))
    assert plan.status.step_since == plan.status.phase_since == at(since)


def test_a_pause_of_a_clock_that_was_ahead_ends_with_what_was_left_of_the_step() -> None:
    status = on_trial(candidate=READY, step_since=at(AHEAD), paused_since=at(AHEAD + 20))
    plan = decide(observed(60, spec=spec("models:/iris/2"), status=status, workloads=ready(V1, V2)))
    assert plan.status.step_since == at(60) - timedelta(seconds=20)
