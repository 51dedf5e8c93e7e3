"""Rules for "answers copies as stable does", simulated over a trial whose share of copies grows,
while how many are answered otherwise changes by the hour of the day or with time, or comes in
bursts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from rollout_operator.domain.api.analysis import Gate
from rollout_operator.domain.gates import bursts
from tests.bench.gate_counts import CHUNK, Ends, Numbers, Rule, labelled, pooled, thresholds
from tests.bench.gate_ramps import Shares, Verdict
from tests.support.builders import START, revision

MOST = 0.05
COPIES = (*(20,) * 20, *(60,) * 26)
"""Copies that are compared between two looks: 1960 in all."""
BUSY, FEW = (400,) * 46, (2,) * 200
"""The same of ten times as many, and of hardly any."""
DAY = 20
"""Looks of a day: the trial, of 46, sees more than two."""
GATE = Gate.model_validate({"metric": "disagreement", "max": MOST})
ALONE = Gate.model_validate({"metric": "disagreement", "max": MOST, "designEffect": 1})
TWENTY = Gate.model_validate({"metric": "disagreement", "max": MOST, "designEffect": 20})
SHARE = Gate.model_validate({"metric": "errorRate", "max": MOST, "evidence": "Labelled"})
ACCURACY = Gate.model_validate({"metric": "accuracy", "min": 0.7, "evidence": "Labelled"})
STABLE, CANDIDATE = revision(1), revision(2, ready_at=START)


@dataclass(frozen=True)
class Trial:
    """How many copies are answered otherwise.

    share: at a usual hour. season: by how much it is more at the busiest hour, and never less than
    `share`; less, and never more, where it is below 0. rises: by how much it is more at the end.
    alike: correlation of the answers between two looks. burst: how many answers that come at once
    are the same. sizes: copies between two looks.
    """

    name: str
    share: float
    wrong: tuple[Verdict, ...]
    season: float = 0.0
    rises: float = 0.0
    alike: float = 0.0
    burst: int = 1
    sizes: tuple[int, ...] = COPIES

    @property
    def allowed_for(self) -> bool:
        """Whether bursts are as large at most as the gate takes them to be."""
        return self.burst <= bursts.burst(min(self.sizes))

    def drawn(self, seed: int, trials: int) -> Numbers:
        """Copies that are answered otherwise, by trial and look."""
        random, looks = np.random.default_rng(seed), np.arange(len(self.sizes))
        shares = self.share + self.season * (1 - np.cos(2 * np.pi * looks / DAY)) / 2
        shares = shares + self.rises * looks / (len(looks) - 1)
        of_trials = np.broadcast_to(shares, (trials, len(looks)))
        if self.alike:
            spread = 1 / self.alike - 1
            of_trials = random.beta(of_trials * spread, (1 - of_trials) * spread)
        whole, rest = np.divmod(np.array(self.sizes), self.burst)
        found = self.burst * random.binomial(whole, of_trials)
        return np.asarray(found + rest * random.binomial(np.minimum(rest, 1), of_trials))


EITHER = (1, -1)
TRIALS = (
    Trial("0.05 differ", MOST, EITHER),
    Trial("0.05 at most, daily season", MOST, (-1,), season=-0.04),
    Trial("0.05 at least, daily season", MOST, (1,), season=0.1),
    Trial("0.05 at most, ever more", 0.01, (-1,), rises=0.04),
    Trial("0.05 at least, ever more", MOST, (1,), rises=0.1),
    Trial("0.05 differ, 2 copies a look", MOST, EITHER, sizes=FEW),
    Trial("0.01 differ", 0.01, (-1,)),
    Trial("0.15 differ, daily season", 0.15, (1,), season=0.1),
)
BURSTS = (
    Trial("correlation 0.05", MOST, EITHER, alike=0.05),
    Trial("5 at once", MOST, EITHER, burst=5),
    Trial("20 at once", MOST, EITHER, burst=20),
    Trial("20 at once, of 400", MOST, EITHER, burst=20, sizes=BUSY),
    Trial("100 at once, of 400", MOST, EITHER, burst=100, sizes=BUSY),
    Trial("twice as many, 5 at once", 0.1, (1,), burst=5),
    Trial("twice as many, 20 at once, of 400", 0.1, (1,), burst=20, sizes=BUSY),
)
"""As many are bad as may be, where nothing else is said."""
POWER = (
    Trial("none differs", 0.0, (-1,)),
    Trial("0.01", 0.01, (-1,)),
    Trial("0.1", 0.1, (1,)),
    Trial("0.15", 0.15, (1,)),
    Trial("0.5", 0.5, (1,)),
)
"""Independent answers, of which so many differ."""

ours: Rule = partial(labelled, GATE)
OTHERS: dict[str, Rule] = {
    "Flagger or Argo Rollouts on a query for the share, 5 passes or 5 failures": partial(
        thresholds, MOST
    ),
    "all copies pooled, compared at the end": partial(pooled, MOST),
}
RULES: dict[str, Rule] = {"ours, `max: 0.05`": ours, **OTHERS}
IN_BURSTS: dict[str, Rule] = {
    "ours, `max: 0.05`": ours,
    "the same, `designEffect: 20`": partial(labelled, TWENTY),
    "`errorRate` or a share of your own, `max: 0.05`, `Labelled`": partial(labelled, SHARE),
    **OTHERS,
}
OF_LABELS: dict[str, Rule] = {
    "`accuracy: min: 0.70`, `Labelled`": partial(labelled, ACCURACY),
}
"""Rules that let more be bad."""
BY_SPEED: dict[str, Rule] = {
    "ours, `max: 0.05`": ours,
    "the same, `designEffect: 1`": partial(labelled, ALONE),
}


def ends(rule: Rule, trial: Trial, runs: int) -> Ends:
    """The rule over so many trials of one kind."""
    return Ends.joined(
        [
            rule(trial.drawn(seed, min(CHUNK, runs - begun)), trial.sizes)
            for seed, begun in enumerate(range(0, runs, CHUNK))
        ]
    )


def simulated(rule: Rule, trial: Trial, runs: int) -> Shares:
    """What that comes to."""
    return ends(rule, trial, runs).shares(trial.wrong, trial.sizes)


def speed(runs: int) -> Mapping[str, list[str]]:
    """Median looks until the verdict of independent answers, at 20 copies and at 400 a look."""
    return {
        f"{name}, {said} copies a look": [
            f"{np.median(ends(rule, _at(trial, sizes), runs).looks):.0f}" for trial in POWER
        ]
        for said, sizes in ((20, (20,) * 92), (400, BUSY))
        for name, rule in BY_SPEED.items()
    }


def _at(trial: Trial, sizes: tuple[int, ...]) -> Trial:
    return replace(trial, sizes=sizes)


def in_bursts(runs: int) -> dict[str, list[Shares]]:
    """What each rule comes to in bursts; of labels, where as many are bad as accuracy allows."""
    more = (1 - ACCURACY.threshold) / MOST
    scaled = [replace(trial, share=trial.share * more) for trial in BURSTS]
    return {
        name: [simulated(rule, trial, runs) for trial in trials]
        for rules, trials in ((IN_BURSTS, list(BURSTS)), (OF_LABELS, scaled))
        for name, rule in rules.items()
    }
