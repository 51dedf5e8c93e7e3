"""Labels as people keep them: CSV with a header line, JSON lines, or the rows of a query."""

import csv
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

COLUMNS = ("id", "request_id", "row", "label", "value", "version")
"""What a label may have; other columns are left alone."""
WHOLE = ("row", "version")
TYPES: Mapping[str, Callable[[str], Any]] = {
    "text": str,
    "number": lambda text: int(text) if text.lstrip("+-").isdigit() else float(text),
    "truth": lambda text: {"true": True, "1": True, "false": False, "0": False}[text.lower()],
}
"""How a label is read that is written as text."""
KINDS = {"text": "text", "number": "a number, such as 3 or 2.5", "truth": "true or false"}
"""What is to be written for each of them."""
JSON_LINES = frozenset({".jsonl", ".ndjson"})


class Unreadable(Exception):
    """The labels cannot be read; the message says where, and what to write."""


class Label(dict[str, Any]):
    """What is sent of one row, by column."""

    place: str = ""
    """Where it stood: `line 7` of a file, `row 7` of a query."""

    @classmethod
    def at(cls, place: str, said: Mapping[str, Any]) -> "Label":
        """What stands there; raises Unreadable where JSON has no words for it, such as NaN or a
        date.
        """
        made = cls(said)
        made.place = place
        of = made.get("label")
        if isinstance(of, Decimal) and of.is_finite():
            made["label"] = int(of) if of == of.to_integral_value() else float(of)
        try:
            json.dumps(made, allow_nan=False)
        except (ValueError, TypeError) as failure:
            raise Unreadable(f"{place} cannot be sent: {failure}") from failure
        return made

    @property
    def lacks(self) -> str:
        """What has to be written beside it, as a sentence; "" where all is there."""
        if not self.keys() & {"id", "request_id"}:
            return f"{self.place} does not say which prediction it is of: write id or request_id"
        if not self.keys() & {"label", "value"}:
            return f"{self.place} says nothing of it: write label or value"
        return ""


def from_csv(lines: Iterator[str], kind: str) -> Iterator[Label]:
    """Labels of CSV with a header line. Raises Unreadable with the number of the line."""
    reader = csv.DictReader(lines, strict=True)
    try:
        _known(reader.fieldnames or ())
        for row in reader:
            yield _label(row, kind, f"line {reader.line_num}")
    except (csv.Error, UnicodeDecodeError) as failure:
        raise Unreadable(f"line {reader.line_num}: {failure}") from failure


def from_json_lines(lines: Iterator[str]) -> Iterator[Label]:
    """Labels of JSON lines, as the server has them. Raises Unreadable."""
    number = 0
    try:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield _of_json(line, f"line {number}")
    except UnicodeDecodeError as failure:
        raise Unreadable(f"line {number + 1}: {failure}") from failure


def _of_json(line: str, place: str) -> Label:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as failure:
        raise Unreadable(f"{place} is no JSON: {failure}") from failure
    if not isinstance(found, dict):
        raise Unreadable(f'{place} is no object: write {{"request_id": …, "label": …}}')
    said = {name: found[name] for name in COLUMNS if found.get(name) is not None}
    return Label.at(place, said)


def from_rows(names: Sequence[str], rows: Iterator[Sequence[Any]]) -> Iterator[Label]:
    """Labels of a query's rows; types are the database's. Raises Unreadable."""
    _known(names)
    for number, row in enumerate(rows, 1):
        yield _label(dict(zip(names, row, strict=True)), "text", f"row {number}")


def _known(names: Sequence[str]) -> None:
    if not {"id", "request_id"} & set(names) or not {"label", "value"} & set(names):
        raise Unreadable(
            f"the columns are {', '.join(names) or 'none'}: there must be id or request_id, and"
            " label or value"
        )


def _label(row: Mapping[str, Any], kind: str, place: str) -> Label:
    """What is sent of one row; empty cells are left out. Raises Unreadable."""
    found = {name: row[name] for name in COLUMNS if row.get(name) not in (None, "")}

    def read(name: str, as_: Callable[[Any], Any], what: str) -> None:
        if name not in found:
            return
        try:
            found[name] = as_(found[name])
        except (ValueError, KeyError, TypeError) as failure:
            shown = str(found[name])[:60]
            raise Unreadable(
                f"{place} cannot be read: {name} is {shown!r}; write {what}"
            ) from failure

    if isinstance(found.get("label"), str):
        read("label", TYPES[kind], KINDS[kind])
    read("value", float, KINDS["number"])
    for name in WHOLE:
        read(name, int, "a whole number")
    for name in ("id", "request_id"):
        read(name, str, "text")
    return Label.at(place, found)


def opened(source: str, kind: str, open_until: ExitStack) -> Iterator[Label]:
    """Labels of a file, or of standard input (`-`), which are JSON lines where the first of them
    begins with a brace. Raises Unreadable, and OSError where a file cannot be opened.

    kind: what labels of CSV are, a key of TYPES. open_until: closes the file.
    """
    if source != "-":
        file = Path(source).open(encoding="utf-8-sig", newline="")  # noqa: SIM115 - the caller's
        lines: TextIO = open_until.enter_context(file)
        as_json = Path(source).suffix in JSON_LINES
        return from_json_lines(lines) if as_json else from_csv(lines, kind)
    first = sys.stdin.readline().removeprefix("\ufeff")
    whole = chain([first] if first else [], sys.stdin)
    return from_json_lines(whole) if first.lstrip().startswith("{") else from_csv(whole, kind)
