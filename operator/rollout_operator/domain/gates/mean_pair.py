"""An anytime-valid test on the difference of two means of bounded values, by sums of each scrape:
whenever one looks, a wrong verdict has a chance of alpha at most, whatever the distributions, and
however means, traffic and weights change from scrape to scrape.

As in `mean_test`, a bet b on values above t multiplies wealth by 1 + b (x / t - 1) for each. Of
each scrape one bets on the candidate's values being above t and on stable's being below t + drop,
with bets whose first orders balance: n b / t = m c / (1 - t - drop), for n and m values. Where the
candidate's mean is at most stable's - drop, the logarithm of the expectation is concave along
t + s, t + drop + s, and flat at s = 0: it is 0 at most, whatever both means are. So t is free, as
long as it is chosen before the scrape; that it is near stable's mean costs least. The same idea as
`sequential_test.pair_step` for values that are no yes or no.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rollout_operator.domain.gates.mean_test import BOLDEST, EDGE, Sums, bets
from rollout_operator.domain.gates.sequential_test import FORGET

MOST_BETS = 8
"""As many log-wealths as a status holds."""


@dataclass(frozen=True, slots=True)
class PairWealth:
    """What all scrapes so far say."""

    above: tuple[float, ...] = ()
    """ln of the wealth of each bet on "the candidate is not worse"; empty before the first."""
    below: tuple[float, ...] = ()
    """The same for "it is worse"."""
    total: float = 0.0
    """Sum of stable's values, exponentially weighted."""
    count: float = 0.0
    """How many these were, likewise."""


def _odds(sums: Sums, mean: float) -> tuple[float, float]:
    """How far values are above `mean`, as multiples of it, and the sum of the squares of that."""
    spread = sums.squares / mean**2 - 2 * sums.total / mean + sums.count
    return sums.total / mean - sums.count, max(0.0, spread)


def _log_gain(odds: tuple[float, float], bet: float) -> float:
    """What a bet on values above a mean gains at least, in nats."""
    distance, spread = odds
    return bet * distance + (bet + math.log1p(-bet)) * spread


def _steps(mean: float, most: int, known: Sequence[float]) -> tuple[float, ...]:
    """The bets of the mixture, as many as there are wealths, down to the best one for `most`
    values.
    """
    wanted = bets(mean, most)
    number = len(known) or min(MOST_BETS, len(wanted))
    if number < 2:
        return (BOLDEST,) * number
    apart = (BOLDEST / wanted[-1]) ** (1 / (number - 1))
    return tuple(BOLDEST / apart**step for step in range(number))


def _grown(  # noqa: PLR0917 - two arms, and where the bets are placed
    known: tuple[float, ...], up: Sums, mean: float, down: Sums, other: float, most: int
) -> tuple[float, ...]:
    """Log-wealths after bets on `up` being above `mean` and `down` above `other`."""
    ratio = up.count * other / (down.count * mean)
    scale = min(1.0, 1 / ratio)
    steps, of_up, of_down = _steps(mean, most, known), _odds(up, mean), _odds(down, other)
    return tuple(
        before + _log_gain(of_up, bet * scale) + _log_gain(of_down, bet * scale * ratio)
        for before, bet in zip(known or (0.0,) * len(steps), steps, strict=True)
    )


def pair_step(
    wealth: PairWealth, candidate: Sums, stable: Sums, drop: float, most: int
) -> PairWealth:
    """One scrape of "the candidate's mean is at most `drop` below stable's". The first scrape only
    tells what stable is like.

    candidate, stable: of values from 0 to 1 that came in this scrape. most: how many values of the
    candidate a verdict may take.
    """
    above, below = wealth.above, wealth.below
    if wealth.count > 0 and candidate.count > 0 and stable.count > 0:
        # As if there had been one value more: no mean is 0 because nobody has bought yet.
        known = (wealth.total + 0.5) / (wealth.count + 1)
        mean = min(max(known - drop, known / 2, EDGE), 1 - drop - EDGE)
        above = _grown(above, candidate, mean, stable.turned, 1 - mean - drop, most)
        below = _grown(below, stable, mean + drop, candidate.turned, 1 - mean, most)
    return PairWealth(
        above,
        below,
        FORGET * wealth.total + stable.total,
        FORGET * wealth.count + stable.count,
    )
