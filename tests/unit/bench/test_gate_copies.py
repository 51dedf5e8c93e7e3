"""What is simulated of the gate disagreement is what the operator says of the same counts."""

import pytest

from rollout_operator.domain.api.gate_results import EvidenceStatus, Measurement
from rollout_operator.domain.gates.disagreement import measure_disagreement
from rollout_operator.domain.gates.gate_status import Trial as Measured
from rollout_operator.domain.gates.samples import SHADOW
from rollout_operator.domain.observed import Series
from tests.bench.gate_copies import CANDIDATE, GATE, RULES, STABLE, TRIALS, Rule, Trial, ours
from tests.support.builders import START, at

VERDICTS = {Measurement.PASS: 1, Measurement.FAIL: -1}


def measured(trial: Trial, seed: int) -> int:
    """The verdict of the operator's own looks."""
    known: tuple[EvidenceStatus, ...] = ()
    counts = {"same": 0, "different": 0}
    for n, (different, copies) in enumerate(trial.looks(seed)):
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
            return VERDICTS[said.measurement]
        known = (evidence,) if evidence is not None else ()
    return 0


@pytest.mark.parametrize("trial", TRIALS, ids=[trial.name for trial in TRIALS])
def test_the_verdicts_are_those_of_the_operator(trial: Trial) -> None:
    for seed in range(3):
        assert ours(trial.looks(seed)) == measured(trial, seed)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
def test_each_rule_knows_good_from_bad(rule: Rule) -> None:
    good, bad = Trial("good", 0.0, ()), Trial("bad", 0.6, ())
    assert (rule(good.looks(1)), rule(bad.looks(1))) == (1, -1)
