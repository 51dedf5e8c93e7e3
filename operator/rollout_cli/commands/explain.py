"""`explain`: each gate with its exact query, its series, its value and its verdict; and what the
operator would decide now.
"""

from collections.abc import Iterator
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rollout_cli.cluster.connection import Connection
from rollout_cli.cluster.explanation import Explanation, GateExplanation, explain, newest
from rollout_cli.cluster.prometheus import find
from rollout_cli.cluster.rollouts import read
from rollout_cli.exit_codes import Refused
from rollout_cli.view.formatting import OF_MEASUREMENT, Marks, ago, of_measurement, share, span
from rollout_cli.view.terminal import console, marks
from rollout_operator.domain.api.analysis import Gate, Metric
from rollout_operator.domain.api.words import Phase
from rollout_operator.domain.machine.transitions import AT_REST
from rollout_operator.domain.observed import MetricsUnreachable, Series

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
    for line in _next_step(explanation):
        out.print(line, soft_wrap=True)


def _next_step(explanation: Explanation) -> Iterator[str]:
    plan, status, spec = explanation.plan, explanation.rollout.status, explanation.rollout.spec
    if plan is None or spec is None:
        return
    after = plan.status
    stays = (after.phase, after.step) == (status.phase, status.step)
    if stays and after.invalid:
        yield f"It is held, and nothing is measured: {after.invalid}"
        return
    if stays and spec.paused:
        yield "It is paused: nothing is measured until `kubectl modelrollout resume`."
        return
    if stays and status.halted:
        yield "It is halted: nothing is measured until somebody commands abort, retry or promote."
        return
    if status.waits_for and status.phase is not Phase.TRIAL:
        yield f"It waits for the route: {status.waits_for}"
    decided = "stay" if stays else f"go to phase {after.phase}"
    if after.phase is Phase.TRIAL and after.step != status.step:
        decided = f"go to step {(after.step or 0) + 1}"
    yield f"If the operator looked now it would {decided}: {after.message}"
    if plan.requeue_at is not None and decided == "stay":
        yield (
            f"Next look at {plan.requeue_at:%H:%M:%S} UTC, in"
            f" {span(plan.requeue_at - explanation.now)}; then every {spec.analysis.interval}."
        )
    on_trial = (
        status.phase is Phase.TRIAL
        and status.step is not None
        and status.step < len(spec.strategy.steps)
    )
    if on_trial and status.step is not None and status.step_since is not None:
        due = (
            max(status.step_since, status.candidate.ready_at or status.step_since)
            if status.candidate
            else status.step_since
        )
        due += spec.strategy.steps[status.step].hold
        when = (
            f"in {span(due - explanation.now)}"
            if due > explanation.now
            else ago(due, explanation.now)
        )
        silent = (
            f"without evidence it waits up to {spec.analysis.max_hold} more, then"
            f" {spec.analysis.on_no_evidence}"
        )
        yield f"The step is due at {due:%H:%M:%S} UTC ({when}); {silent}."


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
    for label, line in _series(explained, now):
        grid.add_row(label, line)
    out.print(grid)


def rule(gate: Gate, signs: Marks) -> str:
    """The gate as a short rule: `accuracy ≥ 0.7 (Labelled)`."""
    sign = signs.at_least if gate.min is not None else signs.at_most
    against = " worse than stable" if gate.against_stable else ""
    return f"{gate.metric} {sign} {share(gate.threshold)}{against} ({gate.evidence})"


def _series(explained: GateExplanation, now: datetime) -> Iterator[tuple[str, str | Text]]:
    if isinstance(explained.answer, MetricsUnreachable):
        yield "series", Text(explained.answer.message, style="magenta")
        return
    found = sorted(explained.answer, key=lambda s: (s.name, s.pod, float(s.le or 0), s.outcome))
    last = newest(tuple(found))
    yield (
        "series",
        f"{len(found)}"
        + (
            f", newest sample {ago(last, now)}"
            if last is not None
            else ": Prometheus has none; see `doctor`"
        ),
    )
    if explained.gate.metric is Metric.LATENCY_P95:
        found = [s for s in found if s.le == "+Inf"] or found
    for series in found[:MOST_SERIES]:
        yield "", f"{_labelled(series)}  {series.value:g}"
    if len(found) > MOST_SERIES:
        yield "", f"… and {len(found) - MOST_SERIES} more"


def _labelled(series: Series) -> str:
    labels = {
        "pod": series.pod,
        "source": series.source,
        "outcome": series.outcome,
        "le": series.le,
    }
    return f"{series.name}{{{', '.join(f'{k}={v}' for k, v in labels.items() if v)}}}"
