"""`status`: where a rollout stands, and with --wait how it ends."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

from rollout_cli.api.kubernetes import KubeApi
from rollout_cli.api.rollout import Rollout
from rollout_cli.api.wait_result import Awaited, WaitResult, follow, lacking, wait_result
from rollout_cli.cluster.connection import Connection
from rollout_cli.cluster.rollouts import read
from rollout_cli.exit_codes import Exit, Unreachable, WrongUsage
from rollout_cli.output_format import Output, for_programs
from rollout_cli.view.formatting import STYLES, of_exit, span
from rollout_cli.view.terminal import console, dump
from rollout_operator.domain.api.api_types import parse_duration
from rollout_operator.domain.api.words import Phase

PAUSE = 1.0
"""Seconds between two looks."""


@dataclass(frozen=True, slots=True)
class Request:
    """The command line."""

    name: str
    """NAME or mro/NAME."""
    wait: bool
    """`--wait`: until there is an outcome, or `timeout` is over."""
    timeout: str
    """Longest wait, as written: 30s, 10m or 1h30m."""
    model_uri: str | None
    """MODEL_URI to wait for; None for the one that the spec asks for at first."""
    output: Output | None
    """`-o`: JSON or YAML; None prints for people."""


def run(connection: Connection, request: Request) -> None:
    """Do it; ends with the exit code of the outcome where it waits."""
    try:
        timeout = parse_duration(request.timeout)
    except ValueError as wrong:
        raise WrongUsage(f"--timeout: {wrong}.") from wrong
    for_programs("status", request.output)
    kube = connection.open()
    rollout = read(kube, request.name)
    if not request.wait:
        _tell(rollout, request.output)
        return
    waiting = Waiting(kube, request, timeout, console(stderr=request.output is not None))
    end, rollout = waiting.run(rollout)
    if request.output is None:
        said = Text.assemble((end.word, of_exit(end.exit)), f": {end.message}")
        console().print(said, soft_wrap=True)
    else:
        console().out(
            dump(_as_dict(rollout, end, waiting.seconds), request.output), highlight=False
        )
    raise typer.Exit(end.exit)


def _tell(rollout: Rollout, output: Output | None) -> None:
    status = rollout.status
    if output is not None:
        console().out(dump(rollout.raw.get("status", {}), output), highlight=False)
        return
    out = console()
    out.print(
        Text.assemble(
            (str(status.phase), f"bold {STYLES.get(status.phase, 'yellow')}"),
            f": {status.message} {status.watched}".rstrip(),
        ),
        soft_wrap=True,
    )
    if not rollout.is_observed:
        out.print("The operator has not seen the spec as it is now.", style="yellow")
    for condition in status.conditions:
        out.print(f"  {condition.type}={condition.status}  {condition.reason}", style="dim")


@dataclass
class Waiting:
    """Looks until the outcome is there, and tells of every change."""

    kube: KubeApi
    """Asked for the rollout again after each pause."""
    request: Request
    """The command line that asked to wait."""
    timeout: timedelta
    """The request's, parsed."""
    out: Console
    """Where changes are told: stderr where a program reads stdout."""
    clock: Callable[[], float] = time.monotonic
    """Seconds from any origin, never running back."""
    seconds: float = 0.0
    """Waited until the last look, by the clock."""

    def run(self, rollout: Rollout) -> tuple[WaitResult, Rollout]:
        """The outcome, and the rollout as it was then. A cluster that does not answer for a while
        only costs time.
        """
        started = self.clock()
        awaited = Awaited(self.request.model_uri or rollout.requested_uri)
        told: tuple[object, ...] = ()
        while True:
            self.seconds = self.clock() - started
            awaited = follow(awaited, rollout)
            if (end := wait_result(awaited, rollout)) is not None:
                return end, rollout
            if self.seconds >= self.timeout.total_seconds():
                return self._late(awaited, rollout), rollout
            status, lacks = rollout.status, lacking(rollout)
            if (
                now := (
                    status.attempt,
                    status.phase,
                    status.weight,
                    lacks.message if lacks is not None else status.reason,
                )
            ) != told:
                told = now
                said = lacks.message if lacks is not None else status.message
                self._say(str(status.phase), said or "waiting for the operator", status.phase)
            time.sleep(min(PAUSE, max(0.05, self.timeout.total_seconds() - self.seconds)))
            rollout = self._again(rollout)

    def _again(self, rollout: Rollout) -> Rollout:
        try:
            return read(self.kube, rollout.name)
        except Unreachable as failure:
            self._say("…", str(failure), None)
            return rollout

    def _say(self, what: str, message: str, phase: Phase | None) -> None:
        style = "yellow" if phase is None else STYLES.get(phase, "yellow")
        line = Text.assemble(
            (f"{span(timedelta(seconds=self.seconds)):>11}  ", "dim"),
            (f"{what:<12}", style),
            message,
        )
        self.out.print(line, soft_wrap=True)
        sys.stdout.flush()

    def _late(self, awaited: Awaited, rollout: Rollout) -> WaitResult:
        status = rollout.status
        if not rollout.is_observed:
            message = (
                f"The operator has not seen the spec that asks for {awaited.uri}: is it running?"
                " `kubectl modelrollout doctor` looks."
            )
        elif (lacks := lacking(rollout)) is not None:
            message = (
                f"{awaited.uri} is promoted, but not Ready within {self.request.timeout}:"
                f" {lacks.message}"
            )
            return WaitResult(Exit.TIMED_OUT, lacks.reason, message)
        else:
            paused = (
                " It is paused: `kubectl modelrollout resume`."
                if status.paused_since is not None
                else ""
            )
            message = (
                f"No verdict on {awaited.uri} within {self.request.timeout}; it is in phase"
                f" {status.phase}: {status.message}{paused}"
            )
        return WaitResult(Exit.TIMED_OUT, str(status.reason), message)


def _as_dict(rollout: Rollout, end: WaitResult, seconds: float) -> dict[str, Any]:
    """The outcome for programs."""
    status = rollout.status
    return {
        "verdict": end.word,
        "reason": end.reason,
        "message": end.message,
        "exitCode": int(end.exit),
        "seconds": round(seconds, 1),
        "namespace": rollout.namespace,
        "name": rollout.name,
        "modelUri": rollout.requested_uri,
        "attempt": status.attempt,
        "phase": str(status.phase),
        "stable": status.stable.uri if status.stable is not None else None,
        "gates": [
            {
                "metric": g.metric,
                "value": g.value,
                "threshold": g.threshold,
                "samples": g.samples,
                "measurement": str(g.measurement),
            }
            for g in status.gates
        ],
    }
