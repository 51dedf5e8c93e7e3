"""A rollout as a tree: its revisions with their gates and pods, and its history."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from rich.text import Text
from rich.tree import Tree

from rollout_cli.api.snapshot import Pod, Snapshot
from rollout_cli.view.formatting import (
    CANDIDATE_STYLE,
    OF_MEASUREMENT,
    OF_VERDICT,
    STABLE_STYLE,
    WIDE,
    Marks,
    ago,
    of_measurement,
    of_verdict,
    samples,
    span,
    value_and_threshold,
    without_metric_name,
)
from rollout_operator.domain.api.gate_results import GateStatus, Measurement
from rollout_operator.domain.api.status import Revision
from rollout_operator.domain.machine.transitions import CANDIDATE_RUNS, COMMITTED

MOST_HISTORY = 4


@dataclass(frozen=True, slots=True)
class RolloutTree:
    """The tree of one snapshot."""

    snapshot: Snapshot
    """What is drawn, times by its `now`."""
    width: int
    """Columns."""
    marks: Marks
    """Those that the terminal can show."""

    def draw(self) -> Tree:
        """The revisions, each with its gates and pods, and the history."""
        snapshot, status = self.snapshot, self.snapshot.rollout.status
        tree = Tree(
            Text.assemble(
                (snapshot.rollout.name, "bold"),
                (f"  asks for {snapshot.rollout.requested_uri}", "dim"),
            ),
            guide_style="dim",
        )
        candidate, stable = status.candidate, status.stable
        share = status.percent
        if candidate is not None:
            runs = status.phase in CANDIDATE_RUNS
            about = (
                "rolled back"
                if not runs
                else f"{share} % of requests"
                if stable is not None
                else ""
            )
            branch = tree.add(
                self._revision("candidate", candidate, about, CANDIDATE_STYLE if runs else "red")
            )
            self._fill(branch, candidate, status.gates)
        if stable is not None:
            weight = 0 if status.phase in COMMITTED else 100 - share
            branch = tree.add(
                self._revision("stable", stable, f"{weight} % of requests", STABLE_STYLE)
            )
            self._fill(branch, stable, status.gates if candidate is None else ())
        for retiring in status.retiring:
            role, about = "retiring", f"replaced {ago(retiring.since, snapshot.now)}"
            if status.watch is not None and retiring.revision == status.watch.former:
                role = "former"
                about = f"kept until {status.watch.until:%Y-%m-%d %H:%M} UTC"
            branch = tree.add(self._revision(role, retiring, about, "dim"))
            self._fill(branch, retiring, ())
        if status.history:
            self._history(tree.add(Text("history", style="dim")))
        return tree

    def _history(self, branch: Tree) -> None:
        history = self.snapshot.rollout.status.history
        for attempt in history[:MOST_HISTORY]:
            mark, style = (
                of_verdict(attempt.verdict, self.marks),
                OF_VERDICT.get(attempt.verdict, "dim"),
            )
            line = _line().append(f"{mark} {attempt.attempt}  {attempt.verdict}", style=style)
            branch.add(
                line.append(
                    f"  {attempt.uri}  {attempt.reason}, {ago(attempt.ended, self.snapshot.now)}",
                    style="dim",
                )
            )
        if (more := len(history) - MOST_HISTORY) > 0:
            branch.add(
                Text(
                    f"{more} more: kubectl modelrollout history {self.snapshot.rollout.name}",
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
        for pod in self.snapshot.pods:
            if pod.revision == revision.revision:
                branch.add(self._pod(pod))

    def _gate(self, gate: GateStatus) -> Text:
        style, now = OF_MEASUREMENT[gate.measurement], self.snapshot.now
        text = _line().append(
            f"{of_measurement(gate.measurement, self.marks)} {gate.metric}", style=style
        )
        value = value_and_threshold(self.snapshot.rollout.spec, gate, self.marks)
        text.append(
            f"  {value}" if value else f"  {gate.measurement}: {without_metric_name(gate)}",
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
            f"  {span(self.snapshot.now - pod.since)}" if pod.since is not None else "", style="dim"
        )
        return text.append(f"  {pod.restarts} restarts" if pod.restarts else "", style="yellow")


def _line() -> Text:
    """A line of the tree: cut rather than wrapped."""
    return Text(no_wrap=True, overflow="ellipsis")
