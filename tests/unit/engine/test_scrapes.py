"""Scrapes as companies have them: every 15, 30 or 60 s, by one job or two, looked at every 15 or 60 s: the same measurements."""

import math
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from rollout_operator.domain.gates import Trial, measure
from rollout_operator.domain.observed import Series
from rollout_operator.domain.series import NoEvidence, fresh, learned, window
from rollout_operator.domain.spec import Gate
from rollout_operator.domain.status import Measurement
from tests.unit.engine.builders import START, at, revision

V1, V2 = revision(1), revision(2)
GATES: dict[str, dict[str, Any]] = {
    "accuracy": {"metric": "accuracy", "min": 0.7},
    "accuracy beside stable": {"metric": "accuracy", "maxDrop": 0.05},
    "error rate": {"metric": "errorRate", "max": 0.01},
    "error rate beside stable": {"metric": "errorRate", "maxIncrease": 0.01},
    "latency": {"metric": "latencyP95Seconds", "max": 0.25},
    "latency beside stable": {"metric": "latencyP95Seconds", "maxIncrease": 0.1},
}
RATE = 4
"""Requests a second to each revision."""


def values(moment: float, good: bool) -> dict[tuple[str, str], float]:
    """What a pod that has served since second 0 says, by series and bucket."""
    served = RATE * (moment + 600)
    return {
        ("ml_model_accuracy", ""): 0.93 if good else 0.6,
        ("ml_request_count_total", ""): served,
        ("ml_request_errors_total", ""): 0.0 if good else served * 0.2,
        ("ml_request_latency_seconds_bucket", "0.1"): served if good else 0.0,
        ("ml_request_latency_seconds_bucket", "0.25"): served if good else 0.0,
        ("ml_request_latency_seconds_bucket", "1.0"): served,
        ("ml_request_latency_seconds_bucket", "+Inf"): served,
    }


def scraped(now: float, back: float, every: float, late: float, good: bool, jobs: int) -> Iterator[Series]:
    """What a range selector shows at `now`: scrapes at `late`, `late + every`, … of each job, the second half an interval later."""
    start = START.timestamp()
    for job in range(jobs):
        first = late + job * every / 2
        times = [first + n * every for n in range(100) if now - back < first + n * every <= now]
        if not times:
            continue
        begin, end = values(times[0], good), values(times[-1], good)
        gap = every if len(times) > 1 else 0.0
        for (name, le), value in end.items():
            past = begin[name, le]
            yield Series(name, "a", start + times[-1], value, le=le, first=past, gap=gap, job=f"job-{job}", instance="10.0.0.1:8080")


@pytest.mark.parametrize("jobs", [1, 2], ids=["one job", "two jobs"])
@pytest.mark.parametrize("interval", [15, 60])
@pytest.mark.parametrize("every", [15, 30, 60])
@pytest.mark.parametrize("good", [True, False], ids=["good", "bad"])
@pytest.mark.parametrize("gate", GATES.values(), ids=GATES.keys())
def test_the_same_measurements_whatever_the_scrapes(gate: dict[str, Any], good: bool, every: int, interval: int, jobs: int) -> None:
    wanted = Measurement.PASS if good else Measurement.FAIL
    for late in (1, every - 0.2, every * 0.6):
        back, told = 30.0, []
        for look in range(10, 600, interval):
            ours = list(scraped(look, back, every, late, good, jobs))
            theirs = list(scraped(look, back, every, late / 2, True, jobs))
            trial = Trial(V2, V1, START, at(look))
            told.append((look, measure(Gate.model_validate(gate), tuple(ours), tuple(theirs), trial)))
            back = learned([*ours, *theirs], back, at(look).timestamp())
        # Three looks teach how far apart scrapes are; a difference takes two scrapes.
        known = [(look, one) for look, one in told if look > 3 * interval + 2.5 * every]
        assert known
        assert {one.measurement for _, one in known} == {wanted}, [(look, one.message) for look, one in known if one.measurement != wanted]
        assert {one.measurement for _, one in told} <= {wanted, Measurement.NO_EVIDENCE}


@pytest.mark.parametrize(("gap", "seconds"), [(0, 30), (5, 30), (15.2, 30), (30, 75), (60, 150), (200, 300), (3600, 300)])
def test_how_long_a_sample_counts(gap: float, seconds: float) -> None:
    assert window(gap) == seconds


def one(value: float, **more: Any) -> Series:
    return Series("ml_model_accuracy", **{"pod": "a", "at": at(9).timestamp(), "value": value, **more})


AMBIGUOUS = {
    "no instance is known": ({}, {}),
    "two addresses": ({"job": "pods", "instance": "10.0.0.1:8080"}, {"job": "services", "instance": "10.0.0.1:9090"}),
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
    gone = [one(math.nan, pod="gone"), Series("ml_predictions_total", "gone", at(9).timestamp(), math.nan)]
    alive = one(0.9)
    assert fresh([*gone, alive], START, at(10)) == [alive]
    with pytest.raises(NoEvidence, match="gone"):
        fresh(gone, START, at(10))


def test_a_model_whose_accuracy_is_no_number_still_proves_nothing() -> None:
    said = [one(math.nan), Series("ml_predictions_total", "a", at(9).timestamp(), 12.0)]
    told = measure(Gate.model_validate(GATES["accuracy"]), tuple(said), (), Trial(V2, None, START, at(10)))
    assert told.measurement is Measurement.NO_EVIDENCE
    assert "nan" in told.message
    alone = measure(Gate.model_validate(GATES["accuracy"]), (one(math.nan),), (), Trial(V2, None, START, at(9) + timedelta(seconds=1)))
    assert alone.measurement is Measurement.NO_EVIDENCE


@pytest.mark.parametrize("behind", [61, 100, 200])
def test_samples_that_come_late_are_told_with_how_far_they_are_behind(behind: int) -> None:
    """Scrapes every 15 s that are seen `behind` seconds later: a query of 30 s would show none, and one that is wider tells how late."""
    gate, back, told = Gate.model_validate(GATES["accuracy"]), 30.0, []
    for look in range(10, 900, 15):
        seen = [s for s in scraped(look - behind, 600, 15, 1, True, 1) if s.at > at(look - back).timestamp()]
        told.append(measure(gate, tuple(seen), (), Trial(V2, V1, START, at(look))))
        back = learned(seen, back, at(look).timestamp())
    assert {one.measurement for one in told} == {Measurement.NO_EVIDENCE}
    (said,) = {one.message for one in told[30:]}
    seconds = int(said.split(" s behind")[0].rsplit(" ", 1)[1])
    assert behind - 15 < seconds <= behind + 15, said
