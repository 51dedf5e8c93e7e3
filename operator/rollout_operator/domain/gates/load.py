"""Load is no evidence against a version: what a Reported gate on latency or errors says while a
revision has too few pods for its requests.

A failure counts for nothing while the candidate's new pods are not all Ready, or were not for as
long as a sample counts; while stable breaks the same bound, and the candidate is for sure not much
worse; or while its pods are held back by their CPU limit and get more requests than stable's (of
errors, no more than an equal version would have). A version that is slow or wrong by itself, beside
a stable that is not, fails as ever.

Counters of pods never forget, so those at the end of such a time are kept in status: from then on
only what came since counts. A percentile of few requests breaks a bound by one slow request: after
load, and while stable is near the bound itself, a failure counts only once it is for sure.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, cast

from rollout_operator.domain.api.analysis import Gate, Metric
from rollout_operator.domain.api.gate_results import GateStatus, Measurement
from rollout_operator.domain.api.status import ScaleUp
from rollout_operator.domain.gates.certainty import (
    Tally,
    allowed,
    breaks_for_sure,
    keeps,
    keeps_for_sure,
)
from rollout_operator.domain.gates.gate_status import Trial, noun_of
from rollout_operator.domain.gates.label_counters import MOST_PODS, counts, gained
from rollout_operator.domain.gates.lately import reading_lately, tally_lately, within
from rollout_operator.domain.gates.readings import Reading
from rollout_operator.domain.gates.reported_gate import measure, passes
from rollout_operator.domain.gates.samples import (
    CPU_PERIODS,
    CPU_THROTTLED,
    LATENCY_BUCKET,
    LONGEST_WINDOW,
    REQUESTS,
    NoEvidence,
    fresh,
    named,
    window,
)
from rollout_operator.domain.observed import Answer, Series

MUCH_WORSE: Final = 2.0
"""Stable's trouble explains none that is for sure more than this many times as bad."""
DEVIATIONS: Final = 3.0
"""Standard deviations of a Poisson count by which errors must exceed that to be so for sure."""
THROTTLED: Final = 0.25
"""Share of CPU periods from which pods count as held back, as in the alert CPUThrottlingHigh of
github.com/kubernetes-monitoring/kubernetes-mixin.
"""
MORE_LOAD: Final = 1.25
"""How many times as many requests as one of stable's a candidate's pod must get to excuse that."""

OF_ITSELF: Final = frozenset({Metric.ACCURACY, Metric.OWN})
"""Metrics that load does not touch, or nobody knows how."""


@dataclass(frozen=True, slots=True)
class Arms:
    """What both revisions say of one metric."""

    ours: Answer | None
    """The candidate's series; None where they were not asked for."""
    theirs: Answer | None
    """Stable's, likewise."""
    scale_up: ScaleUp | None = None
    """The pods that the candidate was asked to have more, in this trial."""


def measure_under_load(
    gate: Gate, arms: Arms, trial: Trial, before: GateStatus | None = None
) -> GateStatus:
    """One measurement of a Reported gate, in which load does not speak against the version.

    before: what status has of the gate.
    """
    measured = measure(gate, arms.ours, arms.theirs, trial)
    known = before if before is not None and before.revision == trial.candidate.revision else None
    if known is not None and known.overloaded_since is not None:
        measured = measured.model_copy(
            update={
                "overloaded_since": known.overloaded_since,
                "counted_from": known.counted_from,
            }
        )
    if gate.metric in OF_ITSELF or measured.measurement is not Measurement.FAIL:
        return measured
    if why := _excuse(gate, arms, trial):
        since = measured.overloaded_since or trial.now
        return _no_evidence(measured, why, overloaded_since=since, counted_from=())
    if measured.overloaded_since is not None and not gate.against_stable:
        return _since_then(gate, arms, trial, measured)
    if why := _stable_is_near(gate, arms, trial):
        return _no_evidence(measured, why)
    return measured


