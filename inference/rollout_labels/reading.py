"""Labels as people keep them: CSV with a header line, JSON lines, or the rows of a query."""

import csv
import io
import json
import math
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
_UTF8, _AS_HALVES = "utf-8-sig", "surrogateescape"
ONE_LINE = '{"request_id": …, "label": …} on a line of its own'
"""What JSON lines are made of."""


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
        for name, value in made.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise Unreadable(
                    f"{place} cannot be sent: {name} is {value}; write {KINDS['number']}, or leave"
                    " the line out"
                )
        try:
            json.dumps(made, allow_nan=False)
        except (ValueError, TypeError) as failure:
            raise Unreadable(
                f"{place} cannot be sent: {failure}; write text, a number or a truth value"
            ) from failure
        return made

    @property
    def lacks(self) -> str:
        """What has to be written beside it, as half a sentence; "" where all is there."""
        if not self.keys() & {"id", "request_id"}:
            return "it does not say which prediction it is of: write id or request_id"
        if not self.keys() & {"label", "value"}:
            return "it says nothing of the prediction: write label or value"
        return ""


def from_csv(lines: Iterator[str], kind: str) -> Iterator[Label]:
    """Labels of CSV with a header line. Raises Unreadable with the number of the line."""
    reader = csv.DictReader(_text(lines), strict=True)
    try:
        while reader.fieldnames == []:
            # A line of nothing before the header.
            reader.fieldnames = None
        names = reader.fieldnames or ()
        _known(names)
        for row in reader:
            # What is beyond the header stands below no name.
            if any(row.pop(None, ())):
                raise Unreadable(
                    f"line {reader.line_num} has more cells than the header's {len(names)}: put a"
                    ' cell with a comma in quotes, "a, b"'
                )
            yield _label(row, kind, f"line {reader.line_num}")
    except csv.Error as failure:
        raise Unreadable(
            f"line {reader.line_num} is no CSV: {failure}; see that each quote ends"
        ) from failure


def from_json_lines(lines: Iterator[str]) -> Iterator[Label]:
    """Labels of JSON lines, as the server has them. Raises Unreadable."""
    for number, line in enumerate(_text(lines), 1):
        if line.strip():
            yield _of_json(line, f"line {number}")


def _text(lines: Iterator[str]) -> Iterator[str]:
    """The lines. Raises Unreadable with the number of the first that is no UTF-8."""
    number = 0
    try:
        for line in lines:
            number += 1
            # What cannot be decoded comes as halves of surrogate pairs.
            line.encode()
            yield line
    except UnicodeEncodeError as failure:
        raise Unreadable(f"line {number} {_NOT_UTF8}") from failure
    except UnicodeDecodeError as failure:
        raise Unreadable(f"a line after line {number} {_NOT_UTF8}") from failure


_NOT_UTF8 = (
    "is no text in UTF-8: save the file as such, or convert it by iconv; what is packed is to be"
    " unpacked before"
)


def _of_json(line: str, place: str) -> Label:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as failure:
        raise Unreadable(f"{place} is no JSON: {failure}; write {ONE_LINE}") from failure
    if not isinstance(found, dict):
        raise Unreadable(f"{place} is no object: write {ONE_LINE}")
    said = {name: found[name] for name in COLUMNS if found.get(name) is not None}
    return Label.at(place, said)


def from_rows(names: Sequence[str], rows: Iterator[Sequence[Any]]) -> Iterator[Label]:
    """Labels of a query's rows; types are the database's. Raises Unreadable."""
    _known(names)
    for number, row in enumerate(rows, 1):
        yield _label(dict(zip(names, row, strict=True)), "text", f"row {number}")


def _known(names: Sequence[str]) -> None:
    if not {"id", "request_id"} & set(names) or not {"label", "value"} & set(names):
        there = "; ".join(map(repr, names))[:200] or "none"
        raise Unreadable(
            f"the columns are {there}: there must be id or request_id, and label or value"
            f"{_advice(names)}"
        )
    if twice := [name for name in COLUMNS if list(names).count(name) > 1]:
        raise Unreadable(f"the column {twice[0]} stands twice: leave one of them out")


def _advice(names: Sequence[str]) -> str:
    """What may be wrong with a header that has none of our columns."""
    if any(sign in name for name in names for sign in ";\t|"):
        return "; separate columns by commas"
    if {name.strip().lower() for name in names} & set(COLUMNS):
        return "; write them in small letters, without blanks"
    return ""


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
    """Labels of a file, or of standard input (`-`): JSON lines where its name ends so, or the first
    of them begins with a brace, and CSV otherwise. Raises Unreadable, and OSError where a file
    cannot be opened.

    kind: what labels of CSV are, a key of TYPES. open_until: closes the file.
    """
    as_json = Path(source).suffix.lower() in JSON_LINES
    lines = _lines(source, open_until)
    first = lines.readline().removeprefix("\ufeff")
    whole = chain([first] if first else [], lines)
    if as_json or first.lstrip().startswith(("{", "[")):
        return from_json_lines(whole)
    return from_csv(whole, kind)


def _lines(source: str, open_until: ExitStack) -> TextIO:
    """Of text in UTF-8, whatever the locale says; what is none is told later, with its line."""
    if source != "-":
        path = Path(source)
        return open_until.enter_context(path.open(encoding=_UTF8, errors=_AS_HALVES, newline=""))
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(encoding=_UTF8, errors=_AS_HALVES, newline="")
    return sys.stdin
