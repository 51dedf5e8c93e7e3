"""One rollout as a picture for a terminal: where it stands, its steps, its share of requests,
accuracy over time, and the tree.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from rollout_cli.api.snapshot import Pod, Snapshot
from rollout_cli.view.formatting import (
    OF_MEASUREMENT,
    OF_VERDICT,
    STYLES,
    Marks,
    ago,
    held_against,
    of_measurement,
    of_verdict,
    samples,
    silence,
    span,
)
from rollout_cli.view.line_chart import Frame, Line, chart
from rollout_operator.domain.api.spec import Metric
from rollout_operator.domain.api.status import GateStatus, Measurement, Phase, Revision, Status
from rollout_operator.domain.machine.transitions import CANDIDATE_RUNS, COMMITTED

CHART_ROWS, TALL_CHART_ROWS = 6, 9
WIDE = 120
"""Columns from which on there is room for more."""
MOST_HISTORY = 4
STABLE_STYLE, CANDIDATE_STYLE = "blue", "yellow"


def picture(look: Snapshot, width: int, marks: Marks) -> RenderableType:
    """Everything, `width` columns wide."""
    return _Picture(look, width, marks).all()


def said(look: Snapshot) -> str:
    """The sentence that says why the rollout stands where it does."""
    rollout, status = look.rollout, look.rollout.status
    if status.observed_generation < 0:
        return (
            "The operator has not seen this rollout yet. Should that last, `kubectl modelrollout"
            " doctor` says why."
        )
    if rollout.spec is None:
        return rollout.spec_error
    if not rollout.seen:
        return f"The spec has changed; the operator has not seen that yet. Before: {status.message}"
    return status.message


@dataclass(frozen=True, slots=True)
class _Picture:
    """The parts of a picture of one look."""

    look: Snapshot
    width: int
    marks: Marks

    def all(self) -> RenderableType:
        status = self.look.rollout.status
        parts: list[RenderableType] = [self._headline(), Text(said(self.look), style="dim"), Text()]
        if status.phase in CANDIDATE_RUNS:
            parts += [
                _labelled("steps", [self._steps()]),
                _labelled("traffic", [self._traffic()]),
                Text(),
            ]
        if drawn := self._accuracy():
            parts += [_labelled("accuracy", drawn), Text()]
        return Group(*parts, self._tree())

    def _headline(self) -> RenderableType:
        look, status, dot = self.look, self.look.rollout.status, self.marks.dot
        name = Text.assemble(
            (look.rollout.name, "bold"), (f"  in namespace {look.rollout.namespace}", "dim")
        )
        phase = Text.assemble((str(status.phase), f"bold {STYLES.get(status.phase, 'yellow')}"))
        if status.paused_since is not None:
            phase.append(
                f" {dot} paused for {span(look.now - status.paused_since)}", style="bold magenta"
            )
        elif status.halted:
            phase.append(f" {dot} halted", style="bold red")
        if status.attempt:
            phase.append(f" {dot} attempt {status.attempt}", style="dim")
        if status.phase_since is not None:
            phase.append(f" {dot} {span(look.now - status.phase_since)}", style="dim")
        grid = Table.grid(expand=True)
        grid.add_column(ratio=1, no_wrap=True)
        grid.add_column(justify="right", no_wrap=True)
        grid.add_row(name, phase)
        return grid

    def _steps(self) -> Text:
        """The way of an attempt, and how far it has come."""
        status, spec, marks = self.look.rollout.status, self.look.rollout.spec, self.marks
        weights = (
            [f"{step.weight} %" for step in spec.strategy.steps]
            if spec is not None and status.stable is not None
            else []
        )
        names = ["pods", *weights, "100 %", "stable"] if weights else ["pods", "gates", "stable"]
        place = _place(status, len(weights))
        text = Text()
        for n, name in enumerate(names):
            mark, style = (
                (marks.good, "green")
                if n < place
                else (marks.here, "bold yellow")
                if n == place
                else (marks.ahead, "dim")
            )
            if status.phase is Phase.ROLLING_BACK and n == place:
                mark, style = marks.bad, "red"
            clock = self._clock() if n == place and status.phase is Phase.TRIAL else ""
            text.append(f" {marks.join} " if n else "", style="dim").append(
                f"{mark} {name}{clock}", style=style
            )
        return text

    def _clock(self) -> str:
        """How long the step has lasted, of how long it is held at least."""
        status, spec = self.look.rollout.status, self.look.rollout.spec
        if (
            spec is None
            or status.step is None
            or status.step_since is None
            or status.step >= len(spec.strategy.steps)
        ):
            return ""
        lasted = (status.paused_since or self.look.now) - status.step_since
        hold = spec.strategy.steps[status.step].hold
        return f" ({span(lasted)} of {span(hold)})" if lasted < hold else f" ({span(lasted)})"

    def _traffic(self) -> Text:
        """Who gets which share of the requests."""
        status, marks = self.look.rollout.status, self.marks
        if status.stable is None:
            return Text("the host does not answer yet", style="dim")
        width = max(10, min(80, self.width - 42))
        weight = 100 if status.phase in COMMITTED else status.weight
        filled = round(weight * width / 100)
        text = Text(f"candidate {weight} % ", style=CANDIDATE_STYLE)
        text.append(marks.full * filled, style=CANDIDATE_STYLE).append(
            marks.empty * (width - filled), style=STABLE_STYLE
        )
        return text.append(f" {100 - weight} % stable", style=STABLE_STYLE)

    def _accuracy(self) -> list[Text]:
        """Accuracy of stable and candidate against the gate."""
        look, status, spec = self.look, self.look.rollout.status, self.look.rollout.spec
        gates = (
            [g for g in spec.analysis.gates if g.metric is Metric.ACCURACY and g.min is not None]
            if spec is not None
            else []
        )
        if not gates or status.phase is Phase.INVALID:
            return []
        roles = {r.revision: (name, style) for r, name, style in _drawn(status)}
        lines = [
            Line(*roles[r], points) for r, points in look.accuracy.items() if r in roles and points
        ]
        lines.sort(key=lambda line: line.name == "candidate")
        if not lines:
            return [Text(look.note or "no samples yet", style="dim")]
        rows = TALL_CHART_ROWS if self.width >= WIDE else CHART_ROWS
        frame = Frame(
            self.width - 9,
            rows,
            look.since.timestamp(),
            look.now.timestamp(),
            ago(look.since, look.now),
        )
        drawn = chart(lines, gates[0].threshold, frame, self.marks)
        # What is drawn without Prometheus begins now: say why the past is missing.
        return [*drawn, Text(look.note, style="dim")] if look.note else drawn

    def _tree(self) -> Tree:
        look, status = self.look, self.look.rollout.status
        tree = Tree(
            Text.assemble(
                (look.rollout.name, "bold"), (f"  asks for {look.rollout.wanted}", "dim")
            ),
            guide_style="dim",
        )
        candidate, stable = status.candidate, status.stable
        if candidate is not None:
            runs = status.phase in CANDIDATE_RUNS
            about = (
                "rolled back"
                if not runs
                else f"{status.weight} % of requests"
                if stable is not None
                else ""
            )
            branch = tree.add(
                self._revision("candidate", candidate, about, CANDIDATE_STYLE if runs else "red")
            )
            self._fill(branch, candidate, status.gates)
        if stable is not None:
            weight = 0 if status.phase in COMMITTED else 100 - status.weight
            branch = tree.add(
                self._revision("stable", stable, f"{weight} % of requests", STABLE_STYLE)
            )
            self._fill(branch, stable, status.gates if candidate is None else ())
        for retiring in status.retiring:
            branch = tree.add(
                self._revision(
                    "retiring", retiring, f"replaced {ago(retiring.since, look.now)}", "dim"
                )
            )
            self._fill(branch, retiring, ())
        if status.history:
            self._history(tree.add(Text("history", style="dim")))
        return tree

    def _history(self, branch: Tree) -> None:
        history = self.look.rollout.status.history
        for attempt in history[:MOST_HISTORY]:
            mark, style = (
                of_verdict(attempt.verdict, self.marks),
                OF_VERDICT.get(attempt.verdict, "dim"),
            )
            line = _line().append(f"{mark} {attempt.attempt}  {attempt.verdict}", style=style)
            branch.add(
                line.append(
                    f"  {attempt.uri}  {attempt.reason}, {ago(attempt.ended, self.look.now)}",
                    style="dim",
                )
            )
        if (more := len(history) - MOST_HISTORY) > 0:
            branch.add(
                Text(
                    f"{more} more: kubectl modelrollout history {self.look.rollout.name}",
                    style="dim",
                )
            )

    def _revision(self, role: str, revision: Revision, about: str, style: str) -> Text:
        text = _line().append(role, style=f"bold {style}").append(f"  {revision.uri}")
        text.append(
            f"  revision {revision.revision}" if self.width >= WIDE else f"  {revision.revision}",
            style="dim",
        )
        return text.append(f"  {about}" if about else "", style=style)

    def _fill(self, branch: Tree, revision: Revision, gates: Iterable[GateStatus]) -> None:
        for gate in gates:
            if gate.revision == revision.revision:
                branch.add(self._gate(gate))
        for pod in self.look.pods:
            if pod.revision == revision.revision:
                branch.add(self._pod(pod))

    def _gate(self, gate: GateStatus) -> Text:
        style, now = OF_MEASUREMENT[gate.measurement], self.look.now
        text = _line().append(
            f"{of_measurement(gate.measurement, self.marks)} {gate.metric}", style=style
        )
        value = held_against(self.look.rollout.spec, gate, self.marks)
        text.append(
            f"  {value}" if value else f"  {gate.measurement}: {silence(gate)}",
            style="" if value else style,
        )
        text.append(f"  {counted}" if value and (counted := samples(gate)) else "", style="dim")
        if (
            gate.eta is not None
            and gate.eta > now + timedelta(seconds=1)
            and gate.measurement is Measurement.NO_EVIDENCE
        ):
            text.append(f", in {span(gate.eta - now)}", style="dim")
        return text.append(
            f"  for {span(now - gate.at)}" if self.width >= WIDE else "", style="dim"
        )

    def _pod(self, pod: Pod) -> Text:
        mark, style = (
            (self.marks.here, "green")
            if pod.ready and not pod.trouble
            else (self.marks.waiting, "yellow")
        )
        text = (
            _line()
            .append(f"{mark} ", style=style)
            .append(f"pod {pod.name}", style="dim")
            .append(f"  {pod.trouble or 'Ready'}", style=style)
        )
        text.append(
            f"  {span(self.look.now - pod.since)}" if pod.since is not None else "", style="dim"
        )
        return text.append(f"  {pod.restarts} restarts" if pod.restarts else "", style="yellow")


def _line() -> Text:
    """A line of the tree: cut rather than wrapped."""
    return Text(no_wrap=True, overflow="ellipsis")


def _labelled(label: str, lines: Sequence[Text]) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=8, style="dim")
    grid.add_column()
    for n, line in enumerate(lines):
        grid.add_row("" if n else label, line)
    return grid


def _place(status: Status, weights: int) -> int:
    """Which of the steps drawn the attempt has come to."""
    steps = max(1, weights)
    match status.phase:
        case Phase.PENDING | Phase.STARTING:
            return 0
        case Phase.TRIAL:
            return 1 + (status.step or 0)
        case Phase.ROLLING_BACK:
            return 1 + (status.step or 0) if status.step_since is not None else 0
        case Phase.PROMOTING | Phase.SHIFTING:
            return 1 + steps
        case _:
            return 1 + steps + (1 if weights else 0)


def _drawn(status: Status) -> Iterator[tuple[Revision, str, str]]:
    if status.stable is not None:
        yield status.stable, "stable", STABLE_STYLE
    if status.candidate is not None:
        yield status.candidate, "candidate", CANDIDATE_STYLE
