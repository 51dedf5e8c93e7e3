"""What each gate says of what Prometheus says."""

import math
from dataclasses import replace

import pytest

from rollout_operator.domain.api.analysis import Gate, Metric
from rollout_operator.domain.api.gate_results import Measurement
from rollout_operator.domain.gates.gate_status import Trial
from rollout_operator.domain.gates.reported_gate import measure
from rollout_operator.domain.observed import Answer, MetricsUnreachable, Series
from tests.support.builders import START, at, revision

PASS, FAIL, NO_EVIDENCE, UNREACHABLE = (
    Measurement.PASS,
    Measurement.FAIL,
    Measurement.NO_EVIDENCE,
    Measurement.UNREACHABLE,
)
NOW = 40
TRIAL = Trial(revision(2), revision(1), START, at(NOW))
FRESH = at(NOW - 2).timestamp()
ACCURACY = Gate(metric=Metric.ACCURACY, min=0.70)
ERRORS = Gate(metric=Metric.ERROR_RATE, max=0.01)
LATENCY = Gate(metric=Metric.LATENCY_P95, max=0.25)


def one(
    value: float, name: str = "ml_model_accuracy", pod: str = "a", **changes: float | str
) -> Series:
    return replace(Series(name=name, pod=pod, at=FRESH, value=value), **changes)  # type: ignore[arg-type]


def counters(requests: float, errors: float, pod: str = "a") -> tuple[Series, ...]:
    return one(requests, "ml_request_count_total", pod), one(errors, "ml_request_errors_total", pod)


def histogram(*counts: tuple[str, float], pod: str = "a") -> tuple[Series, ...]:
    return tuple(one(n, "ml_request_latency_seconds_bucket", pod, le=le) for le, n in counts)


ANSWERS: dict[str, tuple[Gate, Answer | None, Measurement, float | None]] = {
    "a share above the threshold": (ACCURACY, (one(0.93),), PASS, 0.93),
    "exactly the threshold": (ACCURACY, (one(0.70),), PASS, 0.70),
    "just below the threshold": (ACCURACY, (one(0.6999),), FAIL, 0.6999),
    "one": (ACCURACY, (one(1.0),), PASS, 1.0),
    "zero": (ACCURACY, (one(0.0),), FAIL, 0.0),
    "NaN": (ACCURACY, (one(math.nan),), NO_EVIDENCE, None),
    "+Inf": (ACCURACY, (one(math.inf),), NO_EVIDENCE, None),
    "-Inf": (ACCURACY, (one(-math.inf),), NO_EVIDENCE, None),
    "below 0": (ACCURACY, (one(-0.1),), NO_EVIDENCE, None),
    "above 1": (ACCURACY, (one(1.01),), NO_EVIDENCE, None),
    "no series": (ACCURACY, (), NO_EVIDENCE, None),
    "more requests than status holds": (ERRORS, counters(1e19, 1e19), NO_EVIDENCE, None),
    "more requests than a float holds": (
        ERRORS,
        counters(1.7e308, 1e308) + counters(1.7e308, 1e308, "b"),
        NO_EVIDENCE,
        None,
    ),
    "more slow requests than status holds": (
        LATENCY,
        histogram(("0.25", 0), ("0.5", 1e19), ("+Inf", 1e19)),
        NO_EVIDENCE,
        None,
    ),
    "only the sample count": (ACCURACY, (one(45, "ml_model_accuracy_samples"),), NO_EVIDENCE, None),
    "not asked yet": (ACCURACY, None, NO_EVIDENCE, None),
    "unreachable": (ACCURACY, MetricsUnreachable("refused"), UNREACHABLE, None),
    "older than the trial": (ACCURACY, (one(0.93, at=at(-1).timestamp()),), NO_EVIDENCE, None),
    "from the moment the trial began": (
        ACCURACY,
        (one(0.93, at=START.timestamp()),),
        NO_EVIDENCE,
        None,
    ),
    "stale": (ACCURACY, (one(0.93, at=at(NOW - 30).timestamp()),), NO_EVIDENCE, None),
    "from the future": (ACCURACY, (one(0.93, at=at(NOW + 6).timestamp()),), NO_EVIDENCE, None),
    "slightly ahead of our clock": (ACCURACY, (one(0.93, at=at(NOW + 2).timestamp()),), PASS, 0.93),
    "two pods that agree": (ACCURACY, (one(0.93), one(0.93, pod="b")), PASS, 0.93),
    "two pods, the worse below": (ACCURACY, (one(0.93), one(0.5, pod="b")), FAIL, 0.5),
    "two pods, one NaN": (ACCURACY, (one(0.93), one(math.nan, pod="b")), NO_EVIDENCE, None),
    "two pods, one gone and stale": (
        ACCURACY,
        (one(0.93), one(0.5, pod="b", at=at(1).timestamp())),
        PASS,
        0.93,
    ),
    "two series of one pod": (
        ACCURACY,
        (one(0.93), one(0.5, source="feedback")),
        NO_EVIDENCE,
        None,
    ),
    "few errors": (ERRORS, counters(1000, 5), PASS, 0.005),
    "exactly the error threshold": (ERRORS, counters(1000, 10), PASS, 0.01),
    "many errors": (ERRORS, counters(1000, 11), FAIL, 0.011),
    "errors of two pods add up": (ERRORS, counters(100, 0) + counters(100, 4, "b"), FAIL, 0.02),
    "too few requests": (ERRORS, counters(29, 29), NO_EVIDENCE, None),
    "no error counter": (ERRORS, counters(1000, 0)[:1], NO_EVIDENCE, None),
    "more errors than requests": (ERRORS, counters(100, 101), NO_EVIDENCE, None),
    "a counter that is NaN": (ERRORS, counters(math.nan, 0), NO_EVIDENCE, None),
    "a counter below 0": (ERRORS, counters(100, -1), NO_EVIDENCE, None),
    "fast": (LATENCY, histogram(("0.1", 100), ("0.5", 100), ("+Inf", 100)), PASS, 0.095),
    "slow": (LATENCY, histogram(("0.25", 50), ("0.5", 100), ("+Inf", 100)), FAIL, 0.475),
    "slow or not: both lie in one bucket": (
        LATENCY,
        histogram(("0.1", 50), ("0.5", 100), ("+Inf", 100)),
        NO_EVIDENCE,
        None,
    ),
    "beyond the largest bucket": (
        LATENCY,
        histogram(("0.1", 50), ("0.5", 60), ("+Inf", 100)),
        FAIL,
        0.5,
    ),
    "beyond the largest bucket, which is under the threshold": (
        LATENCY,
        histogram(("0.1", 50), ("+Inf", 100)),
        NO_EVIDENCE,
        None,
    ),
    "no +Inf bucket": (LATENCY, histogram(("0.1", 100)), NO_EVIDENCE, None),
    "too few latencies": (LATENCY, histogram(("0.1", 29), ("+Inf", 29)), NO_EVIDENCE, None),
    "a bucket that is NaN": (
        LATENCY,
        histogram(("0.1", math.nan), ("+Inf", 100)),
        NO_EVIDENCE,
        None,
    ),
}


