"""From the rows of a request to the numbers that an ONNX model is asked: everything that a pipeline
does to text, categories, dates and gaps before its first step that ONNX computes.
"""

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from rollout_model.feature_steps import Step, chain
from rollout_model.feature_values import Refuses, Values, numbers_of
from rollout_model.signature import AnyRows, Rows
from rollout_model.table import Kind, Table

AT_ONCE = 2_000_000
"""Numbers of an array of features, 16 MB; more rows are asked one part after the other."""
METADATA = "rollouts.features"
"""By which the ONNX file has them, as JSON, among its metadata (onnx.proto,
ModelProto.metadata_props).
"""


class Features(msgspec.Struct, frozen=True):
    """What is computed of the rows."""

    steps: list[Step]
    """One after the other; the first is given the columns of the signature."""
    width: int
    """Numbers that come of a row."""
    finite: bool = False
    """Whether the model refuses a missing number among them."""


class Featurizer:
    """Features, ready to be computed."""

    def __init__(self, features: Features) -> None:
        self._run, self._features = chain(features.steps), features
        self.most = max(1, AT_ONCE // max(1, features.width))
        """Rows that are asked at once."""

    def __call__(self, rows: AnyRows) -> Rows:
        """(rows, width) of float64. Raises ValueError where the model refuses a value."""
        values: Values = rows if isinstance(rows, np.ndarray) else entered(rows)
        made = numbers_of(self._run(values))
        if self._features.finite and not np.isfinite(made).all():
            raise Refuses("a value is missing, and the model takes none that is")
        return made.astype(np.float64, copy=False)


def entered(table: Table) -> list[Any]:
    """The columns as the first step is given them."""
    pairs = zip(table.columns, table.values, strict=True)
    return [_column(column.kind, values) for column, values in pairs]


def _column(kind: Kind, values: npt.NDArray[Any]) -> Any:
    match kind:
        case Kind.STRING | Kind.BOOLEAN:
            return values.tolist()
        case Kind.DATETIME:
            gaps = np.isnat(values).tolist()
            whole = values.astype("datetime64[us]").astype(np.int64).tolist()
            return [None if gap else one for gap, one in zip(gaps, whole, strict=True)]
        case Kind.FLOAT:
            return values.astype(np.float32)
        case _:
            return values
