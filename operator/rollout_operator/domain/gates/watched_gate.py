"""The gates of a version that is watched after its promotion: each says Fail only where that is
proved, however many looks a watch has.

What is counted (labels, errors, slow requests, shares of counters) is judged by `long_run`,
Labelled or Reported; a reported accuracy, or any other share, by how far one reading of so many may
lie below the threshold by chance; an accuracy that does not tell how many is taken for minSamples.
Gates against stable have nobody to compare with, and are not measured.
"""

import math
from dataclasses import dataclass, replace
from datetime import datetime

from rollout_operator.domain.api.analysis import Gate, Metric
from rollout_operator.domain.api.gate_results import (
    EvidenceStatus,
    GateStatus,
    Measurement,
    PodCounts,
)
from rollout_operator.domain.api.status import Revision
from rollout_operator.domain.gates import long_run
from rollout_operator.domain.gates.gate_status import UNITS, Trial, gate_status, noun_of
from rollout_operator.domain.gates.judgement import floor_of, speaks_of_good
from rollout_operator.domain.gates.label_counters import (
    Gain,
    counts,
    definition,
    design_effect,
    fresh_evidence,
    gained,
    gate_key,
    matured,
    of_definition,
    subject_of,
    subjects_of,
    with_begun_anew,
    with_cohort,
    with_labels,
)
from rollout_operator.domain.gates.load import THROTTLED
from rollout_operator.domain.gates.readings import own
from rollout_operator.domain.gates.reported_gate import passes
from rollout_operator.domain.gates.samples import (
    ACCURACY,
    ACCURACY_SAMPLES,
    COUNTED_OF,
    CPU_PERIODS,
    CPU_THROTTLED,
    LONGEST_WINDOW,
    SHARE,
    NoEvidence,
    fresh,
    in_store,
    named,
)
from rollout_operator.domain.observed import Answer, MetricsUnreachable, Series

SUFFIX = "/watch"
"""What the counts of a watch are called beside those of trials."""
EDGE = 1e-9
"""A bound of exactly 0 or 1 is taken for one so close to it."""
TRAINING = "training"


@dataclass(frozen=True, slots=True)
class Watched:
    """Who is watched, and how often."""

    trial: Trial
    """The version as the candidate, since its promotion; `tests`: how many gates may fail."""
    looks: int
    """The most looks that the watch can have."""

    def need(self, gate: Gate) -> float:
        """What evidence against the version must reach, in nats."""
        return long_run.needed(gate.alpha.rollback, self.looks, self.trial.tests)


def is_watched(gate: Gate) -> bool:
    """Whether the gate can be measured where nobody else gets requests; and rows that drift are no
    fault of the version, which the one before would answer better.
    """
    return not gate.against_stable and gate.metric is not Metric.INPUT_DRIFT


def measure_watched(
    gate: Gate, answer: Answer | None, watched: Watched, known: tuple[EvidenceStatus, ...]
) -> tuple[GateStatus, EvidenceStatus | None]:
    """One measurement, and the counts to go on with; None: nothing is counted."""
    trial, noun = watched.trial, noun_of(gate)
    key = gate_key(gate, None) + SUFFIX
    of = subject_of(gate, trial.candidate)
    evidence = next((e for e in known if (e.gate, e.subject) == (key, of)), None)
    if answer is None or isinstance(answer, MetricsUnreachable):
        why, said = (
            (Measurement.NO_EVIDENCE, "not measured yet")
            if answer is None
            else (Measurement.UNREACHABLE, answer.message)
        )
        return gate_status(gate, trial, why, f"{noun}: {said}"[:500]), evidence
    try:
        series = fresh(answer, trial.since, trial.now)
        if gate.metric is Metric.ACCURACY and not gate.labelled:
            return _gauge(gate, series, watched), None
        if gate.metric is Metric.OWN and not named(series, COUNTED_OF):
            return _own(gate, series, watched), None
        own = counts(gate, series, trial.candidate.revision)
    except NoEvidence as why:
        return gate_status(gate, trial, Measurement.NO_EVIDENCE, f"{noun}: {why}"), evidence
    evidence = of_definition(series, evidence)
    if evidence is None:
        # What was counted before the watch began to count is no part of it.
        begun = fresh_evidence(gate, trial.candidate, None, trial.now)
        begun = begun.model_copy(update={"gate": key, "since": trial.since, "pods": own})
        begun = begun.model_copy(update={"defined": definition(series)})
        return _said(gate, watched, begun, 0.0), begun
    gain = gained(evidence.pods, own, first_counts=True)
    if gate.metric is not Metric.ACCURACY and _held_back(series):
        passed_over = evidence.model_copy(update={"pods": gain.pods})
        said = f"{noun}: pods are held back by their CPU limit, and what comes counts for nothing"
        return gate_status(gate, trial, Measurement.NO_EVIDENCE, said), passed_over
    after = _grown(gate, evidence, gain, watched)
    against = long_run.evidence(after.below)
    if trial.now - trial.since >= LONGEST_WINDOW:
        # The counts in status may be a minute old: what came before it turned bad is among them.
        lately = _ratio(gate, evidence, _lately(gate, series, own, trial.candidate), after, watched)
        against = max(against, long_run.evidence(lately))
    return _said(gate, watched, after, against), after


