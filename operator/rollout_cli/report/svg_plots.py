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

from rollout_cli.report.attempt_record import Evidence, Points
from rollout_operator.domain.api.spec import Gate, Metric

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


def svg(evidence: Evidence) -> str:
    """The picture: traffic, accuracy, errors and latency above one time axis."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11, 8.8), layout="constrained")
        traffic, accuracy, errors, latency = figure.subplots(
            4, 1, sharex=True, height_ratios=(3, 3, 2, 2)
        )
        _traffic(traffic, evidence)
        _values(accuracy, evidence, evidence.ranges.accuracy, Metric.ACCURACY, "Accuracy")
        _values(errors, evidence, evidence.ranges.errors, Metric.ERROR_RATE, "Server errors, share")
        _values(latency, evidence, evidence.ranges.p95, Metric.LATENCY_P95, "p95 latency, seconds")
        for axes in (traffic, accuracy, errors, latency):
            _dress(axes, evidence)
        _name_bands(traffic, evidence)
        locator = AutoDateLocator(minticks=4, maxticks=12, tz=UTC)  # type: ignore[no-untyped-call]
        latency.xaxis.set_major_locator(locator)
        latency.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=UTC))  # type: ignore[no-untyped-call]
        latency.set_xlim(_day(evidence.start.timestamp()), _day(evidence.end.timestamp()))
        latency.set_xlabel("Time, UTC", color=ASKED)
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    text = drawn.getvalue()
    return text[text.index("<svg") :]


def _traffic(axes: Axes, evidence: Evidence) -> None:
    axes.set_title(
        "Share of requests that the candidate answers, percent",
        loc="left",
        fontsize=11,
        fontweight="bold",
    )
    if evidence.ranges.weight:
        times, values = _split(evidence.ranges.weight)
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
        for at, share in evidence.ranges.share.get(evidence.candidate, ())
        if math.isfinite(share)
    ]
    if served:
        times, values = _split(served)
        axes.plot(times, values, color=CANDIDATE, linewidth=2, label="served")
        axes.fill_between(times, values, color=CANDIDATE, alpha=0.12)
    axes.set_ylim(-3, 104)
    axes.set_yticks([0, 25, 50, 75, 100])


def _values(
    axes: Axes, evidence: Evidence, lines: Mapping[str, Points], metric: Metric, title: str
) -> None:
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
    gates = _gates(evidence, metric)
    shown: list[float] = []
    for revision, name, colour in (
        (evidence.stable, "stable", STABLE),
        (evidence.candidate, "candidate", CANDIDATE),
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


def _gates(evidence: Evidence, metric: Metric) -> list[Gate]:
    spec = evidence.rollout.spec
    return (
        [g for g in spec.analysis.gates if g.metric is metric and not g.against_stable]
        if spec is not None
        else []
    )


def _dress(axes: Axes, evidence: Evidence) -> None:
    for name, begin, end in bands(evidence):
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
    if evidence.ended is not None:
        colour = {"Promoted": "#15803d", "RolledBack": BAD}.get(str(evidence.verdict), ASKED)
        axes.axvline(_day(evidence.ended.timestamp()), color=colour, linewidth=1.2)


def _name_bands(axes: Axes, evidence: Evidence) -> None:
    total = (evidence.end - evidence.start).total_seconds()
    for name, begin, end in bands(evidence):
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


def bands(evidence: Evidence) -> list[tuple[str, float, float]]:
    """Parts of the attempt, in order: name, from, to (Unix seconds). One lasts until the next is
    first seen.
    """
    seen = sorted(
        (at, phase) for phase, points in evidence.ranges.phases.items() for at, _ in points
    )
    found: list[tuple[str, float]] = []
    for at, phase in seen:
        name = PARTS.get(phase, "")
        if at >= evidence.started.timestamp() - 1 and (not found or found[-1][0] != name):
            found.append((name, at))
    ends = [*(at for _, at in found[1:]), evidence.end.timestamp()]
    return [(name, begin, end) for (name, begin), end in zip(found, ends, strict=False) if name]


def _split(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [_day(at) for at, _ in points], [value for _, value in points]


def _day(at: float) -> float:
    """A moment as matplotlib counts: in days since 1970."""
    return at / 86400
