"""Latency histograms: what buckets say, and no more. Where in one a value lies is not known."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rollout_operator.domain.api.analysis import Gate, Metric
from rollout_operator.domain.gates.samples import LATENCY_BUCKET, NoEvidence, bound_of, is_count
from rollout_operator.domain.observed import Series

Buckets = Mapping[float, float]
"""Requests by the upper bound of their bucket in seconds, cumulative: each counts those of the
buckets below it.
"""

PARTS, WIDTHS = 2, 20
"""Of a gate against stable: buckets as wide as a half of maxIncrease, up to ten times it."""
MOST_BOUNDS = 60


def bounds(gates: Iterable[Gate]) -> tuple[float, ...]:
    """The bounds, in seconds, that the latency gates need beside a histogram's usual ones; the
    thresholds come first.
    """
    latency = [g for g in gates if g.metric is Metric.LATENCY_P95]
    wanted = [g.max for g in latency if g.max]
    for gate in latency:
        wanted += [round(n * (gate.max_increase or 0.0) / PARTS, 9) for n in range(1, WIDTHS + 1)]
    found = dict.fromkeys(b for b in wanted if b > 0)
    return tuple(sorted([*found][:MOST_BOUNDS]))


def of_pods(series: Iterable[Series], since_first: bool = False) -> dict[str, Buckets]:
    """The histogram of each pod; since_first: only what came within the query's window. Raises
    NoEvidence for what is none.
    """
    by_pod: dict[str, dict[float, Series]] = defaultdict(dict)
    for one in series:
        if not is_count(one.value):
            raise NoEvidence(f"{LATENCY_BUCKET} is not a finite count")
        by_pod[one.pod][bound_of(one)] = one
    found: dict[str, Buckets] = {}
    for pod, of_pod in by_pod.items():
        if math.inf not in of_pod:
            raise NoEvidence(f"no complete histogram {LATENCY_BUCKET} of this revision")
        # Buckets of a pod restart together: one that fell means that all of them count anew.
        past = since_first and all(s.first <= s.value for s in of_pod.values())
        counts = {b: of_pod[b].value - (of_pod[b].first if past else 0.0) for b in sorted(of_pod)}
        found[pod] = counts
    return found


def together(pods: Iterable[Buckets]) -> Buckets:
    """The sum over pods, by the bounds that all have. Raises NoEvidence where there is no pod."""
    found = list(pods)
    if not found:
        raise NoEvidence(f"no complete histogram {LATENCY_BUCKET} of this revision")
    shared = set(found[0]).intersection(*found[1:])
    return {b: sum(pod[b] for pod in found) for b in sorted(shared)}


@dataclass(frozen=True, slots=True)
class Between:
    """Where a percentile lies, in seconds."""

    lower: float
    """It is above this."""
    upper: float
    """It is at most this."""
    value: float
    """The guess that PromQL's histogram_quantile makes."""

    def __str__(self) -> str:
        return f"above {self.lower:g}" + (
            f" and at most {self.upper:g}" if math.isfinite(self.upper) else ", the largest bucket"
        )


def percentile(buckets: Buckets, percent: int) -> Between:
    """The bucket that a percentile lies in. Raises NoEvidence where counts are not cumulative.

    Source of the guess:
    prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile.
    """
    rank, below, floor = buckets[math.inf] * percent / 100, 0.0, 0.0
    for upper in sorted(buckets):
        if buckets[upper] < below:
            raise NoEvidence(f"{LATENCY_BUCKET} counts less at {upper:g} s than below it")
        if buckets[upper] >= rank:
            break
        below, floor = buckets[upper], upper
    if math.isinf(upper):
        return Between(floor, upper, floor)
    inside = buckets[upper] - below
    return Between(
        floor, upper, floor + (upper - floor) * ((rank - below) / inside if inside else 1.0)
    )