def _floor(gate: Gate) -> float:
    return min(max(floor_of(gate), EDGE), 1 - EDGE)


def _grown(gate: Gate, known: EvidenceStatus, gain: Gain, watched: Watched) -> EvidenceStatus:
    """The evidence with what came since it was last written."""
    now = watched.trial.now
    if gain.total <= 0 and gain.predicted <= 0 and not gain.corrected:
        anew = {"pods": with_begun_anew(known.pods, gain)}
        return known.model_copy(update=anew) if gain.begun_anew else known
    sums = known.model_copy(
        update={
            **with_labels(known, gain),
            "predicted": known.predicted + gain.predicted,
            "pods": gain.pods,
        }
    )
    sums = with_cohort(sums, gate, sums.predicted, now)
    ratios = _ratio(gate, known, gain, sums, watched)
    return sums.model_copy(update={"below": tuple(long_run.grown(known.below, ratios))})


def _ratio(
    gate: Gate, known: EvidenceStatus, gain: Gain, after: EvidenceStatus, watched: Watched
) -> tuple[float, ...]:
    """ln of the likelihood ratio of each alternative for what came: what is missing counts as
    good, and clumps count by the design effect that was known before.
    """
    floor = _floor(gate)
    divide = design_effect(known, gate)
    good, bad = gain.good + _missing(gate, known, gain, after, watched), gain.total - gain.good
    rates = long_run.rates_below(floor, watched.need(gate), gate.max_samples)
    return long_run.log_ratios(good / divide, bad / divide, floor, rates)


def _missing(
    gate: Gate, known: EvidenceStatus, gain: Gain, after: EvidenceStatus, watched: Watched
) -> float:
    """Answers of this look of which nobody knows whether they were good, where that may be no
    chance.
    """
    match gate.metric:
        case Metric.LATENCY_P95:
            return max(0.0, gain.predicted - gain.total)
        case Metric.ERROR_RATE | Metric.OWN:
            return 0.0
        case _:
            pass
    cohort = matured(after, gate.label_delay, watched.trial.now) or 0.0
    if cohort <= 0 or after.total >= gate.min_coverage * cohort:
        return 0.0
    before = matured(known, gate.label_delay, watched.trial.now) or 0.0
    return max(0.0, cohort - after.total - max(0.0, before - known.total))


def _lately(gate: Gate, series: list[Series], own: tuple[PodCounts, ...], whose: Revision) -> Gain:
    """What came within the query's window alone; nothing where its beginning cannot be read."""
    nothing = Gain(0.0, 0.0, 0.0, ())
    try:
        first = counts(gate, [replace(s, value=s.first) for s in series], whose.revision)
    except NoEvidence:
        return nothing
    before = (pod.model_copy(update={"at": -math.inf}) for pod in first)
    return gained(before, own, first_counts=False)


def _held_back(series: list[Series]) -> bool:
    """Whether pods want more CPU than they may have: their load cannot be told from the version."""
    periods, throttled = (
        sum(max(0.0, s.value - s.first) for s in named(series, name))
        for name in (CPU_PERIODS, CPU_THROTTLED)
    )
    return periods > 0 and throttled >= THROTTLED * periods


def _said(gate: Gate, watched: Watched, evidence: EvidenceStatus, against: float) -> GateStatus:
    need = watched.need(gate)
    share = max(0.0, against / need)
    unit = UNITS.get(gate.metric, "samples")
    value = evidence.good / evidence.total if evidence.total else None
    if value is not None and not speaks_of_good(gate):
        value = 1 - value
    verdict = Measurement.FAIL if share >= 1 else Measurement.PASS
    message = (
        f"{noun_of(gate)}: {evidence.good:.0f} of {evidence.total:.0f} {unit} good since"
        f" promotion, a share of {floor_of(gate):g} asked; evidence against it is {share:.0%} of"
        f" what a return takes, revision {watched.trial.candidate.revision}"
    )
    return gate_status(
        gate,
        watched.trial,
        verdict if evidence.total else Measurement.NO_EVIDENCE,
        message,
        value=value,
        samples=int(evidence.total),
        evidence_against=round(share, 3),
    )


