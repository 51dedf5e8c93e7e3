"""`feedback`: labels and values of a file, sent to a rollout's pods through the API server."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from rollout_cli.api.answers import failure_of
from rollout_cli.api.kubernetes import SendingApi
from rollout_cli.api.rollout import Rollout
from rollout_cli.cluster.connection import Connection
from rollout_cli.cluster.rollouts import read
from rollout_cli.exit_codes import Absent, Exit, Refused, Unreachable, WrongUsage
from rollout_cli.view.terminal import console
from rollout_labels.reading import TYPES, Label, Unreadable, opened
from rollout_labels.sending import (
    NoAnswer,
    NoneTaken,
    Post,
    Refusals,
    Sender,
    Unanswered,
    Unkept,
    kept_apart,
    summary,
)
from rollout_labels.sending import run as send_all
from rollout_operator.domain.api.api_types import parse_duration

SHOWN = 10
"""Refused labels that are told one by one; --refused has them all."""
_OTHERWISE = {"must be a number": "number", "must be a truth value": "truth"}
"""Of the server's sentences about a label that came as text: what --labels is to be."""
TOLD_EVERY = 2.0
"""Seconds between two lines that say how far it is."""


@dataclass(frozen=True, slots=True)
class Request:
    """The command line."""

    name: str
    """NAME or mro/NAME."""
    file: str
    """CSV or JSON lines; - for standard input."""
    labels: str
    """What labels of CSV are: text, number or truth."""
    batch: int
    """Labels of one request."""
    progress: Path | None
    """File that remembers how many were sent."""
    refused: Path | None
    """File that refused labels are added to, as JSON lines."""
    patience: str
    """How long to wait for pods that do not answer any more: 30s, 10m."""
    dry_run: bool
    """Read the file, and send nothing."""


def run(connection: Connection, request: Request) -> Exit:
    """Do it; whether all labels were taken."""
    if request.labels not in TYPES:
        raise WrongUsage(f"--labels {request.labels!r} is unknown: write {', '.join(TYPES)}.")
    try:
        patience = parse_duration(request.patience).total_seconds()
    except ValueError as wrong:
        raise WrongUsage(f"--patience: {wrong}.") from wrong
    try:
        kept_apart(request.file, request.progress, request.refused)
    except Unreadable as why:
        raise WrongUsage(f"{why}.") from why
    kube = connection.open_for_sending()
    rollout = read(kube, request.name)
    with ExitStack() as open_until:
        try:
            labels = opened(request.file, request.labels, open_until)
        except OSError as failure:
            raise Absent(f"{request.file} cannot be read: {failure.strerror}.") from failure
        try:
            if request.dry_run:
                return _read_only(labels, request, rollout)
            told = _Told(f"{rollout.namespace}/{rollout.name}", _kept(request, open_until))
            return _send(labels, request, _post(kube, rollout), told, patience)
        except Unreadable as why:
            source = "standard input" if request.file == "-" else request.file
            raise WrongUsage(f"{source}: {why}.") from why


