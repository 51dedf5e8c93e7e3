"""All rollouts as a table, with the columns that `kubectl get` prints."""

from collections.abc import Iterable
from datetime import datetime

from rich.table import Table
from rich.text import Text

from rollout_cli.api.rollout import Rollout
from rollout_cli.view.formatting import STYLES, Marks, share, span, value_and_threshold
from rollout_operator.domain.api.gate_results import GateStatus
from rollout_operator.domain.api.status import Status


def table(
    rollouts: Iterable[Rollout], now: datetime, marks: Marks, namespaces: bool, wide: bool
) -> Table:
    """One line for each rollout; `wide` adds samples, reason and what is asked for."""
    grid = Table(box=None, pad_edge=False, header_style="bold")
    names = [
        *(["NAMESPACE"] if namespaces else []),
        "NAME",
        "PHASE",
        "STABLE",
        "CANDIDATE",
        "WEIGHT",
        "ACCURACY",
    ]
    for name in [*names, *(["SAMPLES", "REASON", "ASKED FOR"] if wide else []), "AGE"]:
        grid.add_column(
            name, no_wrap=True, justify="right" if name in {"WEIGHT", "SAMPLES"} else "left"
        )
    for rollout in rollouts:
        grid.add_row(*_row(rollout, now, marks, namespaces, wide))
    return grid


def _row(
    rollout: Rollout, now: datetime, marks: Marks, namespaces: bool, wide: bool
) -> list[str | Text]:
    status = rollout.status
    accuracy = next((g for g in status.gates if g.metric == "accuracy"), None)
    phase = Text(str(status.phase), style=STYLES.get(status.phase, "yellow"))
    phase.append(_waits(status), style="magenta")
    cells: list[str | Text] = [rollout.namespace] if namespaces else []
    cells += [
        rollout.name,
        phase,
        status.stable.uri if status.stable else "",
        status.candidate.uri if status.candidate else "",
    ]
    cells += [f"{status.weight} %", _accuracy(rollout, accuracy, marks)]
    if wide:
        counted = "" if accuracy is None or accuracy.samples is None else str(accuracy.samples)
        cells += [counted, str(status.reason), rollout.requested_uri]
    return [*cells, span(now - rollout.created)]


def _waits(status: Status) -> str:
    """What keeps it where it is beside its gates; "" for nothing."""
    if status.paused_since:
        return " (paused)"
    if status.halted:
        return " (halted)"
    if status.approval_since:
        return " (to approve)"
    return " (frozen)" if status.frozen else ""


def _accuracy(rollout: Rollout, gate: GateStatus | None, marks: Marks) -> str:
    if gate is None:
        return ""
    return (
        value_and_threshold(rollout.spec, gate, marks)
        if gate.value is not None
        else f"? {marks.at_least} {share(gate.threshold)}"
    )
