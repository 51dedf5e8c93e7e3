"""Counts behind Labelled gates: raw counters of pods become sums that survive restarts of pods and
of the operator.

A counter that falls was reset: what it shows now came since. `increase()` is not used: it
extrapolates to fractions. Both counters of a pod are taken together, because they restart together.

The counters of a store outlive pods, so there a fall is no restart: see `_fallen`.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from rollout_operator.domain.api.analysis import Gate, Metric
from rollout_operator.domain.api.gate_results import Cohort, EvidenceStatus, PodCounts
from rollout_operator.domain.api.status import Revision
from rollout_operator.domain.gates import bursts, mean_pair
from rollout_operator.domain.gates.histogram import of_pods
from rollout_operator.domain.gates.mean_pair import PairWealth
from rollout_operator.domain.gates.mean_test import Sums
from rollout_operator.domain.gates.samples import (
    COUNTED,
    COUNTED_OF,
    ERRORS,
    FEEDBACK,
    IN_STORE,
    LATENCY_BUCKET,
    MEAN,
    MEAN_OF,
    MEAN_SQUARES,
    NOISE,
    PREDICTIONS,
    REQUESTS,
    SHADOW,
    TAKEN_BACK,
    NeedsHelp,
    NoEvidence,
    in_store,
    is_count,
    is_of_store,
    named,
    store_of,
    store_place,
    telling,
)
from rollout_operator.domain.gates.sequential_test import Scrape, Wealth, pair_step
from rollout_operator.domain.observed import Series
from rollout_operator.domain.own_metrics import VALUE

ALIKE = frozenset({"same", "slower"})
"""Outcomes of copies that were answered as by stable."""
COMPARED = ALIKE | {"different", "failed"}
"""Outcomes of copies that say something of the candidate."""
MOST_COHORTS = 40
MOST_PODS = 200
EMPTIED_AFTER = 120.0
"""Seconds after which a store that has far less than before is not one that was read late."""


def gate_key(gate: Gate, stable: Revision | None) -> str:
    """Which counts a gate goes on with: those of its metric and bound, and for a difference, of the
    same stable version.
    """
    if gate.against_stable:
        return f"{gate.name}/stable/{stable.revision if stable else ''}"
    match gate.metric:
        case Metric.LATENCY_P95:
            return f"{gate.name}/{gate.max:g}s"
        case Metric.OWN:
            return f"{gate.name}/{'good' if gate.of_good else 'bad'}"
    return gate.name


def subject_of(gate: Gate, candidate: Revision) -> str:
    """What is counted: labels judge the model version whatever its pods are like; errors and
    latency judge the revision.
    """
    model, revision = subjects_of(candidate)
    return model if gate.metric is Metric.ACCURACY else revision


def subjects_of(candidate: Revision) -> tuple[str, str]:
    """All that is counted of a candidate: the model version, and the revision."""
    return f"{candidate.uri} {candidate.digest}", candidate.revision


def find(
    evidence: Iterable[EvidenceStatus], gate: Gate, candidate: Revision, stable: Revision | None
) -> EvidenceStatus | None:
    """The counts that a gate goes on with."""
    key, subject = gate_key(gate, stable), subject_of(gate, candidate)
    return next((e for e in evidence if e.gate == key and e.subject == subject), None)


def counts(gate: Gate, series: list[Series], revision: str = "") -> tuple[PodCounts, ...]:
    """Good answers and all answers of each pod, and of what a store has counted, as the counters
    have them now. Raises NoEvidence where they cannot be read.

    revision: whose series they are. Pods have it in their names, and a store has counters of many.
    """
    telling(series)
    at: dict[str, float] = {}
    for one in series:
        if not is_count(one.value):
            raise NoEvidence(f"{one.name} of pod {one.pod or '?'} is {one.value}, not a count")
        at[one.pod] = min(one.at, at.get(one.pod, math.inf))
    total, good, predicted = _sums(gate, series)
    stored = in_store(series, revision) if gate.metric is Metric.ACCURACY else ()
    if not total and not stored:
        raise NoEvidence(f"no counters of {gate.name} of this revision")
    pods = sorted(set(total) | set(predicted))
    if gate.metric is Metric.OWN:
        _of_one_process(gate, series, total)
    if wrong := [p for p in pods if not 0 <= good[p] <= total[p]]:
        raise NoEvidence(
            f"{good[wrong[0]]:.0f} good of {total[wrong[0]]:.0f} in pod {wrong[0] or '?'} cannot be"
        )
    return (
        *stored,
        *(
            PodCounts(
                # Of what our own servers count of values, only a store's has no pod.
                pod=p or (store_place(IN_STORE, revision) if gate.name == VALUE else p),
                good=good[p],
                total=total[p],
                predicted=predicted[p],
                at=at[p],
            )
            for p in pods
        ),
    )


def _of_one_process(gate: Gate, series: list[Series], total: dict[str, float]) -> None:
    """Raises NeedsHelp where what is counted and what it is of cannot be told by process."""
    counted = [s for s in series if s.name in {COUNTED, MEAN}]
    if apart := sorted({s.pod for s in counted if s.value > 0} - set(total)):
        raise NeedsHelp(
            f"{apart[0] or 'what has neither pod nor instance'} counts what query asks for, and not"
            " what samples does: Labelled needs both from one process; leave evidence out, or have"
            " both counted together"
        )
    if len(total) > MOST_PODS:
        raise NeedsHelp(
            f"{len(total)} processes count {gate.name}, and {MOST_PODS} at most can be told apart:"
            " leave evidence out, with sums over a range in the configuration"
        )


def _sums(
    gate: Gate, series: list[Series]
) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    """All answers that are known to be good or not, good answers, and predictions, by pod; of
    latencies, all requests are predictions.
    """
    match gate.metric:
        case Metric.ACCURACY:
            feedback = named(series, FEEDBACK)
            right = [s for s in feedback if s.outcome == "correct"]
            return _by_pod(feedback), _by_pod(right), _by_pod(named(series, PREDICTIONS))
        case Metric.ERROR_RATE:
            requests, errors = _by_pod(named(series, REQUESTS)), _by_pod(named(series, ERRORS))
            return (
                requests,
                defaultdict(float, {p: n - errors[p] for p, n in requests.items()}),
                _by_pod(()),
            )
        case Metric.LATENCY_P95:
            return _within(gate, named(series, LATENCY_BUCKET))
        case Metric.DISAGREEMENT:
            answers = [s for s in named(series, SHADOW) if s.outcome in COMPARED]
            alike = [s for s in answers if s.outcome in ALIKE]
            return _by_pod(answers), _by_pod(alike), _by_pod(())
        case Metric.OWN if means := named(series, MEAN_OF):
            sums, squares = named(series, MEAN), named(series, MEAN_SQUARES)
            return _by_pod(means), _by_pod(sums), _by_pod(squares)
        case Metric.OWN:
            all_, counted = _by_pod(named(series, COUNTED_OF)), _by_pod(named(series, COUNTED))
            good = {p: counted[p] if gate.of_good else n - counted[p] for p, n in all_.items()}
            return all_, defaultdict(float, good), _by_pod(())
        case _:
            raise ValueError(f"{gate.metric} has no good answers to count")


def _within(
    gate: Gate, series: list[Series]
) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    """Requests known to be within the bound or not, those within it, and all, by pod: what lies in
    the bound's own bucket is unknown.
    """
    known, fast, served = _by_pod(()), _by_pod(()), _by_pod(())
    for pod, buckets in of_pods(series).items():
        within = max((b for b in buckets if b <= gate.threshold), default=0.0)
        beyond = min(b for b in buckets if b >= gate.threshold)
        fast[pod], served[pod] = buckets.get(within, 0.0), buckets[math.inf]
        known[pod] = fast[pod] + served[pod] - buckets[beyond]
    return known, fast, served


def _by_pod(series: Iterable[Series]) -> dict[str, float]:
    sums: dict[str, float] = defaultdict(float)
    for one in series:
        sums[one.pod] += one.value
    return sums


@dataclass(frozen=True, slots=True)
class Gain:
    """What came in since the last reading, and the counters that the next one is compared with."""

    good: float
    """Right answers, or requests without error or within the bound."""
    total: float
    """Answers known to be good or not."""
    predicted: float
    """Predictions, or all requests where latency is counted."""
    pods: tuple[PodCounts, ...]
    """By name, MOST_PODS at most; a pod not read now keeps its last counters."""
    corrected: float = 0.0
    """Of `good`, what corrections of earlier labels have changed; below 0 where they were for the
    worse.
    """
    begun_anew: tuple[PodCounts, ...] = ()
    """Of `pods`, those of a store that was emptied: the next reading is compared with them, even
    where nothing came in.
    """

    @property
    def fresh(self) -> float:
        """Right answers among `total`."""
        return self.good - self.corrected


def gained(before: Iterable[PodCounts], now: Iterable[PodCounts], first_counts: bool) -> Gain:
    """What came in between two readings.

    A sample that is not newer than the one known says nothing; a pod that is not read now keeps its
    last counts; what a pod seen for the first time has counted is taken where `first_counts`.
    """
    known = {p.pod: p for p in before}
    now = list(now)
    fallen = _fallen(known, now)
    good = total = predicted = corrected = 0.0
    anew: list[PodCounts] = []
    for one in now:
        old = known.get(one.pod)
        if old is not None and one.at <= old.at:
            continue
        if (store := store_of(one.pod)) in fallen:
            if fallen[store]:
                known[one.pod] = one
                anew.append(one)
            continue
        known[one.pod] = one
        if old is None and not first_counts:
            continue
        base = _NOTHING if old is None or _was_reset(old, one) else old
        right, all_ = one.good - base.good, one.total - base.total
        if is_of_store(one.pod, TAKEN_BACK):
            # Each of them stands among what the store has counted a second time, as it is now.
            good, total = good - right, total - all_
            corrected += (all_ - right) - right
            continue
        good, total = good + right, total + all_
        predicted += one.predicted - base.predicted
    newest = sorted(known.values(), key=lambda p: (not is_of_store(p.pod), -p.at))[:MOST_PODS]
    pods = tuple(sorted(newest, key=lambda p: p.pod))
    return Gain(good, total, predicted, pods, corrected, tuple(anew))


_NOTHING = PodCounts(pod="", good=0, total=0, at=0)


def _was_reset(old: PodCounts, new: PodCounts) -> bool:
    noise = NOISE * max(1.0, old.total)
    return (
        new.total < old.total
        or new.good < old.good - noise
        or new.total - new.good < old.total - old.good - noise
        or new.predicted < old.predicted - noise
    )


def _fallen(known: Mapping[str, PodCounts], now: Iterable[PodCounts]) -> dict[str, bool]:
    """The stores of which a counter fell, by place, and whether they begin anew.

    Most falls are none of the store: the pod that had read it last is gone, and another tells what
    it read before that. A database that fails over, or a node that loses its power, loses the
    newest labels, and they are sent again. So nothing counts before the store has as much as it
    had. One that has had less than half for a while was emptied, or is an old copy: what it has may
    have counted before, and what comes from now on counts.
    """
    stored = [one for one in now if is_of_store(one.pod)]
    pairs = [(old, one) for one in stored if (old := known.get(one.pod)) is not None]
    fell = {store_of(one.pod) for old, one in pairs if one.at > old.at and _was_reset(old, one)}
    return {
        old.pod: one.total >= old.total
        or (one.total < old.total / 2 and one.at - old.at >= EMPTIED_AFTER)
        for old, one in pairs
        if store_of(one.pod) == one.pod and one.pod in fell
    }


def with_begun_anew(pods: tuple[PodCounts, ...], gain: Gain) -> tuple[PodCounts, ...]:
    """What the next reading is compared with where a store was emptied and nothing is taken in."""
    anew = {one.pod: one for one in gain.begun_anew}
    return tuple(anew.get(one.pod, one) for one in pods)


def fresh_evidence(
    gate: Gate, candidate: Revision, stable: Revision | None, now: datetime
) -> EvidenceStatus:
    """No counts yet."""
    return EvidenceStatus(
        gate=gate_key(gate, stable),
        subject=subject_of(gate, candidate),
        since=candidate.ready_at or now,
    )


def of_definition(series: Iterable[Series], known: EvidenceStatus | None) -> EvidenceStatus | None:
    """The counts, if they are of what the series are; None where the metric of the configuration
    is another since: its counters are none that these can go on with.
    """
    return known if known is not None and known.defined == definition(series) else None


def definition(series: Iterable[Series]) -> str:
    """A hash of what a metric of one's own is; "" of one that is built in."""
    return next((s.defined for s in series), "")


