"""inputDrift: which column has moved, from how many rows on, and what helps where nothing tells."""

import math
from typing import Any

import pytest

from rollout_operator.domain.api.analysis import Gate
from rollout_operator.domain.api.gate_results import Measurement
from rollout_operator.domain.gates.gate_status import Trial
from rollout_operator.domain.gates.input_drift import measure_drift, rows_needed
from rollout_operator.domain.observed import Answer, MetricsUnreachable, Series
from tests.support.builders import START, at, revision

CANDIDATE = revision(2, ready_at=START)
PASS, FAIL, NOTHING = Measurement.PASS, Measurement.FAIL, Measurement.NO_EVIDENCE
GATE = Gate.model_validate({"metric": "inputDrift", "max": 0.2})


def answer(rows: float = 800, second: float = 10, **columns: float) -> tuple[Series, ...]:
    """What Prometheus computes: PSI by column, rows, and predictions."""
    moment = at(second).timestamp()

    def one(value: float, what: str, column: str = "") -> Series:
        return Series("", "", moment, value, column=column, bin=what)

    return (
        *(one(value, "psi", name) for name, value in columns.items()),
        *(one(rows, "rows", name) for name in columns),
        one(rows, "predictions"),
    )


CASES: dict[str, tuple[Answer | None, Measurement, str, float | None]] = {
    "as in training": (answer(age=0.01, job=0.03), PASS, "PSI 0.03 of column 'job'", 0.03),
    "at the bound": (answer(age=0.2), PASS, "is at most 0.2", 0.2),
    "one column has moved": (
        answer(age=0.31, job=0.03),
        FAIL,
        "PSI 0.31 of column 'age' is above 0.2, 800 live rows",
        0.31,
    ),
    "several have moved": (
        answer(age=0.31, job=0.4, id=0.25),
        FAIL,
        "PSI 0.4 of column 'job' is above 0.2, and of age, id,",
        0.4,
    ),
    "too few rows": (answer(499, age=3.0), NOTHING, "499 of the 500 rows that a PSI of 0.2", None),
    "no row yet": (answer(0, age=math.nan), NOTHING, "no live row yet", None),
    "no number": (answer(age=math.nan), NOTHING, "PSI of column 'age' is nan", None),
    "rows beyond all counting": (answer(math.inf, age=0.1), NOTHING, "inf, not a count", None),
    "rows that are no number": (answer(math.nan, age=0.1), NOTHING, "nan, not a count", None),
    "no profile": (answer(), NOTHING, "register it with one, as the trainer does", None),
    "nothing is scraped": ((), NOTHING, "no series of this revision", None),
    "not asked": (None, NOTHING, "not measured yet", None),
    "Prometheus is away": (
        MetricsUnreachable("no route"),
        Measurement.UNREACHABLE,
        "no route",
        None,
    ),
    "from before the trial": (answer(second=-5, age=3.0), NOTHING, "no sample yet since", None),
}


@pytest.mark.parametrize(("told", "verdict", "said", "value"), CASES.values(), ids=CASES.keys())
def test_what_it_says(
    told: Answer | None, verdict: Measurement, said: str, value: float | None
) -> None:
    found = measure_drift(GATE, told, Trial(CANDIDATE, None, START, at(12)))
    assert (found.measurement, found.value) == (verdict, value)
    assert said in found.message
    assert found.message.startswith("input drift: ")
    assert found.late is (True if "register it" in said else None), "somebody has to help"


ROWS: dict[str, tuple[dict[str, Any], int]] = {
    "the usual bound": ({}, 500),
    "a narrower one needs more": ({"max": 0.1}, 1000),
    "a wide one": ({"max": 10.0}, 30),
    "minSamples": ({"minSamples": 2000}, 2000),
}


@pytest.mark.parametrize(("changes", "rows"), ROWS.values(), ids=ROWS.keys())
def test_of_so_many_rows_chance_comes_to_a_tenth_of_the_bound(
    changes: dict[str, Any], rows: int
) -> None:
    gate = Gate.model_validate({"metric": "inputDrift", "max": 0.2, **changes})
    assert rows_needed(gate) == rows
