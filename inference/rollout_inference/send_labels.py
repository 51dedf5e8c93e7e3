"""Labels of a file or of a query, sent to /feedback/ in batches: a Job that may be killed at any
time and started again.

With a store behind the server each label is counted once, so whatever was not answered is sent
again. What the server refuses is told, and written down with its reason.
"""

import argparse
import csv
import json
import os
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import requests

COLUMNS = ("id", "request_id", "row", "label", "value", "version")
"""What a label may have; other columns are left alone."""
WHOLE = ("row", "version")
TYPES: Mapping[str, Callable[[str], Any]] = {
    "text": str,
    "number": lambda text: int(text) if text.lstrip("+-").isdigit() else float(text),
    "truth": lambda text: {"true": True, "1": True, "false": False, "0": False}[text.lower()],
}
"""How a label is read that is written as text."""
MOST = 10_000
"""Labels of one request; the server takes no more."""
_AWAY: dict[str, Any] = {"status": 503}
LONGEST_PAUSE = 30.0
"""Seconds between two tries."""
DESCRIPTION = """Send labels to a model server, in batches.

A file is CSV with a header line, or JSON lines (.jsonl, .ndjson), - for standard input.
A query gives the same columns: id, or request_id and perhaps row; label, or value; perhaps version.

environment:
  LABELS_DATABASE  postgresql://USER:PASSWORD@HOST/DATABASE, or sqlite:/FILE, for --query

exit status: 0 all labels were taken; 1 some were refused; 2 nothing could be read; 3 the server
did not answer in time, or the database, and the same command goes on where it stopped.
"""


class Unreadable(Exception):
    """The labels cannot be read; the message says where, and what to write."""


class Unanswered(Exception):
    """The server did not answer for as long as was waited for it, or the database does not."""


def from_csv(lines: Iterator[str], kind: str) -> Iterator[dict[str, Any]]:
    """Labels of CSV with a header line. Raises Unreadable with the number of the line."""
    reader = csv.DictReader(lines, strict=True)
    try:
        _known(reader.fieldnames or ())
        for row in reader:
            yield _label(row, TYPES[kind], f"line {reader.line_num}")
    except (csv.Error, UnicodeDecodeError) as failure:
        raise Unreadable(f"line {reader.line_num}: {failure}") from failure