def in_attempt(known: EvidenceStatus, candidate: Revision) -> EvidenceStatus:
    """The evidence, its clock set to this attempt."""
    if candidate.ready_at is None or candidate.ready_at <= known.since:
        return known
    return known.model_copy(update={"since": candidate.ready_at, "before": known.total})


def grown(
    known: EvidenceStatus,
    gate: Gate,
    own: tuple[PodCounts, ...],
    baseline: tuple[PodCounts, ...],
    now: datetime,
    *,
    width: float | None = None,
) -> EvidenceStatus:
    """The evidence with one more scrape in it; equal to `known` where nothing came in.

    width: of a mean, how far apart values may lie, in their unit.
    """
    # Candidates are counted from their pods' start. Stable's counters, and both for a difference,
    # hold a past of any length.
    mine = gained(known.pods, own, first_counts=not gate.paired or bool(known.pods))
    stable = gained(known.stable_pods, baseline, first_counts=False)
    predicted = known.predicted + mine.predicted
    changes: dict[str, object] = {
        name: with_begun_anew(pods, gain)
        for name, pods, gain in (
            ("pods", known.pods, mine),
            ("stable_pods", known.stable_pods, stable),
        )
        if gain.begun_anew
    }
    if {p.pod for p in stable.pods} != {p.pod for p in known.stable_pods}:
        changes["stable_pods"] = stable.pods
    if gate.paired and not known.pods:
        return known.model_copy(update={**changes, "pods": mine.pods})
    if gate.paired and not (mine.total > 0 and stable.total > 0):
        # A scrape counts for both or for none: nothing is lost, it comes with the next one. So do
        # corrections.
        return with_cohort(known.model_copy(update=changes), gate, predicted, now)
    if mine.total > 0 or mine.corrected:
        changes |= with_labels(known, mine)
    if mine.total > 0 and counts_bursts(gate):
        changes |= _with_bursts(known, gate, mine)
    if mine.total > 0 or mine.predicted > 0 or mine.corrected:
        changes |= {"pods": mine.pods, "predicted": predicted}
    if stable.total > 0:
        changes |= {
            "stable_pods": stable.pods,
            "baseline_total": known.baseline_total + stable.total,
        }
    if gate.against_stable and width is not None:
        changes |= _paired_means(known, gate, mine, stable, gate.threshold / width)
    elif gate.paired:
        changes |= _paired(known, gate, Scrape(mine.fresh, mine.total, stable.fresh, stable.total))
    return with_cohort(known.model_copy(update=changes), gate, predicted, now)


