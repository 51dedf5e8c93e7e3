"""Steps that make numbers of numbers, and of dates, as scikit-learn does, to the same bits."""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import msgspec
import numpy as np

from rollout_model.calendar_parts import calendar_parts
from rollout_model.feature_values import Numbers, Run, Values, cells_of, complete, numbers_of

_FUNCTIONS: list[Any] = [np.log1p, np.log, np.log2, np.log10, np.exp, np.expm1, np.sqrt, np.cbrt]
_FUNCTIONS += [np.abs, np.square, np.sin, np.cos, np.tanh]
FUNCTIONS: dict[str, Callable[..., Any]] = {one.__name__: one for one in _FUNCTIONS}
"""Functions of NumPy that a FunctionTransformer may apply, by their names."""


class Arithmetic(msgspec.Struct, frozen=True, tag="arithmetic"):
    """One step of a scaler."""

    does: str
    """One of "subtract", "divide", "multiply", "add", "clip" (from the first number to the second,
    in every column), or a name in FUNCTIONS."""
    by: list[float] = []
    """A number for each column; empty for a function."""
    rounds: bool = False
    """Whether, in single precision, these numbers are rounded before they are applied."""

    def prepared(self) -> Run:
        """A step that takes numbers alone."""
        by = np.array(self.by)
        if self.does == "clip":
            least, most = self.by
            return lambda values: np.clip(numbers_of(values), least, most)
        if self.does in FUNCTIONS:
            return partial(_applied, FUNCTIONS[self.does])
        operation = getattr(np, self.does)

        def run(values: Values) -> Values:
            numbers = numbers_of(values)
            if numbers.dtype == np.float64:
                made: Numbers = operation(numbers, by)
                return made
            other = by.astype(numbers.dtype) if self.rounds else by
            return cast("Numbers", operation(numbers, other, out=np.empty_like(numbers)))

        return run


class Products(msgspec.Struct, frozen=True, tag="products"):
    """PolynomialFeatures: products of columns."""

    terms: list[list[int]]
    """The columns of each product, in rising order; empty for 1."""

    def run(self, values: Values) -> Values:
        """As scikit-learn builds them: from the last column to the first. Raises Refuses."""
        numbers = complete(values)
        made = np.ones((len(numbers), len(self.terms)), dtype=numbers.dtype)
        for place, term in enumerate(self.terms):
            for column in reversed(term):
                made[:, place] *= numbers[:, column]
        return made


class Bins(msgspec.Struct, frozen=True, tag="bins"):
    """KBinsDiscretizer: the number of the bin that a value is in."""

    edges: list[list[float]]
    """Between the bins of each column."""
    places: bool = True
    """Whether each bin has its feature, which is 1; else its number is the feature."""

    def run(self, values: Values) -> Values:
        """Raises Refuses where a value is missing."""
        numbers = complete(values)
        found = [
            np.searchsorted(np.array(edges), column, side="right")
            for edges, column in zip(self.edges, numbers.T, strict=True)
        ]
        if not self.places:
            return np.column_stack(found).astype(np.float64)
        pairs = zip(self.edges, found, strict=True)
        return np.hstack([np.eye(len(edges) + 1)[column] for edges, column in pairs])


class Dates(msgspec.Struct, frozen=True, tag="dates"):
    """DateParts."""

    trend: bool = False
    """Whether it has the day, too."""

    def run(self, values: Values) -> Values:
        """Three or four numbers of each date."""
        gap = np.iinfo(np.int64).min  # NaT's
        columns = [[gap if one is None else one for one in cells] for cells in cells_of(values)]
        dates = np.array(columns, dtype=np.int64).T.astype("datetime64[us]")
        return calendar_parts(dates, trend=self.trend)


def _applied(function: Callable[..., Any], values: Values) -> Values:
    with np.errstate(all="ignore"):  # of a negative number there is no logarithm
        made: Numbers = function(numbers_of(values))
    return made
