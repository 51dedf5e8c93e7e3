"""Rules that decide whether a model's accuracy is at least a threshold, and their exact chances for
independent labels.

Our gates' boundaries are read off the real gate code. Argo Rollouts and Flagger take a value at
each interval and compare it; how many times it must pass or may fail is all they count (their
source: analysis/analysis.go assessMetricStatus, and pkg/controller/scheduler.go with
status.FailedChecks, which only grows). Here each of their values rests on `WINDOW` labels.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from math import comb

import numpy as np

from rollout_operator.domain.api.analysis import EvidenceKind, Gate, Metric
from tests.support.boundaries import Boundaries, Chances, boundaries, chances

THRESHOLD = 0.70
WINDOW = 20
MOST = 2000
"""Labels after which our gates are inconclusive: the default of maxSamples."""


@dataclass(frozen=True)
class Rule:
    """How one rule is called, and what it comes to at a true accuracy."""

    name: str
    chances: Callable[[float], Chances]


@cache
def lines(min_samples: int, tolerance: float, every: int) -> Boundaries:
    """Boundaries of our gate, where it is looked at after every so many labels."""
    gate = Gate(
        metric=Metric.ACCURACY,
        min=THRESHOLD,
        evidence=EvidenceKind.LABELLED,
        min_samples=min_samples,
        tolerance=tolerance,
    )
    found = boundaries(gate, MOST)
    looked = np.arange(MOST + 1) % every == 0
    return replace(
        found,
        promote=np.where(looked, found.promote, np.arange(MOST + 1) + 1),
        roll_back=np.where(looked, found.roll_back, -1),
    )


def ours(
    min_samples: int = 30, tolerance: float = 0.0, every: int = WINDOW
) -> Callable[[float], Chances]:
    """Our Labelled gate; by default with the defaults of the CRD,
    looked at as often as the others.
    """
    return lambda share: chances(lines(min_samples, tolerance, every), share)


def passing(share: float, labels: int = WINDOW) -> float:
    """Chance that a window's accuracy is at or above the threshold."""
    return sum(
        comb(labels, k) * share**k * (1 - share) ** (labels - k)
        for k in range(labels + 1)
        if k / labels >= THRESHOLD
    )


def windows(passes: int, failures: int, most: int | None = None) -> Callable[[float], Chances]:
    """Promote at so many passes, roll back at so many failures; with `most`, promote what has not
    failed after so many windows.
    """

    def found(share: float) -> Chances:
        good, alive = passing(share), {(0, 0): 1.0}
        promoted = rolled_back = labels = 0.0
        for n in range(1, passes + failures + (most or 0)):
            after: dict[tuple[int, int], float] = defaultdict(float)
            for (ok, bad), chance in alive.items():
                for state, weight in (((ok + 1, bad), good), ((ok, bad + 1), 1 - good)):
                    if state[1] >= failures:
                        rolled_back, labels = (
                            rolled_back + chance * weight,
                            labels + n * WINDOW * chance * weight,
                        )
                    elif n >= most if most else state[0] >= passes:
                        promoted, labels = (
                            promoted + chance * weight,
                            labels + n * WINDOW * chance * weight,
                        )
                    else:
                        after[state] += chance * weight
            alive = after
        return Chances(promoted, rolled_back, labels)

    return found


def lifetime(passes: int, failures: int) -> Callable[[float], Chances]:
    """The same where the value is the accuracy over all labels so far, as a gauge such as
    ml_model_accuracy has it.
    """

    def found(share: float) -> Chances:
        step = np.array(
            [comb(WINDOW, k) * share**k * (1 - share) ** (WINDOW - k) for k in range(WINDOW + 1)]
        )
        alive: Mapping[tuple[int, int], np.ndarray] = {(0, 0): np.ones(1)}
        promoted = rolled_back = labels = 0.0
        for n in range(1, passes + failures):
            after: dict[tuple[int, int], np.ndarray] = {}
            good = np.arange(n * WINDOW + 1) / (n * WINDOW) >= THRESHOLD
            for (ok, bad), chance in alive.items():
                right = np.convolve(chance, step)
                for state, kept in (
                    ((ok + 1, bad), np.where(good, right, 0)),
                    ((ok, bad + 1), np.where(good, 0, right)),
                ):
                    if state[1] >= failures:
                        rolled_back, labels = (
                            rolled_back + kept.sum(),
                            labels + n * WINDOW * kept.sum(),
                        )
                    elif state[0] >= passes:
                        promoted, labels = promoted + kept.sum(), labels + n * WINDOW * kept.sum()
                    else:
                        after[state] = after.get(state, 0) + kept
            alive = after
        return Chances(float(promoted), float(rolled_back), float(labels))

    return found


RULES = (
    Rule("ours, defaults", ours()),
    Rule("ours, looked at after every label", ours(min_samples=1, every=1)),
    Rule("ours, `tolerance: 0.05`", ours(tolerance=0.05)),
    Rule("Argo Rollouts, `count: 10`, `failureLimit: 0`", windows(10, 1)),
    Rule("Argo Rollouts, `count: 10`, `failureLimit: 3`", windows(10, 4, most=10)),
    Rule("Flagger, 5 steps, `threshold: 5`", windows(5, 5)),
    Rule("the same on a lifetime gauge", lifetime(5, 5)),
    Rule("the gauge read once, 20 labels", windows(1, 1)),
)
"""What is compared; ours first."""
