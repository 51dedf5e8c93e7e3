"""Labelled gates: counts of right and wrong answers, judged by an anytime-valid test.

Pass and Fail are proved at level alpha however often one looks; anything else is NoEvidence, and at
maxSamples inconclusive. Missing labels count against either verdict where coverage is below
minCoverage, so that both guarantees hold whatever is missing.
"""

import math
from datetime import timedelta

from rollout_operator.domain.api.analysis import Gate, Metric
from rollout_operator.domain.api.gate_results import (
    EvidenceStatus,
    GateStatus,
    Measurement,
    PodCounts,
)
from rollout_operator.domain.gates import sequential_test
from rollout_operator.domain.gates.gate_status import (
    BUCKETS_COME,
    UNITS,
    Trial,
    gate_status,
    noun_of,
)
from rollout_operator.domain.gates.judgement import (
    Judgement,
    floor_of,
    judge_copies,
    judge_mean,
    judge_pair,
    judge_share,
    speaks_of_good,
)
from rollout_operator.domain.gates.label_counters import (
    counts,
    counts_bursts,
    definition,
    design_effect,
    find,
    fresh_evidence,
    grown,
    in_attempt,
    matured,
    of_definition,
)
from rollout_operator.domain.gates.samples import (
    ACCURACY,
    LONGEST_WINDOW,
    NoEvidence,
    fresh,
    named,
)
from rollout_operator.domain.observed import Answer, MetricsUnreachable, Series

LONGEST_ETA = timedelta(days=365)


def measure_labels(
    gate: Gate,
    answer: Answer | None,
    baseline: Answer | None,
    trial: Trial,
    known: tuple[EvidenceStatus, ...],
) -> tuple[GateStatus, EvidenceStatus | None]:
    """One measurement of a Labelled gate, and the counts to go on with; None: nothing counted."""
    noun = noun_of(gate)
    evidence = find(known, gate, trial.candidate, trial.stable)
    if answer is None:
        return (
            gate_status(
                gate,
                trial,
                Measurement.NO_EVIDENCE,
                f"{noun}: not measured yet",
                **_shown(evidence),
            ),
            evidence,
        )
    for one in (answer, baseline if gate.against_stable else None):
        if isinstance(one, MetricsUnreachable):
            return (
                gate_status(
                    gate,
                    trial,
                    Measurement.UNREACHABLE,
                    f"{noun}: {one.message}"[:500],
                    **_shown(evidence),
                ),
                evidence,
            )
    try:
        series = fresh(answer, trial.candidate.ready_at or trial.since, trial.now)  # type: ignore[arg-type]
        own = counts(gate, series, trial.candidate.revision)
        theirs = _stable_counts(gate, baseline, trial)
    except NoEvidence as why:
        return (
            gate_status(gate, trial, Measurement.NO_EVIDENCE, f"{noun}: {why}", **_shown(evidence)),
            evidence,
        )
    evidence = of_definition(series, evidence) or fresh_evidence(
        gate, trial.candidate, trial.stable, trial.now
    ).model_copy(update={"defined": definition(series)})
    scale = next((s.scale for s in series if s.scale is not None), None)
    evidence = grown(
        in_attempt(evidence, trial.candidate),
        gate,
        own,
        theirs,
        trial.now,
        width=None if scale is None else scale[1] - scale[0],
    )
    return judged(gate, trial, evidence, series), evidence


def _stable_counts(gate: Gate, baseline: Answer | None, trial: Trial) -> tuple[PodCounts, ...]:
    if baseline is None or isinstance(baseline, MetricsUnreachable):
        return ()
    try:
        series = fresh(baseline, trial.now - LONGEST_WINDOW, trial.now)
        return counts(gate, series, trial.stable.revision if trial.stable is not None else "")
    except NoEvidence as why:
        if gate.against_stable:
            raise NoEvidence(f"stable has none to compare with: {why}") from why
        return ()


def _shown(evidence: EvidenceStatus | None) -> dict[str, int]:
    return {} if evidence is None else {"samples": int(evidence.total)}


