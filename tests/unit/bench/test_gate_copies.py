"""What is simulated of the gate disagreement is what the operator says of the same counts."""

import pytest

from rollout_operator.domain.api.gate_results import EvidenceStatus, Measurement
from rollout_operator.domain.gates.disagreement import measure_disagreement
from rollout_operator.domain.gates.gate_status import Trial as Measured
from rollout_operator.domain.gates.samples import SHADOW
from rollout_operator.domain.observed import Series
from tests.bench.gate_copies import (
    BURSTS,
    CANDIDATE,
    GATE,
    RULES,
    STABLE,
    TRIALS,
    Trial,
    ours,
    simulated,
)
from tests.bench.gate_counts import Rule
from tests.support.builders import START, at

VERDICTS = {Measurement.PASS: 1, Measurement.FAIL: -1}
RUNS = 3


def measured(trial: Trial, otherwise: list[int]) -> tuple[int, int]:
    """The verdict of the operator's own looks, and how many they were."""
    known: tuple[EvidenceStatus, ...] = ()
    counts = {"same": 0, "different": 0}
    for n, (different, copies) in enumerate(zip(otherwise, trial.sizes, strict=True)):
        counts = {
            "same": counts["same"] + copies - different,
            "different": counts["different"] + different,
        }
        series = tuple(
            Series(
                SHADOW,
                "s",
                at(15 * n + 14).timestamp(),
                count,
                outcome=name,
                candidate=CANDIDATE.revision,
            )
            for name, count in counts.items()
        )
        look = Measured(CANDIDATE, STABLE, START, at(15 * n + 15))
        said, evidence = measure_disagreement(GATE, series, look, known, copied=True)
        if said.measurement in VERDICTS:
            return VERDICTS[said.measurement], n + 1
        known = (evidence,) if evidence is not None else ()
    return 0, len(trial.sizes)


@pytest.mark.parametrize(
    "trial", [*TRIALS, *BURSTS], ids=[trial.name for trial in (*TRIALS, *BURSTS)]
)
def test_the_verdicts_are_those_of_the_operator(trial: Trial) -> None:
    drawn = trial.drawn(1, RUNS)
    found = ours(drawn, trial.sizes)
    said = [measured(trial, row) for row in drawn.tolist()]
    assert list(zip(found.verdicts.tolist(), found.looks.tolist(), strict=True)) == said


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
def test_each_rule_knows_good_from_bad(rule: Rule) -> None:
    good, bad = simulated(rule, Trial("", 0.0, ()), 2), simulated(rule, Trial("", 0.6, ()), 2)
    assert (good.promote, bad.roll_back) == (1, 1)


@pytest.mark.parametrize("burst", [1, 5, 20])
def test_bursts_change_no_share(burst: int) -> None:
    trial = Trial("", 0.05, (), burst=burst)
    assert trial.drawn(1, 2000).mean(axis=0).sum() == pytest.approx(98, rel=0.05)
