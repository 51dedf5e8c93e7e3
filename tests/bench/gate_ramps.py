"""Rules for "not worse than stable", simulated over a trial whose weight grows while traffic gets
harder or easier.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from math import log, sqrt
from typing import TypeVar

import numpy as np

from rollout_operator.domain.gates.sequential_test import (
    Scrape,
    Wealth,
    log_mean_exp,
    pair_step,
)

DROP = 0.05
ALPHA = 0.05
WEIGHTS = (*(10,) * 20, *(50,) * 36)
"""Of 100 labels in each scrape, how many are the candidate's: 2000 in all."""

Verdict = int
"""1: promote, -1: roll back, 0: none."""
Rule = Callable[[Iterator[Scrape]], Verdict]
S = TypeVar("S")


@dataclass(frozen=True)
class Trial:
    """Stable's accuracy at the first weight and at the second, and how much worse the candidate is
    all the time.
    """

    name: str
    before: float
    after: float
    gap: float
    wrong: tuple[Verdict, ...]

    def scrapes(self, seed: int) -> Iterator[Scrape]:
        """Labels as they come in."""
        generator = np.random.default_rng(seed)
        for weight in WEIGHTS:
            stable = self.before if weight == WEIGHTS[0] else self.after
            ours, theirs = (
                generator.binomial(weight, stable - self.gap),
                generator.binomial(100 - weight, stable),
            )
            yield Scrape(int(ours), weight, int(theirs), 100 - weight)


TRIALS = (
    Trial("0.05 worse, traffic as ever", 0.8, 0.8, 0.05, (1, -1)),
    Trial("0.05 worse, traffic gets harder", 0.9, 0.7, 0.05, (1, -1)),
    Trial("0.05 worse, traffic gets easier", 0.7, 0.9, 0.05, (1, -1)),
    Trial("as good, traffic gets harder", 0.9, 0.7, 0.0, (-1,)),
    Trial("0.17 worse, traffic gets harder", 0.9, 0.7, 0.17, (1,)),
)


def ours(scrapes: Iterator[Scrape]) -> Verdict:
    """The Labelled gate with maxDrop, after every scrape."""
    wealth, need = Wealth(), log(1 / ALPHA)
    for scrape in scrapes:
        wealth = pair_step(wealth, scrape, DROP, ALPHA)
        if wealth.above and log_mean_exp(wealth.above) >= need:
            return 1
        if wealth.below and log_mean_exp(wealth.below) >= need:
            return -1
    return 0


def first_to_five(looks: Iterator[S], good: Callable[[S, S], bool]) -> Verdict:
    """What comes of queries over every two looks: 5 that are good promote, 5 that are not roll
    back.
    """
    passed = failed = 0
    for one in looks:
        other = next(looks, None)
        if other is None:
            return 0
        passed, failed = (passed + 1, failed) if good(one, other) else (passed, failed + 1)
        if failed >= 5:
            return -1
        if passed >= 5:
            return 1
    return 0


def thresholds(scrapes: Iterator[Scrape]) -> Verdict:
    """Two queries and their difference, every other scrape: 5 passes promote,
    5 failures roll back.
    """

    def good(one: Scrape, other: Scrape) -> bool:
        theirs = (one.stable_right + other.stable_right) / (one.stable_total + other.stable_total)
        mine = (one.candidate_right + other.candidate_right) / (
            one.candidate_total + other.candidate_total
        )
        return mine >= theirs - DROP

    return first_to_five(scrapes, good)


def pooled(scrapes: Iterator[Scrape]) -> Verdict:
    """All labels of each added up, and one test of two shares at the end, 5 % each way."""
    seen = list(scrapes)
    n, m = sum(s.candidate_total for s in seen), sum(s.stable_total for s in seen)
    p, q = sum(s.candidate_right for s in seen) / n, sum(s.stable_right for s in seen) / m
    z = (p - q + DROP) / sqrt(p * (1 - p) / n + q * (1 - q) / m)
    return 1 if z > 1.645 else -1 if z < -1.645 else 0


RULES: dict[str, Rule] = {
    "ours, `maxDrop: 0.05`": ours,
    "Flagger or Argo Rollouts on two queries, 5 passes or 5 failures": thresholds,
    "all labels pooled, one z-test at the end": pooled,
}


@dataclass(frozen=True)
class Shares:
    """How often each verdict was given, and for how many of the candidate's labels on average."""

    promote: float
    roll_back: float
    wrong: float
    labels: float


def shares(
    once: Callable[[int], tuple[Verdict, int]], wrong: tuple[Verdict, ...], runs: int, chunk: int
) -> Shares:
    """Of so many trials, which go to other processes by chunks; once: a trial by its seed."""
    with ProcessPoolExecutor() as pool:
        ends = list(pool.map(once, range(runs), chunksize=chunk))
    count = {verdict: sum(v == verdict for v, _ in ends) / runs for verdict in (1, -1)}
    return Shares(count[1], count[-1], sum(count[v] for v in wrong), sum(n for _, n in ends) / runs)


def judged(
    rule: Callable[[Iterator[S]], Verdict], scrapes: Iterator[S], size: Callable[[S], float]
) -> tuple[Verdict, int]:
    """The verdict, and how many of the candidate's labels it took; size: those of a scrape."""
    taken = 0

    def counted() -> Iterator[S]:
        nonlocal taken
        for scrape in scrapes:
            taken += int(size(scrape))
            yield scrape

    verdict = rule(counted())
    return verdict, taken


def simulated(rule: Rule, trial: Trial, runs: int) -> Shares:
    """The rule over so many trials of one kind."""
    return shares(partial(_once, rule, trial), trial.wrong, runs, 20)


def _once(rule: Rule, trial: Trial, seed: int) -> tuple[Verdict, int]:
    return judged(rule, trial.scrapes(seed), lambda scrape: scrape.candidate_total)
