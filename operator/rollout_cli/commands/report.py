"""`report`: one HTML file with everything that is known of an attempt."""

from dataclasses import dataclass
from pathlib import Path

from rollout_cli.cluster.connection import Connection
from rollout_cli.cluster.prometheus import find
from rollout_cli.cluster.rollouts import read
from rollout_cli.exit_codes import Failure, Unreachable
from rollout_cli.report.attempt_facts import verdict
from rollout_cli.report.attempt_record import collect
from rollout_cli.report.html_page import html
from rollout_cli.view.terminal import console


@dataclass(frozen=True, slots=True)
class Request:
    """The command line."""

    name: str
    """NAME or mro/NAME."""
    attempt: int | None
    """Its number; None for the last one."""
    file: Path | None
    """HTML file to write; None for NAME-ATTEMPT.html in the working directory."""
    prometheus: str | None
    """`--prometheus`; None for what the environment names, else the operator's own."""


def run(connection: Connection, request: Request) -> None:
    """Do it."""
    kube = connection.open()
    rollout = read(kube, request.name)
    source, trouble = None, ""
    try:
        source = find(kube, request.prometheus)
    except Unreachable as nobody:
        trouble = str(nobody)
    record = collect(kube, source, rollout, request.attempt, trouble)
    target = request.file or Path(f"{rollout.name}-{record.attempt}.html")
    try:
        target.write_text(
            html(record, source.place if source is not None else ""), encoding="utf-8"
        )
    except OSError as failure:
        raise Failure(f"{target} could not be written: {failure.strerror}.") from failure
    out = console()
    out.print(
        f"Wrote {target}: attempt {record.attempt} of {rollout.name}, {verdict(record)}.",
        soft_wrap=True,
    )
    if record.trouble:
        out.print(f"Without plots: {record.trouble}", style="yellow", soft_wrap=True)