def judged(gate: Gate, trial: Trial, evidence: EvidenceStatus, series: list[Series]) -> GateStatus:
    """What the counts say; series: the candidate's, where there are any."""
    scaled = next((s for s in series if s.scale is not None), None)
    if scaled is not None:
        return _judged_mean(gate, trial, evidence, scaled)
    divide = design_effect(evidence, gate)
    cohort = _cohort(gate, trial, evidence)
    if cohort is None:
        message = (
            f"{noun_of(gate)}: no prediction is {gate.label_delay} old yet, the time that"
            " labels take"
        )
        return gate_status(gate, trial, Measurement.NO_EVIDENCE, message, **_shown(evidence))
    coverage = min(1.0, evidence.total / cohort) if cohort > 0 else 1.0
    # Requests in the bucket of the bound itself are not missing by chance: they always count
    # against either verdict.
    covered = coverage >= gate.min_coverage and gate.metric is not Metric.LATENCY_P95
    missing = 0.0 if covered else max(0.0, cohort - evidence.total)
    if gate.paired:
        judgement = judge_pair(evidence, gate, trial.tests, divide)
    elif counts_bursts(gate):
        judgement = judge_copies(evidence, gate, trial.tests, divide)
    else:
        good, bad = evidence.good / divide, (evidence.total - evidence.good) / divide
        judgement = judge_share(good, bad, missing / divide, gate, trial.tests)
    measurement = _measurement(gate, evidence, judgement, uncovered=missing > 0)
    if evidence.total == 0 and not gate.paired:
        judgement = _expected(gate, series, judgement)
    return gate_status(
        gate,
        trial,
        measurement,
        f"{_sentence(gate, evidence, judgement, coverage, measurement)}, revision"
        f" {trial.candidate.revision}",
        **_figures(gate, trial, evidence, judgement),
        samples=int(evidence.total),
        coverage=round(coverage, 3) if gate.metric is Metric.ACCURACY else None,
        design_effect=round(divide, 2) if divide > 1 else None,
        inconclusive=(
            measurement is Measurement.NO_EVIDENCE
            and _worth(gate, evidence, divide) >= gate.max_samples
        )
        or None,
    )


def _worth(gate: Gate, evidence: EvidenceStatus, divide: float) -> float:
    """How many answers those that were counted are worth, of which maxSamples are enough."""
    return evidence.effective_total / divide if counts_bursts(gate) else evidence.total


def _judged_mean(gate: Gate, trial: Trial, evidence: EvidenceStatus, scaled: Series) -> GateStatus:
    """A mean of one's own; scaled: one of its series, which tells unit and scale."""
    low, high = scaled.scale or (0.0, 1.0)
    divide = gate.design_effect or 1.0
    judgement = (
        judge_pair(evidence, gate, trial.tests, divide)
        if gate.against_stable
        else judge_mean(evidence, gate, (low, high), trial.tests, divide)
    )
    measurement = _measurement(gate, evidence, judgement, uncovered=False)
    mean = low + (high - low) * evidence.good / evidence.total if evidence.total else None
    unit = f" {scaled.unit}" if scaled.unit else ""
    shown = "nothing counted yet" if mean is None else f"{mean:.4g}{unit} on average"
    asked = f"{'at least' if gate.of_good else 'at most'} {gate.threshold:g} asked"
    value = mean
    if gate.against_stable:
        value = _worse(gate, evidence, high - low)
        asked = f"at most {gate.threshold:g} worse than stable asked"
        shown += " in scrapes shared with stable"
    message = (
        f"{noun_of(gate)}: {shown}, {evidence.total:.0f} samples, {asked};"
        f" {_evidence(gate, evidence, judgement, measurement)}, revision"
        f" {trial.candidate.revision}"
    )
    undecided = measurement is Measurement.NO_EVIDENCE and evidence.total >= gate.max_samples
    return gate_status(
        gate,
        trial,
        measurement,
        message,
        **_progress(trial, evidence, judgement),
        value=value,
        samples=int(evidence.total),
        design_effect=round(divide, 2) if divide > 1 else None,
        inconclusive=undecided or None,
    )


def _worse(gate: Gate, evidence: EvidenceStatus, width: float) -> float | None:
    """How much worse than stable's the candidate's mean is, in its unit."""
    if not (evidence.total and evidence.stable_total):
        return None
    share = evidence.good / evidence.total
    good = share if gate.of_good else 1 - share
    return width * (evidence.stable_good / evidence.stable_total - good)


def _cohort(gate: Gate, trial: Trial, evidence: EvidenceStatus) -> float | None:
    """How many answers should be known to be good or not; None: labels are not due yet."""
    match gate.metric:
        case Metric.ACCURACY:
            return matured(evidence, gate.label_delay, trial.now)
        case Metric.ERROR_RATE | Metric.OWN | Metric.DISAGREEMENT:
            return evidence.total
        case _:
            return max(evidence.predicted, evidence.total)


def _measurement(
    gate: Gate, evidence: EvidenceStatus, judgement: Judgement, uncovered: bool
) -> Measurement:
    if judgement.evidence_against >= 1 and not (gate.paired and uncovered):
        return Measurement.FAIL
    enough = evidence.total >= gate.min_samples and not (gate.paired and uncovered)
    return Measurement.PASS if judgement.evidence_for >= 1 and enough else Measurement.NO_EVIDENCE


