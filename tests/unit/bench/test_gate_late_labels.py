"""What is simulated of labels that come late, twice and corrected is what the operator makes of the
counters of a store.
"""

import numpy as np
import pytest

from rollout_operator.domain.api.gate_results import PodCounts
from rollout_operator.domain.gates.label_counters import fresh_evidence, grown
from rollout_operator.domain.gates.samples import IN_STORE, TAKEN_BACK, store_place
from tests.bench.gate_copies import CANDIDATE, STABLE
from tests.bench.gate_late_labels import (
    BOUND,
    HOURS,
    LATE,
    RULES,
    TRIALS,
    Labels,
    Rule,
    Trial,
    ours,
    simulated,
    sums,
)
from tests.support.builders import START, at


def counters(labels: Labels, hour: int) -> tuple[PodCounts, PodCounts]:
    """Of the first trial, as the store has them after so many hours: what was corrected is counted
    once more as it is now, and taken back as it was.
    """

    def until(*counts: np.ndarray) -> int:
        return sum(int(one[0, : hour + 1].sum()) for one in counts)

    moment = at(3600 * hour + 3599).timestamp()
    stored = PodCounts(
        pod=store_place(IN_STORE, CANDIDATE.revision),
        good=until(labels.right, labels.to_right),
        total=until(labels.right, labels.wrong, labels.to_right, labels.to_wrong),
        at=moment,
    )
    retracted = PodCounts(
        pod=store_place(TAKEN_BACK, CANDIDATE.revision),
        good=until(labels.to_wrong),
        total=until(labels.to_right, labels.to_wrong),
        at=moment,
    )
    return stored, retracted


@pytest.mark.parametrize("trial", TRIALS[:4], ids=[trial.name for trial in TRIALS[:4]])
def test_sums_are_those_of_the_operator(trial: Trial) -> None:
    labels = trial.drawn(1, 1)
    found = sums(labels)
    known = fresh_evidence(trial.gate, CANDIDATE, STABLE, START)
    taken_back = False
    for hour in range(HOURS):
        before = known.good
        known = grown(known, trial.gate, counters(labels, hour), (), at(3600 * (hour + 1)))
        taken_back |= known.good < before + labels.right[0, hour]
        assert (known.good, known.total, known.scrapes) == (
            found.good[0, hour],
            found.total[0, hour],
            found.scrapes[0, hour],
        )
        assert known.squares == pytest.approx(found.squares[0, hour], abs=1e-3)
    assert taken_back == (trial.wrong_first is None), "some corrections are for the worse"


@pytest.mark.parametrize("trial", TRIALS, ids=[trial.name for trial in TRIALS])
def test_labels_are_as_the_trial_says(trial: Trial) -> None:
    """In the end: of wrong answers that are told of sooner, there are more until then."""
    labels = trial.drawn(2, 200)
    last = (labels.right + labels.to_right - labels.to_wrong).sum()
    share = last / (labels.right + labels.wrong).sum()
    assert share == pytest.approx(trial.share, abs=0.02 if trial.hasty == LATE else 0.04)
    assert (share < trial.share - 0.02) == (trial.hasty < LATE)
    again = (labels.right_again + labels.wrong_again).sum()
    assert 0.2 < again / (labels.right + labels.wrong).sum() < 0.3


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
def test_each_rule_knows_good_from_bad(rule: Rule) -> None:
    (good,) = simulated([rule], Trial("", 0.99, ()), 3)
    (bad,) = simulated([rule], Trial("", 0.2, ()), 3)
    assert (good.promote, bad.roll_back) == (1, 1)


def test_with_a_store_it_is_seldom_wrong_where_that_is_promised() -> None:
    for trial in (one for one in TRIALS if one.kept and one.share == BOUND):
        (found,) = simulated([ours], trial, 200)
        assert found.wrong <= 0.1
