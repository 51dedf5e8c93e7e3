"""What bench-gates says of means: streams that are what they are called, and rules told apart."""

import numpy as np
import pytest

from tests.bench.gate_means import (
    ALONE,
    BESIDE,
    GREATEST,
    RULES_ALONE,
    RULES_BESIDE,
    Rule,
    Trial,
)
from tests.bench.gate_ramps import WEIGHTS

RUNS = 60


def verdicts(rule: Rule, trial: Trial) -> list[int]:
    return [rule(trial.scrapes(seed)) for seed in range(RUNS)]


@pytest.mark.parametrize("trial", [*ALONE, *BESIDE], ids=lambda trial: trial.name)
def test_visits_bring_what_the_trial_says(trial: Trial) -> None:
    told = np.zeros((2, len(WEIGHTS)))
    counts = np.zeros((2, len(WEIGHTS)))
    for seed in range(RUNS):
        for scrape, both in enumerate(trial.scrapes(seed)):
            for arm, one in enumerate(both):
                told[arm, scrape] += one.total * GREATEST
                counts[arm, scrape] += one.count
                assert 0 <= one.squares <= one.total <= one.count
    wanted = np.array([trial.means(scrape) for scrape in range(len(WEIGHTS))]).T
    means = told.sum(axis=1) / counts.sum(axis=1)
    expected = (wanted * counts).sum(axis=1) / counts.sum(axis=1)
    assert means == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("trial", ALONE, ids=lambda trial: trial.name)
def test_ours_is_seldom_wrong(trial: Trial) -> None:
    found = verdicts(RULES_ALONE["ours, `min: 8`, `Labelled`"], trial)
    assert all(found.count(wrong) <= 0.1 * RUNS for wrong in trial.wrong)


@pytest.mark.parametrize("trial", BESIDE, ids=lambda trial: trial.name)
def test_ours_beside_stable_is_seldom_wrong(trial: Trial) -> None:
    found = verdicts(RULES_BESIDE["ours, `maxDrop: 2`, `Labelled`"], trial)
    assert all(found.count(wrong) <= 0.1 * RUNS for wrong in trial.wrong)


def test_pooled_sums_take_the_change_of_traffic_for_the_versions() -> None:
    """Of a version that is just as good."""
    trial = next(t for t in BESIDE if t.less == 0)
    found = verdicts(RULES_BESIDE["all values pooled, one z-test at the end"], trial)
    assert found.count(-1) > RUNS / 3