@pytest.mark.parametrize(
    ("gate", "answer", "measurement", "value"), ANSWERS.values(), ids=ANSWERS.keys()
)
def test_a_gate_says(
    gate: Gate, answer: Answer | None, measurement: Measurement, value: float | None
) -> None:
    said = measure(gate, answer, None, TRIAL)
    assert said.measurement is measurement, said.message
    assert said.value == pytest.approx(value)
    assert said.message


def test_a_measurement_names_value_threshold_samples_and_revision() -> None:
    said = measure(ACCURACY, (one(0.62), one(45, "ml_model_accuracy_samples")), None, TRIAL)
    assert said.samples == 45
    assert (
        said.message == f"accuracy 0.62 is below 0.7, 45 samples, revision {revision(2).revision}"
    )


def scraped_without_accuracy(labels: int | None) -> tuple[Series, ...]:
    """A model server's pod whose version has no metrics.json; labels: those of a classifier, None
    for a regression.
    """
    counted = (
        ()
        if labels is None
        else tuple(
            one(labels if o == "correct" else 0, "ml_feedback_total", outcome=o)
            for o in ("correct", "wrong")
        )
    )
    return one(500, "ml_predictions_total"), *counted


DROP = Gate(metric=Metric.ACCURACY, max_drop=0.1)
WITHOUT_ACCURACY = {
    "a version without metrics.json": (
        ACCURACY,
        scraped_without_accuracy(0),
        "no metrics.json",
        True,
    ),
    "with some labels": (
        ACCURACY,
        scraped_without_accuracy(7),
        "from 100 labels on (ACCURACY_FROM); 7 came",
        True,
    ),
    "what helps": (
        ACCURACY,
        scraped_without_accuracy(0),
        "Register it with metrics.json, or send labels to /feedback/",
        True,
    ),
    "a regression": (
        ACCURACY,
        scraped_without_accuracy(None),
        "write a gate on errorRate or latencyP95Seconds",
        True,
    ),
    "stable without metrics.json": (
        DROP,
        (one(0.9),),
        "stable has none to compare with: the version",
        True,
    ),
    "not scraped yet": (ACCURACY, (), "no series of this revision", None),
    "a server that counts no predictions": (
        ACCURACY,
        (one(1, "ml_model_accuracy_samples"),),
        "no series ml_model_accuracy",
        None,
    ),
}


@pytest.mark.parametrize(
    ("gate", "answer", "sentence", "late"), WITHOUT_ACCURACY.values(), ids=WITHOUT_ACCURACY.keys()
)
def test_an_accuracy_that_will_not_come_by_waiting_says_what_helps(
    gate: Gate, answer: Answer, sentence: str, late: bool | None
) -> None:
    said = measure(gate, answer, scraped_without_accuracy(0), TRIAL)
    assert (said.measurement, said.late) == (NO_EVIDENCE, late)
    assert sentence in said.message
