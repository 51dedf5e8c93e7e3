"""What the model takes, and whether a request has it: every mismatch is a sentence, not a crash."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from rollout_model.errors import BadInput
from rollout_model.table import LARGEST, Table

Rows = npt.NDArray[np.float64]
"""Checked rows of a request: (rows, width), every value within what single precision holds; NaN for
one that may be missing and is.
"""
AnyRows = Rows | Table
"""Checked rows of whatever model: a table where its columns are not all numbers."""


def together(parts: Sequence[AnyRows]) -> AnyRows:
    """All rows, which are of one signature. Raises ValueError as Table.joined."""
    first = parts[0]
    if isinstance(first, Table):
        return first.joined([one for one in parts[1:] if isinstance(one, Table)])
    return np.concatenate([one for one in parts if isinstance(one, np.ndarray)])


def cut(rows: AnyRows, start: int, end: int) -> AnyRows:
    """The rows from `start` to before `end`."""
    return rows.part(start, end) if isinstance(rows, Table) else rows[start:end]


AT_ONCE = 500
"""Rows that become an array by one call, for which no other thread of Python runs."""


@dataclass(frozen=True, slots=True)
class Signature:
    """The model's inputs: its numeric columns. Of other columns it is a TableSignature."""

    names: tuple[str, ...]
    """Of the columns, in order."""
    named: bool
    """Whether they are the model's own; not where it was trained on bare arrays."""
    whole: tuple[int, ...] = field(default=())
    """Positions of the columns that hold whole numbers only."""
    optional: tuple[int, ...] = field(default=())
    """Of those that the signature does not require (`required: false`, which MLflow infers of data
    with holes).
    """
    closed: tuple[int, ...] = field(default=())
    """Those of `optional` that the model itself cannot do without."""

    @property
    def width(self) -> int:
        """Numbers in one row."""
        return len(self.names)

    @property
    def blank(self) -> list[Any]:
        """A row that fits, for a model that brings no example."""
        return [0.0] * self.width

    @property
    def doubtful(self) -> tuple[int, ...]:
        """Positions where the model has to be asked whether it takes a missing value."""
        return self.optional

    def closing(self, closed: tuple[int, ...]) -> Self:
        """The same, where the model takes no missing value in these columns."""
        return replace(self, closed=closed)

    def known(self, rows: Sequence[Sequence[Any]]) -> AnyRows:
        """Rows of the model's own example as they are asked, None for a missing value. Raises
        BadInput where they are none of this signature.
        """
        for row in rows:
            if len(row) != self.width:
                raise BadInput(f"{len(row)} values, and the model has {self.width} columns")
        return np.array(rows, dtype=np.float64)

    @property
    def demanded(self) -> tuple[str, ...]:
        """Names of the columns that a row must have."""
        return tuple(name for n, name in enumerate(self.names) if n not in self.optional)

    def matrix(self, rows: Sequence[Sequence[float]], most: int) -> Rows | None:
        """Rows that are known to be lists of numbers, as an array; None where `rows` has to say
        what is wrong with them.
        """
        if (
            len(rows) == 1
        ):  # a comparison in Python is quicker than one in NumPy for the few numbers of a row
            if len(row := rows[0]) != self.width or not (
                min(row) >= -LARGEST and max(row) <= LARGEST
            ):
                return None
            return self._checked_whole(np.array(rows, dtype=np.float64))
        if not 0 < len(rows) <= most or any(len(row) != self.width for row in rows):
            return None
        array = np.empty((len(rows), self.width))
        for start in range(0, len(rows), AT_ONCE):
            array[start : start + AT_ONCE] = rows[start : start + AT_ONCE]
        return self._checked_whole(array) if float(np.abs(array).max()) <= LARGEST else None

    def _checked_whole(self, array: Rows) -> Rows | None:
        return None if self.whole and (array[:, self.whole] % 1).any() else array

    def rows(self, instances: object, most: int, what: str = '"instances"') -> AnyRows:
        """Check the rows of a request, lists or objects by column name; raises BadInput with what
        to send instead.
        """
        listed = self._listed(instances, most, what)
        array = np.empty((len(listed), self.width))
        for number, row in enumerate(listed):
            array[number] = self._numbers(number, row)
        return self.checked(array)

    def _listed(self, instances: object, most: int, what: str) -> list[object]:
        if not isinstance(instances, list) or not instances:
            raise BadInput(f"{what} must be a list of at least one row")
        if len(instances) > most:
            raise BadInput(
                f"{len(instances)} rows are too many: send at most {most} in one request"
            )
        return instances

    def checked(self, array: Rows) -> Rows:
        """The array, where its values can be served; raises BadInput."""
        missing = np.isnan(array) if self.optional else np.zeros((1, self.width), dtype=bool)
        if not (
            np.isfinite(array) | (missing & np.isin(np.arange(self.width), self.optional))
        ).all():
            raise BadInput("NaN and infinite values are not accepted")
        if self.closed and (without := missing[:, self.closed].any(axis=0)).any():
            name = self.names[self.closed[int(without.argmax())]]
            raise BadInput(
                f"{name!r} is missing: the signature allows it, but the model takes no missing"
                " values there. Send a number"
            )
        if (np.abs(array) > LARGEST).any():
            raise BadInput(f"a value is beyond ±{LARGEST:.4g}, the largest that is accepted")
        for column in self.whole:
            if (np.nan_to_num(array[:, column]) % 1).any():
                raise BadInput(f"{self.names[column]!r} must be a whole number")
        return array

    def columns(self, named: Mapping[str, object], most: int) -> AnyRows:
        """Rows from lists of values by column name; other columns are ignored, as MLflow does.
        Raises BadInput.
        """
        if absent := [name for name in self.demanded if name not in named]:
            raise BadInput(
                f"the column {absent[0]!r} is missing: send {', '.join(map(repr, self.names))}"
            )
        given = {
            name: one if isinstance(one := named[name], list) else [one]
            for name in self.names
            if name in named
        }
        hole = [None] * max((len(one) for one in given.values()), default=0)
        lists = [given.get(name, hole) for name in self.names]
        if len({len(one) for one in lists}) != 1:
            raise BadInput("the columns differ in length")
        return self.rows([list(row) for row in zip(*lists, strict=True)], most, "each column")

    def read(self, number: int, column: str | int, cell: str) -> object:  # noqa: ARG002
        """A cell of CSV, by its column's name or position, as the JSON value that it stands for:
        an empty one is missing, as for MLflow. Raises BadInput.
        """
        try:
            return float(cell) if cell else None
        except ValueError as failure:
            raise BadInput(f"a cell is no number: {failure}") from failure

    def _cells(self, number: int, row: object) -> list[Any]:
        """A row, list or object, as the values of its columns. Raises BadInput."""
        if isinstance(row, dict):
            absent, foreign = (
                [n for n in self.demanded if n not in row],
                [n for n in row if n not in self.names],
            )
            if absent or foreign:
                named = f"lacks {absent[0]!r}" if absent else f"has the unknown {foreign[0]!r}"
                raise BadInput(f"row {number} {named}: send {', '.join(map(repr, self.names))}")
            row = [row.get(name) for name in self.names]
        if not isinstance(row, list) or len(row) != self.width:
            got = f"{len(row)} values" if isinstance(row, list) else type(row).__name__
            raise BadInput(
                f"row {number} has {got}: send {self.width} {self._what} ({', '.join(self.names)})"
            )
        return row

    @property
    def _what(self) -> str:
        return "numbers"

    def _numbers(self, number: int, row: object) -> list[float]:
        cells = self._cells(number, row)
        for column, (name, value) in enumerate(zip(self.names, cells, strict=True)):
            if value is None and column in self.optional:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise BadInput(
                    f"row {number}: {name!r} must be a number, not {type(value).__name__}"
                )
        return [math.nan if value is None else _float(number, value) for value in cells]


def frame(signature: Signature, rows: Rows) -> Any:
    """The rows as the estimator was trained: with column names where it had them."""
    if not signature.named:
        return rows
    # 50 MiB that a server of ONNX does without.
    import pandas as pd  # noqa: PLC0415

    return pd.DataFrame(rows, columns=list(signature.names))


def _float(number: int, value: float) -> float:
    try:
        return float(value)
    except OverflowError as failure:
        raise BadInput(f"row {number} has an integer that is too large") from failure
