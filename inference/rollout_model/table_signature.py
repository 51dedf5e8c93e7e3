"""The signature of an MLmodel file, and rows of a model whose columns are not all numbers."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from rollout_model.errors import BadInput
from rollout_model.signature import AnyRows, Rows, Signature
from rollout_model.table import NUMBERS, WHOLE, Column, Kind, Table, from_text

_BLANK: dict[Kind, Any] = {Kind.STRING: "", Kind.BOOLEAN: False, Kind.DATETIME: "2000-01-01"}


@dataclass(frozen=True, slots=True)
class TableSignature(Signature):
    """The inputs of a model that takes text, truth values or dates, beside numbers or alone.

    A null is for the model to take or not, whatever the signature requires: MLflow writes
    `required` by the rows that it was shown, which may have had no gap by chance.
    """

    table: tuple[Column, ...] = field(default=())
    """Columns with their types, in the order of `names`."""

    @property
    def blank(self) -> list[Any]:
        """A row that fits, for a model that brings no example."""
        return [_BLANK.get(column.kind, 0.0) for column in self.table]

    @property
    def doubtful(self) -> tuple[int, ...]:
        """Positions where the model has to be asked whether it takes a missing value."""
        return tuple(range(self.width))

    def closing(self, closed: tuple[int, ...]) -> Self:
        """The same, where the model takes no missing value in these columns."""
        table = (replace(column, closed=n in closed) for n, column in enumerate(self.table))
        return replace(self, closed=closed, table=tuple(table))

    def known(self, rows: Sequence[Sequence[Any]]) -> Table:
        """Rows of the model's own example; raises BadInput where they are none."""
        return Table.of(self.table, [self._cells(n, row) for n, row in enumerate(rows)])

    def matrix(self, rows: Sequence[Sequence[float]], most: int) -> Rows | None:  # noqa: ARG002
        """Rows of numbers alone are none of this model's."""
        return None

    def rows(self, instances: object, most: int, what: str = '"instances"') -> AnyRows:
        """Check the rows of a request as a Table; raises BadInput with row and column."""
        listed = self._listed(instances, most, what)
        return Table.of(self.table, [self._cells(n, row) for n, row in enumerate(listed)])

    def read(self, number: int, column: str | int, cell: str) -> object:
        """A cell of CSV; raises BadInput with its row."""
        where = self.names.index(column) if isinstance(column, str) else column
        if where >= self.width:
            return None  # the row's length is said with the row
        try:
            return from_text(self.table[where], cell)
        except BadInput as failure:
            raise BadInput(f"row {number}: {failure}") from failure

    @property
    def _what(self) -> str:
        return "values"

    def _cells(self, number: int, row: object) -> list[Any]:
        """A column alone may come without brackets, as MLflow sends texts."""
        alone = self.width == 1 and not isinstance(row, list | dict)
        # Not super(), which a dataclass with slots does not have.
        cells = Signature._cells(self, number, [row] if alone else row)
        return [None if isinstance(c, float) and math.isnan(c) else c for c in cells]


def signature_of(signature: object) -> Signature:
    """From the signature of an MLmodel file; raises ValueError where there is none or it takes
    something else than rows.

    Source of the format: mlflow.models.ModelSignature.to_dict.
    """
    inputs = (
        json.loads(signature["inputs"])
        if isinstance(signature, Mapping) and signature.get("inputs")
        else None
    )
    if not isinstance(inputs, list) or not inputs:
        raise ValueError(
            "the model has no signature: log it with one, so that requests can be checked"
        )
    if "tensor-spec" in inputs[0]:
        shape = inputs[0]["tensor-spec"]["shape"]
        if len(inputs) != 1 or len(shape) != 2 or shape[1] < 1:
            raise ValueError(f"the model takes tensors of shape {shape}, not rows of numbers")
        if np.dtype(kind := inputs[0]["tensor-spec"]["dtype"]).kind not in "fiubO":
            raise ValueError(
                f"the model takes tensors of {kind}, not rows of numbers: train it on a DataFrame,"
                " whose columns have names and types"
            )
        whole = tuple(range(shape[1])) if "int" in kind else ()
        return Signature(tuple(str(n) for n in range(shape[1])), named=False, whole=whole)
    kinds = [str(one.get("type")) for one in inputs]
    if foreign := set(kinds) - {str(kind) for kind in Kind}:
        raise ValueError(
            f"the model takes columns of {', '.join(sorted(foreign))}: only numbers, text,"
            " booleans and dates can be served"
        )
    names = tuple(str(one.get("name", n)) for n, one in enumerate(inputs))
    named = all("name" in one for one in inputs)
    optional = tuple(n for n, one in enumerate(inputs) if one.get("required") is False)
    whole = tuple(n for n, kind in enumerate(kinds) if kind in WHOLE)
    if set(kinds) <= NUMBERS:
        return Signature(names, named, whole, optional)
    table = tuple(
        Column(name, Kind(kind), optional=n in optional)
        for n, (name, kind) in enumerate(zip(names, kinds, strict=True))
    )
    return TableSignature(names, named, whole, optional, table=table)


def rows_of_frame(signature: Signature, frame: Any) -> AnyRows:
    """Rows of a pandas DataFrame as those of a request. Raises BadInput where they are none of this
    signature.
    """
    own = frame[list(signature.names)] if signature.named else frame
    if not isinstance(signature, TableSignature):
        return np.asarray(own.to_numpy(dtype=np.float64))
    return signature.known([[_cell(cell) for cell in row] for row in own.itertuples(index=False)])


def _cell(cell: Any) -> Any:
    """As JSON has it; NaN, NaT and pandas' NA are one and the same gap."""
    if cell is None or cell != cell or type(cell).__name__ == "NAType":  # noqa: PLR0124
        return None
    cell = cell.item() if isinstance(cell, np.generic) else cell
    return cell.isoformat() if hasattr(cell, "isoformat") else cell