def _gauge(gate: Gate, series: list[Series], watched: Watched) -> GateStatus:
    """A reported accuracy: of all pods together where each says of how many labels it is, else the
    lowest, of minSamples.
    """
    trial, noun = watched.trial, noun_of(gate)
    live = [s for s in named(series, ACCURACY) if s.source != TRAINING]
    if not live:
        raise NoEvidence("no pod reports one by labels; that of training tells nothing new")
    for one in live:
        if not (math.isfinite(one.value) and 0 <= one.value <= 1):
            raise NoEvidence(f"{ACCURACY} of pod {one.pod or '?'} is {one.value}, no share")
    told = {
        s.pod: s.value
        for s in named(series, ACCURACY_SAMPLES)
        if math.isfinite(s.value) and s.value > 0
    }
    if in_store(series):
        # All pods tell of the same labels.
        live = [max(live, key=lambda s: (told.get(s.pod, 0.0), s.at))]
    known = all(one.pod in told for one in live)
    lowest = min(live, key=lambda s: s.value)
    of = {s.pod: told[s.pod] for s in live} if known else {lowest.pod: gate.min_samples}
    total = sum(of.values())
    value = sum(s.value * of[s.pod] for s in live if s.pod in of) / total
    share = long_run.deviation(value * total, total, _floor(gate)) / watched.need(gate)
    fails = share >= 1
    relation = "at least" if value >= gate.threshold else "below"
    labels = f"{total:.0f} labels" if known else f"{total:.0f} labels, as minSamples says,"
    message = (
        f"{noun} {value:.4g} of {labels} is {relation} {gate.threshold:.4g}; evidence against it is"
        f" {share:.0%} of what a return takes, revision {trial.candidate.revision}"
    )
    return gate_status(
        gate,
        trial,
        Measurement.FAIL if fails else Measurement.PASS,
        message,
        value=value,
        samples=int(total),
        evidence_against=round(share, 3),
    )


def _own(gate: Gate, series: list[Series], watched: Watched) -> GateStatus:
    """A metric of one's own that an expression makes of series: of a share it is known how far one
    reading may lie beyond the bound by chance, and of nothing else.
    """
    reading = own(series, gate)
    trial = watched.trial
    if not named(series, SHARE):
        raise NoEvidence(
            f"it is {reading.value:.4g}, and how far that is chance nobody knows: only shares are"
            " judged in a watch"
        )
    good = reading.value if gate.of_good else 1 - reading.value
    total = reading.samples or 0
    share = long_run.deviation(good * total, total, _floor(gate)) / watched.need(gate)
    keeps = passes(gate, reading.value)
    relation = (
        ("at least" if keeps else "below") if gate.of_good else ("at most" if keeps else "above")
    )
    message = (
        f"{noun_of(gate)} {reading.value:.4g} of {total} samples is {relation}"
        f" {gate.threshold:.4g}; evidence against it is {share:.0%} of what a return takes,"
        f" revision {trial.candidate.revision}"
    )
    return gate_status(
        gate,
        trial,
        Measurement.FAIL if share >= 1 else Measurement.PASS,
        message,
        value=reading.value,
        samples=total,
        evidence_against=round(share, 3),
    )


def begun(
    evidence: tuple[EvidenceStatus, ...], promoted: Revision, gates: tuple[Gate, ...], now: datetime
) -> tuple[EvidenceStatus, ...]:
    """The evidence when a watch begins: what the trial counted of what is promoted has done its
    work; its counters go on, so that no answer of the trial counts for the watch.
    """
    mine = subjects_of(promoted)
    used = {(gate_key(g, None), subject_of(g, promoted)) for g in gates if is_watched(g)}
    others = tuple(e for e in evidence if e.subject not in mine)
    blank = tuple(
        EvidenceStatus(
            gate=e.gate + SUFFIX, subject=e.subject, since=now, pods=e.pods, defined=e.defined
        )
        for e in evidence
        if (e.gate, e.subject) in used and e.pods
    )
    return (*blank, *others)


def without_watch(evidence: tuple[EvidenceStatus, ...]) -> tuple[EvidenceStatus, ...]:
    """The evidence once nothing is watched any more."""
    return tuple(e for e in evidence if not e.gate.endswith(SUFFIX))
