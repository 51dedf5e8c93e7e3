"""Reported gates: each holds one metric of the candidate against one bound and says Pass, Fail,
NoEvidence or Unreachable.

Only samples of the candidate's revision, later than the moment its pods became Ready and newer than
a few scrapes, count.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from rollout_operator.domain.api.spec import Gate, Metric
from rollout_operator.domain.api.status import GateStatus, Measurement, Revision
from rollout_operator.domain.gates.histogram import (
    Between,
    bounds,
    of_pods,
    percentile,
    together,
)
from rollout_operator.domain.gates.samples import (
    ACCURACY,
    ACCURACY_SAMPLES,
    ERRORS,
    FEEDBACK,
    LATENCY_BUCKET,
    LONGEST_WINDOW,
    PREDICTIONS,
    REQUESTS,
    NeedsHelp,
    NoEvidence,
    fresh,
    named,
)
from rollout_operator.domain.observed import Answer, MetricsUnreachable, Series


@dataclass(frozen=True, slots=True)
class Reading:
    """A value and how many labels or requests it rests on; between: where it lies for sure, if it
    is not known better.
    """

    value: float
    samples: int | None
    between: Between | None = None

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
    if not all(math.isfinite(v) and v >= 0 for v in values):
        raise NoEvidence(f"{what} is not a finite count")
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
    return NeedsHelp(
        "the version has no metrics.json, and a pod reports it from 100 labels on (ACCURACY_FROM);"
        f" {labels:.0f} came. Register it with metrics.json, or send labels to /feedback/; before a"
        " first deploy answers, none can come"
    )


def error_rate(series: list[Series], gate: Gate) -> Reading:
    """Share of the revision's requests that ended in a server error, since its pods started."""
    requests, errors = _sum(named(series, REQUESTS), REQUESTS), _sum(named(series, ERRORS), ERRORS)
    if requests < gate.min_samples:
        raise NoEvidence(f"{requests:.0f} of the {gate.min_samples} requests needed")
    if errors > requests:
        raise NoEvidence(f"{errors:.0f} errors in {requests:.0f} requests cannot be")
    return Reading(errors / requests, int(requests))


def latency_p95(series: list[Series], gate: Gate) -> Reading:
    """95th percentile of request latency in seconds, as far as buckets tell it."""
    # Against stable, only what both have answered within the same window is compared.
    buckets = together(
        of_pods(named(series, LATENCY_BUCKET), since_first=gate.against_stable).values()
    )
    total = buckets[math.inf]
    if total < gate.min_samples:
        raise NoEvidence(f"{total:.0f} of the {gate.min_samples} requests needed")
    found = percentile(buckets, 95)
    return Reading(found.value, int(total), found)


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


BUCKETS_COME = "pods of a new version, or of a retry, have one"
"""What helps where buckets are too coarse: a revision's pods get those that the gates ask for when
its attempt begins.
"""
STABLE_LACKS = (
    "stable's pods have none, nor get one before the next promotion: promote a version by hand, or"
    " write a max instead"
)
"""The same where stable's buckets are too coarse: a version's pods keep those that they started
with.
"""
NONE_SO_NARROW = "no pod has one there: write a max instead, or a greater maxIncrease"
"""What helps where values lie beyond the buckets that a gate asks for."""


def passes(gate: Gate, value: float) -> bool:
    """Whether a finite `value` keeps the threshold; equality passes."""
    return value >= gate.threshold if gate.min is not None else value <= gate.threshold


def _at_most(threshold: float, lower: float, upper: float) -> bool | None:
    """Whether what lies above `lower` (or at it, where both are equal) and at most at `upper` is at
    most `threshold`; None: unknown.
    """
    if upper <= threshold:
        return True
    return False if lower >= threshold else None


@dataclass(frozen=True, slots=True)
class Trial:
    """Who is measured, when: only samples of the candidate later than `since` count.

    tests: Labelled gates of the trial, which share alpha.rollback; weight: the candidate's share of
    requests, in percent.
    """

    candidate: Revision
    stable: Revision | None
    since: datetime
    now: datetime
    tests: int = 1
    weight: int = 0


