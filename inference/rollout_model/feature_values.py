"""The columns that steps are given, and give: cells of any kind, or numbers."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Cells = list[Any]
"""Columns, each a list of cells, None for a missing one, or an array of numbers. A date is its
microseconds since 1970.
"""
Numbers = npt.NDArray[Any]
"""(rows, columns) of float64, or of float32 where scikit-learn counts so; NaN for a missing one."""
Values = Cells | Numbers
"""What a step is given, and gives."""
Run = Callable[[Values], Values]
Cell = bool | int | float | str | None
MISSING = "a value is missing, and the model takes none that is"
"""Why a row is refused."""


class Refuses(ValueError):
    """A value that the transformer itself refuses."""


def numbers_of(values: Values) -> Numbers:
    """As an array of numbers; raises ValueError where a cell is none."""
    if isinstance(values, np.ndarray):
        return values
    if all(isinstance(cells, np.ndarray) for cells in values):
        return np.array(values).T
    columns = [
        cells
        if isinstance(cells, np.ndarray)
        else [math.nan if cell is None else cell for cell in cells]
        for cells in values
    ]
    return np.array(columns, dtype=np.float64).T


def cells_of(values: Values) -> Cells:
    """As columns of cells."""
    columns = values.T if isinstance(values, np.ndarray) else values
    return [_listed(one) if isinstance(one, np.ndarray) else one for one in columns]


def _listed(numbers: Numbers) -> list[Any]:
    cells: list[Any] = numbers.tolist()
    if np.isnan(numbers).any():
        return [None if math.isnan(cell) else cell for cell in cells]
    return cells


def microseconds(dates: npt.NDArray[Any]) -> list[Cell]:
    """Dates as cells."""
    whole, gaps = dates.astype("datetime64[us]").astype(np.int64).tolist(), np.isnat(dates).tolist()
    return [None if gap else one for gap, one in zip(gaps, whole, strict=True)]


def complete(values: Values) -> Numbers:
    """As an array of numbers; raises Refuses where one is missing."""
    numbers = numbers_of(values)
    if np.isnan(numbers).any():
        raise Refuses(MISSING)
    return numbers
