"""What counts of right and wrong answers prove, by an anytime-valid test."""

import math
from dataclasses import dataclass

from rollout_operator.domain.api.analysis import Gate, Metric
from rollout_operator.domain.api.gate_results import EvidenceStatus
from rollout_operator.domain.gates import mean_test, sequential_test

LATENCY_SHARE = 0.95
"""A p95 of at most `max` says that at least this share of requests is answered within it."""


def floor_of(gate: Gate) -> float:
    """The share of good answers that the gate asks for."""
    match gate.metric:
        case Metric.ACCURACY:
            return gate.threshold
        case Metric.ERROR_RATE | Metric.DISAGREEMENT:
            return 1 - gate.threshold
        case Metric.LATENCY_P95:
            return LATENCY_SHARE
        case Metric.OWN:
            return gate.threshold if gate.of_good else 1 - gate.threshold
        case _:
            raise ValueError(f"{gate.metric} is no share of good answers")


def speaks_of_good(gate: Gate) -> bool:
    """Whether people speak of the share of good answers; of errors and slow requests, of the bad
    ones.
    """
    return gate.metric is Metric.ACCURACY or (gate.metric is Metric.OWN and gate.of_good)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the test says."""

    evidence_for: float
    """ln E that the candidate is good, as a share of what a verdict needs: 1 decides."""
    evidence_against: float
    """The same for that it is not."""
    lower: float | None
    """Lower bound of the share of good answers; None where the test has none."""
    upper: float | None
    """Upper bound of it."""
    labels_left: float | None
    """About how many labels a verdict still takes; None where nothing can be told."""


def evidence_of_share(
    good: float, bad: float, missing: float, gate: Gate, tests: int
) -> tuple[float, float]:
    """Evidence for and against, each as a share of what a verdict needs (1 decides), by the
    one-sample test.
    """
    log_for = sequential_test.log_e(
        good,
        bad + missing,
        floor_of(gate) - gate.tolerance,
        True,
        gate.alpha.promote,
        gate.max_samples,
    )
    log_against = sequential_test.log_e(
        good + missing, bad, floor_of(gate), False, gate.alpha.rollback, gate.max_samples
    )
    return log_for / _need_for(gate), log_against / _need_against(gate, tests)


def evidence_of_copies(
    evidence: EvidenceStatus, gate: Gate, tests: int, divide: float
) -> tuple[float, float]:
    """The same of answers that come in bursts: for, by what they are worth; against, by the shares
    of all looks, whatever the answers of one have in common.
    """
    good, bad = _worth(evidence, divide)
    in_favour, _ = evidence_of_share(good, bad, 0.0, gate, tests)
    log_against = sequential_test.log_mean_exp(evidence.below) if evidence.below else 0.0
    return in_favour, log_against / _need_against(gate, tests)


def _worth(evidence: EvidenceStatus, divide: float) -> tuple[float, float]:
    """Good and bad answers, as they count."""
    good, total = evidence.effective_good, evidence.effective_total
    return good / divide, max(0.0, total - good) / divide


def judge_copies(evidence: EvidenceStatus, gate: Gate, tests: int, divide: float) -> Judgement:
    """The test of a share of answers that come in bursts."""
    good, bad = _worth(evidence, divide)
    lower, upper = sequential_test.interval(good, bad, gate.alpha.promote, gate.max_samples)
    shares = evidence_of_copies(evidence, gate, tests, divide)
    return Judgement(*shares, lower, upper, _left(evidence, shares))


def _need_for(gate: Gate) -> float:
    return math.log(1 / gate.alpha.promote)


def _need_against(gate: Gate, tests: int) -> float:
    """Any of several gates can roll back: they share the chance of a wrong verdict."""
    return math.log(tests / gate.alpha.rollback)


def judge_share(good: float, bad: float, missing: float, gate: Gate, tests: int) -> Judgement:
    """The one-sample test on counts (already divided by the design effect)."""
    shares = evidence_of_share(good, bad, missing, gate, tests)
    lower, upper = sequential_test.interval(good, bad, gate.alpha.promote, gate.max_samples)
    share, lowered = (good + 0.5) / (good + bad + 1), floor_of(gate) - gate.tolerance
    rising = share > lowered
    needed = (
        (1 - shares[0]) * _need_for(gate)
        if rising
        else (1 - shares[1]) * _need_against(gate, tests)
    )
    distance = sequential_test.kl(share, lowered if rising else floor_of(gate))
    return Judgement(
        *shares, lower, upper, max(0.0, needed) / distance if distance > 1e-4 else None
    )


def judge_mean(
    evidence: EvidenceStatus, gate: Gate, scale: tuple[float, float], tests: int, divide: float
) -> Judgement:
    """The test of the mean of values that were scaled to 0 to 1; bounds are in the values' unit."""
    low, high = scale
    sums = mean_test.Sums(
        evidence.total / divide, evidence.good / divide, evidence.predicted / divide
    )

    def log_e(bound: float, above: bool) -> float:
        share = min(1.0, max(0.0, (bound - low) / (high - low)))
        return mean_test.log_e(sums, share, above, gate.max_samples)

    eased = gate.threshold + (-gate.tolerance if gate.of_good else gate.tolerance)
    shares = (
        log_e(eased, gate.of_good) / _need_for(gate),
        log_e(gate.threshold, not gate.of_good) / _need_against(gate, tests),
    )
    return Judgement(*shares, None, None, _left(evidence, shares))


def _left(evidence: EvidenceStatus, shares: tuple[float, float]) -> float | None:
    """Evidence grows about in proportion to what is counted; before there is some, nothing can be
    told.
    """
    return max(0.0, evidence.total * (1 / max(shares) - 1)) if max(shares) > 0.05 else None


def judge_pair(evidence: EvidenceStatus, gate: Gate, tests: int, divide: float) -> Judgement:
    """The two-sample test on the log-wealths of all scrapes so far."""
    log_for, log_against = (
        sequential_test.log_mean_exp([w / divide for w in wealth]) if wealth else 0.0
        for wealth in (evidence.above, evidence.below)
    )
    shares = log_for / _need_for(gate), log_against / _need_against(gate, tests)
    return Judgement(*shares, None, None, _left(evidence, shares))
