"""Reported gates: each holds one metric of the candidate against one bound and says Pass, Fail,
NoEvidence or Unreachable.

Only samples of the candidate's revision, later than the moment its pods became Ready and newer than
a few scrapes, count.
"""

import math
from datetime import timedelta
from typing import cast

from rollout_operator.domain.api.analysis import Gate
from rollout_operator.domain.api.gate_results import GateStatus, Measurement
from rollout_operator.domain.gates.gate_status import BUCKETS_COME, Trial, gate_status, noun_of
from rollout_operator.domain.gates.histogram import Between, bounds
from rollout_operator.domain.gates.readings import KINDS, Reading
from rollout_operator.domain.gates.samples import LONGEST_WINDOW, NeedsHelp, NoEvidence, fresh
from rollout_operator.domain.observed import Answer, MetricsUnreachable, Series

STABLE_LACKS = (
    "stable's pods have none, nor get one before the next promotion: promote a version by hand, or"
    " write a max instead"
)
"""The same where stable's buckets are too coarse: pods keep those that they started with."""
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


def measure(gate: Gate, answer: Answer | None, baseline: Answer | None, trial: Trial) -> GateStatus:
    """One measurement of a Reported gate; baseline: stable's series, for a gate against stable."""
    noun = noun_of(gate)
    if answer is None:
        return gate_status(gate, trial, Measurement.NO_EVIDENCE, f"{noun}: not measured yet")
    for one in (answer, baseline if gate.against_stable else None):
        if isinstance(one, MetricsUnreachable):
            return gate_status(gate, trial, Measurement.UNREACHABLE, f"{noun}: {one.message}"[:500])
    try:
        reading = KINDS[gate.metric].read(fresh(answer, trial.since, trial.now), gate)  # type: ignore[arg-type]
        if gate.against_stable:
            return _against_stable(gate, reading, baseline, trial)
    except NoEvidence as why:
        late = isinstance(why, NeedsHelp) or None
        return gate_status(gate, trial, Measurement.NO_EVIDENCE, f"{noun}: {why}", late=late)
    good = passes(gate, reading.value)
    if reading.between is not None:
        known = _at_most(gate.threshold, *reading.bounds)
        if known is None:
            asked = f"only a bucket at {gate.threshold:g} tells whether it is at most that"
            return gate_status(
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
    unit = f" {reading.unit}" if reading.unit else ""
    shown = (
        f"{reading.value:.4g}{unit}"
        if reading.between is None
        else f"about {reading.value:.4g} ({reading.between})"
    )
    message = (
        f"{noun} {shown} is {relation} {gate.threshold:.4g}{counted}, revision"
        f" {trial.candidate.revision}"
    )
    return gate_status(
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
    noun = noun_of(gate)
    try:
        told = cast("tuple[Series, ...]", baseline or ())
        # Stable's values may be of any time that its series still tell of.
        reach = timedelta(seconds=max((s.reach for s in told), default=0.0))
        recent = fresh(told, trial.now - LONGEST_WINDOW - reach, trial.now)
        theirs = KINDS[gate.metric].read(recent, gate)
    except NoEvidence as why:
        raise type(why)(f"stable has none to compare with: {why}") from why
    worse = round(
        theirs.value - ours.value if gate.max_drop is not None else ours.value - theirs.value, 9
    )
    if not math.isfinite(worse):
        raise NoEvidence(f"{ours.value:.4g} and stable's {theirs.value:.4g} differ by no number")
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
    return gate_status(
        gate,
        trial,
        Measurement.PASS if good else Measurement.FAIL,
        message,
        value=worse,
        samples=ours.samples,
    )
