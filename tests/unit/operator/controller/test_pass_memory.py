"""Since when the objects are as a phase asks: from the first time, for what waits for routers."""

from datetime import timedelta
from typing import Any

import pytest

from rollout_operator.controller.pass_memory import PassMemory
from rollout_operator.domain.api.status import Status
from rollout_operator.domain.api.words import Phase
from tests.support.builders import START, at, on_trial, revision

KEY = ("models", "iris")
BACK = on_trial(phase=Phase.ROLLING_BACK, weight=0)
ALL = on_trial(step=2, weight=100)
RETIRING = on_trial(phase=Phase.PROMOTED, retiring=(revision(3),))
LOOKS: dict[str, tuple[list[Status], float | None]] = {
    "once": ([BACK], 0),
    "again": ([BACK, BACK], 0),
    "in another phase": ([on_trial(phase=Phase.SWITCHING), BACK], 1),
    "in a phase that began anew": ([BACK.model_copy(update={"phase_since": at(-60)}), BACK], 1),
    "while a version retires": ([RETIRING, RETIRING], 0),
    "in the step of all requests": ([ALL, ALL], 0),
    "in the step of all requests, after others": ([on_trial(), ALL], 1),
    "in such a step that began anew": ([ALL.model_copy(update={"step_since": at(-9)}), ALL], 1),
    "where nothing waits for routers": ([on_trial()], None),
    "where nothing does any more": ([BACK, on_trial(phase=Phase.ROLLED_BACK), BACK], 2),
}


@pytest.mark.parametrize(("looks", "since"), LOOKS.values(), ids=LOOKS.keys())
def test_since_when_objects_are_as_the_phase_asks(looks: list[Status], since: float | None) -> None:
    memory = PassMemory()
    assert memory.applied_at(KEY, looks[-1]) is None
    for second, status in enumerate(looks):
        memory.applied(KEY, status, at(second))
    assert memory.applied_at(KEY, looks[-1]) == (None if since is None else at(since))
    memory.forget(KEY)
    assert memory.applied_at(KEY, looks[-1]) is None


def test_another_rollouts_do_not_count() -> None:
    memory = PassMemory()
    memory.applied(KEY, BACK, START)
    assert memory.applied_at(("models", "other"), BACK) is None


@pytest.mark.parametrize(
    "decided",
    [
        pytest.param({"phase": Phase.ROLLING_BACK, "weight": 0}, id="a phase that waits"),
        pytest.param({"step": 2, "weight": 100}, id="a step of all requests"),
    ],
)
def test_it_counts_from_the_look_that_decided_it(decided: dict[str, Any]) -> None:
    """A status that was read back has moments to the millisecond."""
    between = START + timedelta(microseconds=1_234_567)
    status = on_trial(**{"phase_since": between, "step_since": between, **decided})
    memory = PassMemory()
    memory.applied(KEY, status, between)
    assert memory.applied_at(KEY, Status.model_validate(status.to_api())) == between
