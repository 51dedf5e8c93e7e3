"""What is simulated of the gate predictionShift is what the operator says of the same counts."""

import numpy as np
import pytest

from rollout_operator.domain.api.gate_results import BinCount, EvidenceStatus, PodCounts
from rollout_operator.domain.gates.label_counters import fresh_evidence
from rollout_operator.domain.gates.prediction_shift import (
    design_effect_of_shift,
    grown,
    shift_of,
)
from rollout_operator.domain.gates.shift_test import log_beyond, log_within
from tests.bench.gate_copies import CANDIDATE, STABLE
from tests.bench.gate_ramps import ALPHA
from tests.bench.gate_shifts import BURSTS, GATE, MOST, RULES, TRIALS, Rule, Trial, ours, simulated
from tests.support.builders import START, at


def counted(numbers: np.ndarray, pod: str, scrape: int) -> tuple[PodCounts, ...]:
    """The counters of one pod by class, after so many scrapes."""
    so_far = numbers[:scrape].sum(axis=0).tolist()
    bins = tuple(BinCount(bin=str(n), count=count) for n, count in enumerate(so_far))
    moment = at(15 * scrape + 14).timestamp()
    return (PodCounts(pod=pod, good=0, total=sum(so_far), at=moment, bins=bins),)


def measured(mine: np.ndarray, theirs: np.ndarray) -> tuple[int, int]:
    """The verdict of the operator's own sums, and after how many scrapes; its first reading is
    where it begins.
    """
    known: EvidenceStatus = fresh_evidence(GATE, CANDIDATE, STABLE, START)
    need = np.log(1 / ALPHA)
    for scrape in range(len(mine) + 1):
        known = grown(known, counted(mine, "a", scrape), counted(theirs, "b", scrape))
        if not scrape:
            continue
        shift = shift_of(known).divided(design_effect_of_shift(known, GATE))
        if log_beyond(shift, MOST, ALPHA, GATE.max_samples) >= need:
            return -1, scrape
        within = log_within(shift, MOST, ALPHA, GATE.max_samples)
        if within >= need and known.total >= GATE.min_samples:
            return 1, scrape
    return 0, len(mine)


@pytest.mark.parametrize(
    "trial", [*TRIALS, *BURSTS], ids=[trial.name for trial in (*TRIALS, *BURSTS)]
)
def test_the_verdicts_are_those_of_the_operator(trial: Trial) -> None:
    mine, theirs = trial.drawn(1, 2)
    found = ours(mine, theirs)
    said = [measured(*both) for both in zip(mine, theirs, strict=True)]
    assert list(zip(found.verdicts.tolist(), found.looks.tolist(), strict=True)) == said


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
def test_each_rule_knows_good_from_bad(rule: Rule) -> None:
    good = Trial("", (0.999, 0.001), (0.0, 0.0), ())
    bad = Trial("", (0.9, 0.1), (-0.7, 0.7), ())
    assert (simulated(rule, good, 2).promote, simulated(rule, bad, 2).roll_back) == (1, 1)
