"""Whether counts of requests tell for sure on which side of a gate's bound a revision is: a
percentile of few requests does not.

Both answers are by the anytime-valid test of `sequential_test`: looks at growing counts, as many as
one likes, are wrong once with a chance of the level at most.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from rollout_operator.domain.api.analysis import Gate
from rollout_operator.domain.api.gate_results import PodCounts
from rollout_operator.domain.gates import sequential_test
from rollout_operator.domain.gates.judgement import floor_of
from rollout_operator.domain.gates.label_counters import Gain, counts
from rollout_operator.domain.observed import Series

ALPHA: Final = 0.001
"""Chance that a version which keeps its bound, be it just so, is ever said to break it."""
NEAR: Final = 0.05
"""Chance that stable is said to keep a bound which it breaks."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Requests, and those that are wrong: errors, or slower than the bound."""

    requests: int
    """All of them."""
    wrong: int
    """Those of them that are so for sure: what lies in the bound's own bucket is not."""
    unknown: int = 0
    """Those in that bucket."""

    @classmethod
    def of(cls, counted: PodCounts | Gain) -> "Tally":
        """What counters of a pod, or what came in between two readings, say."""
        known = round(counted.total)
        requests = max(round(counted.predicted), known)
        return cls(requests, known - round(counted.good), requests - known)

    @classmethod
    def sum(cls, gate: Gate, series: Iterable[Series]) -> "Tally":
        """Over the pods. Raises NoEvidence where counters cannot be read."""
        of_pods = [cls.of(one) for one in counts(gate, list(series))]
        return cls(
            sum(one.requests for one in of_pods),
            sum(one.wrong for one in of_pods),
            sum(one.unknown for one in of_pods),
        )

    @property
    def right(self) -> int:
        """Those that are right for sure."""
        return self.requests - self.wrong - self.unknown


def allowed(gate: Gate) -> float:
    """The share of requests that may be wrong."""
    return 1 - floor_of(gate)


def keeps(gate: Gate, tally: Tally) -> bool:
    """Whether no more are wrong than may be, as a Reported gate has it: for sure or not."""
    return tally.wrong + tally.unknown <= allowed(gate) * tally.requests + 1e-9


def breaks_for_sure(gate: Gate, tally: Tally) -> bool:
    """Whether more are wrong than may be, at level ALPHA."""
    if not 0 < floor_of(gate) < 1:
        return tally.wrong > allowed(gate) * tally.requests
    return _proves(gate, tally.requests - tally.wrong, tally.wrong, False, ALPHA)


def keeps_for_sure(gate: Gate, tally: Tally) -> bool:
    """Whether fewer are wrong than may be, at level NEAR."""
    if not 0 < floor_of(gate) < 1:
        return tally.wrong + tally.unknown <= allowed(gate) * tally.requests
    return _proves(gate, tally.right, tally.wrong + tally.unknown, True, NEAR)


def _proves(gate: Gate, right: int, wrong: int, above: bool, alpha: float) -> bool:
    return sequential_test.log_e(right, wrong, floor_of(gate), above, alpha) >= math.log(1 / alpha)
