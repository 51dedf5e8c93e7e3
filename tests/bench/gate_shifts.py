"""Rules for "answers as stable does", simulated over a trial whose weight grows, while what both
are given changes by the hour of the day or all at once, or comes in bursts.

Sums are made by numpy for many trials at once; what each verdict, and the scrape before it, comes
to is said again by the operator's own code: where the two differ, that is an error.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rollout_operator.domain.api.analysis import Gate
from rollout_operator.domain.api.gate_results import EvidenceStatus, ShiftedBin
from rollout_operator.domain.gates.prediction_shift import design_effect_of_shift, shift_of
from rollout_operator.domain.gates.shift_test import log_beyond, log_within, steps
from tests.bench.gate_counts import CHUNK, NEAR, Ends, Numbers, Reals, first, log_mean_exp
from tests.bench.gate_ramps import ALPHA, WEIGHTS, Shares, Verdict
from tests.support.builders import START

MOST = 0.1
DAY = 40
"""Scrapes of a day: the trial, of 56, sees more than one."""
SWING = 0.3
"""Of the season: a class is given by so much more or less of its share."""
GATE = Gate.model_validate({"metric": "predictionShift", "max": MOST})

Rule = Callable[[Numbers, Numbers], Ends]
"""Of answers of candidate and stable by trial, scrape and class."""


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
    burst: int = 1
    """How many answers that come at once are the same."""

    def shares(self, scrape: int) -> tuple[np.ndarray, np.ndarray]:
        """Of candidate and stable."""
        heavier = WEIGHTS[scrape] != WEIGHTS[0]
        stable = np.array(self.later if self.later and heavier else self.stable)
        if self.season:
            swing = SWING * min(stable[0], stable[-1]) * math.sin(2 * math.pi * scrape / DAY)
            stable[0], stable[-1] = stable[0] + swing, stable[-1] - swing
        return stable + np.array(self.more), stable

    def drawn(self, seed: int, trials: int) -> tuple[Numbers, Numbers]:
        """Answers of candidate and stable, by trial, scrape and class."""
        random = np.random.default_rng(seed)
        arms: tuple[list[Numbers], list[Numbers]] = ([], [])
        for scrape, weight in enumerate(WEIGHTS):
            of_both = zip(arms, self.shares(scrape), (weight, 100 - weight), strict=True)
            for arm, shares, answers in of_both:
                whole, rest = divmod(answers, self.burst)
                found = self.burst * random.multinomial(whole, shares, trials)
                if rest:
                    found = found + rest * random.multinomial(1, shares, trials)
                arm.append(found)
        return np.stack(arms[0], axis=1), np.stack(arms[1], axis=1)


EITHER = (1, -1)
TWO, MORE = (0.5, 0.5), (0.1, -0.1)
TEN, FIVE_MORE = (0.1,) * 10, (0.02,) * 5 + (-0.02,) * 5
TRIALS = (
    Trial("0.1 apart, two classes", TWO, MORE, EITHER),
    Trial("0.1 apart, ten classes, daily season", TEN, FIVE_MORE, EITHER, season=True),
    Trial("0.1 apart, a rare class", (0.02, 0.98), MORE, EITHER),
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
BURSTS = (
    Trial("two classes, 5 at once", TWO, MORE, EITHER, burst=5),
    Trial("two classes, 10 at once", TWO, MORE, EITHER, burst=10),
    Trial("a rare class, 5 at once", (0.02, 0.98), MORE, EITHER, burst=5),
    Trial("ten classes, 5 at once", TEN, FIVE_MORE, EITHER, burst=5),
    Trial("the same, 5 at once", TWO, (0.0, 0.0), (-1,), burst=5),
)
"""All of 0.1 apart where nothing else is said."""


@dataclass(frozen=True)
class _Sums:
    """After each scrape, as EvidenceStatus has them."""

    excess: Reals
    """By trial, scrape and class."""
    pairs: Reals
    squares: Reals
    ours: Reals
    theirs: Reals
    """Answers by class, likewise."""


def ours(mine: Numbers, theirs: Numbers) -> Ends:
    """The gate predictionShift, after every scrape."""
    n, m = mine.sum(axis=2), theirs.sum(axis=2)
    weight = n * m / (n + m)
    apart_ = mine / n[..., None] - theirs / m[..., None]
    sums = _Sums(
        np.cumsum(apart_ * weight[..., None], axis=1),
        np.cumsum(weight, axis=1),
        np.cumsum((apart_**2).sum(axis=2) * weight, axis=1),
        np.cumsum(mine, axis=1).astype(float),
        np.cumsum(theirs, axis=1).astype(float),
    )
    within, beyond = _evidence(sums)
    need = math.log(1 / ALPHA)
    enough = np.cumsum(n, axis=1) >= GATE.min_samples
    ends = first((within >= need) & enough, beyond >= need)
    for trial, scrapes in enumerate(ends.looks.tolist()):
        for scrape in range(max(0, scrapes - 2), scrapes):
            found = (within[trial, scrape], beyond[trial, scrape])
            said = _said(sums, (trial, scrape))
            pairs = list(zip(said, found, strict=True))
            if any((a >= need) != (b >= need) and abs(a - b) > NEAR for a, b in pairs):
                raise AssertionError(f"the operator says {said}, and not {found}")
    return ends


def _evidence(sums: _Sums) -> tuple[Reals, Reals]:
    """ln E for "less apart" and "further apart"."""
    divide = _design_effects(sums)
    excess, pairs = sums.excess / divide[..., None], sums.pairs / divide
    more = np.maximum(excess, 0).sum(axis=2)
    within = [x * (MOST * pairs - more) - x * x * pairs / 8 for x in steps(ALPHA, GATE.max_samples)]
    beyond = [
        (np.logaddexp(0, x * excess) - math.log(2)).sum(axis=2)
        - x * MOST * pairs
        - x * x * pairs / 8
        for x in steps(ALPHA, GATE.max_samples)
    ]
    return log_mean_exp(within), log_mean_exp(beyond)


def _design_effects(sums: _Sums) -> Reals:
    n, m = sums.ours.sum(axis=2), sums.theirs.sum(axis=2)
    shares = (sums.ours + sums.theirs) / (n + m)[..., None]
    expected = (shares * (1 - shares)).sum(axis=2)
    scatter = sums.squares - (sums.excess**2).sum(axis=2) / sums.pairs
    degrees = np.arange(sums.pairs.shape[1], dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = scatter / expected / degrees
    return np.where((degrees >= 4) & (expected > 0), np.maximum(1.0, found), 1.0)


def _said(sums: _Sums, at: tuple[int, int]) -> tuple[float, float]:
    """What the operator says of one trial after one scrape."""
    evidence = EvidenceStatus(
        gate=GATE.name,
        subject="simulated",
        since=START,
        total=float(sums.ours[at].sum()),
        baseline_total=float(sums.theirs[at].sum()),
        scrapes=at[1] + 1,
        pairs=round(float(sums.pairs[at]), 6),
        squares=round(float(sums.squares[at]), 6),
        bins=tuple(
            ShiftedBin(bin=str(n), ours=a, theirs=b, excess=round(c, 6))
            for n, (a, b, c) in enumerate(
                zip(
                    sums.ours[at].tolist(),
                    sums.theirs[at].tolist(),
                    sums.excess[at].tolist(),
                    strict=True,
                )
            )
        ),
    )
    shift = shift_of(evidence).divided(design_effect_of_shift(evidence, GATE))
    most = GATE.max_samples
    return log_within(shift, MOST, ALPHA, most), log_beyond(shift, MOST, ALPHA, most)


def apart(mine: Numbers, theirs: Numbers) -> Reals:
    """Total variation of counts, whose last axis is of classes."""
    shares = (one / one.sum(axis=-1, keepdims=True) for one in (mine, theirs))
    return np.asarray(np.abs(np.subtract(*shares)).sum(axis=-1) / 2)


def thresholds(mine: Numbers, theirs: Numbers) -> Ends:
    """A query for the distance, every other scrape: 5 passes promote, 5 failures roll back."""
    pairs = len(WEIGHTS) // 2

    def paired(one: Numbers) -> Numbers:
        return np.asarray(one[:, : 2 * pairs].reshape(len(one), pairs, 2, -1).sum(axis=2))

    good: npt.NDArray[np.bool_] = apart(paired(mine), paired(theirs)) <= MOST
    ends = first(np.cumsum(good, axis=1) >= 5, np.cumsum(~good, axis=1) >= 5)
    return Ends(ends.verdicts, 2 * ends.looks)


def pooled(mine: Numbers, theirs: Numbers) -> Ends:
    """All answers of each added up, and their distance at the end."""
    keeps = apart(mine.sum(axis=1), theirs.sum(axis=1)) <= MOST
    return Ends(np.where(keeps, 1, -1), np.full(len(mine), len(WEIGHTS)))


RULES: dict[str, Rule] = {
    "ours, `max: 0.1`": ours,
    "Flagger or Argo Rollouts on a query for the distance, 5 passes or 5 failures": thresholds,
    "all answers pooled, compared at the end": pooled,
}


def simulated(rule: Rule, trial: Trial, runs: int) -> Shares:
    """The rule over so many trials of one kind."""
    found = [
        rule(*trial.drawn(seed, min(CHUNK, runs - begun)))
        for seed, begun in enumerate(range(0, runs, CHUNK))
    ]
    return Ends.joined(found).shares(trial.wrong, WEIGHTS)
