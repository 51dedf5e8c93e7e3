"""A spec that cannot be read holds everything, but no abort, no rollback and no return: these go by
what status remembers of the last one that could be.
"""

import json
from typing import Any

import pytest

from rollout_operator.domain.api.gate_results import GateStatus, Measurement
from rollout_operator.domain.api.status import LONGEST_SPEC, Status, Watch
from rollout_operator.domain.api.words import Phase, Reason, Verdict
from rollout_operator.domain.last_spec import recalled, remembered
from rollout_operator.domain.machine.decide import decide
from rollout_operator.domain.machine.decision import Plan
from rollout_operator.domain.observed import Workload
from tests.support.builders import (
    START,
    accuracy,
    at,
    observed,
    on_trial,
    ready,
    revision,
    spec,
)

V1, V2 = revision(1, promoted=True, since=START), revision(2, promoted=True, since=START)
BOTH = ready(V1, V2)
READ = spec("models:/iris/2", strategy__watch="24h")
KNOWN = remembered(READ)
WATCH = Watch(former=V1.revision, since=START, until=at(86400))
FAILED = GateStatus(
    metric="accuracy",
    threshold=0.7,
    measurement=Measurement.FAIL,
    revision=V2.revision,
    at=at(50),
    message="accuracy 0.5 of 1000 labels is below 0.7",
)


def unread(now: float, status: Status, **changes: Any) -> Plan:
    """One look at a rollout whose spec cannot be read."""
    usual: dict[str, Any] = {"workloads": BOTH, "answers": accuracy(0.5, now - 1)}
    wrong = "spec.profile: there is no profile gpu."
    return decide(observed(now, spec=None, spec_error=wrong, status=status, **usual | changes))


def trial(phase: Phase = Phase.TRIAL, **changes: Any) -> Status:
    return on_trial(phase=phase, **{"last_spec": KNOWN} | changes)


def promoted(**changes: Any) -> Status:
    values: dict[str, Any] = {
        "stable": V2,
        "candidate": None,
        "retiring": (V1,),
        "watch": WATCH,
        "step": None,
        "weight": 0,
        "reason": Reason.GATES_PASSED,
    }
    return trial(Phase.PROMOTED, **values | changes)


def returning(phase: Phase) -> Status:
    values = {"stable": V2, "candidate": V1, "weight": 100, "verdict": Verdict.RETURNED}
    return trial(phase, **values | {"watch": WATCH, "step": None, "reason": Reason.GATE_FAILED})


ABORT = {"commands": {"abort": "2"}}
ROLLS_BACK = {"verdict": Verdict.ROLLED_BACK, "weight": 0}
PROVED = promoted(gates=(FAILED,), watch=WATCH.model_copy(update={"waits": "It waits."}))
FEW = {**ready(V2), V1.revision: Workload(ready=1, wanted=2)}


@pytest.mark.parametrize(
    ("now", "status", "changes", "phase", "reason"),
    [
        pytest.param(9, trial(), ABORT, Phase.ROLLING_BACK, Reason.ABORTED, id="abort, on trial"),
        pytest.param(
            9,
            trial(Phase.SHIFTING, weight=100, verdict=Verdict.PROMOTED),
            ABORT,
            Phase.ROLLING_BACK,
            Reason.ABORTED,
            id="abort, while it takes over",
        ),
        pytest.param(9, promoted(), ABORT, Phase.SHIFTING, Reason.ABORTED, id="abort, watched"),
        pytest.param(
            11,
            trial(Phase.ROLLING_BACK, **ROLLS_BACK),
            {},
            Phase.ROLLED_BACK,
            Reason.GATE_FAILED,
            id="a rollback under way",
        ),
        pytest.param(
            11,
            returning(Phase.SHIFTING),
            {},
            Phase.SWITCHING,
            Reason.GATE_FAILED,
            id="a return under way",
        ),
        pytest.param(
            11,
            returning(Phase.SWITCHING),
            {"stable_endpoints": {V1.revision}},
            Phase.ROLLED_BACK,
            Reason.GATE_FAILED,
            id="a return at its end",
        ),
        pytest.param(
            61,
            returning(Phase.SHIFTING),
            {"route_trouble": "not accepted"},
            Phase.PROMOTED,
            Reason.PROGRESS_DEADLINE_EXCEEDED,
            id="a return that does not work",
        ),
        pytest.param(
            60, PROVED, {}, Phase.SHIFTING, Reason.GATE_FAILED, id="a proof that waited for pods"
        ),
    ],
)
def test_it_goes_back_by_what_is_known(
    now: float, status: Status, changes: dict[str, Any], phase: Phase, reason: Reason
) -> None:
    after = unread(now, status, **changes).status
    assert (after.phase, after.reason) == (phase, reason)
    assert after.last_spec == KNOWN
    assert {c.type: c.reason for c in after.conditions}["Stalled"] == "InvalidSpec"


