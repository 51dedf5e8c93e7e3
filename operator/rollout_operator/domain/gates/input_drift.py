"""The gate inputDrift: how far live rows are from those that the candidate was trained on, by the
population stability index (PSI) of each column.

PSI is the sum over bins of (p - q) ln(p / q), with p the share of live rows and q that of training
rows (Lewis, An Introduction to Credit Scoring, 1994); by its usual reading 0.1 is little and 0.25
much. Of n rows that have not drifted it is about (bins - 1) / n (Yurdakul, Naranjo, Journal of Risk
Model Validation 14, 2020), so that a few rows say nothing. Prometheus computes it: a column has 11
bins in each pod, and all that is needed of them is one number.
"""

import math
from datetime import datetime

from rollout_operator.domain.api.analysis import Gate
from rollout_operator.domain.api.gate_results import GateStatus, Measurement
from rollout_operator.domain.gates.gate_status import NOUNS, Trial, gate_status
from rollout_operator.domain.gates.samples import (
    DRIFT_PREDICTIONS,
    DRIFT_PSI,
    DRIFT_ROWS,
    NeedsHelp,
    NoEvidence,
    fresh,
    is_count,
)
from rollout_operator.domain.observed import Answer, MetricsUnreachable, Series

FREEDOM = 10
"""Bins of a column, less one."""
NOISE = 0.1
"""How much of `max` chance alone may come to, on average."""
SUPPLY = (
    "the version has no training_profile.json: register it with one, as the trainer does, or take"
    " the gate out"
)


def rows_needed(gate: Gate) -> int:
    """Live rows of which PSI is not chance."""
    return max(gate.min_samples, math.ceil(FREEDOM / (NOISE * gate.threshold)))


def measure_drift(gate: Gate, answer: Answer | None, trial: Trial) -> GateStatus:
    """One measurement; the answer is that to `promql.query`, which has PSI by column."""
    noun = NOUNS[gate.metric]
    if answer is None:
        return gate_status(gate, trial, Measurement.NO_EVIDENCE, f"{noun}: not measured yet")
    if isinstance(answer, MetricsUnreachable):
        return gate_status(gate, trial, Measurement.UNREACHABLE, f"{noun}: {answer.message}"[:500])
    try:
        drifts, rows = _read(answer, trial.since, trial.now)
        if rows < (needed := rows_needed(gate)):
            raise NoEvidence(f"{rows} of the {needed} rows that a PSI of {gate.threshold:g} needs")
    except NoEvidence as why:
        late = isinstance(why, NeedsHelp) or None
        return gate_status(gate, trial, Measurement.NO_EVIDENCE, f"{noun}: {why}", late=late)
    worst = max(drifts, key=lambda name: (drifts[name], name))
    value = drifts[worst]
    good = value <= gate.threshold
    others = [name for name in drifts if drifts[name] > gate.threshold and name != worst]
    also = f", and of {', '.join(sorted(others))}" if others else ""
    relation = "at most" if good else "above"
    message = (
        f"{noun}: PSI {value:.4g} of column {worst!r} is {relation} {gate.threshold:g}{also},"
        f" {rows} live rows against training, revision {trial.candidate.revision}"
    )
    return gate_status(
        gate,
        trial,
        Measurement.PASS if good else Measurement.FAIL,
        message,
        value=value,
        samples=rows,
    )


def _read(
    answer: tuple[Series, ...], since: datetime, now: datetime
) -> tuple[dict[str, float], int]:
    """PSI by column, and the rows behind the least of them. Raises NoEvidence."""
    series = fresh(answer, since, now)
    drifts = {one.column: one.value for one in series if one.bin == DRIFT_PSI}
    rows = {one.column: one.value for one in series if one.bin == DRIFT_ROWS}
    if not drifts or not rows:
        if any(one.bin == DRIFT_PREDICTIONS for one in series):
            raise NeedsHelp(SUPPLY)
        raise NoEvidence("no series of live rows of this revision")
    for name, value in drifts.items():
        if not (math.isfinite(value) and value >= -1e-9):
            if rows.get(name, 0.0) == 0:
                raise NoEvidence("no live row yet")
            raise NoEvidence(f"PSI of column {name!r} is {value}")
    if wrong := [n for n in rows.values() if not is_count(n)]:
        raise NoEvidence(f"rows are {wrong[0]}, not a count")
    return drifts, int(min(rows.values()))
