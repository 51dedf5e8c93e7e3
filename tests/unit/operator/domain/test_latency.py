"""Latency gates on the model server's own histogram: a bucket's bounds decide, and what lies
between them proves nothing.
"""

import json
import math
from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from rollout_inference.metrics import Metrics
from rollout_inference.settings import Settings, SettingsError
from rollout_operator.desired.build import build
from rollout_operator.desired.common import Owner
from rollout_operator.domain.api.analysis import Gate, Metric
from rollout_operator.domain.api.gate_results import GateStatus, Measurement
from rollout_operator.domain.gates import promql
from rollout_operator.domain.gates.gate_status import Trial
from rollout_operator.domain.gates.histogram import bounds
from rollout_operator.domain.gates.labelled_gate import measure_labels
from rollout_operator.domain.gates.reported_gate import measure
from rollout_operator.domain.machine.decide import decide
from rollout_operator.domain.observed import MetricsUnreachable, Series, Workload
from tests.support.builders import START, UID, at, observed, on_trial, revision, spec

PASS, FAIL, NO_EVIDENCE = Measurement.PASS, Measurement.FAIL, Measurement.NO_EVIDENCE
TRIAL = Trial(revision(2), revision(1), START, at(40))
LABELLED = {"evidence": "Labelled"}


def gate(**bound: Any) -> Gate:
    return Gate.model_validate({"metric": "latencyP95Seconds", **bound})


def served(
    *seconds: float, asked: Gate | None = None, pod: str = "a", times: int = 1000
) -> tuple[Series, ...]:
    """What a pod of the model server shows after `times` requests of each length; its buckets
    follow the gate `asked`.
    """
    extra = ",".join(map(repr, bounds([asked]))) if asked else ""
    metrics = Metrics(
        Settings.from_environment({"MODEL_URI": "models:/iris/2", "LATENCY_BUCKETS": extra})
    )
    for length in seconds:
        for _ in range(times):
            metrics.latency.observe(length)
    found = text_string_to_metric_families(generate_latest(metrics.registry).decode())
    moment = at(39).timestamp()
    result = [
        {
            "metric": dict(s.labels, __name__=s.name, pod=pod),
            "values": [[moment - 15, "0"], [moment, str(s.value)]],
        }
        for family in found
        for s in family.samples
        if s.name.endswith("latency_seconds_bucket")
    ]
    read = promql.read(
        200,
        json.dumps(
            {"status": "success", "data": {"resultType": "matrix", "result": result}}
        ).encode(),
    )
    assert not isinstance(read, MetricsUnreachable)
    return next(iter(read.values()))


def judged(asked: Gate, ours: tuple[Series, ...], theirs: tuple[Series, ...]) -> GateStatus:
    return (
        measure_labels(asked, ours, theirs, TRIAL, ())[0]
        if asked.labelled
        else measure(asked, ours, theirs, TRIAL)
    )


SLOW, QUICK, LITTLE = {"max": 1.5}, {"max": 0.25}, {"maxIncrease": 0.02}
VERDICTS: dict[str, tuple[dict[str, Any], float, float, Measurement, Measurement]] = {
    "1.1 s, at most 1.5 s": (SLOW, 1.1, 1.1, NO_EVIDENCE, PASS),
    "1.6 s, at most 1.5 s": (SLOW, 1.6, 1.6, NO_EVIDENCE, FAIL),
    "0.9 s, at most 1.5 s": (SLOW, 0.9, 0.9, PASS, PASS),
    "2.6 s, at most 1.5 s": (SLOW, 2.6, 2.6, FAIL, FAIL),
    "7 s, above the largest bucket": (SLOW, 7, 7, FAIL, FAIL),
    "7 s, at most 8 s, above the largest bucket": ({"max": 8}, 7, 7, NO_EVIDENCE, PASS),
    "exactly the threshold, which is a bucket": (QUICK, 0.25, 0.25, PASS, PASS),
    "just above a threshold that is a bucket": (QUICK, 0.2501, 0.2501, FAIL, FAIL),
    "1.1 s, at most 1.5 s, by counts": (SLOW | LABELLED, 1.1, 1.1, NO_EVIDENCE, PASS),
    "1.6 s, at most 1.5 s, by counts": (SLOW | LABELLED, 1.6, 1.6, NO_EVIDENCE, FAIL),
    "0.9 s, at most 1.5 s, by counts": (SLOW | LABELLED, 0.9, 0.9, PASS, PASS),
    "2.6 s, at most 1.5 s, by counts": (SLOW | LABELLED, 2.6, 2.6, FAIL, FAIL),
    "as quick as stable": (LITTLE, 0.08, 0.08, NO_EVIDENCE, PASS),
    "0.04 s slower than stable": (LITTLE, 0.12, 0.08, NO_EVIDENCE, FAIL),
    "as quick as stable, in a narrow bucket": (LITTLE, 0.004, 0.004, PASS, PASS),
    "a second slower than stable": (LITTLE, 1.1, 0.08, FAIL, FAIL),
    "much quicker than stable": (LITTLE, 0.01, 0.08, PASS, PASS),
    "quicker than stable, which no bucket holds": (LITTLE, 0.01, 7, PASS, PASS),
}


