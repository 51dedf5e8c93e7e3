"""The lines and bands of the plots, from what Prometheus has of an attempt."""

import pytest

from rollout_cli.report.attempt_record import AttemptRecord, TimeSeries
from rollout_dashboard.series import plots
from tests.support.builders import at, on_trial, revision, spec
from tests.unit.cli.builders import rollout

OURS = revision(2).revision
ENDS = {"lower": 0.6, "upper": 0.9}


def drawn(series: TimeSeries, *gates: dict[str, object]) -> dict[str, list[tuple[str, object]]]:
    """Role and values of each line, by plot."""
    of = rollout(on_trial(), spec("models:/iris/2", analysis__gates=list(gates)))
    record = AttemptRecord(
        rollout=of,
        now=at(60),
        attempt=2,
        uri="models:/iris/2",
        candidate=OURS,
        stable=revision(1).revision,
        verdict=None,
        reason="",
        message="",
        started=at(0),
        ended=None,
        gates=(),
        acts=(),
        events=(),
        series=series,
    )
    return {p["key"]: [(one["role"], one["values"]) for one in p["lines"]] for p in plots(record)}


def interval(gate: str, evidence: str = "Labelled", *ends: str) -> TimeSeries:
    """A line of the candidate, and of a gate's interval these ends; both where none is named."""
    line = {OURS: ((1.0, 0.8), (2.0, 0.7))}
    bounds = {(gate, evidence, end): ((2.0, ENDS[end]),) for end in ends or ENDS}
    return TimeSeries(accuracy=line, errors=line, bounds=bounds)


ACCURACY: dict[str, object] = {"metric": "accuracy", "min": 0.7}
LABELLED = {**ACCURACY, "evidence": "Labelled"}
ERRORS: dict[str, object] = {"metric": "errorRate", "max": 0.1, "evidence": "Labelled"}
DROP: dict[str, object] = {"metric": "accuracy", "maxDrop": 0.1, "evidence": "Labelled"}
BAND = [("lower", [None, 0.6]), ("upper", [None, 0.9])]


@pytest.mark.parametrize(
    ("series", "gates", "key", "bands"),
    [
        pytest.param(interval("accuracy"), [LABELLED], "accuracy", BAND, id="of accuracy"),
        pytest.param(
            interval("errorRate"),
            [LABELLED, ERRORS],
            "errorRate",
            [("lower", [None, 60.0]), ("upper", [None, 90.0])],
            id="of errors, in percent",
        ),
        pytest.param(
            interval("accuracy-2"),
            [LABELLED, {**LABELLED, "min": 0.6}],
            "accuracy",
            BAND,
            id="of the second gate of a metric",
        ),
        pytest.param(
            interval("accuracy"), [DROP, LABELLED], "accuracy", [], id="of a comparison: none"
        ),
        pytest.param(
            interval("accuracy-2"), [DROP, LABELLED], "accuracy", BAND, id="beside a comparison"
        ),
        pytest.param(
            interval("accuracy"), [ACCURACY], "accuracy", [], id="of a gate that is no more: none"
        ),
        pytest.param(
            interval("accuracy", "Labelled", "lower"),
            [LABELLED],
            "accuracy",
            [],
            id="one end",
        ),
        pytest.param(
            TimeSeries(accuracy={OURS: ((1.0, 0.8),)}), [LABELLED], "accuracy", [], id="none"
        ),
    ],
)
def test_the_interval_of_a_gate_is_a_band(
    series: TimeSeries,
    gates: list[dict[str, object]],
    key: str,
    bands: list[tuple[str, object]],
) -> None:
    assert [line for line in drawn(series, *gates)[key] if line[0] != "candidate"] == bands
