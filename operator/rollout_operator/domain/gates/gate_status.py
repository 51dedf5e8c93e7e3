"""What both kinds of gates need: who is measured, and how a measurement stands in status."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rollout_operator.domain.api.analysis import Gate, Metric
from rollout_operator.domain.api.gate_results import GateStatus, Measurement
from rollout_operator.domain.api.status import Revision

NOUNS: Mapping[Metric, str] = {
    Metric.ACCURACY: "accuracy",
    Metric.ERROR_RATE: "error rate",
    Metric.LATENCY_P95: "p95 latency in seconds",
    Metric.PREDICTION_SHIFT: "prediction shift",
    Metric.INPUT_DRIFT: "input drift",
    Metric.DISAGREEMENT: "disagreement",
}
"""How to say a metric that is built in."""
UNITS: Mapping[Metric, str] = {
    Metric.ACCURACY: "labels",
    Metric.ERROR_RATE: "requests",
    Metric.LATENCY_P95: "requests",
    Metric.DISAGREEMENT: "copies",
}
"""What is counted of it; of others, samples."""
BUCKETS_COME = "pods of a new version, or of a retry, have one"
"""What helps where buckets are too coarse: a revision's pods get those that the gates ask for when
its attempt begins.
"""


def noun_of(gate: Gate) -> str:
    """How to say what a gate looks at: a metric of one's own by its name."""
    return NOUNS.get(gate.metric, gate.name)


@dataclass(frozen=True, slots=True)
class Trial:
    """Who is measured, and when."""

    candidate: Revision
    """The revision that is measured."""
    stable: Revision | None
    """What it may be compared with; None on a first deploy."""
    since: datetime
    """Only samples of the candidate later than this count."""
    now: datetime
    """The moment of this look."""
    tests: int = 1
    """Labelled gates of the trial, which share alpha.rollback."""
    weight: int = 0
    """The candidate's share of requests, in percent."""


def gate_status(
    gate: Gate, trial: Trial, measurement: Measurement, message: str, **values: Any
) -> GateStatus:
    """The measurement as it stands in status; `values` are its figures by name."""
    if values.get("value") is not None:
        values["value"] = round(values["value"], 6)
    return GateStatus(
        metric=gate.name,
        evidence=gate.evidence,
        threshold=gate.threshold,
        measurement=measurement,
        message=message[:512],
        at=trial.now,
        revision=trial.candidate.revision,
        **values,
    )