def measure(gate: Gate, answer: Answer | None, baseline: Answer | None, trial: Trial) -> GateStatus:
    """One measurement of one Reported gate. `baseline` are stable's series, for a gate against
    stable.
    """
    noun = KINDS[gate.metric].noun
    if answer is None:
        return says(gate, trial, Measurement.NO_EVIDENCE, f"{noun}: not measured yet")
    for one in (answer, baseline if gate.against_stable else None):
        if isinstance(one, MetricsUnreachable):
            return says(gate, trial, Measurement.UNREACHABLE, f"{noun}: {one.message}"[:500])
    try:
        reading = KINDS[gate.metric].read(fresh(answer, trial.since, trial.now), gate)  # type: ignore[arg-type]
        if gate.against_stable:
            return _against_stable(gate, reading, baseline, trial)
    except NoEvidence as why:
        late = isinstance(why, NeedsHelp) or None
        return says(gate, trial, Measurement.NO_EVIDENCE, f"{noun}: {why}", late=late)
    good = passes(gate, reading.value)
    if reading.between is not None:
        known = _at_most(gate.threshold, *reading.bounds)
        if known is None:
            asked = f"only a bucket at {gate.threshold:g} tells whether it is at most that"
            return says(
                gate,
                trial,
                Measurement.NO_EVIDENCE,
                f"{noun}: {reading.between}: {asked}; {BUCKETS_COME}",
            )
        good = known
    relation = (
        ("at least" if good else "below")
        if gate.min is not None
        else ("at most" if good else "above")
    )
    counted = "" if reading.samples is None else f", {reading.samples} samples"
    shown = (
        f"{reading.value:.4g}"
        if reading.between is None
        else f"about {reading.value:.4g} ({reading.between})"
    )
    message = (
        f"{noun} {shown} is {relation} {gate.threshold:.4g}{counted}, revision"
        f" {trial.candidate.revision}"
    )
    return says(
        gate,
        trial,
        Measurement.PASS if good else Measurement.FAIL,
        message,
        value=reading.value,
        samples=reading.samples,
    )


def _coarse(gate: Gate, between: Between) -> bool:
    """Whether the buckets that the gate asks for would tell more than this one."""
    return any(between.lower < bound < between.upper for bound in bounds([gate]))


def _against_stable(gate: Gate, ours: Reading, baseline: Answer | None, trial: Trial) -> GateStatus:
    """Hold the difference to stable against the bound."""
    noun = KINDS[gate.metric].noun
    try:
        told = cast("tuple[Series, ...]", baseline or ())
        recent = fresh(told, trial.now - LONGEST_WINDOW, trial.now)
        theirs = KINDS[gate.metric].read(recent, gate)
    except NoEvidence as why:
        raise type(why)(f"stable has none to compare with: {why}") from why
    worse = round(
        theirs.value - ours.value if gate.max_drop is not None else ours.value - theirs.value, 9
    )
    good = worse <= gate.threshold
    if ours.between is not None and theirs.between is not None:
        (ours_low, ours_high), (theirs_low, theirs_high) = ours.bounds, theirs.bounds
        known = _at_most(
            gate.threshold, round(ours_low - theirs_high, 9), round(ours_high - theirs_low, 9)
        )
        if known is None:
            asked = f"only a narrower bucket tells whether it is at most {gate.threshold:g} worse"
            said = f"{ours.between}, stable's {theirs.between}: {asked}"
            if _coarse(gate, theirs.between):
                raise NeedsHelp(f"{said}; {STABLE_LACKS}")
            if _coarse(gate, ours.between):
                raise NoEvidence(f"{said}; {BUCKETS_COME}")
            raise NeedsHelp(f"{said}; {NONE_SO_NARROW}")
        good = known
    message = (
        f"{noun} {ours.value:.4g} is {worse:.4g} worse than stable's {theirs.value:.4g},"
        f" {'at most' if good else 'above'} {gate.threshold:.4g}, revision"
        f" {trial.candidate.revision}"
    )
    return says(
        gate,
        trial,
        Measurement.PASS if good else Measurement.FAIL,
        message,
        value=worse,
        samples=ours.samples,
    )


def says(
    gate: Gate, trial: Trial, measurement: Measurement, message: str, **values: Any
) -> GateStatus:
    """The measurement as it stands in status; `values` are its figures by name."""
    if values.get("value") is not None:
        values["value"] = round(values["value"], 6)
    return GateStatus(
        metric=gate.metric,
        evidence=gate.evidence,
        threshold=gate.threshold,
        measurement=measurement,
        message=message[:512],
        at=trial.now,
        revision=trial.candidate.revision,
        **values,
    )
