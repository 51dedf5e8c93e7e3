"""`explain`: each gate with its exact query, its series, its value and its verdict; and what the
operator would decide now.
"""

from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rollout_cli.cluster.connection import Connection
from rollout_cli.cluster.explanation import Explanation, GateExplanation, explain
from rollout_cli.cluster.explanation_text import next_step, series_lines
from rollout_cli.cluster.prometheus import find
from rollout_cli.cluster.rollouts import read
from rollout_cli.exit_codes import Refused
from rollout_cli.view.formatting import (
    OF_MEASUREMENT,
    Marks,
    of_measurement,
    rule,
    span,
)
from rollout_cli.view.terminal import console, marks
from rollout_operator.domain.machine.transitions import AT_REST
from rollout_operator.domain.observed import MetricsUnreachable

MOST_SERIES = 8


def run(connection: Connection, name: str, prometheus: str | None) -> None:
    """Do it."""
    kube = connection.open()
    rollout = read(kube, name)
    if rollout.spec is None:
        raise Refused(
            f"{rollout.spec_error}: correct it, and lint it first with `kubectl modelrollout lint"
            " FILE`."
        )
    source = find(kube, prometheus)
    explanation = explain(kube, source, rollout, rollout.spec)
    out = console()
    _print_place(explanation, out)
    for gate in explanation.gates:
        out.print()
        _print_gate(gate, explanation.now, out, marks(out))
    out.print()
    out.print(
        f"Measured by this tool, as the operator does, with the answers of {source.place} at"
        f" {explanation.now:%H:%M:%S} UTC. The operator asks without namespace and revision, for"
        " all rollouts at once. A sample counts for two and a half scrapes (30 s at least), and"
        " only after the pods became Ready.",
        style="dim",
    )


def _print_place(explanation: Explanation, out: Console) -> None:
    rollout, status = explanation.rollout, explanation.rollout.status
    out.print(
        Text.assemble(
            (rollout.name, "bold"),
            f" in {rollout.namespace}: {status.phase}, attempt {status.attempt}",
        ),
        soft_wrap=True,
    )
    out.print(status.message, style="dim", soft_wrap=True)
    if explanation.plan is None:
        doing = (
            "nothing is measured: these gates decided last"
            if status.phase in AT_REST
            else "no gate is measured"
        )
        out.print(
            f"In phase {status.phase} {doing}."
            + ("" if explanation.gates else " There is no revision to measure yet.")
        )
        if status.waits_for:
            out.print(f"It waits for the route: {status.waits_for}", soft_wrap=True)
        return
    for line in next_step(explanation):
        out.print(line, soft_wrap=True)


def _print_gate(explained: GateExplanation, now: datetime, out: Console, signs: Marks) -> None:
    measurement = explained.measured.measurement
    style = OF_MEASUREMENT[measurement]
    mark = of_measurement(measurement, signs)
    title = Text(f"{mark} {rule(explained.gate, signs)}", style=f"bold {style}")
    out.print(title.append(f"  {measurement}", style=style))
    grid = Table.grid(padding=(0, 2), pad_edge=True)
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row("now", explained.measured.message)
    if explained.written is not None:
        grid.add_row(
            "in status",
            f"{explained.written.message}  (unchanged for {span(now - explained.written.at)})",
        )
    else:
        grid.add_row("in status", "not measured yet in this attempt")
    grid.add_row("query", Text(explained.query, style="cyan"))
    if explained.stable_query:
        grid.add_row("against", Text(explained.stable_query, style="cyan"))
    lost = isinstance(explained.answer, MetricsUnreachable)
    for n, line in enumerate(series_lines(explained, now)):
        grid.add_row("" if n else "series", Text(line, style="magenta" if lost else ""))
    out.print(grid)