def with_labels(known: EvidenceStatus, gain: Gain) -> dict[str, float]:
    """Sums of the evidence with what came in.

    A correction moves an answer from right to wrong, or back, in a scrape that has been: how much
    scrapes differ is left as it was.
    """
    good, squares = known.good + gain.corrected, known.squares
    if gain.corrected and known.total > 0:
        squares += (good * good - known.good * known.good) / known.total
    if gain.total > 0:
        squares += gain.fresh * gain.fresh / gain.total
    return {
        "good": good + gain.fresh,
        "total": known.total + gain.total,
        "scrapes": known.scrapes + (gain.total > 0),
        "squares": round(max(0.0, squares), 6),
    }


def counts_bursts(gate: Gate) -> bool:
    """Whether answers between two looks are taken for as alike as those of a burst may be: where
    waiting for more of them costs no user anything, and nothing else is said.
    """
    return gate.metric is Metric.DISAGREEMENT and gate.design_effect is None


def _with_bursts(known: EvidenceStatus, gate: Gate, gain: Gain) -> dict[str, object]:
    """What came between two looks, as the answers that it is worth."""
    divide = bursts.burst(gain.total)
    squares = known.squares + gain.good * gain.good / gain.total / divide
    return {
        "effective_total": round(known.effective_total + gain.total / divide, 6),
        "effective_good": round(known.effective_good + gain.good / divide, 6),
        "squares": round(squares, 6),
        "below": bursts.grown(known.below, gain.total - gain.good, gain.total, gate.threshold),
    }


