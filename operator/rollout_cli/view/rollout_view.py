"""One rollout as a picture for a terminal: where it stands, its steps, its share of requests,
accuracy over time, and the tree.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rollout_cli.api.snapshot import Snapshot
from rollout_cli.view.formatting import (
    CANDIDATE_STYLE,
    STABLE_STYLE,
    STYLES,
    WIDE,
    Marks,
    ago,
    span,
)
from rollout_cli.view.line_chart import Frame, Line, chart
from rollout_cli.view.progress import Place, ladder, summary
from rollout_cli.view.rollout_tree import RolloutTree
from rollout_operator.domain.api.analysis import Metric
from rollout_operator.domain.api.status import Revision, Status
from rollout_operator.domain.api.words import Phase
from rollout_operator.domain.machine.transitions import CANDIDATE_RUNS, COMMITTED

CHART_ROWS, TALL_CHART_ROWS = 6, 9


def picture(snapshot: Snapshot, width: int, marks: Marks) -> RenderableType:
    """Everything, `width` columns wide."""
    return _Picture(snapshot, width, marks).all()


@dataclass(frozen=True, slots=True)
class _Picture:
    """The parts of a picture of one snapshot."""

    snapshot: Snapshot
    """What is drawn, times by its `now`."""
    width: int
    """Columns."""
    marks: Marks
    """Those that the terminal can show."""

    def all(self) -> RenderableType:
        status = self.snapshot.rollout.status
        parts: list[RenderableType] = [
            self._headline(),
            Text(summary(self.snapshot.rollout), style="dim"),
            Text(),
        ]
        if status.phase in CANDIDATE_RUNS:
            parts += [
                _labelled("steps", [self._steps()]),
                _labelled("traffic", [self._traffic()]),
                Text(),
            ]
        if drawn := self._accuracy():
            parts += [_labelled("accuracy", drawn), Text()]
        return Group(*parts, RolloutTree(self.snapshot, self.width, self.marks).draw())

    def _headline(self) -> RenderableType:
        snapshot, status, dot = self.snapshot, self.snapshot.rollout.status, self.marks.dot
        name = Text.assemble(
            (snapshot.rollout.name, "bold"), (f"  in namespace {snapshot.rollout.namespace}", "dim")
        )
        phase = Text.assemble((str(status.phase), f"bold {STYLES.get(status.phase, 'yellow')}"))
        if status.paused_since is not None:
            phase.append(
                f" {dot} paused for {span(snapshot.now - status.paused_since)}",
                style="bold magenta",
            )
        elif status.halted:
            phase.append(f" {dot} halted", style="bold red")
        elif status.approval_since is not None:
            asked = span(snapshot.now - status.approval_since)
            phase.append(f" {dot} waits for approval for {asked}", style="bold magenta")
        elif status.frozen:
            ends = status.frozen_until
            until = f" until {ends:%Y-%m-%d %H:%M} UTC" if ends is not None else ""
            phase.append(f" {dot} frozen{until}", style="bold magenta")
        if status.attempt:
            phase.append(f" {dot} attempt {status.attempt}", style="dim")
        if status.phase_since is not None:
            phase.append(f" {dot} {span(snapshot.now - status.phase_since)}", style="dim")
        grid = Table.grid(expand=True)
        grid.add_column(ratio=1, no_wrap=True)
        grid.add_column(justify="right", no_wrap=True)
        grid.add_row(name, phase)
        return grid

    def _steps(self) -> Text:
        """The way of an attempt, and how far it has come."""
        marks = self.marks
        looks = {
            Place.DONE: (marks.good, "green"),
            Place.HERE: (marks.here, "bold yellow"),
            Place.BAD: (marks.bad, "red"),
            Place.AHEAD: (marks.ahead, "dim"),
        }
        text = Text()
        for n, rung in enumerate(ladder(self.snapshot.rollout, self.snapshot.now)):
            mark, style = looks[rung.place]
            clock = f" ({rung.clock})" if rung.clock else ""
            text.append(f" {marks.join} " if n else "", style="dim").append(
                f"{mark} {rung.name}{clock}", style=style
            )
        return text

    def _traffic(self) -> Text:
        """Who gets which share of the requests."""
        status, marks = self.snapshot.rollout.status, self.marks
        if status.stable is None:
            return Text("the host does not answer yet", style="dim")
        width = max(10, min(80, self.width - 42))
        weight = 100 if status.phase in COMMITTED else status.percent
        filled = round(weight * width / 100)
        text = Text(f"candidate {weight} % ", style=CANDIDATE_STYLE)
        text.append(marks.full * filled, style=CANDIDATE_STYLE).append(
            marks.empty * (width - filled), style=STABLE_STYLE
        )
        return text.append(f" {100 - weight} % stable", style=STABLE_STYLE)

    def _accuracy(self) -> list[Text]:
        """Accuracy of stable and candidate against the gate."""
        snapshot, status, spec = (
            self.snapshot,
            self.snapshot.rollout.status,
            self.snapshot.rollout.spec,
        )
        gates = (
            [g for g in spec.analysis.gates if g.metric is Metric.ACCURACY and g.min is not None]
            if spec is not None
            else []
        )
        if not gates or status.phase is Phase.INVALID:
            return []
        roles = {r.revision: (name, style) for r, name, style in _drawn(status)}
        lines = [
            Line(*roles[r], points)
            for r, points in snapshot.accuracy.items()
            if r in roles and points
        ]
        lines.sort(key=lambda line: line.name == "candidate")
        if not lines:
            return [Text(snapshot.note or "no samples yet", style="dim")]
        rows = TALL_CHART_ROWS if self.width >= WIDE else CHART_ROWS
        frame = Frame(
            self.width - 9,
            rows,
            snapshot.since.timestamp(),
            snapshot.now.timestamp(),
            ago(snapshot.since, snapshot.now),
        )
        drawn = chart(lines, gates[0].threshold, frame, self.marks)
        # What is drawn without Prometheus begins now: say why the past is missing.
        return [*drawn, Text(snapshot.note, style="dim")] if snapshot.note else drawn


def _labelled(label: str, lines: Sequence[Text]) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=8, style="dim")
    grid.add_column()
    for n, line in enumerate(lines):
        grid.add_row("" if n else label, line)
    return grid


def _drawn(status: Status) -> Iterator[tuple[Revision, str, str]]:
    if status.stable is not None:
        yield status.stable, "stable", STABLE_STYLE
    if status.candidate is not None:
        yield status.candidate, "candidate", CANDIDATE_STYLE
