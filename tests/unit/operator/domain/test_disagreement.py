"""Gates on copies of stable's requests, and trials that begin with copies."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from rollout_operator.desired.build import build
from rollout_operator.desired.common import Owner
from rollout_operator.domain.api.analysis import Gate, Metric
from rollout_operator.domain.api.gate_results import EvidenceStatus, GateStatus, Measurement
from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import Status
from rollout_operator.domain.api.words import Phase, Reason
from rollout_operator.domain.gates.disagreement import measure_disagreement
from rollout_operator.domain.gates.gate_status import Trial
from rollout_operator.domain.gates.samples import PREDICTIONS, SHADOW
from rollout_operator.domain.machine.decide import decide
from rollout_operator.domain.machine.decision import Plan
from rollout_operator.domain.machine.sizes import trial_replicas
from rollout_operator.domain.observed import Answer, MetricsUnreachable, Series
from rollout_operator.domain.shadow import Shadow, pods_to_tell, shadow_of
from rollout_operator.domain.windows import Freeze
from tests.support.builders import (
    START,
    UID,
    accuracy,
    at,
    observed,
    on_trial,
    ready,
    revision,
    spec,
)

V1, V2 = revision(1, promoted=True), revision(2, replicas=1, ready_at=START)
PASS, FAIL, NOTHING = Measurement.PASS, Measurement.FAIL, Measurement.NO_EVIDENCE
GATE = {"metric": "disagreement", "max": 0.05, "designEffect": 1}
"""Each copy counts by itself, so that one look decides."""
BY_LOOKS = {"metric": "disagreement", "max": 0.05}
ERRORS = {"metric": "errorRate", "max": 0.01}


def counted(
    second: float,
    outcomes: Mapping[str, float],
    pod: str = "s",
    candidate: str = V2.revision,
) -> tuple[Series, ...]:
    """What a pod of stable counts of copies."""
    moment = at(second).timestamp()
    return tuple(
        Series(SHADOW, pod, moment, n, outcome=outcome, candidate=candidate)
        for outcome, n in outcomes.items()
    )


def look(
    baseline: Answer | None,
    second: float = 10,
    known: tuple[EvidenceStatus, ...] = (),
    *,
    copied: bool = True,
    trouble: str = "",
    **changes: Any,
) -> tuple[GateStatus, EvidenceStatus | None]:
    gate = Gate.model_validate(GATE | changes)
    trial = Trial(V2, V1, START, at(second))
    return measure_disagreement(gate, baseline, trial, known, copied=copied, trouble=trouble)


VERDICTS: dict[str, tuple[dict[str, float], dict[str, Any], Measurement]] = {
    "answers alike": ({"same": 200}, {}, PASS),
    "alike, though later": ({"same": 50, "slower": 150}, {}, PASS),
    "answers otherwise": ({"same": 20, "different": 20}, {}, FAIL),
    "answers not at all": ({"failed": 10}, {}, FAIL),
    "some of each": ({"same": 30, "different": 8, "failed": 8}, {}, FAIL),
    "at the border": ({"same": 190, "different": 10}, {}, NOTHING),
    "within the tolerance": ({"same": 950, "different": 50}, {"tolerance": 0.05}, PASS),
    "too few for minSamples": ({"same": 200}, {"minSamples": 500}, NOTHING),
    "pods that are not reached": ({"same": 0, "unreached": 500, "dropped": 500}, {}, NOTHING),
    "what was dropped is no disagreement": ({"same": 200, "dropped": 5000}, {}, PASS),
}


@pytest.mark.parametrize(("outcomes", "changes", "verdict"), VERDICTS.values(), ids=VERDICTS.keys())
def test_verdicts(
    outcomes: dict[str, float], changes: dict[str, Any], verdict: Measurement
) -> None:
    said, evidence = look(counted(9, outcomes), **changes)
    assert said.measurement is verdict, said.message
    assert evidence is not None
    compared = sum(n for name, n in outcomes.items() if name not in {"unreached", "dropped"})
    assert (said.samples, evidence.total) == (compared, compared)
    if compared:
        bad = outcomes.get("different", 0) + outcomes.get("failed", 0)
        assert said.value == pytest.approx(bad / compared)
        assert "copies answered alike" in said.message


BURSTS: dict[str, tuple[list[tuple[int, int]], dict[str, Any], Measurement]] = {
    "one look, however many are alike": ([(100_000, 0)], {}, NOTHING),
    "few looks at many": ([(400, 0)] * 3, {}, NOTHING),
    "some looks at many": ([(400, 0)] * 4, {}, PASS),
    "few looks at some": ([(20, 0)] * 16, {}, NOTHING),
    "some looks at some": ([(20, 0)] * 17, {}, PASS),
    "one copy a look": ([(1, 0)] * 68, {}, PASS),
    "too few of one copy a look": ([(1, 0)] * 66, {}, NOTHING),
    "a burst that is answered otherwise": ([(0, 500), *[(20, 0)] * 3], {}, NOTHING),
    "two of them": ([(0, 500), (0, 20)], {}, FAIL),
    "two among others that are alike": ([(0, 20), *[(20, 0)] * 6, (0, 20)], {}, NOTHING),
    "a share of all looks": ([(16, 4)] * 5, {}, FAIL),
    "the border": ([(19, 1)] * 40, {}, NOTHING),
    "bursts of known size": ([(20, 0)] * 30, {"designEffect": 20}, NOTHING),
    "enough bursts of known size": ([(20, 0)] * 68, {"designEffect": 20}, PASS),
    "answers known to come by themselves": ([(68, 0)], {"designEffect": 1}, PASS),
}


@pytest.mark.parametrize(("looks", "changes", "verdict"), BURSTS.values(), ids=BURSTS.keys())
def test_copies_of_one_burst_prove_no_more_than_one_of_them(
    looks: list[tuple[int, int]], changes: dict[str, Any], verdict: Measurement
) -> None:
    said, _ = looked(looks, **changes)
    assert said.measurement is verdict, said.message


def looked(
    looks: list[tuple[int, int]], **changes: Any
) -> tuple[GateStatus, EvidenceStatus | None]:
    """The last of so many looks, each at so many more copies that were answered alike or not."""
    said, evidence, same, different = None, None, 0, 0
    for n, (alike, otherwise) in enumerate(looks):
        same, different = same + alike, different + otherwise
        known = () if evidence is None else (evidence,)
        counts = counted(10 * n + 9, {"same": same, "different": different})
        said, evidence = look(counts, 10 * n + 10, known, **{"designEffect": None} | changes)
    assert said is not None
    return said, evidence


def test_it_says_what_copies_are_worth_and_where_bursts_are_larger_than_taken() -> None:
    said, evidence = looked([(20, 0)] * 5)
    assert "100 of 100 copies answered alike, worth 20 [" in said.message
    assert (said.samples, said.design_effect) == (100, None)
    assert evidence is not None
    assert (evidence.effective_total, len(evidence.below)) == (20, 5)
    clumped, _ = looked([(20, 0), (0, 20)] + [(20, 0)] * 8)
    assert clumped.design_effect is not None
    assert clumped.design_effect > 3, "twenty are alike, and five are taken to be"


def test_what_is_enough_are_answers_as_they_count() -> None:
    at_the_border = [(19, 1)] * 10
    said, _ = looked(at_the_border, minSamples=10, maxSamples=41)
    assert (said.measurement, said.inconclusive) == (NOTHING, None)
    said, _ = looked(at_the_border, minSamples=10, maxSamples=40)
    assert said.inconclusive


def test_counts_are_those_of_all_of_stables_pods_and_survive_them() -> None:
    _, evidence = look(
        (*counted(9, {"same": 40}, "a"), *counted(9, {"same": 2, "different": 1}, "b"))
    )
    assert evidence is not None
    assert (evidence.good, evidence.total) == (42, 43)
    # Pod a is replaced by c, which begins anew; b restarts.
    later = (*counted(19, {"same": 5}, "c"), *counted(19, {"same": 1, "different": 0}, "b"))
    _, evidence = look(later, 20, (evidence,))
    assert evidence is not None
    assert (evidence.good, evidence.total) == (48, 49)


SILENT: dict[str, tuple[Answer | None, Measurement, str]] = {
    "not asked yet": (None, NOTHING, "not measured yet"),
    "Prometheus is away": (MetricsUnreachable("away"), Measurement.UNREACHABLE, "away"),
    "nobody is scraped": ((), NOTHING, "no series of this revision"),
    "a server that makes no copies": (
        (Series(PREDICTIONS, "s", at(9).timestamp(), 500.0),),
        NOTHING,
        "promote a version with this operator's image first",
    ),
    "copies to another candidate": (
        counted(9, {"same": 500}, candidate="another"),
        NOTHING,
        "stable's pods count no copies yet",
    ),
    "what is no count": (counted(9, {"same": float("nan")}), NOTHING, "not a count"),
    "two jobs that differ": (
        (*counted(9, {"same": 1}), *counted(9, {"same": 2})),
        NOTHING,
        "several series",
    ),
}


@pytest.mark.parametrize(("answer", "verdict", "sentence"), SILENT.values(), ids=SILENT.keys())
def test_without_counts_it_says_what_to_do(
    answer: Answer | None, verdict: Measurement, sentence: str
) -> None:
    said, evidence = look(answer)
    assert (said.measurement, evidence) == (verdict, None)
    assert sentence in said.message


UNCOUNTED = {
    "no pod is reached": ({"same": 0, "unreached": 500, "dropped": 3}, "let the rollout's pods"),
    "all are dropped": ({"same": 0, "unreached": 0, "dropped": 3}, "no CPU to spare"),
    "none was made yet": ({"same": 0, "unreached": 0, "dropped": 0}, "0 of 0 copies"),
    "some count": ({"same": 1, "unreached": 500, "dropped": 3}, "1 of 1 copies"),
}


@pytest.mark.parametrize(("outcomes", "sentence"), UNCOUNTED.values(), ids=UNCOUNTED.keys())
def test_where_no_copy_counts_it_says_why(outcomes: dict[str, float], sentence: str) -> None:
    said, _ = look(counted(9, outcomes))
    assert (said.measurement, sentence in said.message) == (NOTHING, True), said.message


def test_copies_to_an_earlier_candidate_say_nothing_of_why() -> None:
    earlier = counted(9, {"unreached": 500}, candidate="ffffffff")
    said, _ = look((*earlier, *counted(9, {"same": 0, "dropped": 3})))
    assert "no CPU to spare" in said.message


def test_where_stables_pods_cannot_be_told_it_says_why() -> None:
    said, _ = look((), trouble="the pod at 10.0.0.1:8080 cannot be told")
    assert said.message == "disagreement: the pod at 10.0.0.1:8080 cannot be told"


def test_in_a_step_without_copies_what_was_counted_stands() -> None:
    _, evidence = look(counted(9, {"same": 200}))
    assert evidence is not None
    said, kept = look((), 500, (evidence,), copied=False)
    assert (said.measurement, kept) == (PASS, evidence)
    said, kept = look((), 500, (), copied=False)
    assert (said.measurement, kept) == (NOTHING, None)


STEPS = [
    {"weight": 0, "shadow": 100, "hold": "20s"},
    {"weight": 10, "hold": "20s"},
    {"weight": 50, "hold": "20s"},
]


def wanted(*gates: dict[str, Any], advance: str = "Time", **strategy: Any) -> Spec:
    return spec(
        "models:/iris/2",
        strategy={"steps": STEPS, "advanceOn": advance, **strategy},
        analysis={"interval": "5s", "maxHold": "40s", "gates": [*gates] or [GATE, ERRORS]},
    )


def shadowed(**changes: Any) -> Status:
    return on_trial(**({"weight": 0, "candidate": V2} | changes))


def step(
    second: float,
    outcomes: Mapping[str, float],
    status: Status | None = None,
    for_spec: Spec | None = None,
    answers: Mapping[str, Answer] | None = None,
) -> Plan:
    seen = observed(
        second,
        spec=for_spec or wanted(),
        status=status or shadowed(),
        workloads=ready(V1, V2),
        answers={GATE["metric"]: (), "errorRate": (), **(answers or {})},
        baseline={GATE["metric"]: counted(second - 1, outcomes), "errorRate": ()},
    )
    return decide(seen)


def place(plan: Plan) -> tuple[Phase, int | None, int]:
    return plan.status.phase, plan.status.step, plan.status.weight


def test_at_weight_0_gates_of_requests_wait_and_the_copies_decide() -> None:
    held = step(10, {"same": 300})
    assert place(held) == (Phase.TRIAL, 0, 0)
    assert [g.metric for g in held.status.gates] == ["disagreement"]
    assert "100 % of stable's requests are copied to models:/iris/2" in held.status.message
    assert "nobody gets its answers" in held.status.message
    assert place(step(21, {"same": 300})) == (Phase.TRIAL, 1, 10)


def test_a_candidate_that_answers_otherwise_is_gone_before_it_answered_a_user() -> None:
    plan = step(5, {"same": 10, "different": 30})
    assert (*place(plan)[::2], plan.status.reason) == (Phase.ROLLING_BACK, 0, Reason.GATE_FAILED)
    assert "10 of 40 copies answered alike" in plan.status.message


def test_without_evidence_from_copies_the_step_holds_and_then_gives_up() -> None:
    held = step(30, {"same": 5})
    assert place(held) == (Phase.TRIAL, 0, 0)
    assert held.status.reason is Reason.WAITING_FOR_EVIDENCE
    given_up = step(75, {"same": 5}, held.status)
    assert given_up.status.phase is Phase.ROLLING_BACK
    assert given_up.status.reason in {Reason.INCONCLUSIVE, Reason.NO_EVIDENCE}


def test_later_steps_ask_what_the_copies_had_shown_and_measure_the_rest() -> None:
    first = step(21, {"same": 300})
    later = step(30, {}, first.status)
    by_metric = {g.metric: g.measurement for g in later.status.gates}
    assert by_metric == {"disagreement": PASS, "errorRate": NOTHING}


WITHOUT = {"steps": STEPS[1:]}
ANEW: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[Phase, int | None, int]]] = {
    "at once": (WITHOUT, {}, (Phase.TRIAL, 0, 10)),
    "not while it is frozen": (WITHOUT, {"freeze": Freeze(True)}, (Phase.TRIAL, 0, 0)),
    "the last step that is left": ({"steps": STEPS[2:]}, {}, (Phase.TRIAL, 0, 50)),
    "an approval is of the promotion": (
        {"steps": STEPS[2:], "approval": "Required"},
        {},
        (Phase.TRIAL, 0, 50),
    ),
}


@pytest.mark.parametrize(("strategy", "changes", "then"), ANEW.values(), ids=ANEW.keys())
def test_where_copies_are_taken_out_of_the_step_it_begins_anew_with_its_weight(
    strategy: dict[str, Any], changes: dict[str, Any], then: tuple[Phase, int | None, int]
) -> None:
    """As is advised where stable's pods make none: at weight 0 no other gate has evidence."""
    edited = spec(
        "models:/iris/2", strategy=strategy, analysis={"interval": "5s", "gates": [ERRORS]}
    )
    held = shadowed(no_evidence_since=at(20), reason=Reason.WAITING_FOR_EVIDENCE)
    seen = observed(30, spec=edited, status=held, workloads=ready(V1, V2), **changes)
    plan = decide(seen)
    assert place(plan) == then
    if then[2]:
        assert (plan.status.step_since, plan.status.no_evidence_since) == (at(30), None)


