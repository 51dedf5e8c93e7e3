"""Gates: each holds one metric of the candidate against one threshold and says Pass, Fail, NoEvidence or Unreachable.

Only samples of the candidate's revision, later than the moment its pods became Ready and newer than STALE_AFTER, count.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from rollout_operator.domain.observed import Answer, MetricsUnreachable, Series
from rollout_operator.domain.spec import Gate, Metric
from rollout_operator.domain.status import GateStatus, Measurement, Revision

STALE_AFTER = timedelta(seconds=30)
CLOCK_SKEW = timedelta(seconds=5)

ACCURACY, ACCURACY_SAMPLES = "ml_model_accuracy", "ml_model_accuracy_samples"
REQUESTS, ERRORS = "ml_request_count_total", "ml_request_errors_total"
LATENCY_BUCKET = "ml_request_latency_seconds_bucket"


class NoEvidence(Exception):
    """The series do not allow a statement; the message says why."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A value and how many labels or requests it rests on."""

    value: float
    samples: int | None


def _fresh(series: Iterable[Series], since: datetime, now: datetime) -> list[Series]:
    """The series whose newest sample counts; raises NoEvidence when none does."""
    found = list(series)
    if not found:
        raise NoEvidence("no series of this revision")
    if any(s.at > (now + CLOCK_SKEW).timestamp() for s in found):
        raise NoEvidence("a sample is from the future: the clocks of Prometheus and the operator differ")
    oldest = max(since, now - STALE_AFTER).timestamp()
    fresh = [s for s in found if s.at > oldest]
    if not fresh:
        # Neither sentence changes from look to look: a status that says nothing new is not written.
        if max(s.at for s in found) <= since.timestamp():
            raise NoEvidence(f"no sample yet since {since:%H:%M:%S}")
        raise NoEvidence(f"the newest sample is older than {STALE_AFTER.total_seconds():.0f} s")
    twice = [f"{name} of pod {pod or '?'}" for (name, pod, _), n in Counter((s.name, s.pod, s.le) for s in fresh).items() if n > 1]
    if twice:
        raise NoEvidence(f"several series: {twice[0]}")
    return fresh


def _sum(series: Iterable[Series], what: str) -> float:
    values = [s.value for s in series]
    if not values:
        raise NoEvidence(f"no series {what} of this revision")
    if not all(math.isfinite(v) and v >= 0 for v in values):
        raise NoEvidence(f"{what} is not a finite count")
    return sum(values)


def _named(series: Iterable[Series], name: str) -> list[Series]:
    return [s for s in series if s.name == name]


def accuracy(series: list[Series], _: Gate) -> Reading:
    """The lowest accuracy that any pod of the revision reports."""
    reported = _named(series, ACCURACY)
    if not reported:
        raise NoEvidence(f"no series {ACCURACY} of this revision")
    for one in reported:
        if not (math.isfinite(one.value) and 0 <= one.value <= 1):
            raise NoEvidence(f"{ACCURACY} of pod {one.pod or '?'} is {one.value}, not a share from 0 to 1")
    lowest = min(reported, key=lambda s: s.value)
    counts = [s.value for s in _named(series, ACCURACY_SAMPLES) if s.pod == lowest.pod and math.isfinite(s.value)]
    return Reading(lowest.value, int(counts[0]) if counts else None)


def error_rate(series: list[Series], gate: Gate) -> Reading:
    """Share of the revision's requests that ended in a server error, since its pods started."""
    requests, errors = _sum(_named(series, REQUESTS), REQUESTS), _sum(_named(series, ERRORS), ERRORS)
    if requests < gate.min_samples:
        raise NoEvidence(f"{requests:.0f} of the {gate.min_samples} requests needed")
    if errors > requests:
        raise NoEvidence(f"{errors:.0f} errors in {requests:.0f} requests cannot be")
    return Reading(errors / requests, int(requests))


def latency_p95(series: list[Series], gate: Gate) -> Reading:
    """95th percentile of request latency in seconds, interpolated within its bucket as PromQL's histogram_quantile does.

    Source: prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile.
    """
    buckets: dict[float, float] = {}
    for one in _named(series, LATENCY_BUCKET):
        if not math.isfinite(one.value) or one.value < 0:
            raise NoEvidence(f"{LATENCY_BUCKET} is not a finite count")
        bound = float(one.le)
        buckets[bound] = buckets.get(bound, 0.0) + one.value
    bounds = sorted(buckets)
    if not bounds or bounds[-1] != math.inf:
        raise NoEvidence(f"no complete histogram {LATENCY_BUCKET} of this revision")
    total = buckets[math.inf]
    if total < gate.min_samples:
        raise NoEvidence(f"{total:.0f} of the {gate.min_samples} requests needed")
    rank, below, floor = 0.95 * total, 0.0, 0.0
    for bound in bounds:
        if buckets[bound] >= rank:
            break
        below, floor = buckets[bound], bound
    if bound == math.inf:
        if floor < gate.threshold:
            raise NoEvidence(f"above the largest bucket of {floor:g} s, which is under the threshold")
        return Reading(floor, int(total))
    inside = buckets[bound] - below
    return Reading(floor + (bound - floor) * ((rank - below) / inside if inside else 1.0), int(total))


@dataclass(frozen=True, slots=True)
class Kind:
    """How one metric is read: the series it needs, whether it needs traffic, how to say it."""

    read: Callable[[list[Series], Gate], Reading]
    needs_traffic: bool
    noun: str


KINDS: Mapping[Metric, Kind] = {
    Metric.ACCURACY: Kind(accuracy, needs_traffic=False, noun="accuracy"),
    Metric.ERROR_RATE: Kind(error_rate, needs_traffic=True, noun="error rate"),
    Metric.LATENCY_P95: Kind(latency_p95, needs_traffic=True, noun="p95 latency in seconds"),
}


def passes(gate: Gate, value: float) -> bool:
    """Whether a finite `value` keeps the threshold; equality passes."""
    return value >= gate.threshold if gate.metric is Metric.ACCURACY else value <= gate.threshold


def measure(gate: Gate, answer: Answer | None, candidate: Revision, since: datetime, now: datetime) -> GateStatus:
    """One measurement of one gate: the candidate's series, samples later than `since` only."""
    noun = KINDS[gate.metric].noun

    def says(measurement: Measurement, message: str, reading: Reading | None = None) -> GateStatus:
        return GateStatus(
            metric=gate.metric,
            value=None if reading is None else round(reading.value, 6),
            threshold=gate.threshold,
            samples=None if reading is None else reading.samples,
            measurement=measurement,
            message=message,
            at=now,
            revision=candidate.revision,
        )

    if answer is None:
        return says(Measurement.NO_EVIDENCE, f"{noun}: not measured yet")
    if isinstance(answer, MetricsUnreachable):
        return says(Measurement.UNREACHABLE, f"{noun}: {answer.message}"[:500])
    try:
        reading = KINDS[gate.metric].read(_fresh(answer, since, now), gate)
    except NoEvidence as why:
        return says(Measurement.NO_EVIDENCE, f"{noun}: {why}")
    good = passes(gate, reading.value)
    at_least = gate.metric is Metric.ACCURACY
    relation = ("at least" if at_least else "at most") if good else ("below" if at_least else "above")
    counted = "" if reading.samples is None else f", {reading.samples} samples"
    return says(
        Measurement.PASS if good else Measurement.FAIL,
        f"{noun} {reading.value:.4g} is {relation} {gate.threshold:.4g}{counted}, revision {candidate.revision}",
        reading,
    )
