"""Tests of a share of answers that come in bursts: one client sends many that are alike, at once.

Against the version, what comes between two looks is one observation, the share y of answers that
are bad. Who bets the share b of what he has on its being above `most` gains 1 + b (y / most - 1):
on average 1 at most where the mean of y, given what came before, is `most` at most, however the
answers of a look depend on one another. The mean over several b is an e-process, and Ville's
inequality bounds the error (Waudby-Smith and Ramdas, JRSS B 86, 2024, arXiv 2010.09686).

For it nothing like that can do: even a version that always answers alike must be looked at
ln(1/alpha) / -ln(1 - most) times, 59 for 0.05, before it is told from one of which 0.05 of looks
are bad throughout. So counts are divided by the most answers that a burst is taken to have. With d
of them, a burst of n <= d multiplies the wealth of `sequential_test` by the weighted geometric mean
of ratios, to the power n / d; both are at most the arithmetic one (Jensen), and so 1 on average at
most: the test holds exactly, whatever the answers of a burst have in common, where bursts depend on
one another by what came before alone.
"""

import math
from collections.abc import Sequence

BURST = 5
"""Answers of one burst may be alike without being told so."""
WORTH = 20
"""What comes between two looks counts as so many answers at most: a burst may be as large a part
of it.
"""
BETS = (0.9, 0.36, 0.144, 0.0576, 0.02304)
"""Shares of what one has that are bet on "too many are bad"."""


def burst(answers: float) -> float:
    """What `answers` that came between two looks are divided by: how many of them may be alike."""
    return max(1.0, min(answers, max(BURST, answers / WORTH)))


def grown(before: Sequence[float], bad: float, answers: float, most: float) -> tuple[float, ...]:
    """Log-wealth of each bet after one more look, in nats; () before the first, and what other bets
    than these have won counts for nothing.

    bad: of `answers`, which are more than 0. most: the share that may be bad, above 0.
    """
    odds = bad / answers / most - 1
    known = before if len(before) == len(BETS) else (0.0,) * len(BETS)
    return tuple(won + math.log1p(bet * odds) for won, bet in zip(known, BETS, strict=True))