def from_json_lines(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """Labels of JSON lines, as the server has them. Raises Unreadable."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except ValueError as failure:
            raise Unreadable(f"line {number} is no JSON: {failure}") from failure
        if not isinstance(found, dict):
            raise Unreadable(f'line {number} is no object: write {{"request_id": …, "label": …}}')
        label = {name: found[name] for name in COLUMNS if found.get(name) is not None}
        _sendable(label, f"line {number}")
        yield label


def from_rows(names: Sequence[str], rows: Iterator[Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """Labels of a query's rows; types are the database's. Raises Unreadable."""
    _known(names)
    for number, row in enumerate(rows, 1):
        said = dict(zip(names, row, strict=True))
        yield _label(said, lambda text: text, f"row {number}")


def _known(names: Sequence[str]) -> None:
    if not {"id", "request_id"} & set(names) or not {"label", "value"} & set(names):
        raise Unreadable(
            f"the columns are {', '.join(names) or 'none'}: there must be id or request_id, and"
            " label or value"
        )


def _label(row: Mapping[str, Any], read: Callable[[str], Any], where: str) -> dict[str, Any]:
    """What is sent of one row; empty cells are left out."""
    found = {name: row[name] for name in COLUMNS if row.get(name) not in (None, "")}
    try:
        if isinstance(found.get("label"), str):
            found["label"] = read(found["label"])
        if "value" in found:
            found["value"] = float(found["value"])
        for name in WHOLE:
            if name in found:
                found[name] = int(found[name])
        for name in ("id", "request_id"):
            if name in found:
                found[name] = str(found[name])
    except (ValueError, KeyError, TypeError) as failure:
        raise Unreadable(f"{where} cannot be read: {failure}") from failure
    _sendable(found, where)
    return found


def _sendable(label: dict[str, Any], where: str) -> None:
    """Have numbers of a database as JSON has them. Raises Unreadable for what JSON has no words
    for, such as NaN or a date.
    """
    of = label.get("label")
    if isinstance(of, Decimal) and of.is_finite():
        label["label"] = int(of) if of == of.to_integral_value() else float(of)
    try:
        json.dumps(label, allow_nan=False)
    except (ValueError, TypeError) as failure:
        raise Unreadable(f"{where} cannot be sent: {failure}") from failure


@dataclass
class Sender:
    """Sends batches to one URL, and counts what came of them."""

    url: str
    """Of /feedback/."""
    patience: float
    """Seconds for which the server may not answer."""
    refused: TextIO
    """Where refused labels are written, as JSON lines."""
    post: Callable[..., requests.Response] = requests.post
    """As `requests.post`."""
    pause: Callable[[float], None] = time.sleep
    """As `time.sleep`."""
    counts: Counter[str] = field(default_factory=Counter)
    """Labels by what came of them."""

    def send(self, batch: Sequence[dict[str, Any]]) -> None:
        """Until each was taken or refused. Raises Unanswered."""
        left, waited, wait = list(batch), 0.0, 0.5
        while left:
            results = self._answered(left)
            again = []
            for label, result in zip(left, results or [_AWAY] * len(left), strict=True):
                if result.get("status") == 503:
                    again.append(label)
                elif "error" in result:
                    self.counts["refused"] += 1
                    self.refused.write(json.dumps({**label, **result}) + "\n")
                else:
                    # Without a store the server does not say more.
                    self.counts[result.get("taken", "counted")] += 1
            if len(again) < len(left):
                waited = 0.0
            left = again
            if left:
                if waited >= self.patience:
                    raise Unanswered(
                        f"{self.url} has not taken labels for {waited:.0f} s: look at its pods and"
                        " its store"
                    )
                self.pause(wait)
                waited, wait = waited + wait, min(2 * wait, LONGEST_PAUSE)

    def _answered(self, labels: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
        """What the server says of each; None where it does not answer, or not now."""
        try:
            reply = self.post(self.url, json=labels, timeout=60)
        except requests.RequestException as failure:
            print(f"no answer: {failure}", file=sys.stderr)
            return None
        if reply.status_code == 422 and len(labels) > 1:
            # Of a list with one that is no label none is counted: each is asked by itself.
            return [(self._answered([one]) or [_AWAY])[0] for one in labels]
        if reply.status_code == 200:
            results: list[dict[str, Any]] = reply.json()["results"]
            return results
        if reply.status_code in {400, 413, 422}:
            return [{"status": reply.status_code, "error": _said(reply)}] * len(labels)
        print(f"HTTP {reply.status_code}: {_said(reply)}", file=sys.stderr)
        return None


def _said(reply: requests.Response) -> str:
    try:
        return str(reply.json()["error"])
    except (ValueError, KeyError, TypeError):
        return reply.text[:200]


def run(
    labels: Iterator[dict[str, Any]], sender: Sender, batch: int, progress: Path | None
) -> None:
    """Send all labels; progress: a file with the number of those that are done, which are passed
    over. It is written after each batch. Raises Unanswered and Unreadable.
    """
    done = int(progress.read_text()) if progress is not None and progress.exists() else 0
    if done:
        print(f"{done} labels were sent before, and are passed over")
    rest = islice(labels, done, None)
    while some := list(islice(rest, batch)):
        sender.send(some)
        done += len(some)
        if progress is not None:
            # Put in its place whole, so that who dies now leaves one of the two numbers.
            new = progress.with_name(f"{progress.name}.new")
            new.write_text(str(done))
            new.replace(progress)
        print(f"{done} sent: {_summary(sender.counts)}", flush=True)


def _summary(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {what}" for what, n in sorted(counts.items())) or "none"


@contextmanager
def _asking(*failures: type[Exception], away: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Says what it means that a database raises one of `failures`, or of `away`, which may have
    ended when it is asked again. Raises Unreadable and Unanswered.
    """
    try:
        yield
    except away as failure:
        raise Unanswered(f"the database does not answer: {failure}") from failure
    except failures as failure:
        raise Unreadable(f"the query cannot be run: {failure}") from failure


def queried(address: str, query: str, open_until: ExitStack) -> Iterator[dict[str, Any]]:
    """Labels of a query; rows are fetched as they are sent. Raises Unreadable and Unanswered."""
    if address.startswith("sqlite:"):
        with _asking(sqlite3.Error):
            uri = f"file:{address.removeprefix('sqlite:')}?mode=ro"
            file = open_until.enter_context(closing(sqlite3.connect(uri, uri=True)))
            found = file.execute(query)
            yield from from_rows([one[0] for one in found.description or ()], found)
        return
    if not address.startswith(("postgresql://", "postgres://")):
        raise Unreadable("set LABELS_DATABASE: postgresql://USER@HOST/DATABASE, or sqlite:/FILE")
    import psycopg  # noqa: PLC0415 - files do without

    with _asking(psycopg.Error, away=(psycopg.OperationalError,)):
        connection = open_until.enter_context(psycopg.connect(address))
        connection.read_only = True
        # A cursor with a name is the server's: it sends a part at a time.
        cursor = open_until.enter_context(connection.cursor("labels"))
        cursor.execute(query.encode())
        yield from from_rows([one.name for one in cursor.description or ()], cursor)


def opened(source: str, kind: str, open_until: ExitStack) -> Iterator[dict[str, Any]]:
    """Labels of a file, or of standard input. Raises Unreadable."""
    if source == "-":
        lines: TextIO = sys.stdin
    else:
        try:
            file = Path(source).open(encoding="utf-8-sig", newline="")  # noqa: SIM115 - the caller's
        except OSError as failure:
            raise Unreadable(f"{source} cannot be read: {failure.strerror}") from failure
        lines = open_until.enter_context(file)
    if Path(source).suffix in {".jsonl", ".ndjson"}:
        return from_json_lines(lines)
    return from_csv(lines, kind)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m rollout_inference.send_labels",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("url", help="of the model's /feedback/")
    parser.add_argument("file", nargs="?", help="CSV or JSON lines; - for standard input")
    parser.add_argument("--query", help="SQL, in place of a file; order it, to go on later")
    parser.add_argument(
        "--labels", choices=TYPES, default="text", help="what labels of CSV are (text)"
    )
    parser.add_argument("--batch", type=int, default=500, help="labels of one request (500)")
    parser.add_argument(
        "--progress", type=Path, help="file that remembers how many were sent, to go on from there"
    )
    parser.add_argument("--refused", type=Path, help="file for refused labels, as JSON lines")
    parser.add_argument(
        "--patience", type=float, default=600, help="seconds to wait for the server (600)"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status, as DESCRIPTION has it."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    if bool(asked.file) == bool(asked.query):
        parser.error("name exactly one of a file and --query")
    if not 0 < asked.batch <= MOST:
        parser.error(f"--batch is from 1 to {MOST}")
    with ExitStack() as open_until:
        refused = sys.stderr
        if asked.refused is not None:
            refused = open_until.enter_context(asked.refused.open("a", encoding="utf-8"))
        sender = Sender(asked.url, asked.patience, refused)
        try:
            labels = (
                queried(os.environ.get("LABELS_DATABASE", ""), asked.query, open_until)
                if asked.query
                else opened(asked.file, asked.labels, open_until)
            )
            run(labels, sender, asked.batch, asked.progress)
        except Unreadable as why:
            print(f"error: {why}", file=sys.stderr)
            return 2
        except Unanswered as why:
            print(f"error: {why}", file=sys.stderr)
            return 3
    print(f"done: {_summary(sender.counts)}")
    return 1 if sender.counts["refused"] else 0


if __name__ == "__main__":
    sys.exit(main())
