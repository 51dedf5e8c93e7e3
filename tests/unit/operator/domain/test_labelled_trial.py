"""Trials with Labelled gates: what the engine makes of undecided,
decided and inconclusive gates.
"""

import re
from dataclasses import replace
from typing import Any

import pytest

from rollout_operator.domain.api.analysis import Metric
from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import Rejected, Status
from rollout_operator.domain.api.words import Phase, Reason, Verdict
from rollout_operator.domain.machine.decide import decide
from rollout_operator.domain.machine.decision import Plan
from rollout_operator.domain.observed import Series
from tests.support.builders import (
    START,
    at,
    observed,
    on_trial,
    ready,
    resolved,
    revision,
    spec,
)

V1, V2 = revision(1, promoted=True), revision(2, replicas=1, ready_at=START)
GATE = {"metric": "accuracy", "min": 0.70, "evidence": "Labelled", "minSamples": 10}
STEPS = [{"weight": w, "hold": "20s"} for w in (10, 25, 50)]


def wanted(advance: str = "Time", uri: str = "models:/iris/2", **analysis: Any) -> Any:
    return spec(
        uri,
        strategy__steps=STEPS,
        strategy__advanceOn=advance,
        analysis={"interval": "5s", "maxHold": "40s", "gates": [GATE], **analysis},
    )


def labels(right: float, wrong: float, second: float) -> dict[Metric, tuple[Series, ...]]:
    moment = at(second).timestamp()
    return {
        Metric.ACCURACY: (
            Series("ml_feedback_total", "a", moment, right, outcome="correct"),
            Series("ml_feedback_total", "a", moment, wrong, outcome="wrong"),
            Series("ml_predictions_total", "a", moment, right + wrong),
        )
    }


def look(
    second: float, right: float, wrong: float, status: Status | None = None, **changes: Any
) -> Plan:
    values = {"spec": wanted(), "status": status or on_trial(), "workloads": ready(V1, V2)}
    return decide(
        observed(second, **(values | {"answers": labels(right, wrong, second - 1)} | changes))
    )


def test_a_clearly_bad_model_goes_with_six_wrong_answers_long_before_the_hold_is_over() -> None:
    plan = look(5, 0, 6)
    assert (plan.status.phase, plan.status.weight, plan.status.reason) == (
        Phase.ROLLING_BACK,
        0,
        Reason.GATE_FAILED,
    )
    assert "0 of 6 labels" in plan.status.message


def test_an_undecided_gate_holds_and_the_evidence_is_kept() -> None:
    plan = look(5, 8, 2)
    assert plan.status.phase is Phase.TRIAL
    assert [e.total for e in plan.status.evidence] == [10]
    later = look(25, 12, 4, plan.status)
    assert (later.status.phase, later.status.step, later.status.reason) == (
        Phase.TRIAL,
        0,
        Reason.WAITING_FOR_EVIDENCE,
    )


def test_on_time_a_step_ends_after_its_hold_once_the_gate_has_passed() -> None:
    assert look(15, 30, 0).status.step == 0
    assert look(21, 30, 0).status.step == 1


def test_on_evidence_a_step_ends_with_its_share_of_the_evidence() -> None:
    steps = []
    status: Status | None = None
    for second, right in ((2, 2), (4, 5), (6, 9), (8, 13)):
        status = look(second, right, 0, status, spec=wanted("Evidence")).status
        steps.append((status.phase, status.step, status.weight))
    assert steps == [
        (Phase.TRIAL, 0, 10),
        (Phase.TRIAL, 1, 25),
        (Phase.TRIAL, 2, 50),
        (Phase.PROMOTING, 2, 50),
    ]


def test_on_evidence_a_bad_model_stays_in_the_first_step() -> None:
    status: Status | None = None
    for second, right, wrong in ((2, 2, 2), (4, 3, 5), (6, 4, 8)):
        status = look(second, right, wrong, status, spec=wanted("Evidence")).status
        assert status.step == 0


def test_max_samples_is_inconclusive_and_never_held_against_the_model() -> None:
    gates = [{**GATE, "maxSamples": 100}]
    plan = look(5, 70, 30, spec=wanted(gates=gates))
    assert (plan.status.phase, plan.status.reason) == (Phase.ROLLING_BACK, Reason.INCONCLUSIVE)
    ended = look(30, 70, 30, plan.status, spec=wanted(gates=gates)).status
    assert (ended.phase, ended.rejected) == (Phase.ROLLED_BACK, ())
    assert ended.history[0].verdict is Verdict.ROLLED_BACK