@pytest.mark.parametrize(
    ("bound", "ours", "theirs", "usual", "following"), VERDICTS.values(), ids=VERDICTS.keys()
)
def test_between_two_bounds_there_is_no_verdict(
    bound: dict[str, Any], ours: float, theirs: float, usual: Measurement, following: Measurement
) -> None:
    asked = gate(**bound)
    before = judged(asked, served(ours), served(theirs))
    after = judged(asked, served(ours, asked=asked), served(theirs, asked=asked))
    assert (before.measurement, after.measurement) == (usual, following), (
        before.message,
        after.message,
    )


def test_what_is_between_two_bounds_names_them_and_what_helps() -> None:
    one = judged(gate(**SLOW), served(1.1), ())
    assert "above 1 and at most 2.5: only a bucket at 1.5 tells" in one.message
    two = judged(gate(**LITTLE), served(0.08), served(0.08))
    assert "above 0.05 and at most 0.1, stable's above 0.05 and at most 0.1" in two.message
    three = judged(gate(**SLOW, **LABELLED), served(1.1), ())
    assert "1000 more lie in the bucket around 1.5" in three.message
    assert all(NEW_PODS in said.message for said in (one, three))


NEW_PODS = "pods of a new version, or of a retry, have one"
BY_HAND = "promote a version by hand, or write a max instead"
HELPS: dict[str, tuple[GateStatus, str, bool | None]] = {
    "stable's pods lack the bucket": (
        judged(gate(**LITTLE), served(0.08, asked=gate(**LITTLE)), served(0.08)),
        BY_HAND,
        True,
    ),
    "both lack it": (judged(gate(**LITTLE), served(0.08), served(0.08)), BY_HAND, True),
    "the candidate's pods lack it": (
        judged(gate(**LITTLE), served(0.08), served(0.08, asked=gate(**LITTLE))),
        NEW_PODS,
        None,
    ),
    "no pod has one there": (
        judged(
            gate(**LITTLE), served(0.4, asked=gate(**LITTLE)), served(0.4, asked=gate(**LITTLE))
        ),
        "or a greater maxIncrease",
        True,
    ),
}


@pytest.mark.parametrize(("said", "helps", "told"), HELPS.values(), ids=HELPS.keys())
def test_against_stable_what_helps_is_said_by_whose_bucket_is_missing(
    said: GateStatus, helps: str, told: bool | None
) -> None:
    """No later version helps while stable's pods lack it: they stay until a promotion, and somebody
    is told by an Event.
    """
    assert said.measurement is NO_EVIDENCE
    assert [
        one for one in (NEW_PODS, BY_HAND, "or a greater maxIncrease") if one in said.message
    ] == [helps]
    assert said.late is told


def test_a_stable_without_the_bucket_is_told_by_one_event() -> None:
    asked = spec("models:/iris/2", analysis={"gates": [{"metric": "latencyP95Seconds", **LITTLE}]})
    status, told = (
        on_trial(
            stable=revision(1, promoted=True),
            candidate=revision(2, asked, replicas=1, ready_at=START),
        ),
        [],
    )
    for second in (40, 41, 42):
        answers = {Metric.LATENCY_P95: served(0.08, asked=gate(**LITTLE))}
        pods = {one.revision: Workload(1, 1) for one in (revision(1), revision(2))}
        baseline = {Metric.LATENCY_P95: served(0.08)}
        plan = decide(
            observed(
                second,
                spec=asked,
                status=status,
                workloads=pods,
                answers=answers,
                baseline=baseline,
            )
        )
        told += [note.message for note in plan.events if BY_HAND in note.message]
        status = plan.status
    assert len(told) == 1


def test_a_verdict_names_the_bucket_that_it_rests_on() -> None:
    assert (
        "about 1.475 (above 1 and at most 1.5) is at most 1.5"
        in judged(gate(**SLOW), served(1.1, asked=gate(**SLOW)), ()).message
    )
    assert (
        "about 5 (above 5, the largest bucket) is above 1.5"
        in judged(gate(**SLOW), served(7), ()).message
    )


