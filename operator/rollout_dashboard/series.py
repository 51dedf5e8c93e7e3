"""What an attempt did over time, for the plots. Pure."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rollout_cli.report.attempt_record import AttemptRecord, Points
from rollout_operator.domain.api.analysis import Metric
from rollout_operator.domain.api.gate_results import gate_names

Line = dict[str, Any]


def plots(record: AttemptRecord) -> list[dict[str, Any]]:
    """The plots of an attempt, each with its lines, thresholds and one axis of times: JSON."""
    series, spec = record.series, record.rollout.spec
    gates = spec.analysis.gates if spec is not None else ()

    def limits(metric: Metric) -> list[dict[str, Any]]:
        return [
            {"value": g.threshold, "least": g.min is not None, "evidence": str(g.evidence)}
            for g in gates
            if g.metric is metric and not g.against_stable
        ]

    def intervals(metric: Metric, scale: float = 1) -> list[Line]:
        """The ends of what is known of the candidate by each gate that is no comparison."""
        names = gate_names((g.name, str(g.evidence)) for g in gates)
        drawn = [
            name
            for name, g in zip(names, gates, strict=True)
            if g.metric is metric and not g.against_stable
        ]
        return [
            {
                "label": label,
                "role": end,
                "points": [(at, value * scale) for at, value in series.bounds[*name, end]],
            }
            for name in drawn
            for end, label in (("lower", "at least"), ("upper", "at most"))
            if all(series.bounds.get((*name, e)) for e in ("lower", "upper"))
        ]

    share = _lines(record, series.share, 100)
    if series.weight:
        share.insert(0, {"label": "asked for", "role": "asked", "points": series.weight})
    drawn = [
        _plot("share", "Share of requests", "%", share, []),
        _plot(
            "accuracy",
            "Accuracy",
            "",
            _lines(record, series.accuracy) + intervals(Metric.ACCURACY),
            limits(Metric.ACCURACY),
        ),
        _plot(
            "errorRate",
            "Server errors",
            "%",
            _lines(record, series.errors, 100) + intervals(Metric.ERROR_RATE, 100),
            [{**one, "value": one["value"] * 100} for one in limits(Metric.ERROR_RATE)],
        ),
        _plot(
            "latencyP95Seconds",
            "p95 latency",
            "ms",
            _lines(record, series.p95, 1000),
            [{**one, "value": one["value"] * 1000} for one in limits(Metric.LATENCY_P95)],
        ),
    ]
    return [plot for plot in drawn if plot["lines"]]


def _lines(record: AttemptRecord, found: Mapping[str, Points], scale: float = 1) -> list[Line]:
    roles = (("stable", record.stable), ("candidate", record.candidate))
    return [
        {
            "label": role,
            "role": role,
            "points": [(at, value * scale) for at, value in found[revision]],
        }
        for role, revision in roles
        if revision is not None and found.get(revision)
    ]


def _plot(
    key: str, title: str, unit: str, lines: Sequence[Line], limits: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Lines over one axis: a value that is missing or no number is null."""
    times = sorted({round(at, 3) for line in lines for at, _ in line["points"]})
    laid = []
    for line in lines:
        values = {round(at, 3): value for at, value in line["points"] if math.isfinite(value)}
        laid.append(
            {
                "label": line["label"],
                "role": line["role"],
                "values": [_digits(values.get(at)) for at in times],
            }
        )
    return {
        "key": key,
        "title": title,
        "unit": unit,
        "times": times,
        "lines": laid,
        "limits": list(limits),
    }


def _digits(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")
