"""What the series of a revision say of each metric."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from rollout_operator.domain.api.analysis import Gate, Metric
from rollout_operator.domain.gates.histogram import Between, of_pods, percentile, together
from rollout_operator.domain.gates.samples import (
    ACCURACY,
    ACCURACY_SAMPLES,
    COUNTED,
    COUNTED_OF,
    ERRORS,
    FEEDBACK,
    LATENCY_BUCKET,
    MEAN,
    MEAN_OF,
    PREDICTIONS,
    REQUESTS,
    SAMPLES,
    SHARE,
    SUM,
    VALUE,
    NeedsHelp,
    NoEvidence,
    in_store,
    is_count,
    named,
    telling,
)
from rollout_operator.domain.observed import Series

MOST_COUNT = 2**53
"""From here on a float does not count one by one."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A value, and what it rests on."""

    value: float
    """In the metric's own unit: a share from 0 to 1, or seconds."""
    samples: int | None
    """How many labels or requests it rests on."""
    between: Between | None = None
    """Where it lies for sure, if it is not known better."""
    unit: str = ""
    """For sentences; "" where the metric's name says it."""

    @property
    def bounds(self) -> tuple[float, float]:
        """The value is above the first (or equal, where both are) and at most the second."""
        return (
            (self.value, self.value)
            if self.between is None
            else (self.between.lower, self.between.upper)
        )


def _sum(series: Iterable[Series], what: str) -> float:
    values = [s.value for s in series]
    if not values:
        raise NoEvidence(f"no series {what} of this revision")
    if not all(map(is_count, values)):
        raise NoEvidence(f"{what.removeprefix('of ')} is not a finite count")
    return sum(values)


def accuracy(series: list[Series], _: Gate) -> Reading:
    """The lowest accuracy that any pod of the revision reports."""
    reported = named(series, ACCURACY)
    if not reported:
        raise _without_accuracy(series)
    for one in reported:
        if not (math.isfinite(one.value) and 0 <= one.value <= 1):
            raise NoEvidence(
                f"{ACCURACY} of pod {one.pod or '?'} is {one.value}, not a share from 0 to 1"
            )
    lowest = min(reported, key=lambda s: s.value)
    counts = [
        s.value
        for s in named(series, ACCURACY_SAMPLES)
        if s.pod == lowest.pod and math.isfinite(s.value)
    ]
    return Reading(lowest.value, int(counts[0]) if counts else None)


def _without_accuracy(series: list[Series]) -> NoEvidence:
    """Why pods that are scraped report no accuracy: the model server counts labels of classifiers
    from its start, and of no others.
    """
    if not named(series, PREDICTIONS):
        return NoEvidence(f"no series {ACCURACY} of this revision")
    if not (feedback := named(series, FEEDBACK)):
        return NeedsHelp(
            f"a regression reports none: write a gate on {Metric.ERROR_RATE} or"
            f" {Metric.LATENCY_P95} instead"
        )
    labels = sum(s.value for s in feedback if math.isfinite(s.value))
    labels += sum(one.total for one in in_store(series))
    return NeedsHelp(
        "the version has no metrics.json, and a pod reports it from 100 labels on (ACCURACY_FROM);"
        f" {labels:.0f} came. Register it with metrics.json, or send labels to /feedback/; before a"
        " first deploy answers, none can come"
    )


def _is_count(total: float, what: str = "requests") -> None:
    """Raises NoEvidence for more than a float counts one by one, and than status holds."""
    if not 0 <= total < MOST_COUNT:
        raise NoEvidence(f"{total:g} {what} cannot be a count")


def error_rate(series: list[Series], gate: Gate) -> Reading:
    """Share of the revision's requests that ended in a server error, since its pods started."""
    requests, errors = _sum(named(series, REQUESTS), REQUESTS), _sum(named(series, ERRORS), ERRORS)
    _is_count(requests)
    if requests < gate.min_samples:
        raise NoEvidence(f"{requests:.0f} of the {gate.min_samples} requests needed")
    if not errors <= requests:
        raise NoEvidence(f"{errors:.0f} errors in {requests:.0f} requests cannot be")
    return Reading(errors / requests, int(requests))


def latency_p95(series: list[Series], gate: Gate) -> Reading:
    """95th percentile of request latency in seconds, as far as buckets tell it."""
    # Against stable, only what both have answered within the same window is compared.
    buckets = together(
        of_pods(named(series, LATENCY_BUCKET), since_first=gate.against_stable).values()
    )
    total = buckets[math.inf]
    _is_count(total)
    if total < gate.min_samples:
        raise NoEvidence(f"{total:.0f} of the {gate.min_samples} requests needed")
    found = percentile(buckets, 95)
    return Reading(found.value, int(total), found)


def own(series: list[Series], gate: Gate) -> Reading:
    """A metric of one's own. Of several pods with a value each, the worst counts."""
    unit = next((s.unit for s in series), "")
    telling(series)
    if values := named(series, VALUE):
        if wrong := [s for s in values if not math.isfinite(s.value)]:
            raise NoEvidence(f"its value is {wrong[0].value}")
        worst = (min if gate.of_good else max)(values, key=lambda s: s.value)
        told = [s for s in named(series, SAMPLES) if s.pod == worst.pod]
        samples = int(_enough(told, gate)) if told else None
        return Reading(worst.value, samples, unit=unit)
    if counted := named(series, MEAN_OF):
        total = _enough(counted, gate)
        low, high = next((s.scale for s in counted if s.scale), (0.0, 1.0))
        mean = _sum(named(series, MEAN), "of its sum") / total
        return Reading(low + (high - low) * mean, int(total), unit=unit)
    total = _enough(named(series, COUNTED_OF) or named(series, SAMPLES), gate)
    if sums := named(series, SUM):
        if not all(math.isfinite(s.value) for s in sums):
            raise NoEvidence("its sum is not finite")
        mean = sum(s.value for s in sums) / total
        if not math.isfinite(mean):
            raise NoEvidence("its sum is not finite")
        return Reading(mean, int(total), unit=unit)
    parts = named(series, COUNTED) or named(series, SHARE)
    # What never happened has no series.
    part = _sum(parts, "of what it counts") if parts else 0.0
    if part > total * (1 + 1e-6):
        raise NoEvidence(f"{part:.6g} of {total:.6g} cannot be a share")
    return Reading(min(1.0, part / total), int(total), unit=unit)


def _enough(series: Iterable[Series], gate: Gate) -> float:
    """How many samples there are. Raises NoEvidence where the gate needs more."""
    total = _sum(series, "of its samples")
    _is_count(total, "samples")
    if total < max(gate.min_samples, 1):
        raise NoEvidence(f"{total:.0f} of the {gate.min_samples} samples needed")
    return total


@dataclass(frozen=True, slots=True)
class Kind:
    """How one metric is read."""

    read: Callable[[list[Series], Gate], Reading]
    """From the series of one revision. Raises NoEvidence."""
    needs_traffic: bool
    """Whether it says nothing of a revision without requests."""


KINDS: Mapping[Metric, Kind] = {
    Metric.ACCURACY: Kind(accuracy, needs_traffic=False),
    Metric.ERROR_RATE: Kind(error_rate, needs_traffic=True),
    Metric.LATENCY_P95: Kind(latency_p95, needs_traffic=True),
    Metric.OWN: Kind(own, needs_traffic=True),
}
