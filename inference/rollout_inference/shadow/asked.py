"""What was asked for one row of a copy: names of its fields, and the values of those few that the
operator's configuration lets be shown. No other value leaves this module.
"""

import csv
import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec

from rollout_inference.shadow.messages import Copy

NAMES = 20
"""Fields that are told of, shown and masked together."""
LONGEST_NAME, LONGEST_VALUE = 60, 60
"""Characters."""
UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError)


def asked(
    copy: Copy, row: int, columns: Sequence[str], shown: Collection[str]
) -> tuple[dict[str, str], list[str]]:
    """Values of the fields that may be shown, as JSON, and the names of the others; both empty
    where the request cannot be read here.

    row: which of the request's, from 0. columns: the model's, in order; a field of another name is
    told of by nobody, for a caller may write anything there.
    """
    given = _row(copy, row, columns)
    ours = [name for name in columns if name in given]
    values = [name for name in ours if name in shown][:NAMES]
    masked = (name for name in ours if name not in shown)
    return (
        {clip(name, LONGEST_NAME): clip(as_json(given[name]), LONGEST_VALUE) for name in values},
        [clip(name, LONGEST_NAME) for name in islice(masked, NAMES - len(values))],
    )


def as_json(value: Any) -> str:
    """A value for people."""
    return msgspec.json.encode(value).decode()


def clip(text: str, most: int) -> str:
    """The text, of so many characters at most."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _row(copy: Copy, row: int, columns: Sequence[str]) -> Mapping[str, Any]:
    """The row by names of columns; nothing where it is in a form that is not known here."""
    kind = next((value for name, value in copy.headers if name == b"content-type"), b"")
    try:
        if kind.split(b";")[0].strip().lower() == b"text/csv":
            return next(islice(csv.DictReader(io.StringIO(copy.body.decode())), row, None), {})
        return _of_json(msgspec.json.decode(copy.body), row, columns)
    except (*UNREADABLE, csv.Error, msgspec.MsgspecError, RecursionError):
        return {}


def _of_json(said: Any, row: int, columns: Sequence[str]) -> Mapping[str, Any]:
    """Raises one of UNREADABLE where the request has another form."""
    if (split := said.get("dataframe_split")) is not None:
        return _named(split["data"][row], split.get("columns") or columns)
    for name in ("instances", "dataframe_records"):
        if (rows := said.get(name)) is not None:
            return _named(rows[row], columns)
    given = said["inputs"]
    if isinstance(given, dict):
        return {name: _at(value, row) for name, value in given.items()}
    if not (given and isinstance(given[0], dict) and "datatype" in given[0]):
        return _named(given[row], columns)
    return _of_tensors(given, row, columns)


def _of_tensors(tensors: list[Any], row: int, columns: Sequence[str]) -> Mapping[str, Any]:
    """Of the Open Inference Protocol: one with all columns, or one for each."""
    found = dict[str, Any]()
    for one in tensors:
        shape, data = one["shape"], one["data"]
        width = len(data) // shape[0]
        cells = data[row] if isinstance(data[0], list) else data[row * width : (row + 1) * width]
        alone = len(tensors) == 1 and len(shape) > 1 and one["name"] not in columns
        found |= _named(cells, columns) if alone else {one["name"]: _single(cells)}
    return found


def _named(cells: Any, columns: Iterable[str]) -> Mapping[str, Any]:
    if isinstance(cells, dict):
        return cells
    row = cells if isinstance(cells, list) else [cells]
    return dict(zip(columns, row, strict=False))


def _at(value: Any, row: int) -> Any:
    return value[row] if isinstance(value, list) else value


def _single(cells: Any) -> Any:
    return cells[0] if isinstance(cells, list) and len(cells) == 1 else cells
