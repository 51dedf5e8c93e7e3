"""Rules for "the mean of bounded values is at least so much", and "not so much below stable's",
simulated over a trial whose weight grows while what people spend changes by the hour of the day or
all at once.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from rollout_operator.domain.api.analysis import MIN_SAMPLES
from rollout_operator.domain.gates import mean_test
from rollout_operator.domain.gates.mean_pair import PairWealth, pair_step
from rollout_operator.domain.gates.mean_test import Sums
from rollout_operator.domain.gates.sequential_test import log_mean_exp
from tests.bench.gate_ramps import ALPHA, WEIGHTS, Shares, Verdict, first_to_five, judged, shares
from tests.bench.gate_rules import MOST

GREATEST = 100.0
"""EUR that one visit may bring; the least is 0."""
BOUND, DROP = 8.0, 2.0
SPENT = 40.0
"""EUR of an order, on average; so many visits end with one that the mean is as wanted."""
DAY = 40
"""Scrapes of a day: the trial, of 56, sees more than one."""
NEED = math.log(1 / ALPHA)

Scrape = tuple[Sums, Sums]
"""What visits to candidate and stable brought, as shares of GREATEST."""
Rule = Callable[[Iterator[Scrape]], Verdict]
EITHER = (1, -1)


@dataclass(frozen=True)
class Trial:
    """What visits to stable bring on average, in EUR, and how much less those to the candidate
    do, all the time.
    """

    name: str
    stable: float
    less: float
    wrong: tuple[Verdict, ...]
    later: float | None = None
    """What visits to stable bring from the second weight on; as before where it is None."""
    season: float = 0.0
    """By how much more or less of it they do, by the hour of the day."""
    dearer: bool = False
    """Whether from the second weight on half as many orders are of twice as much."""

    def means(self, scrape: int) -> tuple[float, float]:
        """In EUR, of candidate and stable."""
        heavier = WEIGHTS[scrape] != WEIGHTS[0]
        stable = self.later if self.later is not None and heavier else self.stable
        stable *= 1 + self.season * math.sin(2 * math.pi * scrape / DAY)
        return stable - self.less, stable

    def scrapes(self, seed: int) -> Iterator[Scrape]:
        """Visits as they come in."""
        random = np.random.default_rng(seed)
        for scrape, weight in enumerate(WEIGHTS):
            spent = SPENT * (2 if self.dearer and weight != WEIGHTS[0] else 1)
            ours, theirs = self.means(scrape)
            yield (
                _visits(random, ours, spent, weight),
                _visits(random, theirs, spent, 100 - weight),
            )


def _visits(random: np.random.Generator, mean: float, spent: float, count: int) -> Sums:
    """Orders are spread about what they are on average, from nothing to twice that or GREATEST."""
    share = spent / GREATEST
    orders = random.random(count) < mean / spent
    values = orders * random.beta(4 * share, 4 * (1 - share), count)
    return Sums(float(count), float(values.sum()), float((values**2).sum()))


ALONE = (
    Trial("8 EUR all the time", 8, 0, EITHER),
    Trial("8 EUR, then by half as many orders", 8, 0, EITHER, dearer=True),
    Trial("8 EUR at the best hour", 8 / 1.3, 0, (1,), season=0.3),
    Trial("8 EUR at the worst hour", 8 / 0.7, 0, (-1,), season=0.3),
    Trial("12 EUR, daily season", 12, 0, (-1,), season=0.3),
    Trial("5 EUR, daily season", 5, 0, (1,), season=0.3),
)
"""For "at least 8 EUR"; that is about the candidate alone, which is like stable here."""
BESIDE = (
    Trial("2 EUR less, daily season", 10, 2, EITHER, season=0.3),
    Trial("2 EUR less, people spend less with the weight", 14, 2, EITHER, later=8, season=0.2),
    Trial("2 EUR less, people spend more with the weight", 8, 2, EITHER, later=14, season=0.2),
    Trial("the same, people spend less with the weight", 14, 0, (-1,), later=8, season=0.2),
    Trial("6 EUR less, people spend less with the weight", 14, 6, (1,), later=8, season=0.2),
)
"""For "at most 2 EUR less than stable"."""


def at_least(scrapes: Iterator[Scrape]) -> Verdict:
    """The Labelled gate on a mean with min, after every scrape."""
    seen, bound = Sums(0.0, 0.0, 0.0), BOUND / GREATEST
    for mine, _ in scrapes:
        seen = _sum(seen, mine)
        if mean_test.log_e(seen, bound, False, MOST) >= NEED:
            return -1
        if seen.count >= MIN_SAMPLES and mean_test.log_e(seen, bound, True, MOST) >= NEED:
            return 1
    return 0


def beside_stable(scrapes: Iterator[Scrape]) -> Verdict:
    """The same with maxDrop."""
    wealth, count = PairWealth(), 0.0
    for mine, theirs in scrapes:
        wealth, count = pair_step(wealth, mine, theirs, DROP / GREATEST, MOST), count + mine.count
        if wealth.below and log_mean_exp(wealth.below) >= NEED:
            return -1
        if wealth.above and count >= MIN_SAMPLES and log_mean_exp(wealth.above) >= NEED:
            return 1
    return 0


def _sum(one: Sums, other: Sums) -> Sums:
    return Sums(one.count + other.count, one.total + other.total, one.squares + other.squares)


def _distance(beside: bool, ours: Sums, theirs: Sums) -> float:
    """How far the candidate's mean is above what is asked, as a share of GREATEST."""
    mine = ours.total / ours.count
    return mine - (theirs.total / theirs.count - DROP / GREATEST if beside else BOUND / GREATEST)