def _paired(known: EvidenceStatus, gate: Gate, scrape: Scrape) -> dict[str, object]:
    wealth = Wealth(known.above, known.below, known.stable_good, known.stable_total)
    after = pair_step(wealth, scrape, gate.threshold, gate.alpha.promote, gate.max_samples)
    return {
        "above": after.above,
        "below": after.below,
        "stable_good": after.right,
        "stable_total": after.total,
    }


def _paired_means(
    known: EvidenceStatus, gate: Gate, mine: Gain, stable: Gain, drop: float
) -> dict[str, object]:
    wealth = PairWealth(known.above, known.below, known.stable_good, known.stable_total)
    ours, theirs = (Sums(of.total, of.fresh, of.predicted) for of in (mine, stable))
    if not gate.of_good:
        # The smaller values are the better ones.
        ours, theirs = ours.turned, theirs.turned
    after = mean_pair.pair_step(wealth, ours, theirs, drop, gate.max_samples)
    return {
        "above": after.above,
        "below": after.below,
        "stable_good": after.total,
        "stable_total": after.count,
    }


def with_cohort(
    known: EvidenceStatus, gate: Gate, predicted: float, now: datetime
) -> EvidenceStatus:
    """Note how many predictions there were, as often as the label delay needs it; forget what is
    older than it.
    """
    delay = gate.label_delay
    if not delay or gate.metric is not Metric.ACCURACY:
        return known
    moment, spacing = now.timestamp(), delay.total_seconds() / (MOST_COHORTS - 4)
    if known.cohorts and moment - known.cohorts[-1].at < spacing:
        return known
    kept = [*known.cohorts, Cohort(at=round(moment, 3), predicted=predicted)]
    ripe = [c for c in kept if c.at <= moment - delay.total_seconds()]
    young = [c for c in kept if c.at > moment - delay.total_seconds()]
    return known.model_copy(update={"cohorts": tuple([*ripe[-1:], *young][-MOST_COHORTS:])})


def matured(evidence: EvidenceStatus, delay: timedelta, now: datetime) -> float | None:
    """Predictions old enough to have a label; None before the first of them are."""
    if not delay:
        return evidence.predicted
    ripe = [c.predicted for c in evidence.cohorts if c.at <= (now - delay).timestamp()]
    return ripe[-1] if ripe and ripe[-1] > 0 else None


def design_effect(evidence: EvidenceStatus, gate: Gate) -> float:
    """What counts are divided by: as given, else Pearson's chi-squared by its degrees of freedom,
    from the fifth scrape on; where bursts are counted, of what they are worth.
    """
    if gate.design_effect is not None:
        return gate.design_effect
    good, total = (
        (evidence.effective_good, evidence.effective_total)
        if counts_bursts(gate)
        else (evidence.good, evidence.total)
    )
    share = good / total if total else 0.0
    if evidence.scrapes < 5 or not 0 < share < 1:
        return 1.0
    squared = (evidence.squares - 2 * share * good + share * share * total) / (share * (1 - share))
    return max(1.0, squared / (evidence.scrapes - 1))
