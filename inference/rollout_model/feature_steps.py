"""What fitted transformers of scikit-learn make of columns, as data and plain NumPy: what an ONNX
file carries, and a server does without scikit-learn.

Each says the same bits as the transformer that it was made from: sums and roundings come in the
same order.
"""

import math
from collections.abc import Sequence
from typing import cast

import msgspec
import numpy as np

from rollout_model.feature_values import (
    MISSING,
    Cell,
    Cells,
    Numbers,
    Refuses,
    Run,
    Values,
    cells_of,
)
from rollout_model.number_steps import Arithmetic, Bins, Dates, Products
from rollout_model.text_terms import Terms


class Fill(msgspec.Struct, frozen=True, tag="fill"):
    """SimpleImputer."""

    with_: list[Cell]
    """What a missing value becomes, by column; a column that has None is left out."""
    missing: Cell = None
    """What is filled; None for what is missing."""
    said: list[int] = []
    """Columns of which it is told, as further features, whether a value is missing."""
    strict: bool = False
    """Whether missing values are refused, because `missing` is something else."""

    def run(self, values: Values) -> Values:
        """Raises Refuses."""
        return (
            self._numbers(values) if isinstance(values, np.ndarray) else self._cells(list(values))
        )

    def _numbers(self, values: Numbers) -> Numbers:
        gaps = np.isnan(values)
        if self.strict and gaps.any():
            raise Refuses(MISSING)
        lost = gaps if self.missing is None else values == self.missing
        if lost.any():
            filled = np.array([math.nan if one is None else one for one in self.with_])
            values = np.where(lost, filled.astype(values.dtype), values)
        if None in self.with_:
            values = values[:, [n for n, one in enumerate(self.with_) if one is not None]]
        if self.said:
            values = np.column_stack([values, lost[:, self.said].astype(values.dtype)])
        return values

    def _cells(self, columns: Cells) -> Cells:
        made: Cells = []
        told: Cells = []
        for number, (cells, instead) in enumerate(zip(cells_of(columns), self.with_, strict=True)):
            if self.strict and None in cells:
                raise Refuses(MISSING)
            lost = [cell == self.missing for cell in cells]
            if instead is not None:
                pairs = zip(cells, lost, strict=True)
                made.append([instead if gap else cell for cell, gap in pairs])
            if number in self.said:
                told.append([float(gap) for gap in lost])
        return made + told


class Places(msgspec.Struct, frozen=True, tag="places"):
    """OneHotEncoder: each known cell of a column has its feature, which is 1."""

    known: list[list[Cell]]
    """Cells of each column."""
    places: list[list[int]]
    """The feature of each, counted from the column's first; -1 where all are 0."""
    widths: list[int]
    """Features of each column."""
    other: list[int | None]
    """The feature of a cell that is not known; None where it is refused."""

    def prepared(self) -> Run:
        """Raises Refuses, when run."""
        tables = [
            dict(zip(known, places, strict=True))
            for known, places in zip(self.known, self.places, strict=True)
        ]
        starts = [sum(self.widths[:n]) for n in range(len(self.widths))]
        parts = list(zip(tables, starts, self.other, strict=True))
        width = sum(self.widths)

        def run(values: Values) -> Values:
            columns = cells_of(values)
            made = np.zeros((len(columns[0]), width))
            for cells, (table, start, other) in zip(columns, parts, strict=True):
                for number, cell in enumerate(cells):
                    place = table.get(cell, other)
                    if place is None:
                        raise _unknown(cell)
                    if place >= 0:
                        made[number, start + place] = 1.0
            return made

        return run


class Codes(msgspec.Struct, frozen=True, tag="codes"):
    """OrdinalEncoder or TargetEncoder: each known cell of a column has its numbers."""

    known: list[list[Cell]]
    """Cells of each column."""
    codes: list[list[list[float | None]]]
    """The numbers of each; None for NaN."""
    other: list[list[float | None] | None]
    """Those of a cell that is not known; None where it is refused."""

    def prepared(self) -> Run:
        """Raises Refuses, when run."""
        tables = [
            dict(zip(known, map(_with_nan, codes), strict=True))
            for known, codes in zip(self.known, self.codes, strict=True)
        ]
        others = [None if one is None else _with_nan(one) for one in self.other]

        def run(values: Values) -> Values:
            made = []
            for cells, table, other in zip(cells_of(values), tables, others, strict=True):
                found = [table.get(cell, other) for cell in cells]
                if None in found:
                    raise _unknown(cells[found.index(None)])
                made.append(np.array(found))
            return made[0] if len(made) == 1 else np.hstack(made)

        return run


class Part(msgspec.Struct, frozen=True):
    """Some columns, and what is done with them."""

    columns: list[int]
    """Positions."""
    steps: "list[Fill | Places | Codes | Arithmetic | Products | Bins | Dates | Terms | Union]"
    """One after the other."""


class Union(msgspec.Struct, frozen=True, tag="union"):
    """ColumnTransformer or FeatureUnion: the features of its parts, side by side."""

    parts: list[Part]
    """In the order of their features."""

    def prepared(self) -> Run:
        """All parts, prepared."""
        runs = [(part.columns, chain(part.steps)) for part in self.parts]

        def run(values: Values) -> Values:
            made = [go(_chosen(values, columns)) for columns, go in runs]
            if len(made) == 1:
                return made[0]
            for one in made:
                if type(one) is list:
                    return [cells for part in made for cells in cells_of(part)]
            return np.concatenate(cast("list[Numbers]", made), axis=1)

        return run


Step = Fill | Places | Codes | Arithmetic | Products | Bins | Dates | Terms | Union


def chain(steps: Sequence[Step]) -> Run:
    """The steps as one function."""
    runs = [_prepared(step) for step in steps]
    if len(runs) == 1:
        return runs[0]

    def run(values: Values) -> Values:
        for one in runs:
            values = one(values)
        return values

    return run


def _prepared(step: Step) -> Run:
    match step:
        case Fill() | Products() | Bins() | Dates():
            return step.run
        case Terms():
            count = step.counter()
            return lambda values: count(cells_of(values)[0])
        case _:
            return step.prepared()


def _chosen(values: Values, columns: list[int]) -> Values:
    if isinstance(values, np.ndarray):
        return values[:, columns]
    if len(columns) == 1:  # as most parts are, and one row is what most requests have
        one = values[columns[0]]
        return one[:, None] if isinstance(one, np.ndarray) else [one]
    chosen = [values[column] for column in columns]
    for one in chosen:
        if type(one) is list:
            return chosen
    return np.array(chosen).T


def _with_nan(numbers: list[float | None]) -> list[float]:
    return [math.nan if one is None else one for one in numbers]


def _unknown(cell: object) -> Refuses:
    return Refuses(f"{cell!r} is a category that the model has not learnt, and it takes no others")