def test_the_chance_of_a_wrong_rollback_is_shared_by_all_gates_of_the_trial() -> None:
    labelled = {"metric": "accuracy", "min": 0.7, "evidence": "Labelled"}
    outcomes = {"same": 20.0, "different": 4.0}
    alone = step(5, outcomes, for_spec=wanted(GATE)).status.gates[0]
    shared = step(5, outcomes, for_spec=wanted(GATE, labelled, ERRORS)).status.gates[0]
    assert shared.evidence_against is not None
    assert alone.evidence_against is not None
    assert 0 < shared.evidence_against < alone.evidence_against


def test_an_accuracy_that_training_measured_needs_no_requests() -> None:
    only = {"metric": "accuracy", "min": 0.7}
    said = step(21, {}, for_spec=wanted(only), answers=accuracy(0.9, 20))
    assert place(said) == (Phase.TRIAL, 1, 10)
    assert [(g.metric, g.measurement) for g in said.status.gates] == [("accuracy", PASS)]


def test_on_evidence_the_last_step_with_copies_waits_for_all_of_it() -> None:
    by_evidence = wanted(GATE, advance="Evidence")
    plan = step(5, {"same": 40}, for_spec=by_evidence)
    (gate,) = plan.status.gates
    assert gate.evidence_for is not None
    assert 1 / 3 < gate.evidence_for < 1
    assert place(plan) == (Phase.TRIAL, 0, 0)
    assert place(step(5, {"same": 200}, for_spec=by_evidence)) == (Phase.TRIAL, 1, 10)


