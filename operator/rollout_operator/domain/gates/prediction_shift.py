"""The gate predictionShift: how differently the candidate answers from stable while both get the
same traffic. It needs no labels.

Counts of answers by class, or by bin of numbers, are judged by `shift_test`, scrape by scrape. What
the two do not both count by name is one class, and numbers are told apart at the edges that all
pods have: coarser bins are never further apart, so that a failure stays proved.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from rollout_operator.domain.api.analysis import Gate
from rollout_operator.domain.api.gate_results import (
    BinCount,
    EvidenceStatus,
    GateStatus,
    Measurement,
    PodCounts,
    ShiftedBin,
)
from rollout_operator.domain.gates import shift_test
from rollout_operator.domain.gates.gate_status import NOUNS, Trial, gate_status
from rollout_operator.domain.gates.label_counters import find, fresh_evidence, in_attempt
from rollout_operator.domain.gates.labelled_gate import LONGEST_ETA, label_rate
from rollout_operator.domain.gates.samples import (
    LONGEST_WINDOW,
    PREDICTED,
    PREDICTIONS,
    NeedsHelp,
    NoEvidence,
    fresh,
    is_count,
    named,
)
from rollout_operator.domain.gates.shift_test import Shift
from rollout_operator.domain.observed import Answer, MetricsUnreachable, Series

REST, OTHER = "+Inf", "other"
"""How the model server calls the last bin of numbers, and what is none of the classes it names."""
MOST_BINS = 24
"""Classes, or bins, that status keeps: a server names 11, and versions may name others."""
LONGEST_BIN = 64
"""Letters of a bin's name that status keeps; a server has 40."""
MOST_PODS = 50
SUPPLY = (
    "register the version with training_profile.json, as the trainer does, or with the classes of"
    " its estimator; or take the gate out"
)
"""What helps where pods count no answers."""
_NONE = (0.0, 0.0)
Counts = Mapping[str, float]
"""Answers by class, or by the largest number of the bin."""


def measure_shift(
    gate: Gate,
    answer: Answer | None,
    baseline: Answer | None,
    trial: Trial,
    known: tuple[EvidenceStatus, ...],
) -> tuple[GateStatus, EvidenceStatus | None]:
    """One measurement, and the counts to go on with; None: nothing counted."""
    noun = NOUNS[gate.metric]
    evidence = find(known, gate, trial.candidate, trial.stable)

    def silent(why: Measurement, said: str, late: bool | None = None) -> GateStatus:
        shown = {} if evidence is None else {"samples": int(evidence.total)}
        return gate_status(gate, trial, why, f"{noun}: {said}"[:500], late=late, **shown)

    if answer is None or baseline is None:
        return silent(Measurement.NO_EVIDENCE, "not measured yet"), evidence
    for one in (answer, baseline):
        if isinstance(one, MetricsUnreachable):
            return silent(Measurement.UNREACHABLE, one.message), evidence
    try:
        since = trial.candidate.ready_at or trial.since
        own = pod_counts(fresh(answer, since, trial.now))  # type: ignore[arg-type]
        try:
            theirs = pod_counts(fresh(baseline, trial.now - LONGEST_WINDOW, trial.now))  # type: ignore[arg-type]
        except NoEvidence as why:
            raise type(why)(f"stable has none to compare with: {why}") from why
        evidence = evidence or fresh_evidence(gate, trial.candidate, trial.stable, trial.now)
        evidence = grown(in_attempt(evidence, trial.candidate), own, theirs)
    except NoEvidence as why:
        return silent(
            Measurement.NO_EVIDENCE, str(why), isinstance(why, NeedsHelp) or None
        ), evidence
    return _judged(gate, trial, evidence), evidence


