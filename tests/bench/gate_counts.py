"""What a gate on counted answers says over many trials at once.

All that a verdict rests on is summed by numpy; the operator's own code makes what each look adds,
and says again what each verdict, and the look before it, comes to: where the two differ, that is an
error.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rollout_operator.domain.api.analysis import Gate
from rollout_operator.domain.api.gate_results import EvidenceStatus
from rollout_operator.domain.gates import bursts
from rollout_operator.domain.gates.judgement import (
    evidence_of_copies,
    evidence_of_share,
    floor_of,
)
from rollout_operator.domain.gates.label_counters import counts_bursts, design_effect
from rollout_operator.domain.gates.sequential_test import alternatives
from tests.bench.gate_ramps import Shares, Verdict
from tests.support.builders import START

Numbers = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]
CHUNK = 1000
"""Trials that are drawn together."""
NEAR = 1e-5
"""Of what a verdict takes: status rounds its sums."""


@dataclass(frozen=True)
class Ends:
    """How trials ended."""

    verdicts: Numbers
    """Of each trial: 1 promote, -1 roll back, 0 none."""
    looks: Numbers
    """How many each of them took."""

    @classmethod
    def joined(cls, found: Sequence["Ends"]) -> "Ends":
        """Of all of them."""
        return cls(
            np.concatenate([one.verdicts for one in found]),
            np.concatenate([one.looks for one in found]),
        )

    def shares(self, wrong: tuple[Verdict, ...], sizes: Sequence[int]) -> Shares:
        """How often each verdict was given; sizes: answers between two looks."""
        taken = np.cumsum(sizes)[self.looks - 1]
        count = {verdict: float(np.mean(self.verdicts == verdict)) for verdict in (1, -1)}
        return Shares(count[1], count[-1], sum(count[v] for v in wrong), float(taken.mean()))


Rule = Callable[[Numbers, Sequence[int]], Ends]
"""Of bad answers by trial and look, and of all answers by look."""


@dataclass(frozen=True)
class Sums:
    """Of each trial after each look, as EvidenceStatus has them."""

    good: Reals
    total: Reals
    """What both are worth, where bursts are counted."""
    squares: Reals
    scrapes: Numbers
    below: Reals | None = None
    """By trial, look and bet; None where bursts are not counted."""


def first(in_favour: npt.NDArray[np.bool_], against: npt.NDArray[np.bool_]) -> Ends:
    """The first look of each trial at which one of the two is so; against it counts first."""
    trials, looks = in_favour.shape
    either = in_favour | against
    at = np.where(either.any(axis=1), either.argmax(axis=1), looks - 1)
    rows = np.arange(trials)
    verdicts = np.where(against[rows, at], -1, np.where(in_favour[rows, at], 1, 0))
    return Ends(verdicts.astype(np.int64), at + 1)


def labelled(gate: Gate, bad: Numbers, sizes: Sequence[int]) -> Ends:
    """A gate on a share of counted answers, after every look."""
    return verdicts(gate, _sums(gate, bad, sizes), answers=np.cumsum(sizes))


def verdicts(
    gate: Gate,
    sums: Sums,
    missing: Reals | float = 0.0,
    due: npt.NDArray[np.bool_] | bool = True,
    answers: Numbers | None = None,
) -> Ends:
    """The same of sums. missing: labels that are, by trial and look. due: whether any is expected
    yet. answers: how many were counted, where `sums` has what they are worth.
    """
    absent = np.broadcast_to(np.asarray(missing, float), sums.good.shape)
    in_favour, against = _evidence(gate, sums, absent)
    enough = (sums.total if answers is None else answers) >= gate.min_samples
    ends = first((in_favour >= 1) & enough & due, (against >= 1) & due)
    for trial, looks in enumerate(ends.looks.tolist()):
        for look in range(max(0, looks - 2), looks):
            found = (in_favour[trial, look], against[trial, look])
            said = _said(gate, sums, absent, (trial, look))
            pairs = list(zip(said, found, strict=True))
            if any((a >= 1) != (b >= 1) and abs(a - b) > NEAR for a, b in pairs):
                raise AssertionError(f"{gate}: the operator says {said}, and not {found}")
    return ends


def _sums(gate: Gate, bad: Numbers, sizes: Sequence[int]) -> Sums:
    counted = counts_bursts(gate)
    answers = np.array(sizes, float)
    divide = np.array([bursts.burst(n) if counted else 1.0 for n in sizes])
    good = answers - bad
    below = None
    if counted:
        gains = {
            n: np.array([bursts.grown((), x, n, gate.threshold) for x in range(n + 1)])
            for n in set(sizes)
        }
        by_look = [gains[n][bad[:, look]] for look, n in enumerate(sizes)]
        below = np.cumsum(np.stack(by_look, axis=1), axis=1)
    return Sums(
        np.cumsum(good / divide, axis=1),
        np.broadcast_to(np.cumsum(answers / divide), bad.shape),
        np.cumsum(good * good / answers / divide, axis=1),
        np.broadcast_to(np.arange(1, len(sizes) + 1), bad.shape),
        below,
    )


def _evidence(gate: Gate, sums: Sums, missing: Reals) -> tuple[Reals, Reals]:
    """For and against, as a share of what a verdict takes."""
    divide = _design_effects(gate, sums)
    good, bad, absent = sums.good / divide, (sums.total - sums.good) / divide, missing / divide
    floor = floor_of(gate)

    def mixture(threshold: float, above: bool, alpha: float, right: Reals, wrong: Reals) -> Reals:
        rates = alternatives(threshold, above, alpha, gate.max_samples)
        ratios = [
            right * math.log(q / threshold) + wrong * math.log((1 - q) / (1 - threshold))
            for q in rates
        ]
        return log_mean_exp(ratios) / math.log(1 / alpha)

    lowered = floor - gate.tolerance
    in_favour = mixture(lowered, True, gate.alpha.promote, good, bad + absent)
    if sums.below is not None:
        against = log_mean_exp(list(np.moveaxis(sums.below, 2, 0)))
        return in_favour, against / math.log(1 / gate.alpha.rollback)
    return in_favour, mixture(floor, False, gate.alpha.rollback, good + absent, bad)


def log_mean_exp(values: Sequence[Reals]) -> Reals:
    """ln of the mean of what these are logarithms of."""
    all_ = np.stack(values)
    top = all_.max(axis=0)
    return np.asarray(top + np.log(np.exp(all_ - top).mean(axis=0)))


def _design_effects(gate: Gate, sums: Sums) -> Reals:
    if gate.design_effect is not None:
        return np.full_like(sums.good, gate.design_effect)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = sums.good / sums.total
        scatter = sums.squares - 2 * share * sums.good + share * share * sums.total
        found = scatter / (share * (1 - share)) / (sums.scrapes - 1)
    some = (share > 0) & (share < 1) & (sums.scrapes >= 5)
    return np.where(some, np.maximum(1.0, found), 1.0)


def _said(gate: Gate, sums: Sums, missing: Reals, at: tuple[int, int]) -> tuple[float, float]:
    """What the operator says of one trial after one look."""
    good, total = round(float(sums.good[at]), 6), round(float(sums.total[at]), 6)
    counted = sums.below is not None
    evidence = EvidenceStatus(
        gate=gate.name,
        subject="simulated",
        since=START,
        good=good,
        total=total,
        squares=max(0.0, round(float(sums.squares[at]), 6)),
        scrapes=int(sums.scrapes[at]),
        effective_good=good if counted else 0,
        effective_total=total if counted else 0,
        below=() if sums.below is None else tuple(sums.below[at].tolist()),
    )
    divide = design_effect(evidence, gate)
    if counted:
        return evidence_of_copies(evidence, gate, 1, divide)
    absent = float(missing[at]) / divide
    return evidence_of_share(good / divide, (total - good) / divide, absent, gate, 1)


def to_five(
    counted: Numbers, of: Numbers, passes: Callable[[Numbers, Numbers], npt.NDArray[np.bool_]]
) -> Ends:
    """What comes of queries over every two looks: 5 that pass promote, 5 that do not roll back;
    what nothing came of says nothing.
    """
    pairs = counted.shape[1] // 2

    def paired(one: Numbers) -> Numbers:
        return np.asarray(one[:, : 2 * pairs].reshape(len(one), pairs, 2).sum(axis=2))

    some, good = paired(of) > 0, passes(paired(counted), paired(of))
    passed, failed = (np.cumsum(some & which, axis=1) >= 5 for which in (good, ~good))
    ends = first(passed, failed)
    return Ends(ends.verdicts, 2 * ends.looks)


def thresholds(most: float, bad: Numbers, sizes: Sequence[int]) -> Ends:
    """A query for the share, every other look: 5 passes promote, 5 failures roll back."""
    of = np.broadcast_to(np.array(sizes, dtype=np.int64), bad.shape)
    return to_five(bad, of, lambda wrong, all_: wrong <= most * all_)


def pooled(most: float, bad: Numbers, sizes: Sequence[int]) -> Ends:
    """All answers added up, and their share at the end."""
    keeps = bad.sum(axis=1) <= most * sum(sizes)
    return Ends(np.where(keeps, 1, -1), np.full(len(bad), len(sizes)))