def test_on_evidence_copies_that_no_gate_looks_at_are_made_as_long_as_the_step_says() -> None:
    by_evidence = wanted(ERRORS, advance="Evidence")
    assert place(step(10, {}, for_spec=by_evidence)) == (Phase.TRIAL, 0, 0)
    assert place(step(21, {}, for_spec=by_evidence)) == (Phase.TRIAL, 1, 10)


def test_a_first_deploy_has_nobody_to_compare_with() -> None:
    alone = shadowed(stable=None, step=None)
    assert shadow_of(wanted(), alone) is None
    assert not step(10, {}, alone).status.gates


SHADOWS = {
    "the first step": (shadowed(), 100),
    "a step that makes none": (shadowed(step=1, weight=10), 0),
    "a step that is no more": (shadowed(step=9, weight=50), 0),
    "pods that start": (shadowed(phase=Phase.STARTING), 0),
    "a rollback": (shadowed(phase=Phase.ROLLING_BACK), 0),
    "a pause": (shadowed(halted=True), 100),
}


@pytest.mark.parametrize(("status", "percent"), SHADOWS.values(), ids=SHADOWS.keys())
def test_copies_are_made_in_the_steps_that_say_so(status: Status, percent: int) -> None:
    expected = Shadow(V1.revision, V2.revision, percent) if percent else None
    assert shadow_of(wanted(), status) == expected