def test_what_a_person_approved_has_max_hold_where_max_samples_came_meanwhile() -> None:
    raw = wanted(gates=[{**GATE, "maxSamples": 100}]).to_api()
    raw["strategy"]["approval"] = "Required"
    asked = {"spec": Spec.model_validate(raw), "commands": {"approve": "2"}}
    last = on_trial(step=2, weight=50, reason=Reason.WAITING_FOR_APPROVAL, approval_since=at(21))
    given = look(300, 70, 30, last, **asked).status
    assert given.approved_at == at(300)
    held = look(305, 70, 30, given, **asked).status
    assert (held.phase, held.reason) == (Phase.TRIAL, Reason.WAITING_FOR_EVIDENCE)
    assert look(310, 270, 31, held, **asked).status.verdict is Verdict.PROMOTED
    after = look(346, 70, 30, held, **asked).status
    assert (after.phase, after.reason) == (Phase.ROLLING_BACK, Reason.INCONCLUSIVE)


def test_max_hold_with_labels_but_no_verdict_is_inconclusive() -> None:
    held = look(25, 14, 6).status
    plan = look(66, 28, 12, held)
    assert (plan.status.phase, plan.status.reason) == (Phase.ROLLING_BACK, Reason.INCONCLUSIVE)


@pytest.mark.parametrize(("policy", "phase"), [("Pause", Phase.TRIAL), ("Promote", Phase.TRIAL)])
def test_what_follows_an_inconclusive_gate_is_the_users_choice(policy: str, phase: Phase) -> None:
    plan = look(5, 70, 30, spec=wanted(gates=[{**GATE, "maxSamples": 100}], onNoEvidence=policy))
    assert plan.status.phase is phase
    assert plan.status.halted is (policy == "Pause")
    assert plan.status.step == (0 if policy == "Pause" else 1)


def test_labels_that_come_too_slowly_are_told_once() -> None:
    told = look(5, 8, 3)
    assert [n.reason for n in told.events] == [Reason.LABELS_TOO_SLOW]
    assert told.status.gates[0].late
    again = look(10, 9, 3, told.status)
    assert Reason.LABELS_TOO_SLOW not in [n.reason for n in again.events]


def test_on_the_first_deploy_labelled_gates_do_not_wait_for_traffic_that_cannot_come() -> None:
    status = on_trial(stable=None, candidate=V2, step=None, weight=0, attempt=1)
    assert look(5, 0, 0, status).status.phase is Phase.PROMOTING


def retried(*verbs: str) -> Status:
    counted = look(5, 8, 3).status
    entry = Rejected(revision=V2.revision, uri=V2.uri, reason="GateFailed", message="no.", at=START)
    ended = counted.model_copy(
        update={
            "phase": Phase.ROLLED_BACK,
            "phase_since": at(30),
            "candidate": V2,
            "weight": 0,
            "rejected": (entry,),
        }
    )
    return look(40, 0, 0, ended, commands=dict.fromkeys(verbs, str(ended.attempt))).status


def test_a_retry_goes_on_with_the_evidence_unless_told_to_forget_it() -> None:
    assert [(e.good, e.total) for e in retried("retry").evidence] == [(8, 11)]
    forgotten = retried("retry", "forget-evidence").evidence
    assert [(e.good, e.total) for e in forgotten] == [(0, 0)]
    assert forgotten[0].pods, "the counters stay, so that old labels are not counted again"


def test_promotion_lets_go_of_the_evidence_for_what_is_stable_now() -> None:
    counted = look(5, 8, 3).status
    settled = counted.model_copy(
        update={
            "phase": Phase.SETTLING,
            "phase_since": at(10),
            "candidate": V2,
            "reason": Reason.GATES_PASSED,
        }
    )
    done = look(40, 8, 3, settled).status
    assert (done.phase, done.evidence) == (Phase.PROMOTED, ())


