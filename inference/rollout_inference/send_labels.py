"""Labels of a file or of a query, sent to /feedback/ in batches: a Job that may be killed at any
time and started again. What the server refuses is told, and written down with its reason.
"""

import argparse
import json
import os
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import requests

from rollout_labels.reading import TYPES, Label, Unreadable, from_rows, opened
from rollout_labels.sending import (
    BATCH,
    MOST,
    NoAnswer,
    NoneTaken,
    Refusals,
    Sender,
    Unanswered,
    Unkept,
    kept_apart,
    run,
    summary,
)

DESCRIPTION = """Send labels to a model server, in batches.

A file is CSV with a header line, or JSON lines (.jsonl, .ndjson, or what begins with a brace), -
for standard input.
A query gives the same columns: id, or request_id and perhaps row; label, or value; perhaps version.

environment:
  LABELS_DATABASE  postgresql://USER:PASSWORD@HOST/DATABASE, or sqlite:/FILE, for --query

exit status: 0 all labels were taken; 1 some were refused; 2 something could not be read, or
written down; 3 the server did not answer in time, or the database, and the same command goes on
where it stopped.
"""


def post(url: str, labels: Sequence[Label]) -> tuple[int, bytes]:
    """Status and body of the answer. Raises NoAnswer."""
    try:
        reply = requests.post(url, json=labels, timeout=60)
    except requests.RequestException as failure:
        raise NoAnswer(str(failure)) from failure
    return reply.status_code, reply.content


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


def queried(address: str, query: str, open_until: ExitStack) -> Iterator[Label]:
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


def _of_file(source: str, kind: str, open_until: ExitStack) -> Iterator[Label]:
    try:
        return opened(source, kind, open_until)
    except OSError as failure:
        raise Unreadable(f"{source} cannot be read: {failure.strerror}") from failure


def _told(label: Label, result: Mapping[str, Any]) -> None:
    """Say what was refused, as Refusals writes it."""
    print(json.dumps({"at": label.place, **label, **result}), file=sys.stderr)


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
    parser.add_argument("--batch", type=int, default=BATCH, help="labels of one request (500)")
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

    def note(why: str) -> None:
        print(why, file=sys.stderr)

    with ExitStack() as open_until:
        counts = Counter[str]()

        def tell(done: int) -> None:
            print(f"{done} sent: {summary(counts)}", flush=True)

        try:
            kept_apart(asked.file or "-", asked.progress, asked.refused)
            refuse = Refusals(asked.refused, open_until).write if asked.refused else _told
            sender = Sender(
                asked.url,
                partial(post, asked.url),
                asked.patience,
                refuse,
                note,
                counts=counts,
            )
            labels = (
                queried(os.environ.get("LABELS_DATABASE", ""), asked.query, open_until)
                if asked.query
                else _of_file(asked.file, asked.labels, open_until)
            )
            before = run(labels, sender, asked.batch, asked.progress, tell)
        except (Unreadable, Unkept) as why:
            note(f"error: {why}")
            return 2
        except NoneTaken as why:
            note(f"error: {why}")
            return 1
        except Unanswered as why:
            note(f"error: {why}")
            return 3
    print(f"done: {summary(counts)}{f', {before} sent before' if before else ''}")
    return 1 if counts["refused"] else 0


if __name__ == "__main__":
    sys.exit(main())
