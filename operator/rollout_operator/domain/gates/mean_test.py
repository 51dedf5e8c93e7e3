"""An anytime-valid test on the mean of bounded values, by three sums: whenever one looks, a wrong
verdict has a chance of alpha at most, whatever the values' distribution.

Of values x from 0 to 1 whose mean is at most m, betting the share b of what one has on their being
above it, wealth is multiplied by 1 + b (x / m - 1), on average by 1 at most. For b < 1 that is at
least exp(b d + (b + ln(1 - b)) d^2) with d = x / m - 1 >= -1, and the product of those is told by
the number of values, their sum and the sum of their squares. A mixture over bets is an e-process,
too, and Ville's inequality gives the error bound. Sources: Waudby-Smith and Ramdas, JRSS B 86
(2024), arXiv 2010.09686; Fan, Grama and Liu, EJP 20 (2015), lemma 4.1, for the exponential bound.
"""

import math
from dataclasses import dataclass

from rollout_operator.domain.gates.sequential_test import log_mean_exp

BOLDEST, APART = 0.8, 2.5
"""The greatest bet, and how many times smaller each other one is."""
NATS = 6.0
"""Twice what a verdict at level 0.05 takes."""
EDGE = 1e-9


@dataclass(frozen=True, slots=True)
class Sums:
    """Of values from 0 to 1."""

    count: float
    """How many there are; fractions where they count for less."""
    total: float
    """Their sum."""
    squares: float
    """The sum of their squares; where that is not known, `total`, which it is at most."""

    @property
    def turned(self) -> "Sums":
        """Of 1 - x."""
        return Sums(self.count, self.count - self.total, self.count - 2 * self.total + self.squares)


def bets(mean: float, most: int) -> tuple[float, ...]:
    """The bets of the mixture: down to the best one for values that are all or nothing, of about
    this mean, which settles in `most` of them.
    """
    found = [BOLDEST]
    while (smaller := found[-1] / APART) >= math.sqrt(NATS * mean / most):
        found.append(smaller)
    return tuple(found)


def log_e(sums: Sums, threshold: float, above: bool, most: int) -> float:
    """ln E for "the mean is above (below) `threshold`"; it proves that at level alpha when it
    reaches ln(1/alpha). A threshold at the end that nothing lies beyond proves nothing: 0.
    """
    of, mean = (sums, threshold) if above else (sums.turned, 1 - threshold)
    if mean >= 1 - EDGE:
        return 0.0
    mean = max(mean, EDGE)
    distance = of.total / mean - of.count
    spread = max(0.0, of.squares / mean**2 - 2 * of.total / mean + of.count)
    return log_mean_exp(
        [bet * distance + (bet + math.log1p(-bet)) * spread for bet in bets(mean, most)]
    )
