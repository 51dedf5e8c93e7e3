"""The conditions by kstatus, and when they last changed."""

import pytest

from rollout_operator.domain.api.conditions import conditions, truths
from rollout_operator.domain.api.gate_results import GateStatus, Measurement
from rollout_operator.domain.api.status import Status
from rollout_operator.domain.api.words import Phase
from tests.support.builders import at, on_trial

CONDITIONS = {
    "a new object": (Status(), ("Unknown", "Unknown", "True", "False")),
    "on trial": (on_trial(), ("True", "Unknown", "True", "False")),
    "promoted": (on_trial(phase=Phase.PROMOTED), ("True", "True", "False", "False")),
    "rolled back": (on_trial(phase=Phase.ROLLED_BACK), ("True", "False", "False", "True")),
    "invalid": (on_trial(phase=Phase.INVALID), ("False", "False", "False", "True")),
    "halted": (on_trial(halted=True), ("True", "False", "False", "True")),
    "a spec that cannot be read": (
        on_trial(invalid="spec.replicas: no"),
        ("False", "False", "False", "True"),
    ),
}


@pytest.mark.parametrize(("status", "expected"), CONDITIONS.values(), ids=CONDITIONS.keys())
def test_conditions_by_kstatus(status: Status, expected: tuple[str, ...]) -> None:
    assert tuple(truths(status).values()) == expected


def test_a_transition_time_moves_only_with_the_truth() -> None:
    before = on_trial()
    before = before.model_copy(update={"conditions": conditions(before, at(0))})
    same = conditions(before.model_copy(update={"message": "new"}), at(5))
    other = conditions(before.model_copy(update={"phase": Phase.PROMOTED}), at(5))
    assert {c.last_transition_time for c in same} == {at(0)}
    assert {c.type: c.last_transition_time for c in other} == {
        "Accepted": at(0),
        "Ready": at(5),
        "Reconciling": at(5),
        "Stalled": at(0),
    }


def test_a_paused_rollout_says_so() -> None:
    paused = conditions(on_trial(paused_since=at(1)), at(1))
    assert {c.reason for c in paused} == {"Paused"}


REPORTED = {
    "one that can be counted": (
        ["errorRate"],
        "errorRate: a reported value has no known error; write evidence: Labelled for verdicts",
    ),
    "a PSI, which no count makes a test": (
        ["inputDrift"],
        "inputDrift: a reported value has no known error.",
    ),
    "one of one's own, of which nobody knows here": (
        ["queue"],
        "queue: a reported value has no known error.",
    ),
    "both": (
        ["errorRate", "inputDrift"],
        "errorRate, inputDrift: a reported value has no known error; write evidence: Labelled with",
    ),
}


@pytest.mark.parametrize(("metrics", "said"), REPORTED.values(), ids=REPORTED.keys())
def test_what_helps_against_values_without_known_error(metrics: list[str], said: str) -> None:
    gates = tuple(
        GateStatus(
            metric=metric,
            threshold=0.2,
            measurement=Measurement.PASS,
            at=at(0),
            revision="abc",
        )
        for metric in metrics
    )
    found = {c.type: c for c in conditions(on_trial(gates=gates), at(1))}
    assert found["GuaranteeUnavailable"].status == "True"
    assert found["GuaranteeUnavailable"].message.startswith(said)