def thresholds(beside: bool, scrapes: Iterator[Scrape]) -> Verdict:
    """A query for the mean, every other scrape: 5 passes promote, 5 failures roll back."""
    return first_to_five(
        scrapes,
        lambda one, other: _distance(beside, _sum(one[0], other[0]), _sum(one[1], other[1])) >= 0,
    )


def pooled(beside: bool, scrapes: Iterator[Scrape]) -> Verdict:
    """All values of each added up, and one z-test at the end, 5 % each way."""
    mine = theirs = Sums(0.0, 0.0, 0.0)
    for ours_now, theirs_now in scrapes:
        mine, theirs = _sum(mine, ours_now), _sum(theirs, theirs_now)
    variance = _variance(mine) + (_variance(theirs) if beside else 0.0)
    z = _distance(beside, mine, theirs) / math.sqrt(variance)
    return 1 if z > 1.645 else -1 if z < -1.645 else 0


def _variance(of: Sums) -> float:
    """Of the mean."""
    return (of.squares / of.count - (of.total / of.count) ** 2) / of.count


RULES_ALONE: dict[str, Rule] = {
    "ours, `min: 8`, `Labelled`": at_least,
    "Flagger or Argo Rollouts on a query for the mean, 5 passes or 5 failures": partial(
        thresholds, False
    ),
    "all values pooled, one z-test at the end": partial(pooled, False),
}
RULES_BESIDE: dict[str, Rule] = {
    "ours, `maxDrop: 2`, `Labelled`": beside_stable,
    "Flagger or Argo Rollouts on two queries, 5 passes or 5 failures": partial(thresholds, True),
    "all values pooled, one z-test at the end": partial(pooled, True),
}


def simulated(rule: Rule, trial: Trial, runs: int) -> Shares:
    """The rule over so many trials of one kind."""
    return shares(partial(_once, rule, trial), trial.wrong, runs, 100)


def _once(rule: Rule, trial: Trial, seed: int) -> tuple[Verdict, int]:
    return judged(rule, trial.scrapes(seed), lambda scrape: scrape[0].count)