def _no_evidence(measured: GateStatus, why: str, **changes: object) -> GateStatus:
    said = f"{measured.message}: no evidence against the version, {why}"
    update = {"measurement": Measurement.NO_EVIDENCE, "message": said[:512], **changes}
    return measured.model_copy(update=update)


def _since_then(gate: Gate, arms: Arms, trial: Trial, measured: GateStatus) -> GateStatus:
    """The gate by what came since there was too much load, which is over at the first look that
    sees nothing of it.
    """
    try:
        now = counts(gate, fresh(cast("tuple[Series, ...]", arms.ours), trial.since, trial.now))
    except NoEvidence as unreadable:
        return _no_evidence(measured, str(unreadable))
    start = measured.counted_from or now[:MOST_PODS]
    tally = Tally.of(gained(start, now, first_counts=len(start) < MOST_PODS))
    over = datetime.fromtimestamp(max(one.at for one in start), tz=UTC)
    verdict, value, why = Measurement.NO_EVIDENCE, None, ""
    if tally.requests < gate.min_samples:
        why = f"; {gate.min_samples} requests are needed"
    else:
        value = _value(gate, arms, trial, tally, measured)
        if keeps(gate, tally):
            verdict = Measurement.PASS
        elif breaks_for_sure(gate, tally):
            verdict = Measurement.FAIL
        else:
            why = f", which may be chance where a share of {allowed(gate):.3g} may"
    broken = "took longer" if gate.metric is Metric.LATENCY_P95 else "failed"
    message = (
        f"{noun_of(gate)}, bound {gate.threshold:g}: {tally.wrong + tally.unknown} of"
        f" {tally.requests} requests {broken} since too much load was over at"
        f" {over:%H:%M:%S}{why}, revision {trial.candidate.revision}"
    )
    return measured.model_copy(
        update={
            "counted_from": start,
            "samples": tally.requests,
            "measurement": verdict,
            "value": value,
            "message": message[:512],
        }
    )


def _value(
    gate: Gate, arms: Arms, trial: Trial, tally: Tally, measured: GateStatus
) -> float | None:
    """The value that goes with what `tally` says; None where nothing tells it."""
    if gate.metric is Metric.ERROR_RATE:
        return round(tally.wrong / tally.requests, 6)
    lately = reading_lately(gate, arms.ours, trial, trial.since)
    if lately is not None and passes(gate, lately.value) == keeps(gate, tally):
        return round(lately.value, 6)
    return None if keeps(gate, tally) else measured.value


def _excuse(gate: Gate, arms: Arms, trial: Trial) -> str:
    """Why a failure tells nothing of the version; "" where it does."""
    return (
        _is_scaled_up(arms, trial)
        or ("" if gate.against_stable else _breaks_stable_too(gate, arms, trial))
        or _is_held_back(gate, arms, trial)
    )


def _is_scaled_up(arms: Arms, trial: Trial) -> str:
    scale_up = arms.scale_up
    if scale_up is None:
        return ""
    if scale_up.until is None:
        return f"its pods are asked to be {scale_up.wanted} and are not all Ready"
    gaps = [s.gap for s in arms.ours] if isinstance(arms.ours, tuple) else []
    counts = timedelta(seconds=window(max(gaps, default=0.0)))
    if trial.now < scale_up.until + counts:
        return f"its pods became {scale_up.wanted} only at {scale_up.until:%H:%M:%S}"
    return ""


def _breaks_stable_too(gate: Gate, arms: Arms, trial: Trial) -> str:
    since = trial.now - LONGEST_WINDOW
    theirs = reading_lately(gate.model_copy(update={"min_samples": 1}), arms.theirs, trial, since)
    if theirs is None or not _fails(gate, theirs):
        return ""
    if (theirs.samples or 0) < gate.min_samples:
        # Of few requests one is beyond the 95th percentile anyhow.
        tally = tally_lately(gate, arms.theirs, trial, since)
        if tally is None or not breaks_for_sure(gate, tally):
            return ""
    ours = reading_lately(gate, arms.ours, trial, trial.since)
    if ours is not None and _much_worse(gate, ours, theirs):
        return ""
    return f"stable's {theirs.value:.4g} breaks the same bound"


