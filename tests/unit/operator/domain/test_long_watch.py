"""How often a good version is taken for a bad one over a whole watch, and how soon a bad one is
seen: through the gates' own code, at the threshold itself, where it is hardest.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rollout_operator.domain.api.analysis import Gate, Metric
from rollout_operator.domain.api.gate_results import EvidenceStatus, Measurement
from rollout_operator.domain.gates import long_run
from rollout_operator.domain.gates.gate_status import Trial
from rollout_operator.domain.gates.watched_gate import Watched, begun, measure_watched
from rollout_operator.domain.observed import Series
from tests.support.builders import START, at, revision

V2 = revision(2, promoted=True, ready_at=at(-600))
INTERVAL, LOOKS, GOOD = 15, 20, 1000
"""Seconds between looks, looks of a watch, and watches of versions exactly at the threshold."""
ALPHA = 0.05
Draw = Callable[[random.Random, int], int]


def labelled(**more: Any) -> Gate:
    return Gate(metric=Metric.ACCURACY, min=0.7, **{"evidence": "Labelled"} | more)


def seen(now: float, looks: int = LOOKS) -> Watched:
    return Watched(Trial(V2, None, START, at(now), tests=1, weight=100), looks)


def feedback(now: float, before: tuple[float, float], after: tuple[float, float]) -> Any:
    """Counters of right and wrong answers, and what they were 30 s before."""
    moment = at(now).timestamp()
    (right, wrong), (first_right, first_wrong) = after, before
    return (
        Series("ml_feedback_total", "a", moment, right, outcome="correct", first=first_right),
        Series("ml_feedback_total", "a", moment, wrong, outcome="wrong", first=first_wrong),
        Series("ml_predictions_total", "a", moment, right + wrong, first=sum(before)),
    )


def watch_labels(draws: Iterator[tuple[int, int]]) -> Iterator[Measurement]:
    """What a Labelled gate says, look after look, of so many right and wrong answers each."""
    known, sums = tuple[EvidenceStatus, ...](), [(0.0, 0.0)]
    for n, (right, wrong) in enumerate(draws, 1):
        sums.append((sums[-1][0] + right, sums[-1][1] + wrong))
        answer = feedback(n * INTERVAL, sums[max(0, len(sums) - 3)], sums[-1])
        status, counted = measure_watched(labelled(), answer, seen(n * INTERVAL), known)
        known = (counted,) if counted is not None else known
        yield status.measurement


def answers(dice: random.Random, rate: float, labels: int) -> tuple[int, int]:
    right = (
        dice.binomialvariate(labels, rate)
        if hasattr(dice, "binomialvariate")
        else sum(dice.random() < rate for _ in range(labels))
    )
    return right, labels - right


@pytest.mark.parametrize("labels", [20], ids=lambda n: f"{n} labels a look")
def test_labels_of_a_good_version_lead_back_in_alpha_of_watches_at_most(
    labels: int, record_property: Callable[[str, object], None]
) -> None:
    dice, back = random.Random(labels), 0
    for _ in range(GOOD):
        draws = (answers(dice, 0.7, labels) for _ in range(LOOKS))
        back += any(said is Measurement.FAIL for said in watch_labels(draws))
    record_property("summary", f"{GOOD} watched at the threshold, {labels} labels: {back} returned")
    assert back <= ALPHA * GOOD


@pytest.mark.parametrize("labels", [200], ids=lambda n: f"a gauge of {n} labels")
def test_gauges_of_a_good_version_lead_back_in_alpha_of_watches_at_most(
    labels: int, record_property: Callable[[str, object], None]
) -> None:
    gate, dice, back = Gate(metric=Metric.ACCURACY, min=0.7), random.Random(labels), 0
    for _ in range(GOOD):
        for n in range(1, LOOKS + 1):
            value = answers(dice, 0.7, labels)[0] / labels
            moment = at(n * INTERVAL).timestamp()
            gauge = Series("ml_model_accuracy", "a", moment, value, source="feedback")
            count = replace(gauge, name="ml_model_accuracy_samples", value=labels)
            status, _ = measure_watched(gate, (gauge, count), seen(n * INTERVAL), ())
            if status.measurement is Measurement.FAIL:
                back += 1
                break
    record_property("summary", f"{GOOD} at the threshold, gauge of {labels}: {back} returned")
    assert back <= ALPHA * GOOD


@pytest.mark.parametrize(
    ("good", "labels", "most"),
    [
        pytest.param(4, 100, 1, id="after a minute"),
        pytest.param(240, 100, 1, id="after an hour"),
        pytest.param(240, 20, 2, id="after an hour, with few labels"),
    ],
)
def test_what_turns_bad_is_seen_soon_however_long_it_was_good(
    good: int, labels: int, most: int
) -> None:
    dice = random.Random(1)
    draws = iter(
        [answers(dice, 0.9, labels) for _ in range(good)]
        + [answers(dice, 0.3, labels) for _ in range(20)]
    )
    said = list(watch_labels(draws))
    assert Measurement.FAIL not in said[:good]
    assert said[good:].index(Measurement.FAIL) <= most


def requests(now: float, total: int, wrong: int, **more: float) -> tuple[Series, ...]:
    moment = at(now).timestamp()
    cpu = [
        Series(f"ml_cpu_{name}_total", "a", moment, value, first=0) for name, value in more.items()
    ]
    return (
        Series("ml_request_count_total", "a", moment, total),
        Series("ml_request_errors_total", "a", moment, wrong),
        *cpu,
    )


@pytest.mark.parametrize("evidence", ["Reported", "Labelled"])
@pytest.mark.parametrize(
    ("wrong", "cpu", "said"),
    [
        pytest.param(2, {}, Measurement.PASS, id="few errors"),
        pytest.param(40, {}, Measurement.FAIL, id="many errors"),
        pytest.param(
            40,
            {"periods": 100, "throttled_periods": 50},
            Measurement.NO_EVIDENCE,
            id="many errors, under load",
        ),
    ],
)
def test_errors_are_counted_whatever_the_gate_rests_on(
    evidence: str, wrong: int, cpu: dict[str, float], said: Measurement
) -> None:
    gate = Gate(metric=Metric.ERROR_RATE, max=0.01, evidence=evidence)
    first, begun_ = measure_watched(gate, requests(15, 1000, 300), seen(15), ())
    assert (first.measurement, begun_ is not None) == (Measurement.NO_EVIDENCE, True)
    known = (begun_,) if begun_ is not None else ()
    status, counted = measure_watched(gate, requests(30, 1400, 300 + wrong, **cpu), seen(30), known)
    assert status.measurement is said
    assert counted is not None
    # What came under load counts for nothing later, either.
    again, _ = measure_watched(gate, requests(45, 1500, 300 + wrong), seen(45), (counted,))
    assert (again.measurement is Measurement.FAIL) is (said is Measurement.FAIL)


@pytest.mark.parametrize(
    ("slow", "said"), [(3, Measurement.PASS), (200, Measurement.FAIL)], ids=["quick", "slow"]
)
def test_slow_requests_are_counted(slow: int, said: Measurement) -> None:
    gate = Gate(metric=Metric.LATENCY_P95, max=0.25)

    def buckets(now: float, quick: int, beyond: int) -> tuple[Series, ...]:
        moment, name = at(now).timestamp(), "ml_request_latency_seconds_bucket"
        return (
            Series(name, "a", moment, quick, le="0.25"),
            Series(name, "a", moment, quick + beyond, le="+Inf"),
        )

    _, known = measure_watched(gate, buckets(15, 500, 100), seen(15), ())
    assert known is not None
    status, _ = measure_watched(gate, buckets(30, 800, 100 + slow), seen(30), (known,))
    assert status.measurement is said


def test_the_counts_of_the_trial_are_no_part_of_the_watch() -> None:
    gate = labelled()
    tried = EvidenceStatus(
        gate="accuracy",
        subject=f"{V2.uri} {V2.digest}",
        good=90,
        total=100,
        since=START,
        pods=(),
    )
    _, first = measure_watched(gate, feedback(15, (0, 0), (500, 500)), seen(15), ())
    assert first is not None
    assert (first.total, len(first.pods)) == (0, 1)
    kept = begun((tried.model_copy(update={"pods": first.pods}),), V2, (gate,), at(15))
    assert [(e.gate, e.total, e.pods) for e in kept] == [("accuracy/watch", 0, first.pods)]
    status, after = measure_watched(gate, feedback(30, (500, 500), (530, 501)), seen(30), kept)
    assert (status.samples, status.measurement) == (31, Measurement.PASS)
    assert after is not None


@pytest.mark.parametrize("share", [0.5, 0.01], ids=["half of them", "one of 100"])
def test_missing_labels_speak_for_what_is_watched(share: float) -> None:
    gate, known = labelled(), tuple[EvidenceStatus, ...]()
    for n in range(1, 4):
        wrong = 40.0 * n
        of = feedback(15 * n, (0, wrong - 40), (0, wrong))
        predictions = replace(of[-1], value=wrong / share)
        status, counted = measure_watched(gate, (*of[:-1], predictions), seen(15 * n), known)
        known = (counted,) if counted is not None else known
    assert (status.measurement is Measurement.FAIL) is (share == 0.5)


def test_evidence_of_one_change_is_as_great_as_that_of_a_test_begun_there() -> None:
    rates = long_run.rates_below(0.7, 10.0, 2000)
    logs = tuple[float, ...]()
    for _ in range(100):
        logs = long_run.grown(logs, long_run.log_ratios(90, 10, 0.7, rates))
    alone = long_run.log_ratios(10, 90, 0.7, rates)
    after = long_run.grown(logs, alone)
    assert all(a <= b <= a + 2 for a, b in zip(alone, after, strict=True))


@pytest.mark.parametrize(
    ("watch", "apart", "looks"),
    [(timedelta(hours=24), 2.0, 43201), (timedelta(seconds=1), 8.0, 2)],
)
def test_looks_in(watch: timedelta, apart: float, looks: int) -> None:
    assert long_run.looks_in(watch, apart) == looks


@pytest.mark.parametrize(
    ("value", "source", "said"),
    [
        (0.5, "training", Measurement.NO_EVIDENCE),
        (1.5, "feedback", Measurement.NO_EVIDENCE),
        (0.5, "feedback", Measurement.PASS),
        (0.2, "", Measurement.FAIL),
    ],
)
def test_a_gauge_without_a_count_is_taken_for_30_labels(
    value: float, source: str, said: Measurement
) -> None:
    gauge = Series("ml_model_accuracy", "a", at(15).timestamp(), value, source=source)
    gate = Gate(metric=Metric.ACCURACY, min=0.7)
    status, counted = measure_watched(gate, (gauge,), seen(15), ())
    assert (status.measurement, counted) == (said, None)
