"""Rows of mixed columns: text, truth values and dates beside numbers, each checked by its column.

Rows of numbers alone stay what they are, one array (signature.py): that road is the quick one.
Source of the types: mlflow.types.DataType; of how a frame is made of them:
mlflow.models.utils._enforce_schema.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from rollout_model.errors import BadInput

LARGEST = float(np.finfo(np.float32).max)
"""Largest magnitude that is accepted: scikit-learn's trees, and ONNX, count in single precision and
fail beyond it.
"""
EXACT = 2**53
"""Largest whole number that floating point in double precision keeps with all its neighbours."""
LONGEST_TEXT = 65_536
"""Characters of one cell: a document for a vectorizer is shorter, and a cell is kept per row."""
FIRST_YEAR, LAST_YEAR = 1678, 2261
"""Whole years that 64 bits of nanoseconds hold: others would become another date in silence."""

FINER = re.compile(r"[.,]\d{6}\d*[1-9]")
"""A fraction of a second of which Python would drop digits in silence."""


class Kind(StrEnum):
    """What a column holds, by MLflow's own words."""

    DOUBLE = "double"
    FLOAT = "float"
    LONG = "long"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    STRING = "string"
    DATETIME = "datetime"


WHOLE: dict[Kind, np.dtype[Any]] = {Kind.LONG: np.dtype("int64"), Kind.INTEGER: np.dtype("int32")}
"""Kinds of whole numbers, and NumPy's types of them."""
NUMBERS = frozenset({Kind.DOUBLE, Kind.FLOAT, *WHOLE})
_SAID = {
    Kind.DOUBLE: "a number",
    Kind.FLOAT: "a number",
    Kind.LONG: "a whole number",
    Kind.INTEGER: "a whole number",
    Kind.BOOLEAN: "true or false",
    Kind.STRING: "text",
    Kind.DATETIME: "a date such as 2026-11-29 or 2026-11-29T12:00:00",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the model's inputs."""

    name: str
    """By which requests name it."""
    kind: Kind
    """Its type in MLmodel."""
    closed: bool = False
    """Whether the model itself takes no missing value there."""
    optional: bool = False
    """Whether a row may come without it: `required: false`, which MLflow infers of gaps."""


@dataclass(frozen=True, slots=True)
class Table:
    """Checked rows, column by column."""

    columns: tuple[Column, ...]
    """In the order of the signature."""
    values: tuple[npt.NDArray[Any], ...]
    """One array a column: float64 with NaN, int64 where whole numbers are beyond EXACT,
    datetime64[us] with NaT, or objects with None.
    """

    def __len__(self) -> int:
        return len(self.values[0])

    @classmethod
    def of(cls, columns: Sequence[Column], rows: Sequence[Sequence[object]]) -> Self:
        """Rows of JSON values, as wide as there are columns. Raises BadInput."""
        values = (
            _column(column, [row[number] for row in rows]) for number, column in enumerate(columns)
        )
        return cls(tuple(columns), tuple(values))

    def __getitem__(self, chosen: npt.NDArray[np.intp]) -> Self:
        """The rows of these numbers."""
        return type(self)(self.columns, tuple(one[chosen] for one in self.values))

    def cells(self) -> list[list[Any]]:
        """The rows as JSON has them, null for a missing value."""
        return [list(row) for row in zip(*map(_plain, self.values), strict=True)]

    def joined(self, others: Iterable[Self]) -> Self:
        """These rows, and those of others behind them; raises ValueError where together they would
        lose digits.
        """
        tables = (self, *others)
        pairs = zip(*(one.values for one in tables), strict=True)
        return type(self)(self.columns, tuple(_concatenated(parts) for parts in pairs))

    def part(self, start: int, end: int) -> Self:
        """The rows from `start` to before `end`."""
        return type(self)(self.columns, tuple(one[start:end] for one in self.values))

    def frame(self, gap: float | None = math.nan) -> Any:
        """The rows as a pandas DataFrame, with the types that MLflow gives to its model.

        gap: what a missing text or truth value is, NaN as pandas reads it or None.
        """
        import pandas as pd  # noqa: PLC0415 - 50 MiB that a server of ONNX does without

        pairs = zip(self.columns, self.values, strict=True)
        typed = {column.name: _typed(column, values, gap) for column, values in pairs}
        return pd.DataFrame(
            {name: pd.Series(values, dtype=values.dtype) for name, values in typed.items()}
        )


def _concatenated(parts: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    if len({one.dtype.kind for one in parts}) == 1:
        return np.concatenate(parts)
    if any(one.dtype.kind == "f" and np.isnan(one).any() for one in parts):
        raise ValueError("whole numbers beyond 2^53 and missing ones have no type in common")
    return np.concatenate([one.astype(np.int64) for one in parts])


def _plain(values: npt.NDArray[Any]) -> list[Any]:
    if values.dtype.kind == "M":
        return [None if one is None else one.isoformat() for one in values.tolist()]
    cells: list[Any] = values.tolist()
    return [None if isinstance(one, float) and math.isnan(one) else one for one in cells]


def _typed(column: Column, values: npt.NDArray[Any], gap: float | None) -> npt.NDArray[Any]:
    match column.kind:
        case Kind.FLOAT:
            return values.astype(np.float32)
        case Kind.LONG | Kind.INTEGER if not np.isnan(values).any():
            return values.astype(WHOLE[column.kind])
        case Kind.STRING | Kind.BOOLEAN if any(gaps := [value is None for value in values]):
            filled = values.copy()
            filled[gaps] = gap
            return filled
        # A column with gaps was trained as objects, and steps tell the two types apart.
        case Kind.BOOLEAN if not column.optional:
            return values.astype(bool)
        case Kind.DATETIME:
            return values.astype("datetime64[ns]")
    return values


def _column(column: Column, cells: Sequence[object]) -> npt.NDArray[Any]:
    """The cells of a column as an array. Raises BadInput with the row's number."""
    if column.closed and None in cells:
        raise BadInput(
            f"row {cells.index(None)}: {column.name!r} is missing, and the model takes no missing"
            f" values there: send {_SAID[column.kind]}"
        )
    if column.kind in NUMBERS:
        return _numbers(column, cells)
    if column.kind is Kind.DATETIME:
        return np.array([_date(column, n, cell) for n, cell in enumerate(cells)], "datetime64[us]")
    wanted: type = bool if column.kind is Kind.BOOLEAN else str
    for number, cell in enumerate(cells):
        if cell is None:
            continue
        if not isinstance(cell, wanted):
            raise _wrong(column, number, cell)
        if isinstance(cell, str) and len(cell) > LONGEST_TEXT:
            raise BadInput(
                f"row {number}: {column.name!r} has {len(cell)} characters: send at most"
                f" {LONGEST_TEXT}"
            )
    array = np.empty(len(cells), dtype=object)
    array[:] = cells
    return array


def _numbers(column: Column, cells: Sequence[object]) -> npt.NDArray[Any]:
    whole, array = column.kind in WHOLE, np.empty(len(cells))
    for number, cell in enumerate(cells):
        if cell is None:
            array[number] = math.nan
            continue
        if isinstance(cell, bool) or not isinstance(cell, int | float):
            raise _wrong(column, number, cell)
        if not abs(cell) <= LARGEST:
            raise BadInput(
                f"row {number}: {column.name!r} is beyond ±{LARGEST:.4g}, the largest that is"
                " accepted"
            )
        array[number] = cell
        if whole and array[number] % 1:
            raise _wrong(column, number, cell)
    return _whole(column, cells, array) if whole else array


def _whole(
    column: Column, cells: Sequence[Any], array: npt.NDArray[np.float64]
) -> npt.NDArray[Any]:
    """Whole numbers with all their digits, `array` without: as int64 where some are beyond EXACT.
    Raises BadInput.
    """
    # The narrowest of them first: nearly all columns are within.
    if not (np.abs(array) > np.iinfo(np.int32).max).any():
        return array
    limits = np.iinfo(WHOLE[column.kind])
    for number, cell in enumerate(cells):
        if cell is not None and not limits.min <= cell <= limits.max:
            raise BadInput(
                f"row {number}: {column.name!r} must be a whole number from {limits.min} to"
                f" {limits.max}, not {cell}"
            )
    if not (np.abs(array) >= EXACT).any():
        return array
    if None in cells:
        raise BadInput(
            f"row {cells.index(None)}: {column.name!r} is missing beside whole numbers beyond 2^53,"
            " which would lose digits: send such rows by themselves"
        )
    return np.array([int(cell) for cell in cells], dtype=np.int64)


def _date(column: Column, number: int, cell: object) -> datetime | None:
    """A date and time without a zone: MLflow's type has none, and pandas would refuse a mixture."""
    if cell is None:
        return None
    if isinstance(cell, str):
        try:
            found = datetime.fromisoformat(cell)
        except ValueError:
            raise _wrong(column, number, cell) from None
        if not FIRST_YEAR <= found.year <= LAST_YEAR:
            raise BadInput(
                f"row {number}: {column.name!r} is of the year {found.year}: send dates from"
                f" {FIRST_YEAR} to {LAST_YEAR}, which pandas counts in nanoseconds"
            )
        if FINER.search(cell):
            raise BadInput(
                f"row {number}: {column.name!r} is finer than microseconds: send at most six digits"
                " of a second"
            )
        if found.tzinfo is not None:
            raise BadInput(
                f"row {number}: {column.name!r} has a time zone: send the time that the model was"
                " trained on, without one"
            )
        return found
    if isinstance(cell, date):
        return datetime(cell.year, cell.month, cell.day)
    raise _wrong(column, number, cell)


def _wrong(column: Column, number: int, cell: object) -> BadInput:
    got = f"{cell!r}"[:60] if isinstance(cell, int | float | str) else type(cell).__name__
    return BadInput(f"row {number}: {column.name!r} must be {_SAID[column.kind]}, not {got}")


def from_text(column: Column, cell: str) -> object:
    """A cell of CSV as the JSON value that it stands for: an empty one is missing, as for MLflow.

    Raises BadInput.
    """
    if not cell:
        return None
    if column.kind in NUMBERS:
        try:
            if column.kind in WHOLE and cell.strip().lstrip("+-").isdecimal():
                return int(cell)
            return None if math.isnan(number := float(cell)) else number
        except ValueError:
            raise BadInput(
                f"{column.name!r} must be {_SAID[column.kind]}, not {cell[:60]!r}"
            ) from None
    if column.kind is Kind.BOOLEAN:
        truths: Mapping[str, bool] = {"true": True, "false": False, "1": True, "0": False}
        if (truth := truths.get(cell.strip().lower())) is None:
            raise BadInput(f"{column.name!r} must be true or false, not {cell[:60]!r}")
        return truth
    return cell