def pod_counts(series: Iterable[Series]) -> tuple[PodCounts, ...]:
    """The counters of each pod, as they are now. Raises NoEvidence where they cannot be read."""
    found = list(series)
    bins: dict[str, dict[str, float]] = defaultdict(dict)
    at: dict[str, float] = {}
    for one in named(found, PREDICTED):
        if not is_count(one.value):
            raise NoEvidence(f"{one.name} of pod {one.pod or '?'} is {one.value}, not a count")
        bins[one.pod][one.bin] = one.value
        at[one.pod] = min(one.at, at.get(one.pod, math.inf))
    if not bins:
        if named(found, PREDICTIONS):
            raise NeedsHelp(f"its pods count no answers by class: {SUPPLY}")
        raise NoEvidence(f"no series {PREDICTED} of this revision")
    for pod, counts in bins.items():
        _check_bins(pod, counts)
    return tuple(
        PodCounts(
            pod=pod,
            good=0,
            total=sum(bins[pod].values()),
            at=at[pod],
            bins=tuple(BinCount(bin=name, count=n) for name, n in sorted(bins[pod].items())),
        )
        for pod in sorted(bins)
    )


def _check_bins(pod: str, counts: Counts) -> None:
    """Raises NeedsHelp where they are none of the model server's: a pod exports what it likes."""
    if len({OTHER, *counts} - {REST}) > MOST_BINS or max(map(len, counts)) > LONGEST_BIN:
        raise NeedsHelp(
            f"pod {pod or '?'} has {len(counts)} bins in {PREDICTED}, and {MOST_BINS} with names of"
            f" {LONGEST_BIN} letters are read: have it count the others as {OTHER!r}"
        )
    if REST in counts and OTHER not in counts and not all(map(_is_number, counts)):
        raise NeedsHelp(
            f"pod {pod or '?'} has bins of numbers and of classes in {PREDICTED}: have it count"
            f" classes with {OTHER!r}, or numbers with {REST!r}"
        )


def _is_number(name: str) -> bool:
    try:
        return not math.isnan(float(name))
    except ValueError:
        return False


def _by_bin(pod: PodCounts) -> dict[str, float]:
    return {one.bin: one.count for one in pod.bins}


@dataclass(frozen=True, slots=True)
class _Gain:
    """What came in since the last reading."""

    gained: tuple[Counts, ...]
    """Of each pod that was read now, by the bins that it has."""
    pods: tuple[PodCounts, ...]
    """What the next reading is compared with."""

    @property
    def total(self) -> float:
        """Answers of all pods."""
        return sum(sum(one.values()) for one in self.gained)


def _gained(before: Iterable[PodCounts], now: Iterable[PodCounts], first_counts: bool) -> _Gain:
    """What came in between two readings; see label_counters.gained."""
    known, gained = {one.pod: one for one in before}, list[Counts]()
    for one in now:
        old, counts = known.get(one.pod), _by_bin(one)
        if old is not None and one.at <= old.at:
            gained.append(dict.fromkeys(counts, 0.0))
            continue
        known[one.pod] = one
        if old is None and not first_counts:
            gained.append(dict.fromkeys(counts, 0.0))
            continue
        base = _by_bin(old) if old is not None else {}
        if any(counts.get(name, 0.0) < count for name, count in base.items()):
            base = {}  # a counter that falls was reset, and all of a pod restart together
        gained.append({name: n - base.get(name, 0.0) for name, n in counts.items()})
    newest = sorted(known.values(), key=lambda one: -one.at)[:MOST_PODS]
    return _Gain(tuple(gained), tuple(sorted(newest, key=lambda one: one.pod)))


