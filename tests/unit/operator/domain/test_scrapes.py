"""Scrapes as companies have them: every 15, 30 or 60 s, by one job or two, looked at every 15 or 60
s: the same measurements.
"""

import math
from datetime import timedelta
from typing import Any

import pytest

from rollout_operator.domain.api.analysis import BUILT_IN, EvidenceKind, Gate, Metric
from rollout_operator.domain.api.gate_results import Measurement
from rollout_operator.domain.gates.gate_status import Trial
from rollout_operator.domain.gates.reported_gate import measure
from rollout_operator.domain.gates.samples import NoEvidence, fresh, window
from rollout_operator.domain.observed import Series
from tests.support.builders import START, at
from tests.support.scraping import GATES, V2, Scrapes, looks


@pytest.mark.parametrize("jobs", [1, 2], ids=["one job", "two jobs"])
@pytest.mark.parametrize("interval", [15, 60])
@pytest.mark.parametrize("every", [15, 30, 60])
@pytest.mark.parametrize("good", [True, False], ids=["good", "bad"])
@pytest.mark.parametrize("gate", GATES.values(), ids=GATES.keys())
def test_the_same_measurements_whatever_the_scrapes(
    gate: dict[str, Any], good: bool, every: int, interval: int, jobs: int
) -> None:
    asked, wanted = Gate.model_validate(gate), Measurement.PASS if good else Measurement.FAIL
    for late in (1, every - 0.2, every * 0.6):
        ours, theirs = Scrapes(every, late, jobs, good), Scrapes(every, late / 2, jobs, good=True)
        told = looks(asked, interval, ours, theirs)
        assert {one.measurement for _, one in told} <= {wanted, Measurement.NO_EVIDENCE}
        # Three looks teach how far apart scrapes are; a difference takes two scrapes; a test takes
        # its labels.
        known = (
            told[-1:]
            if asked.labelled
            else [(look, one) for look, one in told if look > 3 * interval + 2.5 * every]
        )
        assert known
        assert {one.measurement for _, one in known} == {wanted}, [
            (look, one.message) for look, one in known if one.measurement != wanted
        ]


def test_all_kinds_of_gates_are_among_them() -> None:
    """Whatever metric, bound and evidence the CRD lets through together."""
    bounds: dict[Metric, tuple[str, ...]] = {
        Metric.ACCURACY: ("min", "maxDrop"),
        Metric.ERROR_RATE: ("max", "maxIncrease"),
        Metric.LATENCY_P95: ("max", "maxIncrease"),
    }
    kinds = {(m, b, e) for m, of_metric in bounds.items() for b in of_metric for e in EvidenceKind}
    kinds.remove((Metric.LATENCY_P95, "maxIncrease", EvidenceKind.LABELLED))
    # Of one kind only; live rows are summed up by Prometheus (tests/api/test_monitoring.py), and
    # copies are counted by stable's pods alone (test_disagreement.py).
    kinds.add((Metric.PREDICTION_SHIFT, "max", EvidenceKind.LABELLED))
    bounds[Metric.PREDICTION_SHIFT] = ("max",)
    assert set(bounds) == set(BUILT_IN) - {Metric.INPUT_DRIFT, Metric.DISAGREEMENT}
    found = [Gate.model_validate(gate) for gate in GATES.values()]
    assert kinds == {
        (g.metric, b, g.evidence) for g in found for b in bounds[g.metric] if b in g.to_api()
    }


@pytest.mark.parametrize(
    ("gap", "seconds"), [(0, 30), (5, 30), (15.2, 30), (30, 75), (60, 150), (200, 300), (3600, 300)]
)
def test_how_long_a_sample_counts(gap: float, seconds: float) -> None:
    assert window(gap) == seconds


def one(value: float, **more: Any) -> Series:
    return Series(
        "ml_model_accuracy", **{"pod": "a", "at": at(9).timestamp(), "value": value, **more}
    )


AMBIGUOUS = {
    "no instance is known": ({}, {}),
    "two addresses": (
        {"job": "pods", "instance": "10.0.0.1:8080"},
        {"job": "services", "instance": "10.0.0.1:9090"},
    ),
    "no pod is known": ({"pod": "", "instance": "a"}, {"pod": "", "instance": "a"}),
}


@pytest.mark.parametrize(("first", "second"), AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_several_series_are_no_answer(first: dict[str, Any], second: dict[str, Any]) -> None:
    with pytest.raises(NoEvidence, match="several series") as why:
        fresh([one(0.9, **first), one(0.8, **second)], START, at(10))
    for told in (*first.values(), *second.values()):
        assert told in str(why.value)


def test_one_pod_at_one_address_says_what_its_newest_sample_says() -> None:
    old = one(0.9, job="a", instance="i", at=at(2).timestamp())
    new = one(0.8, job="b", instance="i")
    assert fresh([new, old], START, at(10)) == fresh([old, new], START, at(10)) == [new]


def test_a_series_that_victoriametrics_ends_is_that_of_a_pod_that_went() -> None:
    gone = [
        one(math.nan, pod="gone"),
        Series("ml_predictions_total", "gone", at(9).timestamp(), math.nan),
    ]
    alive = one(0.9)
    assert fresh([*gone, alive], START, at(10)) == [alive]
    with pytest.raises(NoEvidence, match="gone"):
        fresh(gone, START, at(10))


def test_a_model_whose_accuracy_is_no_number_still_proves_nothing() -> None:
    said = [one(math.nan), Series("ml_predictions_total", "a", at(9).timestamp(), 12.0)]
    told = measure(
        Gate.model_validate(GATES["accuracy"]), tuple(said), (), Trial(V2, None, START, at(10))
    )
    assert told.measurement is Measurement.NO_EVIDENCE
    assert "nan" in told.message
    alone = measure(
        Gate.model_validate(GATES["accuracy"]),
        (one(math.nan),),
        (),
        Trial(V2, None, START, at(9) + timedelta(seconds=1)),
    )
    assert alone.measurement is Measurement.NO_EVIDENCE


@pytest.mark.parametrize("behind", [45, 61, 100, 200])
def test_samples_that_come_late_are_told_with_how_far_they_are_behind(behind: int) -> None:
    """Scrapes every 15 s that are seen `behind` seconds later: a query of 30 s would show none, and
    one that is wider tells how late.
    """
    pod = Scrapes(15, 1, 1, good=True)

    def late(of: Scrapes, now: float, back: float) -> list[Series]:
        return [s for s in of.shown(now - behind, 600) if s.at > at(now - back).timestamp()]

    told = [one for _, one in looks(Gate.model_validate(GATES["accuracy"]), 15, pod, pod, late)]
    assert {one.measurement for one in told} == {Measurement.NO_EVIDENCE}
    (said,) = {one.message for one in told[24:]}
    seconds = int(said.split(" s behind")[0].rsplit(" ", 1)[1])
    assert behind - 15 < seconds <= behind + 15, said
