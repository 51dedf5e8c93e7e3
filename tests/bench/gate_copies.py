"""Rules for "answers copies as stable does", simulated over a trial whose share of copies grows,
while how many are answered otherwise changes by the hour of the day, or comes in bursts.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from rollout_operator.domain.api.analysis import Gate
from rollout_operator.domain.api.gate_results import PodCounts
from rollout_operator.domain.gates.judgement import evidence_of_share
from rollout_operator.domain.gates.label_counters import design_effect, fresh_evidence, grown
from tests.bench.gate_ramps import Shares, Verdict, first_to_five, judged, shares
from tests.support.builders import START, at, revision

MOST = 0.05
COPIES = (*(20,) * 20, *(60,) * 26)
"""Copies that are compared between two looks: 1960 in all."""
DAY = 20
"""Looks of a day: the trial, of 46, sees more than two."""
GATE = Gate.model_validate({"metric": "disagreement", "max": MOST})
STABLE, CANDIDATE = revision(1), revision(2, ready_at=START)

Look = tuple[int, int]
"""Copies that were answered otherwise, and all that were compared."""
Rule = Callable[[Iterator[Look]], Verdict]


@dataclass(frozen=True)
class Trial:
    """How many copies are answered otherwise.

    share: at a usual hour. season: by how much it is more at the busiest hour, and never less than
    `share`; less, and never more, where it is below 0. bursts: correlation of the answers between
    two looks.
    """

    name: str
    share: float
    wrong: tuple[Verdict, ...]
    season: float = 0.0
    bursts: float = 0.0

    def looks(self, seed: int) -> Iterator[Look]:
        """Copies as they are counted."""
        random = np.random.default_rng(seed)
        for n, copies in enumerate(COPIES):
            share = self.share + self.season * (1 - math.cos(2 * math.pi * n / DAY)) / 2
            if self.bursts:
                spread = 1 / self.bursts - 1
                share = random.beta(share * spread, (1 - share) * spread)
            yield int(random.binomial(copies, share)), copies


EITHER = (1, -1)
TRIALS = (
    Trial("0.05 differ", MOST, EITHER),
    Trial("0.05 at most, daily season", MOST, (-1,), season=-0.04),
    Trial("0.05 at least, daily season", MOST, (1,), season=0.1),
    Trial("0.05 differ, in bursts", MOST, EITHER, bursts=0.05),
    Trial("0.01 differ", 0.01, (-1,)),
    Trial("0.15 differ, daily season", 0.15, (1,), season=0.1),
)


def ours(looks: Iterator[Look]) -> Verdict:
    """The gate disagreement, after every look: what counts it goes on with and what they prove, by
    its own code, without the bounds that status shows beside them.
    """
    known = fresh_evidence(GATE, CANDIDATE, STABLE, START)
    good = total = 0.0
    for n, (different, copies) in enumerate(looks):
        good, total = good + copies - different, total + copies
        now = at(15 * (n + 1))
        pod = PodCounts(pod="s", good=good, total=total, at=now.timestamp())
        known = grown(known, GATE, (pod,), (), now)
        by = design_effect(known, GATE)
        bad = (known.total - known.good) / by
        in_favour, against = evidence_of_share(known.good / by, bad, 0.0, GATE, 1)
        if against >= 1:
            return -1
        if in_favour >= 1 and known.total >= GATE.min_samples:
            return 1
    return 0


def thresholds(looks: Iterator[Look]) -> Verdict:
    """A query for the share, every other look: 5 passes promote, 5 failures roll back."""
    return first_to_five(
        looks, lambda one, other: (one[0] + other[0]) / (one[1] + other[1]) <= MOST
    )


def pooled(looks: Iterator[Look]) -> Verdict:
    """All copies added up, and their share at the end."""
    seen = list(looks)
    return 1 if sum(d for d, _ in seen) <= MOST * sum(n for _, n in seen) else -1


RULES: dict[str, Rule] = {
    "ours, `max: 0.05`": ours,
    "Flagger or Argo Rollouts on a query for the share, 5 passes or 5 failures": thresholds,
    "all copies pooled, compared at the end": pooled,
}


def simulated(rule: Rule, trial: Trial, runs: int) -> Shares:
    """The rule over so many trials of one kind."""
    return shares(partial(_once, rule, trial), trial.wrong, runs, 100)


def _once(rule: Rule, trial: Trial, seed: int) -> tuple[Verdict, int]:
    return judged(rule, trial.looks(seed), lambda look: look[1])