def test_the_candidate_has_pods_for_as_many_copies() -> None:
    assert trial_replicas(spec(replicas=4, strategy__steps=STEPS), True) == 4
    assert trial_replicas(spec(replicas=4, strategy__steps=STEPS[1:]), True) == 2


def test_pods_may_send_one_another_copies_only_where_the_spec_asks_for_any() -> None:
    owner = Owner(UID, "iris", "models")

    def among(for_spec: Spec) -> list[dict[str, Any]]:
        made = build(owner, for_spec, shadowed(), {})
        (policy,) = (m for m in made if m["kind"] == "NetworkPolicy")
        return [rule for rule in policy["spec"]["egress"] if "to" in rule]

    assert among(spec()) == []
    (rule,) = among(wanted())
    assert rule == {
        "to": [{"podSelector": owner.pod_selector()}],
        "ports": [{"port": 8080, "protocol": "TCP"}],
    }


def test_no_route_leads_to_a_candidate_of_weight_0() -> None:
    made = build(Owner(UID, "iris", "models"), wanted(), shadowed(), {})
    kinds = [(m["kind"], m["metadata"]["name"]) for m in made]
    assert ("Service", f"iris-{V2.revision}") in kinds
    assert [name for kind, name in kinds if kind == "Ingress"] == ["iris"]


