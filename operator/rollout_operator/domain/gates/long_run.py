"""How a version that turns bad is found in a watch of any length, with a bounded chance that a good
one is ever taken for it.

A version that was good for an hour has an hour's evidence in its favour, which a test since its
promotion would have to lose first. So there is a test for each moment at which it may have turned
bad, one for each look: their sum obeys R' = (R + 1) * L, where L is the likelihood ratio of what
came since (Shiryaev 1963, Roberts 1966). The mean of so many e-processes, each 1 until it begins,
is an e-process, and Ville's inequality bounds the chance that it ever reaches 1/alpha, whatever the
change and however often one looks. Source: Shin, Ramdas, Rinaldo, E-detectors, arXiv 2203.03532,
sections 2 and 3; the alternatives are those of `sequential_test`.
"""

import math
from datetime import timedelta

from rollout_operator.domain.gates.sequential_test import alternatives, kl, log_mean_exp

WAYS = 2
"""By how many tests one gate may fail: by all that came since it turned bad, and by what came
lately. They share alpha.
"""


def looks_in(watch: timedelta, apart: float) -> int:
    """The most looks that a watch of this length can have, where answers are `apart` seconds
    apart.
    """
    return max(1, math.ceil(watch.total_seconds() / apart) + 1)


def needed(alpha: float, looks: int, tests: int) -> float:
    """What evidence must reach, in nats: `alpha` is shared among all looks, the gates that may
    fail, and the ways in which each of them may.
    """
    return math.log(WAYS * looks * tests / alpha)


def rates_below(threshold: float, need: float, most: int) -> tuple[float, ...]:
    """Rates of good answers below `threshold`, each the one that a single test settles in about 10,
    40, 160, … <= `most` labels, where it takes `need` nats.
    """
    return alternatives(threshold, False, math.exp(-need), most)


def log_ratios(
    good: float, bad: float, threshold: float, rates: tuple[float, ...]
) -> tuple[float, ...]:
    """ln of the likelihood ratio of each rate against `threshold`, for so many good and bad
    answers.
    """
    return tuple(
        good * math.log(q / threshold) + bad * math.log((1 - q) / (1 - threshold)) for q in rates
    )


def grown(before: tuple[float, ...], ratios: tuple[float, ...]) -> tuple[float, ...]:
    """ln R after one more look: () before the first one, or where there are other alternatives by
    now, which begin anew.
    """
    if len(before) != len(ratios):
        return ratios
    return tuple(
        max(b, 0.0) + math.log1p(math.exp(-abs(b))) + r for b, r in zip(before, ratios, strict=True)
    )


def evidence(logs: tuple[float, ...]) -> float:
    """ln of the mean over the alternatives, in nats; 0 of none."""
    return log_mean_exp(logs) if logs else 0.0


def deviation(good: float, total: float, threshold: float) -> float:
    """By how much one reading of `total` answers lies below the threshold, in nats; 0 where it does
    not.

    Of a version at the threshold or above, exp(-x) bounds the chance of x or more at one look.
    Source: Chernoff 1952; Hoeffding 1963, theorem 1.
    """
    if total <= 0 or good / total >= threshold:
        return 0.0
    return total * kl(good / total, threshold)
