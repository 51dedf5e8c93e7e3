"""`doctor`: checks what rollouts depend on, and says what to do."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rollout_cli.api.rollout import Rollout
from rollout_cli.cluster.connection import Connection
from rollout_cli.cluster.prometheus import find
from rollout_cli.cluster.rollouts import read, read_all
from rollout_cli.doctor import all_checks
from rollout_cli.doctor.check_result import CheckResult, Level, plain
from rollout_cli.exit_codes import Exit
from rollout_cli.output_format import Output, for_programs
from rollout_cli.view.terminal import console, dump, marks

STYLES = {Level.GOOD: "green", Level.UNKNOWN: "dim", Level.WARNING: "yellow", Level.BAD: "red"}


@dataclass(frozen=True, slots=True)
class Request:
    """The command line."""

    name: str | None
    """NAME or mro/NAME; None for all."""
    everywhere: bool
    """`-A`: all namespaces; without effect where a name is given."""
    output: Output | None
    """`-o`: JSON or YAML; None prints for people."""
    prometheus: str | None
    """`--prometheus`; None for what the environment names, else the operator's own."""


def run(connection: Connection, request: Request) -> None:
    """Do it; exit 1 where something does not work."""
    output = for_programs("doctor", request.output)
    kube = connection.open()
    out = console()

    def rollouts() -> Sequence[Rollout]:
        return [read(kube, request.name)] if request.name else read_all(kube, request.everywhere)

    found: list[CheckResult] = []
    for finding in all_checks(kube, lambda: find(kube, request.prometheus), rollouts):
        found.append(finding)
        if output is None:
            out.print(_line(finding, out))
    if output is not None:
        out.out(dump(plain(found), output), highlight=False)
    else:
        _sum(found, out)
    if any(f.level is Level.BAD for f in found):
        raise typer.Exit(Exit.ROLLED_BACK)


def _line(finding: CheckResult, out: Console) -> Table:
    signs = marks(out)
    mark = {Level.GOOD: signs.good, Level.BAD: signs.bad, Level.WARNING: "!"}.get(
        finding.level, signs.waiting
    )
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=1, style=STYLES[finding.level])
    grid.add_column(ratio=1)
    grid.add_row(mark, Text.assemble((finding.what, "bold"), f"  {finding.found}"))
    if finding.todo:
        grid.add_row(
            "",
            Text(
                f"{'→' if signs.good == '✔' else '->'} {finding.todo}", style=STYLES[finding.level]
            ),
        )
    return grid


def _sum(found: Sequence[CheckResult], out: Console) -> None:
    counted = Counter(f.level for f in found)
    words = {
        Level.BAD: "does not work",
        Level.WARNING: "to look at",
        Level.UNKNOWN: "could not be looked at",
        Level.GOOD: "well",
    }
    said = ", ".join(f"{counted[level]} {word}" for level, word in words.items() if counted[level])
    style = "red" if counted[Level.BAD] else "yellow" if counted[Level.WARNING] else "green"
    out.print(f"\n{said}", style=style)