def _expected(gate: Gate, series: list[Series], judgement: Judgement) -> Judgement:
    """Before the first label: how many a verdict takes if the model is as good as offline."""
    offline = [
        s.value for s in named(series, ACCURACY) if math.isfinite(s.value) and 0 <= s.value <= 1
    ]
    if not offline or gate.metric is not Metric.ACCURACY:
        return judgement
    expected = max(
        sequential_test.expected_labels(
            min(offline), floor_of(gate) - gate.tolerance, gate.alpha.promote
        ),
        gate.min_samples,
    )
    left = expected if math.isfinite(expected) else None
    return Judgement(
        judgement.evidence_for, judgement.evidence_against, judgement.lower, judgement.upper, left
    )


def _figures(
    gate: Gate, trial: Trial, evidence: EvidenceStatus, judgement: Judgement
) -> dict[str, object]:
    """Value, bounds and evidence in the metric's own direction; when a verdict may be expected."""
    share = evidence.good / evidence.total if evidence.total else None
    value, lower, upper = share, judgement.lower, judgement.upper
    if gate.paired:
        base = evidence.stable_good / evidence.stable_total if evidence.stable_total else None
        value = None if share is None or base is None else base - share
    elif not speaks_of_good(gate) and share is not None and lower is not None and upper is not None:
        # Of errors and of slow requests people speak as shares of the bad ones.
        value, lower, upper = 1 - share, 1 - upper, 1 - lower
    return {
        "value": value,
        "lower": None if lower is None else round(lower, 4),
        "upper": None if upper is None else round(upper, 4),
        **_progress(trial, evidence, judgement),
    }


def _progress(trial: Trial, evidence: EvidenceStatus, judgement: Judgement) -> dict[str, object]:
    """How far the evidence is, and when it will do."""
    left = None if judgement.labels_left is None else math.ceil(judgement.labels_left)
    rate = label_rate(evidence, trial)
    eta = None
    if (
        left
        and rate > 0
        and (wait := timedelta(seconds=min(left / rate, LONGEST_ETA.total_seconds()))) < LONGEST_ETA
    ):
        eta = trial.now + wait
    return {
        "evidence_for": round(max(0.0, judgement.evidence_for), 3),
        "evidence_against": round(max(0.0, judgement.evidence_against), 3),
        "labels_left": left,
        "eta": eta,
    }


def label_rate(evidence: EvidenceStatus, trial: Trial) -> float:
    """Labels per second of the candidate in this attempt; before its first one, what its weight
    makes of stable's; 0 if unknown.
    """
    seconds = (trial.now - evidence.since).total_seconds()
    if seconds <= 0:
        return 0.0
    if (counted := evidence.total - evidence.before) > 0:
        return counted / seconds
    return (
        evidence.baseline_total / seconds * trial.weight / (100 - trial.weight)
        if trial.weight < 100
        else 0.0
    )


def _evidence(
    gate: Gate, evidence: EvidenceStatus, judgement: Judgement, measurement: Measurement
) -> str:
    text = (
        f"evidence {max(0, judgement.evidence_for):.0%} for,"
        f" {max(0, judgement.evidence_against):.0%} against"
    )
    if (
        measurement is Measurement.NO_EVIDENCE
        and judgement.evidence_for >= 1
        and evidence.total < gate.min_samples
    ):
        text += f"; minSamples is {gate.min_samples}"
    return text


def _sentence(
    gate: Gate,
    evidence: EvidenceStatus,
    judgement: Judgement,
    coverage: float,
    measurement: Measurement,
) -> str:
    noun, unit = noun_of(gate), UNITS.get(gate.metric, "samples")
    good = "answered alike" if gate.metric is Metric.DISAGREEMENT else "good"
    counted = f"{evidence.good:.0f} of {evidence.total:.0f} {unit} {good}"
    if gate.paired:
        counted += " in scrapes shared with stable"
    if counts_bursts(gate) and round(evidence.effective_total) < round(evidence.total):
        counted += f", worth {evidence.effective_total:.0f}"
    bounds = (
        ""
        if judgement.lower is None or judgement.upper is None
        else f" [{judgement.lower:.3f}, {judgement.upper:.3f}]"
    )
    asked = (
        f"at most {gate.threshold:g} worse than stable"
        if gate.paired
        else f"a share of {floor_of(gate):g} asked"
    )
    told = _evidence(gate, evidence, judgement, measurement)
    text = f"{noun}: {counted}{bounds}, {asked}; {told}"
    if gate.metric is Metric.LATENCY_P95:
        if (unknown := evidence.predicted - evidence.total) > 0:
            text += (
                f"; {unknown:.0f} more lie in the bucket around {gate.threshold:g}, and only a"
                f" bucket at it tells; {BUCKETS_COME}"
            )
    elif coverage < gate.min_coverage:
        text += (
            f"; only {coverage:.0%} of predictions have a label, minCoverage is"
            f" {gate.min_coverage:.0%}"
        )
    return text
