"""Rules for "answers as stable does", simulated over a trial whose weight grows, while what both
are given changes by the hour of the day or all at once.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from rollout_operator.domain.gates.shift_test import Shift, added, log_beyond, log_within
from tests.bench.gate_ramps import ALPHA, WEIGHTS, Shares, Verdict, first_to_five, judged, shares

MOST = 0.1
DAY = 40
"""Scrapes of a day: the trial, of 56, sees more than one."""
SWING = 0.3
"""Of the season: a class is given by so much more or less of its share."""

Counts = Mapping[str, float]
Scrape = tuple[Counts, Counts]
"""Answers by class of candidate and stable."""
Rule = Callable[[Iterator[Scrape]], Verdict]


@dataclass(frozen=True)
class Trial:
    """What stable answers, and by how much more often the candidate gives each class, all the
    time.
    """

    name: str
    stable: tuple[float, ...]
    more: tuple[float, ...]
    wrong: tuple[Verdict, ...]
    later: tuple[float, ...] = field(default=())
    """What stable answers from the second weight on; as before where there is nothing."""
    season: bool = False
    """Whether the first class comes and goes by the hour of the day, and the last against it."""

    def shares(self, scrape: int) -> tuple[np.ndarray, np.ndarray]:
        """Of candidate and stable."""
        heavier = WEIGHTS[scrape] != WEIGHTS[0]
        stable = np.array(self.later if self.later and heavier else self.stable)
        if self.season:
            swing = SWING * min(stable[0], stable[-1]) * math.sin(2 * math.pi * scrape / DAY)
            stable[0], stable[-1] = stable[0] + swing, stable[-1] - swing
        return stable + np.array(self.more), stable

    def scrapes(self, seed: int) -> Iterator[Scrape]:
        """Answers as they come in."""
        random = np.random.default_rng(seed)
        for scrape, weight in enumerate(WEIGHTS):
            ours, theirs = self.shares(scrape)
            yield (
                _counts(random.multinomial(weight, ours)),
                _counts(random.multinomial(100 - weight, theirs)),
            )


def _counts(numbers: np.ndarray) -> Counts:
    return {str(n): float(count) for n, count in enumerate(numbers.tolist())}


EITHER = (1, -1)
TEN, FIVE_MORE = (0.1,) * 10, (0.02,) * 5 + (-0.02,) * 5
TRIALS = (
    Trial("0.1 apart, two classes", (0.5, 0.5), (0.1, -0.1), EITHER),
    Trial("0.1 apart, ten classes, daily season", TEN, FIVE_MORE, EITHER, season=True),
    Trial("0.1 apart, a rare class", (0.02, 0.98), (0.1, -0.1), EITHER),
    Trial(
        "0.1 apart, traffic changes with the weight",
        (0.7, 0.2, 0.1),
        (0.1, -0.05, -0.05),
        EITHER,
        later=(0.2, 0.2, 0.6),
        season=True,
    ),
    Trial(
        "the same, traffic changes with the weight",
        (0.7, 0.2, 0.1),
        (0.0, 0.0, 0.0),
        (-1,),
        later=(0.2, 0.2, 0.6),
        season=True,
    ),
    Trial("0.25 apart, daily season", (0.4, 0.3, 0.3), (0.25, -0.05, -0.2), (1,), season=True),
)


def ours(scrapes: Iterator[Scrape]) -> Verdict:
    """The gate predictionShift, after every scrape."""
    shift, need = Shift(), math.log(1 / ALPHA)
    for mine, theirs in scrapes:
        shift = added(shift, mine, theirs)
        if log_beyond(shift, MOST, ALPHA) >= need:
            return -1
        if log_within(shift, MOST, ALPHA) >= need:
            return 1
    return 0


def apart(mine: Counts, theirs: Counts) -> float:
    """Total variation of two counts."""
    n, m = sum(mine.values()), sum(theirs.values())
    return sum(abs(mine[name] / n - theirs[name] / m) for name in mine) / 2


def thresholds(scrapes: Iterator[Scrape]) -> Verdict:
    """A query for the distance, every other scrape: 5 passes promote, 5 failures roll back."""
    return first_to_five(
        scrapes,
        lambda one, other: apart(_sum(one[0], other[0]), _sum(one[1], other[1])) <= MOST,
    )


def pooled(scrapes: Iterator[Scrape]) -> Verdict:
    """All answers of each added up, and their distance at the end."""
    mine: Counts = {}
    theirs: Counts = {}
    for ours_now, theirs_now in scrapes:
        mine, theirs = _sum(mine, ours_now), _sum(theirs, theirs_now)
    return 1 if apart(mine, theirs) <= MOST else -1


def _sum(one: Counts, other: Counts) -> Counts:
    return {name: one.get(name, 0.0) + count for name, count in other.items()}


RULES: dict[str, Rule] = {
    "ours, `max: 0.1`": ours,
    "Flagger or Argo Rollouts on a query for the distance, 5 passes or 5 failures": thresholds,
    "all answers pooled, compared at the end": pooled,
}


def simulated(rule: Rule, trial: Trial, runs: int) -> Shares:
    """The rule over so many trials of one kind."""
    return shares(partial(_once, rule, trial), trial.wrong, runs, 100)


def _once(rule: Rule, trial: Trial, seed: int) -> tuple[Verdict, int]:
    return judged(rule, trial.scrapes(seed), lambda scrape: sum(scrape[0].values()))