def grown(
    known: EvidenceStatus, own: tuple[PodCounts, ...], theirs: tuple[PodCounts, ...]
) -> EvidenceStatus:
    """The evidence with one more scrape in it; equal to `known` where nothing came in. Raises
    NoEvidence where the two cannot be compared.
    """
    # Counters hold a past of any length: what both had at the first look is where it begins.
    mine = _gained(known.pods, own, first_counts=0 < len(known.pods) < MOST_PODS)
    stable = _gained(known.stable_pods, theirs, first_counts=False)
    ours, baseline = alike(mine.gained, stable.gained)
    seen = {one.pod for one in stable.pods} == {one.pod for one in known.stable_pods}
    if not known.pods:
        return known.model_copy(update={"pods": mine.pods, "stable_pods": stable.pods})
    if not (mine.total > 0 and stable.total > 0):
        # A scrape counts for both or for none: nothing is lost, it comes with the next one.
        return known if seen else known.model_copy(update={"stable_pods": stable.pods})
    found, weight = shift_test.differences(ours, baseline)
    after = shift_test.added(shift_of(known), ours, baseline)
    before = {one.bin: (one.ours, one.theirs) for one in known.bins}
    bins = tuple(
        ShiftedBin(
            bin=name,
            ours=before.get(name, _NONE)[0] + ours.get(name, 0.0),
            theirs=before.get(name, _NONE)[1] + baseline.get(name, 0.0),
            excess=round(excess, 6),
        )
        for name, excess in list(after.excess.items())[:MOST_BINS]
    )
    squares = sum(d * d for d in found.values()) * weight
    return known.model_copy(
        update={
            "bins": bins,
            "pairs": round(after.weight, 6),
            "squares": round(known.squares + squares, 6),
            "scrapes": known.scrapes + 1,
            "total": known.total + mine.total,
            "baseline_total": known.baseline_total + stable.total,
            "pods": mine.pods,
            "stable_pods": stable.pods,
        }
    )


def alike(ours: Iterable[Counts], theirs: Iterable[Counts]) -> tuple[Counts, Counts]:
    """The counts of both over their pods, by what all of them have by name. Raises NoEvidence where
    that is nothing.
    """
    arms = (list(ours), list(theirs))
    pods = [*arms[0], *arms[1]]
    numbers = {REST in pod and OTHER not in pod for pod in pods}
    shared = set(pods[0]).intersection(*pods[1:]) - {REST, OTHER}
    if len(numbers) > 1 or not shared:
        raise NeedsHelp(
            "it answers by other classes or numbers than stable, and nothing that both count can be"
            " compared: take the gate out"
        )
    merged = _by_edge if numbers == {True} else _by_class
    return merged(arms[0], shared), merged(arms[1], shared)


def _by_class(pods: Iterable[Counts], shared: set[str]) -> Counts:
    found = dict.fromkeys((*sorted(shared), OTHER), 0.0)
    for pod in pods:
        for name, count in pod.items():
            found[name if name in shared else OTHER] += count
    return found


def _by_edge(pods: Iterable[Counts], shared: set[str]) -> Counts:
    edges = sorted(shared, key=float)
    found = dict.fromkeys((*edges, REST), 0.0)
    for pod in pods:
        for name, count in pod.items():
            found[next((e for e in edges if float(name) <= float(e)), REST)] += count
    return found


def shift_of(evidence: EvidenceStatus) -> Shift:
    """What the test carries from scrape to scrape."""
    return Shift({one.bin: one.excess for one in evidence.bins}, evidence.pairs)


def design_effect_of_shift(evidence: EvidenceStatus, gate: Gate) -> float:
    """What counts are divided by: as given, else by how much the differences of scrapes scatter
    more than those of independent answers, from the fifth scrape on (Pearson's chi-squared by its
    degrees of freedom).
    """
    if gate.design_effect is not None:
        return gate.design_effect
    ours, theirs = evidence.total, evidence.baseline_total
    if evidence.scrapes < 5 or not (ours and theirs and evidence.pairs):
        return 1.0
    shares = [(one.ours + one.theirs) / (ours + theirs) for one in evidence.bins]
    expected = sum(p * (1 - p) for p in shares)
    scatter = evidence.squares - sum(one.excess**2 for one in evidence.bins) / evidence.pairs
    return max(1.0, scatter / expected / (evidence.scrapes - 1)) if expected > 0 else 1.0