@pytest.mark.parametrize(
    ("now", "status", "changes"),
    [
        pytest.param(21, trial(), {}, id="a gate that fails"),
        pytest.param(500, trial(Phase.STARTING), {"workloads": {}}, id="a phase that is overdue"),
        pytest.param(9, trial(), {"commands": {"promote": "2"}}, id="promote"),
        pytest.param(9, trial(), {"commands": {"skip": "2"}}, id="skip"),
        pytest.param(9, trial(last_spec=""), ABORT, id="an abort, and no spec is known"),
        pytest.param(9, trial(last_spec='{"x": 1}'), ABORT, id="an abort, and none can be read"),
        pytest.param(9, trial(), {"commands": {"abort": "1"}}, id="abort of another attempt"),
        pytest.param(60, promoted(), {}, id="a watch"),
        pytest.param(90000, promoted(), {}, id="the end of a watch"),
        pytest.param(9, trial(Phase.ROLLED_BACK), {"commands": {"retry": "2"}}, id="retry"),
    ],
)
def test_everything_else_is_held(now: float, status: Status, changes: dict[str, Any]) -> None:
    after = unread(now, status, **changes).status
    place = (status.phase, status.weight, status.attempt, status.retiring, status.watch)
    assert (after.phase, after.weight, after.attempt, after.retiring, after.watch) == place


def test_a_proof_goes_on_waiting_for_its_pods() -> None:
    after = unread(60, PROVED, workloads=FEW).status
    assert after.phase is Phase.PROMOTED
    assert after.watch is not None
    assert "1 of 2 pods are Ready" in after.watch.waits


@pytest.mark.parametrize("changes", [{}, ABORT], ids=["a proof", "an abort"])
def test_pods_are_waited_for_no_longer_than_was_said(changes: dict[str, Any]) -> None:
    plan = unread(86400 + 61, PROVED, workloads=FEW, **changes)
    assert plan.status.phase is Phase.PROMOTED
    assert (plan.status.watch, plan.status.reason) == (None, Reason.PROGRESS_DEADLINE_EXCEEDED)
    assert [event.reason for event in plan.events] == [Reason.PROGRESS_DEADLINE_EXCEEDED]


@pytest.mark.parametrize(
    ("status", "known"),
    [
        pytest.param(on_trial(), True, id="on trial"),
        pytest.param(promoted(last_spec=""), True, id="watched"),
        pytest.param(promoted(watch=None, retiring=()), False, id="at rest"),
    ],
)
def test_the_spec_is_remembered(status: Status, known: bool) -> None:
    answers = accuracy(0.9, 4)
    seen = observed(5, spec=READ, status=status, workloads=BOTH, answers=answers)
    assert decide(seen).status.last_spec == (KNOWN if known else "")


def test_what_is_remembered_is_all_but_what_is_measured_and_when() -> None:
    window = {"kind": "Deny", "schedule": "FREQ=DAILY", "start": "2026-01-01T09:00"}
    window |= {"timeZone": "UTC", "duration": "1h"}
    whole = spec(
        "models:/iris/2",
        strategy__windows=[window],
        analysis__gates=[{"metric": "errorRate", "max": 0.1}],
        traffic={"host": "a.example.com", "annotations": {"who": "may ask"}},
    )
    back = recalled(Status(last_spec=remembered(whole)))
    assert back is not None
    assert back.traffic == whole.traffic
    assert back.strategy == whole.strategy.model_copy(update={"windows": ()})
    assert (back.model_uri, back.replicas) == (whole.model_uri, whole.replicas)
    assert "analysis" not in json.loads(remembered(whole))


def test_a_spec_that_is_too_long_is_not_remembered() -> None:
    long = {f"a{n}": "x" * 4096 for n in range(4)}
    wanted = spec("models:/iris/2", traffic={"host": "a.example.com", "annotations": long})
    assert len(json.dumps(long)) > LONGEST_SPEC
    assert remembered(wanted) == ""
