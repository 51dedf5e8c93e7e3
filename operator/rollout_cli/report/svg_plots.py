"""The plots of a report: one picture of what an attempt did over time, as SVG. matplotlib is
imported here alone: it is slow to load.
"""

import io
import math
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from rollout_cli.report.attempt_record import AttemptRecord, Points
from rollout_operator.domain.api.analysis import Gate, Metric

CANDIDATE, STABLE, ASKED, BAD, GRID = "#c2570c", "#2563a8", "#6b7280", "#b91c1c", "#e5e7eb"
BANDS = {"Starting": "#f3f4f6", "Trial": "#fef3e2", "Promotion": "#e7f3ec", "Rollback": "#fdeaea"}
"""Background of the parts of an attempt."""
PARTS = {
    "Starting": "Starting",
    "Trial": "Trial",
    "Promoting": "Promotion",
    "Shifting": "Promotion",
    "Switching": "Promotion",
    "Settling": "Promotion",
    "RollingBack": "Rollback",
}
"""Part of an attempt by phase."""
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "modelrollout",
    "font.family": "sans-serif",
    "font.size": 10,
}


def svg(record: AttemptRecord) -> str:
    """The picture: traffic, accuracy, errors and latency above one time axis."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11, 8.8), layout="constrained")
        traffic, accuracy, errors, latency = figure.subplots(
            4, 1, sharex=True, height_ratios=(3, 3, 2, 2)
        )
        _traffic(traffic, record)
        _values(accuracy, record, record.series.accuracy, Metric.ACCURACY, "Accuracy")
        _values(errors, record, record.series.errors, Metric.ERROR_RATE, "Server errors, share")
        _values(latency, record, record.series.p95, Metric.LATENCY_P95, "p95 latency, seconds")
        for axes in (traffic, accuracy, errors, latency):
            _dress(axes, record)
        _name_bands(traffic, record)
        locator = AutoDateLocator(minticks=4, maxticks=12, tz=UTC)  # type: ignore[no-untyped-call]
        latency.xaxis.set_major_locator(locator)
        latency.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=UTC))  # type: ignore[no-untyped-call]
        latency.set_xlim(_day(record.start.timestamp()), _day(record.end.timestamp()))
        latency.set_xlabel("Time, UTC", color=ASKED)
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    text = drawn.getvalue()
    return text[text.index("<svg") :]


def _traffic(axes: Axes, record: AttemptRecord) -> None:
    axes.set_title(
        "Share of requests that the candidate answers, percent",
        loc="left",
        fontsize=11,
        fontweight="bold",
    )
    if record.series.weight:
        times, values = _split(record.series.weight)
        axes.step(
            times,
            values,
            where="post",
            color=ASKED,
            linestyle="--",
            linewidth=1.5,
            label="asked for",
        )
    served = [
        (at, 100 * share)
        for at, share in record.series.share.get(record.candidate, ())
        if math.isfinite(share)
    ]
    if served:
        times, values = _split(served)
        axes.plot(times, values, color=CANDIDATE, linewidth=2, label="served")
        axes.fill_between(times, values, color=CANDIDATE, alpha=0.12)
    axes.set_ylim(-3, 104)
    axes.set_yticks([0, 25, 50, 75, 100])


def _values(
    axes: Axes, record: AttemptRecord, lines: Mapping[str, Points], metric: Metric, title: str
) -> None:
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
    gates = _gates(record, metric)
    shown: list[float] = []
    for revision, name, colour in (
        (record.stable, "stable", STABLE),
        (record.candidate, "candidate", CANDIDATE),
    ):
        points = [(at, v) for at, v in lines.get(revision or "", ()) if math.isfinite(v)]
        if revision is None or not points:
            continue
        times, values = _split(points)
        shown += values
        axes.plot(times, values, color=colour, linewidth=2, label=name)
    for gate in gates:
        shown.append(gate.threshold)
        bound = f"at {'least' if gate.min is not None else 'most'} {gate.threshold:g}"
        axes.axhline(gate.threshold, color=BAD, linewidth=1.3, linestyle=(0, (4, 2)), label=bound)
    if not shown:
        axes.text(
            0.5, 0.5, "no samples", transform=axes.transAxes, ha="center", va="center", color=ASKED
        )
        axes.set_yticks([])
        return
    low, high = min(shown), max(shown)
    air = max((high - low) * 0.15, 0.02 if metric is Metric.ACCURACY else 0.002)
    low, high = (
        (low - air, high + air) if metric is Metric.ACCURACY else (-0.04 * (high + air), high + air)
    )
    axes.set_ylim(low, high)
    for gate in gates:
        # What would fail the gate is the far side of the line.
        far = (low, gate.threshold) if gate.min is not None else (gate.threshold, high)
        axes.axhspan(*far, color=BAD, alpha=0.06, linewidth=0)


def _gates(record: AttemptRecord, metric: Metric) -> list[Gate]:
    spec = record.rollout.spec
    return (
        [g for g in spec.analysis.gates if g.metric is metric and not g.against_stable]
        if spec is not None
        else []
    )


def _dress(axes: Axes, record: AttemptRecord) -> None:
    for name, begin, end in bands(record):
        axes.axvspan(_day(begin), _day(end), color=BANDS[name], linewidth=0, zorder=0)
    axes.grid(True, axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GRID)
    axes.tick_params(colors="#374151", length=3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="center left", bbox_to_anchor=(1.005, 0.5), frameon=False, handlelength=1.8)
    if record.ended is not None:
        colour = {"Promoted": "#15803d", "RolledBack": BAD, "Returned": BAD}.get(
            str(record.verdict), ASKED
        )
        axes.axvline(_day(record.ended.timestamp()), color=colour, linewidth=1.2)


def _name_bands(axes: Axes, record: AttemptRecord) -> None:
    total = (record.end - record.start).total_seconds()
    for name, begin, end in bands(record):
        if end - begin > 0.07 * total:
            place = (_day(begin), 104)
            axes.annotate(
                name,
                place,
                xytext=(3, -3),
                textcoords="offset points",
                va="top",
                fontsize=9,
                color=ASKED,
            )


def bands(record: AttemptRecord) -> list[tuple[str, float, float]]:
    """Parts of the attempt, in order: name, from, to (Unix seconds). One lasts until the next is
    first seen.
    """
    samples = sorted(
        (at, phase) for phase, points in record.series.phases.items() for at, _ in points
    )
    parts: list[tuple[str, float]] = []
    for at, phase in samples:
        name = PARTS.get(phase, "")
        if at >= record.started.timestamp() - 1 and (not parts or parts[-1][0] != name):
            parts.append((name, at))
    ends = [*(at for _, at in parts[1:]), record.end.timestamp()]
    return [(name, begin, end) for (name, begin), end in zip(parts, ends, strict=False) if name]


def _split(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [_day(at) for at, _ in points], [value for _, value in points]


def _day(at: float) -> float:
    """A moment as matplotlib counts: in days since 1970."""
    return at / 86400