def _judged(gate: Gate, trial: Trial, evidence: EvidenceStatus) -> GateStatus:
    divide = design_effect_of_shift(evidence, gate)
    shift = shift_of(evidence).divided(divide)
    need_for = math.log(1 / gate.alpha.promote)
    need_against = math.log(trial.tests / gate.alpha.rollback)
    within = shift_test.log_within(
        shift, gate.threshold + gate.tolerance, gate.alpha.promote, gate.max_samples
    )
    beyond = shift_test.log_beyond(shift, gate.threshold, gate.alpha.rollback, gate.max_samples)
    in_favour, against = within / need_for, beyond / need_against
    enough = evidence.total >= gate.min_samples
    verdict = Measurement.NO_EVIDENCE
    if against >= 1:
        verdict = Measurement.FAIL
    elif in_favour >= 1 and enough:
        verdict = Measurement.PASS
    figures: dict[str, object] = {}
    lower = upper = None
    if evidence.pairs:
        lower, upper = shift_test.interval(shift, gate.alpha.promote, gate.max_samples)
        figures = {"value": shift.distance, "lower": round(lower, 4), "upper": round(upper, 4)}
    left = _left(evidence, max(in_favour, against))
    rate = label_rate(evidence, trial)
    eta = None
    if left and rate > 0 and (wait := left / rate) < LONGEST_ETA.total_seconds():
        eta = trial.now + timedelta(seconds=wait)
    message = (
        f"{_sentence(gate, evidence, shift, lower, upper)}; evidence {max(0.0, in_favour):.0%} for,"
        f" {max(0.0, against):.0%} against"
    )
    if verdict is Measurement.NO_EVIDENCE and in_favour >= 1 and not enough:
        message += f"; minSamples is {gate.min_samples}"
    return gate_status(
        gate,
        trial,
        verdict,
        f"{message}, revision {trial.candidate.revision}",
        **figures,
        samples=int(evidence.total),
        evidence_for=round(max(0.0, in_favour), 3),
        evidence_against=round(max(0.0, against), 3),
        labels_left=left,
        eta=eta,
        design_effect=round(divide, 2) if divide > 1 else None,
        inconclusive=(verdict is Measurement.NO_EVIDENCE and evidence.total >= gate.max_samples)
        or None,
    )


def _left(evidence: EvidenceStatus, share: float) -> int | None:
    """About how many more answers a verdict takes: evidence grows about in proportion to them."""
    return math.ceil(max(0.0, evidence.total * (1 / share - 1))) if share > 0.05 else None


def _sentence(
    gate: Gate, evidence: EvidenceStatus, shift: Shift, lower: float | None, upper: float | None
) -> str:
    noun = NOUNS[gate.metric]
    counted = (
        f"{evidence.total:.0f} of its answers beside {evidence.baseline_total:.0f} of stable's"
    )
    if lower is None or upper is None:
        return f"{noun}: {counted}, at most {gate.threshold:g} asked"
    text = (
        f"{noun}: {shift.distance:.3f} [{lower:.3f}, {upper:.3f}] of answers are others than"
        f" stable's, at most {gate.threshold:g} asked; {counted}"
    )
    most = max(evidence.bins, key=lambda one: one.excess, default=None)
    if most is None or most.excess <= 0:
        return text
    share, difference = most.ours / evidence.total, most.excess / evidence.pairs
    return (
        f"{text}; most {_called(evidence, most.bin)}: {share:.3f} of them, {difference:.3f} more"
        " than of stable's"
    )


def _called(evidence: EvidenceStatus, name: str) -> str:
    """A class, or a bin of numbers, in words."""
    names = {one.bin for one in evidence.bins}
    if REST not in names or OTHER in names:
        return repr(name) if name != OTHER else "other classes"
    edges = sorted((float(one), one) for one in names)
    place = next(n for n, (_, one) in enumerate(edges) if one == name)
    below = f"above {edges[place - 1][1]}" if place else ""
    return below if name == REST else f"{below}{' ' if below else ''}up to {name}"