def _stable_is_near(gate: Gate, arms: Arms, trial: Trial) -> str:
    """Whether stable has such requests as well, so many that it cannot be told from a revision that
    breaks the bound, and the candidate cannot be told from one that keeps it.
    """
    if gate.against_stable or not isinstance(arms.ours, tuple):
        return ""
    theirs = tally_lately(gate, arms.theirs, trial, trial.now - LONGEST_WINDOW)
    if theirs is None or theirs.wrong == 0 or keeps_for_sure(gate, theirs):
        return ""
    try:
        ours = Tally.sum(gate, fresh(arms.ours, trial.since, trial.now))
    except NoEvidence:
        return ""
    if breaks_for_sure(gate, ours):
        return ""
    return (
        f"as long as {ours.wrong} of {ours.requests} requests may be chance: of stable's"
        f" {theirs.requests} lately, {theirs.wrong} are beyond it as well"
    )


def _fails(gate: Gate, reading: Reading) -> bool:
    """Whether the reading is beyond the bound for sure."""
    lower, _ = reading.bounds
    return not passes(gate, reading.value) and (reading.between is None or lower >= gate.threshold)


def _much_worse(gate: Gate, ours: Reading, theirs: Reading) -> bool:
    """Whether the candidate is, for sure, more than MUCH_WORSE times as bad."""
    if gate.metric is Metric.LATENCY_P95:
        return ours.bounds[0] >= MUCH_WORSE * theirs.bounds[1]
    requests = ours.samples or 0
    expected = MUCH_WORSE * theirs.value * requests
    return ours.value * requests > expected + DEVIATIONS * math.sqrt(expected)


def _is_held_back(gate: Gate, arms: Arms, trial: Trial) -> str:
    """Whether pods want more CPU than they may have, because they get more requests than
    stable's.
    """
    if not (isinstance(arms.ours, tuple) and isinstance(arms.theirs, tuple)):
        return ""
    try:
        ours = within(fresh(arms.ours, trial.since, trial.now))
        theirs = within(fresh(arms.theirs, trial.now - LONGEST_WINDOW, trial.now))
    except NoEvidence:
        return ""
    periods, throttled = (
        sum(s.value for s in named(ours, name)) for name in (CPU_PERIODS, CPU_THROTTLED)
    )
    mine, other = _requests_of_a_pod(ours), _requests_of_a_pod(theirs)
    if periods <= 0 or throttled < THROTTLED * periods or not mine > MORE_LOAD * other > 0:
        return ""
    if gate.metric is Metric.ERROR_RATE and _fails_more(gate, arms, trial, other / mine):
        return ""
    return (
        "its pods are throttled by their CPU limit, and each gets more requests than one of"
        " stable's"
    )


def _fails_more(gate: Gate, arms: Arms, trial: Trial, answers: float) -> bool:
    """Whether more requests fail, for sure, than so many requests explain: an equal version would
    answer as many as a pod of stable's does, which gets the share `answers` of them.
    """
    ours = reading_lately(gate, arms.ours, trial, trial.since)
    theirs = reading_lately(gate, arms.theirs, trial, trial.now - LONGEST_WINDOW)
    if ours is None:
        return False
    right = 1 - (theirs.value if theirs is not None else 0.0)
    requests = ours.samples or 0
    expected = requests * (1 - answers * right)
    return ours.value * requests > expected + DEVIATIONS * math.sqrt(expected)


def _requests_of_a_pod(series: tuple[Series, ...]) -> float:
    """Requests that a pod got within the window, on average."""
    counts = [
        s.value
        for s in series
        if s.name == REQUESTS or (s.name == LATENCY_BUCKET and s.le in {"+Inf", "Inf"})
    ]
    return sum(counts) / len(counts) if counts else 0.0
