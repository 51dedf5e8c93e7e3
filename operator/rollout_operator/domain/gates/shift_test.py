"""An anytime-valid test of how far two distributions over classes are apart, however often one
looks, and however their weights and what both are given change meanwhile.

The distance is total variation: the greatest difference of the shares that any set of classes has
with the two. Of each scrape k with n and m answers, d[a] is the difference of the two shares of
class a, and h = n m / (n + m). It has the mean of the true difference whatever base rates were, and
the sum of h d over the classes of a set A is sub-Gaussian with variance h / 4 around it (Hoeffding
1963). So with S[a] the sum of h d[a] over scrapes, H that of h, and any l > 0,

    E(A, l) = exp(l (S(A) - t H) - l^2 H / 8)

is a supermartingale where A has at most t more with the first in every scrape, and Ville's
inequality makes it a test at level alpha (Howard, Ramdas, McAuliffe, Sekhon, Probability Surveys
17, 2020). Several l, as in `sequential_test`, are mixed.

Further apart than t: the mean of E over all sets A, which is a test of "no set has more than t"
because a mean of e-values is one (Vovk, Wang, Annals of Statistics 49, 2021); as a product over
classes it has a closed form. Less than t: the smallest over all sets of the mirrored E, which is
that of the classes that have more with the first (Berger, Technometrics 24, 1982).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from rollout_operator.domain.gates.sequential_test import ALPHA, MAX_SAMPLES, SCALES, log_mean_exp


@dataclass(frozen=True, slots=True)
class Shift:
    """What the test carries from scrape to scrape."""

    excess: Mapping[str, float] = field(default_factory=dict)
    """S: by class, how much more often the first gives it, weighted."""
    weight: float = 0.0
    """H: pairs of answers that this rests on."""

    @property
    def distance(self) -> float:
        """Total variation as counted, 0 to 1; chance alone makes it greater than 0."""
        return sum(max(0.0, s) for s in self.excess.values()) / self.weight if self.weight else 0.0

    def divided(self, by: float) -> "Shift":
        """The same of so many times fewer answers."""
        return Shift({name: s / by for name, s in self.excess.items()}, self.weight / by)


def differences(
    ours: Mapping[str, float], theirs: Mapping[str, float]
) -> tuple[dict[str, float], float]:
    """Of one scrape's counts by class: d by class, and h. Both have counted something."""
    n, m = sum(ours.values()), sum(theirs.values())
    names = dict.fromkeys((*ours, *theirs))
    return (
        {name: ours.get(name, 0.0) / n - theirs.get(name, 0.0) / m for name in names},
        n * m / (n + m),
    )


def added(known: Shift, ours: Mapping[str, float], theirs: Mapping[str, float]) -> Shift:
    """One more scrape, with the counts by class that came in since the last one; where one of the
    two has none, it says nothing.
    """
    if sum(ours.values()) <= 0 or sum(theirs.values()) <= 0:
        return known
    found, weight = differences(ours, theirs)
    excess = dict(known.excess)
    for name, difference in found.items():
        excess[name] = excess.get(name, 0.0) + weight * difference
    return Shift(excess, known.weight + weight)


@lru_cache(maxsize=64)
def steps(alpha: float, most: int) -> tuple[float, ...]:
    """The l that are mixed, one for each number of pairs 10, 40, 160, … <= `most`: the one that
    settles most in so many.
    """
    scales = [10 * 4**j for j in range(SCALES) if 10 * 4**j <= most] or [10]
    return tuple(math.sqrt(8 * math.log(1 / alpha) / n) for n in scales)


def log_beyond(
    shift: Shift, threshold: float, alpha: float = ALPHA, most: int = MAX_SAMPLES
) -> float:
    """ln E for "further apart than `threshold`": proved at level alpha at ln(1/alpha)."""
    return log_mean_exp(
        [
            sum(_log_half_one_plus_exp(step * s) for s in shift.excess.values())
            - step * threshold * shift.weight
            - step * step * shift.weight / 8
            for step in steps(alpha, most)
        ]
    )


def log_within(
    shift: Shift, threshold: float, alpha: float = ALPHA, most: int = MAX_SAMPLES
) -> float:
    """ln E for "less far apart than `threshold`"; of sets that are as far apart all the time."""
    more = sum(max(0.0, s) for s in shift.excess.values())
    return log_mean_exp(
        [
            step * (threshold * shift.weight - more) - step * step * shift.weight / 8
            for step in steps(alpha, most)
        ]
    )


def _log_half_one_plus_exp(x: float) -> float:
    """ln((1 + e^x) / 2) without overflow."""
    return max(x, 0.0) + math.log1p(math.exp(-abs(x))) - math.log(2)


def interval(shift: Shift, alpha: float = ALPHA, most: int = MAX_SAMPLES) -> tuple[float, float]:
    """Bounds of the distance that hold at all times together, each side at level alpha."""
    need, centre = math.log(1 / alpha), min(1.0, shift.distance)
    lower = _last(lambda t: log_beyond(shift, t, alpha, most) >= need, 0.0, centre)
    upper = _last(lambda t: log_within(shift, t, alpha, most) >= need, 1.0, centre)
    return lower, upper


def _last(proved: Callable[[float], bool], sure: float, far: float) -> float:
    """The last threshold on the way from `sure` to `far` that is proved; `sure` where none is."""
    found = sure
    for _ in range(20):
        middle = (sure + far) / 2
        if proved(middle):
            found = sure = middle
        else:
            far = middle
    return found