def test_conditions_say_what_the_verdict_is_worth() -> None:
    by_type = {c.type: c for c in look(5, 8, 2).status.conditions}
    assert by_type["GuaranteeUnavailable"].status == "False"
    assert by_type["OverdispersedLabels"].status == "False"
    begun = on_trial(reason=Reason.WAITING_FOR_PODS)
    gauge = observed(5, spec=spec("models:/iris/2"), status=begun, workloads=ready(V1, V2))
    assert {c.type: c.status for c in decide(gauge).status.conditions}[
        "GuaranteeUnavailable"
    ] == "True"


def test_labels_in_clumps_are_told_in_a_condition() -> None:
    status: Status | None = None
    for k in range(1, 9):
        status = look(2 * k, 12 * ((k + 1) // 2), 4 * (k // 2), status).status
    assert status is not None
    said = {c.type: c for c in status.conditions}["OverdispersedLabels"]
    assert (said.status, said.reason) == ("True", "LabelsNotIndependent")


def test_before_the_first_label_stables_rate_tells_that_they_will_come_too_slowly() -> None:
    """Ten labels of stable in a minute, at weight 10: about one a minute for the candidate, where a
    verdict takes fifty.
    """
    offline = Series("ml_model_accuracy", "a", at(59).timestamp(), 0.85)
    first = look(3, 0, 0, baseline=labels(100, 0, 2))
    plan = look(
        60,
        0,
        0,
        first.status,
        answers={Metric.ACCURACY: (*labels(0, 0, 59)[Metric.ACCURACY], offline)},
        baseline=labels(110, 0, 59),
    )
    assert plan.status.gates[0].late
    assert [n.reason for n in plan.events if n.reason is Reason.LABELS_TOO_SLOW]


SIGNATURES = {
    "the same": ('[{"name": "a", "type": "double", "required": true}]', {}, Phase.STARTING),
    "a wider column": (
        '[{"name": "a", "type": "double", "required": true}]',
        {"before": "float"},
        Phase.STARTING,
    ),
    "an optional new column": (
        '[{"name": "a", "type": "double"}, {"name": "b", "type": "double", "required": false}]',
        {},
        Phase.STARTING,
    ),
    "a column that requests do not have": (
        '[{"name": "b", "type": "double", "required": true}]',
        {},
        Phase.INVALID,
    ),
    "another type": ('[{"name": "a", "type": "string", "required": true}]', {}, Phase.INVALID),
    "another type, allowed": (
        '[{"name": "a", "type": "string", "required": true}]',
        {"allowed": True},
        Phase.STARTING,
    ),
    "not readable": ("{", {}, Phase.INVALID),
}


@pytest.mark.parametrize(("after", "changes", "phase"), SIGNATURES.values(), ids=SIGNATURES.keys())
def test_a_signature_that_does_not_fit_is_refused(
    after: str, changes: dict[str, Any], phase: Phase
) -> None:
    def signature(columns: str) -> str:
        return (
            '{"inputs": '
            + (columns if columns == "{" else f'"{columns.replace(chr(34), chr(92) + chr(34))}"')
            + "}"
        )

    before = signature(
        f'[{{"name": "a", "type": "{changes.get("before", "double")}", "required": true}}]'
    )
    stable = V1.model_copy(update={"signature": before})
    status = Status(
        phase=Phase.PROMOTED, phase_since=START, attempt=1, stable=stable, observed_generation=1
    )
    resolution = replace(resolved(2), signature=signature(after))
    asked = spec("models:/iris/2", allowSignatureChange=bool(changes.get("allowed")))
    plan = decide(observed(5, spec=asked, status=status, resolution=resolution))
    assert plan.status.phase is phase, plan.status.message
    assert plan.status.reason is (
        Reason.SIGNATURE_INCOMPATIBLE if phase is Phase.INVALID else Reason.WAITING_FOR_PODS
    )


def errors(requests: float, second: float) -> dict[Metric, tuple[Series, ...]]:
    moment = at(second).timestamp()
    served, failed = (
        Series("ml_request_count_total", "a", moment, requests),
        Series("ml_request_errors_total", "a", moment, 0),
    )
    return {Metric.ERROR_RATE: (served, failed)}


COUNTED: dict[str, tuple[dict[str, Any], Any]] = {
    "labels by a test, all of them right": (GATE, lambda n, second: labels(n, 0, second)),
    "labels by a test, one in four wrong": (GATE, lambda n, second: labels(3 * n, n, second)),
    "requests by a test": ({**GATE, "metric": "errorRate", "min": None, "max": 0.2}, errors),
    "requests as reported": (
        {"metric": "errorRate", "max": 0.2},
        lambda n, second: errors(20 * n, second),
    ),
}


@pytest.mark.parametrize(("gate", "answers"), COUNTED.values(), ids=COUNTED.keys())
@pytest.mark.parametrize("grows", [1, 4])
def test_two_sentences_of_one_status_tell_the_same_numbers(
    gate: dict[str, Any], answers: Any, grows: int
) -> None:
    """The value stays what it is while counts grow: `12 of 12` in the message and `3 of 3` in its
    gate would be two truths.
    """
    asked = wanted(gates=[{k: v for k, v in gate.items() if v is not None}], maxHold="10m")
    status = on_trial()
    for n, second in enumerate(range(5, 200, 5), 1):
        plan = decide(
            observed(
                second,
                spec=asked,
                status=status,
                workloads=ready(V1, V2),
                answers=answers(n * grows, second - 1),
            )
        )
        status = plan.status
        told = [status.message, *(note.message for note in plan.events)]
        counts = {
            word
            for one in status.gates
            for word in re.findall(r"\d+ of \d+ \w+|\d+ samples", one.message)
        }
        found = {
            word
            for text in told
            for word in re.findall(r"\d+ of \d+ (?:labels|requests)|\d+ samples", text)
        }
        assert found <= counts, (status.message, status.gates)
        if status.phase is not Phase.TRIAL:
            break
    assert status.gates


UNLABELLED = [{"metric": "predictionShift", "max": 0.1}, {"metric": "inputDrift", "max": 0.2}]


def answered(second: float, pod: str, often: float, seldom: float) -> tuple[Series, ...]:
    """Answers by class of one pod."""
    moment = at(second).timestamp()
    return (
        Series("ml_predicted_total", pod, moment, often, bin="a"),
        Series("ml_predicted_total", pod, moment, seldom, bin="b"),
    )


def drifted(second: float, psi: float) -> tuple[Series, ...]:
    """What Prometheus makes of a thousand live rows."""
    moment = at(second).timestamp()
    told = (("psi", psi, "age"), ("rows", 1000.0, "age"), ("predictions", 1000.0, ""))
    return tuple(
        Series("ml_input_drift", "", moment, value, column=column, bin=what)
        for what, value, column in told
    )


def without_labels(second: float, before: Status, a: float, psi: float) -> Status:
    """A look at the second: so many of the candidate's 40 answers a second are "a", and half of
    stable's 360.
    """
    served = 40 * second
    answers = {
        Metric.PREDICTION_SHIFT: answered(second - 1, "c", a * served, (1 - a) * served),
        Metric.INPUT_DRIFT: drifted(second - 1, psi),
    }
    stable = {Metric.PREDICTION_SHIFT: answered(second - 1, "s", 180 * second, 180 * second)}
    changes = {"spec": wanted(gates=UNLABELLED), "status": before, "workloads": ready(V1, V2)}
    return decide(observed(second, answers=answers, baseline=stable, **changes)).status


WITHOUT_LABELS = {
    "both pass": (0.5, 0.05, Phase.TRIAL, ""),
    "it answers otherwise": (0.8, 0.05, Phase.ROLLING_BACK, "more than of stable's"),
    "rows are not those of training": (0.5, 0.6, Phase.ROLLING_BACK, "PSI 0.6 of column 'age'"),
}


@pytest.mark.parametrize(
    ("a", "psi", "phase", "said"), WITHOUT_LABELS.values(), ids=WITHOUT_LABELS.keys()
)
def test_a_trial_is_decided_before_any_label_comes(
    a: float, psi: float, phase: Phase, said: str
) -> None:
    status = on_trial()
    for second in range(5, 45, 5):
        if status.phase is Phase.TRIAL:
            status = without_labels(second, status, a, psi)
    assert (status.phase, said in status.message) == (phase, True)
    assert phase is not Phase.TRIAL or status.step != 0, "the first step has passed"


def test_what_a_first_deploy_cannot_tell_is_not_asked() -> None:
    """Nothing is beside it, and no request comes before it answers."""
    alone = on_trial(stable=None, phase=Phase.STARTING)
    changes = {"spec": wanted(gates=UNLABELLED), "status": alone, "workloads": ready(V2)}
    plan = decide(observed(5, **changes))
    assert plan.status.gates == ()
    assert plan.status.phase is not Phase.ROLLING_BACK
