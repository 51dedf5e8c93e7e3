"""Rules for "accuracy at least 0.70" on labels as people send them: up to three days late, some of
them twice, some corrected later.

A store counts each label once, as it was said last: what a correction changes is taken back, so
that counts may fall. See `rollout_operator.domain.gates.label_counters`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rollout_operator.domain.api.analysis import Gate
from tests.bench.gate_counts import CHUNK, Ends, Numbers, Reals, Sums, to_five, verdicts
from tests.bench.gate_ramps import Shares, Verdict

BOUND = 0.7
HOURS, EACH = 240, 8
"""Looks of a trial, one each hour, and predictions in each: 1920 in all."""
LATE = 72
"""Hours after its prediction that a label comes at most, and a correction after its label."""
CORRECTED, TWICE = 0.05, 0.3
"""Shares of labels."""
EITHER = (1, -1)


@dataclass(frozen=True)
class Trial:
    """Labels of a candidate of this true accuracy, as the last word on each label has it.

    right_first, wrong_first: shares of labels that were said to be right, or wrong, before they
    were corrected; both at random where both are None. hasty: hours after which labels that say
    wrong have come at the latest. delay, coverage: the gate's labelDelay, in hours, and
    minCoverage.
    """

    name: str
    share: float
    wrong: tuple[Verdict, ...]
    right_first: float | None = None
    wrong_first: float | None = None
    hasty: int = LATE
    delay: int = 0
    coverage: float = 0.8
    kept: bool = True
    """Whether alpha is promised."""

    @property
    def gate(self) -> Gate:
        """What judges it."""
        said = {"metric": "accuracy", "min": BOUND, "evidence": "Labelled"}
        times = {"labelDelay": f"{self.delay}h", "minCoverage": self.coverage}
        return Gate.model_validate({**said, **times})

    def drawn(self, seed: int, trials: int) -> "Labels":
        """What came, by trial and hour."""
        random, shape = np.random.default_rng(seed), (trials, HOURS * EACH)
        right = random.random(shape) < self.share
        mistaken = random.random(shape) < CORRECTED
        if self.right_first is not None:
            # So many of all labels are of those that are wrong in the end.
            mistaken = ~right & (random.random(shape) < self.right_first / (1 - self.share))
        elif self.wrong_first is not None:
            mistaken = right & (random.random(shape) < self.wrong_first / self.share)
        said = right ^ mistaken
        asked = np.repeat(np.arange(HOURS), EACH)
        came = asked + np.where(said, LATE, self.hasty) * random.random(shape)
        again = came + LATE * random.random(shape)
        twice = random.random(shape) < TWICE
        corrected = came + LATE * random.random(shape)

        def hourly(which: np.ndarray, when: np.ndarray) -> Numbers:
            hour = np.floor(when).astype(np.int64)
            counted = which & (hour < HOURS)
            place = np.arange(trials)[:, None] * HOURS + hour
            found = np.bincount(place[counted], minlength=trials * HOURS)
            return found.reshape(trials, HOURS).astype(np.int64)

        return Labels(
            right=hourly(said, came),
            wrong=hourly(~said, came),
            to_right=hourly(mistaken & right, corrected),
            to_wrong=hourly(mistaken & ~right, corrected),
            right_again=hourly(twice & said, again),
            wrong_again=hourly(twice & ~said, again),
        )


@dataclass(frozen=True)
class Labels:
    """How many came, by trial and hour."""

    right: Numbers
    wrong: Numbers
    to_right: Numbers
    """Corrected to right."""
    to_wrong: Numbers
    right_again: Numbers
    """The same label once more."""
    wrong_again: Numbers

    @property
    def sent(self) -> tuple[Numbers, Numbers]:
        """Right ones and all, where whatever is sent is counted."""
        right = self.right + self.to_right + self.right_again
        return right, right + self.wrong + self.to_wrong + self.wrong_again


Rule = Callable[[Trial, Labels], Ends]
TRIALS = (
    Trial("0.70, corrected either way", BOUND, EITHER),
    Trial("0.70, corrected to right", BOUND, EITHER, wrong_first=CORRECTED, kept=False),
    Trial("0.70, corrected to wrong", BOUND, EITHER, right_first=CORRECTED, kept=False),
    Trial("0.70, wrong ones come in a day", BOUND, EITHER, hasty=24, kept=False),
    Trial("the same, `labelDelay: 72h`", BOUND, EITHER, hasty=24, delay=LATE, kept=False),
    Trial("the same, `minCoverage: 1`", BOUND, EITHER, hasty=24, coverage=1),
    Trial("0.85", 0.85, (-1,)),
    Trial("0.85, `minCoverage: 1`", 0.85, (-1,), coverage=1),
    Trial("0.55", 0.55, (1,)),
)


def sums(labels: Labels) -> Sums:
    """Of each trial after each hour, as `label_counters.with_labels` has them."""
    change = labels.to_right - labels.to_wrong
    total = np.cumsum(labels.right + labels.wrong, axis=1).astype(float)
    good = np.cumsum(labels.right + change, axis=1).astype(float)
    fresh = (labels.right + labels.wrong).astype(float)
    before, had = _before(good), _before(total)
    corrected = before + change
    squares = np.where(
        had > 0, (corrected * corrected - before * before) / np.maximum(had, 1), 0.0
    ) + np.where(fresh > 0, labels.right.astype(float) ** 2 / np.maximum(fresh, 1), 0.0)
    return Sums(
        good,
        total,
        np.cumsum(squares, axis=1),
        np.cumsum(fresh > 0, axis=1),
    )


def _before(sums_: Reals) -> Reals:
    return np.concatenate([np.zeros((len(sums_), 1)), sums_[:, :-1]], axis=1)


def ours(trial: Trial, labels: Labels) -> Ends:
    """The Labelled gate on what a store counts, each hour: below minCoverage what is missing counts
    against either verdict.
    """
    counted = sums(labels)
    asked = EACH * np.arange(1, HOURS + 1, dtype=float)
    due = asked if not trial.delay else np.concatenate([np.zeros(trial.delay), asked])[:HOURS]
    gate = trial.gate
    uncovered = counted.total < gate.min_coverage * due
    missing = np.where(uncovered, np.maximum(0.0, due - counted.total), 0.0)
    return verdicts(gate, counted, missing, due > 0)


def thresholds(_: Trial, labels: Labels) -> Ends:
    """A query for the share of what was sent in two hours: 5 passes promote, 5 failures roll
    back.
    """
    right, all_ = labels.sent
    return to_five(right, all_, lambda good, of: good >= BOUND * of)


def as_sent(trial: Trial, labels: Labels) -> Ends:
    """Our test, where whatever is sent is counted."""
    right, all_ = labels.sent
    nothing = np.zeros_like(right)
    return ours(trial, Labels(right, all_ - right, *(nothing,) * 4))


RULES: Mapping[str, Rule] = {
    "ours, `min: 0.70`, `Labelled`, with a store": ours,
    "the same on counters of what is sent": as_sent,
    "Flagger or Argo Rollouts on a query for the share, 5 passes or 5 failures": thresholds,
}


def simulated(rules: Sequence[Rule], trial: Trial, runs: int) -> list[Shares]:
    """Each rule over the same trials, so many of one kind."""
    ends: list[list[Ends]] = [[] for _ in rules]
    labels = np.zeros(len(rules))
    for seed, begun in enumerate(range(0, runs, CHUNK)):
        drawn = trial.drawn(seed, min(CHUNK, runs - begun))
        came = np.cumsum(drawn.right + drawn.wrong, axis=1)
        for place, rule in enumerate(rules):
            one = rule(trial, drawn)
            labels[place] += came[np.arange(len(came)), one.looks - 1].sum()
            ends[place].append(one)
    return [
        _shares(Ends.joined(found).verdicts, trial.wrong, float(taken) / runs)
        for found, taken in zip(ends, labels, strict=True)
    ]


def _shares(verdicts_: Numbers, wrong: tuple[Verdict, ...], labels: float) -> Shares:
    share = {verdict: float(np.mean(verdicts_ == verdict)) for verdict in EITHER}
    return Shares(share[1], share[-1], sum(share[v] for v in wrong), labels)
