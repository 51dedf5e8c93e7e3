"""`history`: every attempt that the rollout remembers, with its verdict and reason."""

from datetime import UTC, datetime

from rich.table import Table
from rich.text import Text

from rollout_cli.api.rollout import Rollout
from rollout_cli.cluster.connection import Connection
from rollout_cli.cluster.rollouts import read
from rollout_cli.output_format import Output, for_programs
from rollout_cli.view.acts import act
from rollout_cli.view.formatting import OF_VERDICT, Marks, ago, of_verdict, span
from rollout_cli.view.terminal import console, dump, marks
from rollout_operator.domain.machine.transitions import CANDIDATE_RUNS


def run(connection: Connection, name: str, output: Output | None) -> None:
    """Do it."""
    output = for_programs("history", output)
    kube = connection.open()
    rollout = read(kube, name)
    out = console()
    if output is not None:
        out.out(dump(rollout.raw.get("status", {}).get("history", []), output), highlight=False)
        return
    if not rollout.status.history and rollout.status.phase not in CANDIDATE_RUNS:
        out.print(
            f"{rollout.name} has not tried anything yet:"
            f" {rollout.status.message or 'the operator has not seen it'}"
        )
        return
    out.print(attempts(rollout, datetime.now(UTC), marks(out)))
    if rollout.status.rejected:
        names = ", ".join(dict.fromkeys(r.uri for r in rollout.status.rejected))
        out.print(
            f"Not tried again without `kubectl modelrollout retry`: {names}",
            style="dim",
            soft_wrap=True,
        )


def attempts(rollout: Rollout, now: datetime, signs: Marks) -> Table:
    """The attempts, newest first; the one under way on top."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("ATTEMPT", "VERDICT", "MODEL", "ENDED", "TOOK"):
        table.add_column(
            name, no_wrap=True, justify="right" if name == "ATTEMPT" else "left", vertical="top"
        )
    table.add_column("WHY", ratio=1)
    status = rollout.status
    if (
        status.phase in CANDIDATE_RUNS
        and status.candidate is not None
        and status.attempt_since is not None
    ):
        phase = Text(f"{signs.waiting} {status.phase}", style="yellow")
        table.add_row(
            str(status.attempt),
            phase,
            status.candidate.uri,
            "",
            span(now - status.attempt_since),
            "\n".join([status.message, *map(act, status.acts)]),
        )
    for attempt in status.history:
        verdict = Text(
            f"{of_verdict(attempt.verdict, signs)} {attempt.verdict}",
            style=OF_VERDICT.get(attempt.verdict, "dim"),
        )
        took = span(attempt.ended - attempt.started)
        table.add_row(
            str(attempt.attempt),
            verdict,
            attempt.uri,
            ago(attempt.ended, now),
            took,
            "\n".join([f"{attempt.reason}: {attempt.message}", *map(act, attempt.acts)]),
        )
    return table
