"""What the model takes, and whether a request has it: every mismatch is a sentence, not a crash."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd


class BadInput(ValueError):
    """The request does not fit the model; the message says what to send instead."""


@dataclass(frozen=True, slots=True)
class Signature:
    """The model's inputs: names of its numeric columns, in order; unnamed where the model was trained on bare arrays."""

    names: tuple[str, ...]
    named: bool

    @property
    def width(self) -> int:
        """Numbers in one row."""
        return len(self.names)

    @classmethod
    def of(cls, signature: Any) -> Self:
        """From MLflow's signature; raises ValueError where the model has none or takes something else than rows of numbers."""
        if signature is None or signature.inputs is None:
            raise ValueError("the model has no signature: log it with one, so that requests can be checked")
        schema = signature.inputs
        if schema.is_tensor_spec():
            shape = schema.inputs[0].shape
            if len(shape) != 2 or shape[1] < 1:
                raise ValueError(f"the model takes tensors of shape {shape}, not rows of numbers")
            return cls(tuple(str(n) for n in range(shape[1])), named=False)
        kinds = {t.name for t in schema.input_types()}
        if not kinds <= {"double", "float", "long", "integer"}:
            raise ValueError(f"the model takes columns of {', '.join(sorted(kinds))}, and only numbers can be served")
        return cls(tuple(str(name) for name in schema.input_names()), named=True)

    def rows(self, instances: object, most: int) -> npt.NDArray[np.float64]:
        """Check the rows of a request; returns an array of shape (rows, width). Raises BadInput."""
        if not isinstance(instances, list) or not instances:
            raise BadInput('"instances" must be a list of at least one row')
        if len(instances) > most:
            raise BadInput(f"{len(instances)} rows are too many: send at most {most} in one request")
        array = np.empty((len(instances), self.width))
        for number, row in enumerate(instances):
            array[number] = self._row(number, row)
        if not np.isfinite(array).all():
            raise BadInput("NaN and infinite values are not accepted")
        return array

    def frame(self, array: npt.NDArray[np.float64]) -> Any:
        """The array as the estimator was trained: with column names where it had them."""
        return pd.DataFrame(array, columns=list(self.names)) if self.named else array

    def _row(self, number: int, row: object) -> list[float]:
        if isinstance(row, dict):
            absent, foreign = [n for n in self.names if n not in row], [n for n in row if n not in self.names]
            if absent or foreign:
                named = f"lacks {absent[0]!r}" if absent else f"has the unknown {foreign[0]!r}"
                raise BadInput(f"row {number} {named}: send {', '.join(map(repr, self.names))}")
            row = [row[name] for name in self.names]
        if not isinstance(row, list) or len(row) != self.width:
            got = f"{len(row)} values" if isinstance(row, list) else type(row).__name__
            raise BadInput(f"row {number} has {got}: send {self.width} numbers ({', '.join(self.names)})")
        for name, value in zip(self.names, row, strict=True):
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise BadInput(f"row {number}: {name!r} must be a number, not {type(value).__name__}")
        return [_float(number, value) for value in row]


def _float(number: int, value: float) -> float:
    try:
        return float(value)
    except OverflowError as failure:
        raise BadInput(f"row {number} has an integer that is too large") from failure
