"""Dates as numbers that an estimator can learn from: a step that scikit-learn does not have."""

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin

from rollout_model.calendar_parts import PARTS, TREND, calendar_parts


class DateParts(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Of each column of dates: month (1 to 12), weekday (Monday is 0) and hour with its fraction;
    with `trend` also days since 1970 with their fraction. NaN where the date is missing.

    A trend is later in production than it ever was in training: a linear model goes on with it for
    ever, and a tree takes every new date for its last.
    """

    def __init__(self, *, trend: bool = False) -> None:
        self.trend = trend

    def fit(self, rows: Any, _labels: Any = None) -> Self:
        """Note the columns. rows: (n, columns) of datetime64."""
        self.n_features_in_ = np.asarray(rows).shape[1]
        if (names := getattr(rows, "columns", None)) is not None:
            self.feature_names_in_ = np.asarray(names, dtype=object)
        return self

    def transform(self, rows: Any) -> npt.NDArray[np.float64]:
        """(n, parts * columns) of float64: the parts of the first column, then of the next."""
        return calendar_parts(np.asarray(rows), trend=self.trend)

    def get_feature_names_out(self, names: Any = None) -> npt.NDArray[np.object_]:
        """`<column>_month` and so on, (parts * columns,)."""
        known = names if names is not None else getattr(self, "feature_names_in_", None)
        known = known if known is not None else [f"x{n}" for n in range(self.n_features_in_)]
        parts = [*PARTS, TREND] if self.trend else PARTS
        return np.array([f"{name}_{part}" for name in known for part in parts], dtype=object)