def _read_only(labels: Iterator[Label], request: Request, rollout: Rollout) -> Exit:
    """Read all of it, and tell what is wrong with each line that could be read."""
    out, count, wrong = console(), 0, 0
    for label in labels:
        count += 1
        if why := label.lacks:
            wrong += 1
            if wrong <= SHOWN:
                out.print(Text(f"{label.place}: {why}."), soft_wrap=True)
    batches = -(-count // request.batch)
    said = f"{count} labels in {batches} requests would go to {rollout.namespace}/{rollout.name}"
    out.print(f"{said}; {wrong} of them are none. Nothing was sent.", soft_wrap=True)
    return Exit.ROLLED_BACK if wrong else Exit.PROMOTED


def _send(
    labels: Iterator[Label], request: Request, post: Post, told: "_Told", patience: float
) -> Exit:
    sender = Sender(told.place, post, patience, told.refuse, told.note, counts=told.counts)
    try:
        before = send_all(labels, sender, request.batch, request.progress, told.tell)
    except Unanswered as why:
        told.stopped("")
        raise Unreachable(f"{why}. {_again(request)}") from why
    except Unkept as why:
        told.stopped("")
        raise WrongUsage(f"{why}. Make room, or name another file. {_again(request)}") from why
    except NoneTaken as why:
        told.end(f"{why}. The others were not sent: correct that, and send the file again.")
        return Exit.ROLLED_BACK
    except BaseException:
        # A line that cannot be read, a login that has ended, Ctrl-C.
        told.stopped(_again(request))
        raise
    console().print(f"{told.place}: {_whole(told.counts, before, request.file)}.", soft_wrap=True)
    return Exit.ROLLED_BACK if told.counts["refused"] else Exit.PROMOTED


@dataclass
class _Told:
    """What is said on standard error while labels are sent."""

    place: str
    kept: Refusals | None
    """Where refused labels are written as well; None for nowhere."""
    counts: Counter[str] = field(default_factory=Counter)
    said: float = field(default_factory=time.monotonic)
    """When it was last said how far it is."""
    advised: bool = False
    """Whether it was said what labels of CSV are."""
    err: Console = field(default_factory=lambda: console(stderr=True))

    def refuse(self, label: Label, result: Mapping[str, Any]) -> None:
        if self.kept is not None:
            self.kept.write(label, result)
        if self.counts["refused"] <= SHOWN:
            self._print(f"{label.place}: {result['error']}")
            self._advise(label, str(result["error"]))
        if self.counts["refused"] == SHOWN + 1:
            more = "" if self.kept is not None else "; --refused FILE keeps them all"
            self._print(f"More were refused, and are counted{more}.")

    def _advise(self, label: Label, error: str) -> None:
        """What would have been read otherwise of CSV, said once."""
        kind = next((kind for words, kind in _OTHERWISE.items() if words in error), "")
        if kind and not self.advised and isinstance(label.get("label"), str):
            self.advised = True
            self._print(f"Labels of CSV are text, unless you write --labels {kind}.")

    def note(self, why: str) -> None:
        if not self.counts:
            # Nothing was taken yet: it is the wrong place, or nobody is there.
            raise Unreachable(f"{self.place} takes no labels: {why}.")
        self._print(why)

    def tell(self, done: int) -> None:
        if time.monotonic() - self.said >= TOLD_EVERY:
            self.said = time.monotonic()
            self._print(f"{done} sent: {summary(self.counts)}")

    def stopped(self, advice: str) -> None:
        """Before the end of what was begun: how far it came; advice: what to do, "" for nothing."""
        if self.counts:
            self._print(f"{self.place}: {summary(self.counts)} until then. {advice}".rstrip())

    def end(self, why: str) -> None:
        """Why no more is sent."""
        self._print(f"{self.place}: {why}")

    def _print(self, line: str) -> None:
        self.err.print(Text(line), soft_wrap=True)


def _kept(request: Request, open_until: ExitStack) -> Refusals | None:
    try:
        return None if request.refused is None else Refusals(request.refused, open_until)
    except Unkept as why:
        raise WrongUsage(f"{why}.") from why


def _whole(counts: Mapping[str, int], before: int, file: str) -> str:
    """What came of a whole file."""
    if not counts and not before:
        return f"none; {file} has no labels"
    return f"{summary(counts)}{f', {before} sent before' if before else ''}"


def _again(request: Request) -> str:
    """What to do once the pods answer again."""
    if request.progress is not None:
        return "The same command goes on where it stopped."
    return "Send the file again: with a store for feedback each label counts once."


def _post(kube: SendingApi, rollout: Rollout) -> Post:
    service = f"/api/v1/namespaces/{rollout.namespace}/services/{rollout.name}:http"

    def post(labels: Sequence[Label]) -> tuple[int, bytes]:
        try:
            status, body = kube.send(f"{service}/proxy/feedback/", list(labels))
        except Unreachable as failure:
            raise NoAnswer(str(failure)) from failure
        if (said := _of_api_server(body)) is None:
            return status, body
        if status >= 500 or status == 429:
            raise NoAnswer(said)
        refusal = failure_of(status, said)
        if status == 403:
            raise Refused(
                f"{refusal}. Labels go through the API server: you need the right to create"
                " services/proxy there."
            )
        raise refusal

    return post


def _of_api_server(body: bytes) -> str | None:
    """What the API server itself says in place of a pod; None where a pod has answered."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if isinstance(said, dict) and (said.get("kind"), said.get("apiVersion")) == ("Status", "v1"):
        return str(said.get("message") or "no message")
    return None