def test_one_bucket_written_in_two_ways_counts_once() -> None:
    """A scrape as text says le="1.0", one by protobuf or of an older Prometheus le="1": two jobs,
    one pod, one bucket.
    """
    shown = [
        Series(**{**_plain(s), "job": "text", "instance": "10.0.0.1:8080"}) for s in served(0.9)
    ]
    again = [
        Series(
            **{
                **_plain(s),
                "le": s.le.removesuffix(".0"),
                "job": "protobuf",
                "instance": "10.0.0.1:8080",
            }
        )
        for s in shown
    ]
    assert {s.le for s in shown} != {s.le for s in again}
    assert judged(gate(max=1), (*shown, *again), ()).samples == 1000


def _plain(one: Series) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__slots__}


def test_pods_with_other_buckets_are_added_by_those_that_all_have() -> None:
    asked = gate(**SLOW)
    both = (*served(1.1, pod="new", asked=asked), *served(0.9, pod="old"))
    assert judged(asked, both, ()).measurement is NO_EVIDENCE
    assert judged(gate(max=1), both, ()).measurement is FAIL
    assert judged(gate(max=2.5), both, ()).measurement is PASS


@pytest.mark.parametrize("le", ["", "abc", "NaN"])
def test_a_bucket_without_a_bound_is_no_evidence(le: str) -> None:
    odd = Series("ml_request_latency_seconds_bucket", "a", at(39).timestamp(), 5, le=le)
    for asked in (gate(**SLOW), gate(**SLOW, **LABELLED)):
        said = judged(asked, (*served(0.9), odd), ())
        assert said.measurement is NO_EVIDENCE
        assert "which is no bucket's bound" in said.message


def test_counts_that_are_not_cumulative_are_no_evidence() -> None:
    name, moment = "ml_request_latency_seconds_bucket", at(39).timestamp()
    odd = tuple(
        Series(name, "a", moment, n, le=le) for le, n in (("0.1", 50), ("0.25", 40), ("+Inf", 100))
    )
    assert "counts less at 0.25 s" in judged(gate(**QUICK), odd, ()).message


BOUNDS: dict[str, tuple[list[Gate], set[float]]] = {
    "none but of latency": (
        [Gate(metric=Metric.ACCURACY, min=0.7), Gate(metric=Metric.ERROR_RATE, max=0.1)],
        set(),
    ),
    "a threshold": ([gate(**SLOW), gate(**QUICK, **LABELLED)], {0.25, 1.5}),
    "zero is no bucket": ([gate(max=0), gate(maxIncrease=0)], set()),
    "halves of an increase, up to ten times it": (
        [gate(maxIncrease=0.1)],
        {round(0.05 * n, 9) for n in range(1, 21)},
    ),
}


@pytest.mark.parametrize(("gates", "wanted"), BOUNDS.values(), ids=BOUNDS.keys())
def test_the_bounds_that_gates_ask_for(gates: list[Gate], wanted: set[float]) -> None:
    assert set(bounds(gates)) == wanted


def test_the_bounds_of_many_gates_are_not_too_many_and_hold_the_thresholds() -> None:
    found = bounds([gate(maxIncrease=0.011 * n) for n in range(1, 10)] + [gate(max=3.21)])
    assert len(found) == 60
    assert 3.21 in found
    assert list(found) == sorted(found)


def environment(manifests: list[dict[str, Any]], name: str) -> dict[str, str]:
    (found,) = [m for m in manifests if (m["kind"], m["metadata"]["name"]) == ("Deployment", name)]
    return {
        e["name"]: e["value"] for e in found["spec"]["template"]["spec"]["containers"][0]["env"]
    }


def test_new_revisions_get_the_buckets_and_what_serves_is_not_rolled_for_them() -> None:
    gates = {"gates": [{"metric": "latencyP95Seconds", "max": 1.5}]}
    wanted = spec("models:/iris/2", analysis=gates)
    status = on_trial(stable=revision(1, promoted=True), candidate=revision(2, wanted, replicas=1))
    manifests = build(Owner(UID, "iris", "models"), wanted, status, {})
    assert environment(manifests, f"iris-{revision(2).revision}")["LATENCY_BUCKETS"] == "1.5"
    assert "LATENCY_BUCKETS" not in environment(manifests, f"iris-{revision(1).revision}")
    assert revision(2, wanted).revision == revision(2).revision, "it is the same model"


@pytest.mark.parametrize("text", ["abc", "0", "-1", "inf", "nan", ",".join(map(str, range(1, 62)))])
def test_bounds_that_the_model_server_refuses(text: str) -> None:
    with pytest.raises(SettingsError, match="LATENCY_BUCKETS"):
        Settings.from_environment({"MODEL_URI": "models:/iris/2", "LATENCY_BUCKETS": text})


def test_the_largest_bucket_is_infinite() -> None:
    assert max(float(s.le) for s in served(1.1)) == math.inf
