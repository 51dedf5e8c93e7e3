"""`get`: one rollout as a picture, or all as a table; once or as it goes on."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Console, RenderableType
from rich.live import Live

from rollout_cli.api.kubernetes import KubeApi
from rollout_cli.api.rollout import Rollout, bare_name
from rollout_cli.api.snapshot import Snapshot
from rollout_cli.cluster.connection import Connection
from rollout_cli.cluster.poller import Poller
from rollout_cli.cluster.prometheus import find
from rollout_cli.cluster.rollouts import read, read_all
from rollout_cli.exit_codes import Unreachable, WrongUsage
from rollout_cli.output_format import Output
from rollout_cli.view.progress import summary
from rollout_cli.view.rollout_view import picture
from rollout_cli.view.table import table
from rollout_cli.view.terminal import console, dump, marks
from rollout_operator.domain.api.names import GROUP, KIND, PLURAL

PAUSE = 1.0
"""Seconds between two looks."""
PICTURE_WIDTH = 100
"""Columns of a picture where there is no terminal."""


@dataclass(frozen=True, slots=True)
class Request:
    """The command line."""

    name: str | None
    """NAME or mro/NAME; None for all."""
    watch: bool
    """`-w`: look again every second."""
    output: Output | None
    """`-o`; None and WIDE print for people."""
    everywhere: bool
    """`-A`: all namespaces; refused where a name is given."""
    prometheus: str | None
    """`--prometheus`; None for what the environment names, else the operator's own."""


def run(connection: Connection, request: Request) -> None:
    """Do it."""
    if request.name and request.everywhere:
        raise WrongUsage("A name and -A do not go together: name the namespace with -n instead.")
    machine = request.output in {Output.JSON, Output.YAML, Output.NAME}
    if request.watch and machine:
        raise WrongUsage(
            f"-w and -o {request.output} do not go together: `kubectl get {PLURAL} -w -o json`"
            " gives one object after the other."
        )
    kube = connection.open()
    out = console()
    if machine and request.output is not None:
        out.out(_plain(kube, request, request.output), highlight=False)
    elif request.name and (
        request.output is not Output.WIDE or (request.watch and not out.is_terminal)
    ):
        _one(kube, request, bare_name(request.name), out)
    else:
        _all(kube, request, out)


def _plain(kube: KubeApi, request: Request, output: Output) -> str:
    """For programs: the objects as the API has them."""
    found = [read(kube, request.name)] if request.name else read_all(kube, request.everywhere)
    if output is Output.NAME:
        return "\n".join(f"modelrollout.{GROUP}/{rollout.name}" for rollout in found)
    if request.name:
        return dump(found[0].raw, output)
    return dump(
        {
            "apiVersion": "v1",
            "kind": "List",
            "metadata": {},
            "items": [{"kind": KIND, **rollout.raw} for rollout in found],
        },
        output,
    )


def _one(kube: KubeApi, request: Request, name: str, out: Console) -> None:
    poller = _poller(kube, request)
    width = None if out.is_terminal else PICTURE_WIDTH

    def drawn(snapshot: Snapshot) -> RenderableType:
        return picture(snapshot, width or out.width, marks(out))

    snapshot = poller.poll(name)
    if request.watch and out.is_terminal:
        _live(lambda: drawn(poller.poll(name)), drawn(snapshot), out)
    elif request.watch:
        _lines(poller, snapshot, out)
    else:
        out.print(drawn(snapshot), width=width)


def _all(kube: KubeApi, request: Request, out: Console) -> None:
    def rollouts() -> list[Rollout]:
        return [read(kube, request.name)] if request.name else read_all(kube, request.everywhere)

    def drawn() -> RenderableType:
        found = rollouts()
        if not found:
            if request.everywhere:
                return f"No {KIND}s."
            return f"No {KIND}s in namespace {kube.namespace}. Look in all namespaces with -A."
        return table(
            found, datetime.now(UTC), marks(out), request.everywhere, request.output is Output.WIDE
        )

    if request.watch and out.is_terminal:
        _live(drawn, drawn(), out)
    elif request.watch:
        raise WrongUsage(
            "-w of all rollouts needs a terminal: name one, or use `kubectl get mro -w`."
        )
    else:
        out.print(drawn())


def _poller(kube: KubeApi, request: Request) -> Poller:
    """Without Prometheus the picture only lacks the past; one that is named wrongly is an error."""
    try:
        return Poller(kube, find(kube, request.prometheus))
    except Unreachable as nobody:
        return Poller(kube, None, str(nobody))


def _live(draw: Callable[[], RenderableType], first: RenderableType, out: Console) -> None:
    """Draw again and again; while the cluster does not answer, the last picture stays, with a line
    that says so.
    """
    with Live(first, console=out, auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            time.sleep(PAUSE)
            try:
                live.update(draw(), refresh=True)
            except Unreachable as failure:
                out.print(f"{datetime.now():%H:%M:%S} {failure}", style="yellow")


def _lines(poller: Poller, snapshot: Snapshot, out: Console) -> None:
    """Where nobody looks at a terminal: a line for every change."""
    before = ""
    while True:
        status = snapshot.rollout.status
        why = summary(snapshot.rollout)
        line = f"attempt {status.attempt}  {status.phase}  {status.weight} %  {why}"
        if line != before:
            out.out(f"{snapshot.now:%H:%M:%S}  {line}", highlight=False)
            before = line
        time.sleep(PAUSE)
        try:
            snapshot = poller.poll(snapshot.rollout.name)
        except Unreachable as failure:
            out.out(f"{datetime.now(UTC):%H:%M:%S}  {failure}", highlight=False)