def test_only_ready_pods_of_stable_are_told() -> None:
    def endpoint(name: str, address: str, ready: bool = True) -> dict[str, Any]:
        return {
            "targetRef": {"name": name},
            "addresses": [address],
            "conditions": {"ready": ready},
        }

    mine, other = f"iris-{V1.revision}-x-", f"iris-{V2.revision}-x-"
    pods = [
        endpoint(f"{mine}1", "10.0.0.2"),
        endpoint(f"{mine}2", "10.0.0.1"),
        endpoint(f"{mine}3", "10.0.0.3", ready=False),
        endpoint(f"{other}1", "10.0.0.4"),
        {"addresses": ["10.0.0.5"], "conditions": {"ready": True}},
    ]
    ports = [{"name": "http", "port": 8080}]
    six = {
        "addressType": "IPv6",
        "ports": ports,
        "endpoints": [endpoint(f"{mine}4", "fd00::1")],
    }
    slices: list[dict[str, Any]] = [{"ports": ports, "endpoints": pods}, six, {"endpoints": pods}]
    told = pods_to_tell(slices, "iris", Shadow(V1.revision, V2.revision, 20))
    assert told == ("10.0.0.1:8080", "10.0.0.2:8080", "[fd00::1]:8080")


def test_a_metric_of_the_trial_that_is_asked_for_is_disagreement_too() -> None:
    assert Gate.model_validate(GATE).metric is Metric.DISAGREEMENT
    assert Gate.model_validate(GATE).labelled


def test_a_pause_and_the_end_of_a_hold_are_the_same_as_with_weight() -> None:
    paused = replace(
        observed(
            30,
            spec=wanted().model_copy(update={"paused": True}),
            status=shadowed(),
            workloads=ready(V1, V2),
        )
    )
    plan = decide(paused)
    assert place(plan) == (Phase.TRIAL, 0, 0)
    assert shadow_of(wanted(), plan.status) is not None
