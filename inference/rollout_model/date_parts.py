"""Dates as numbers that an estimator can learn from: a step that scikit-learn does not have."""

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin

from rollout_model.calendar_parts import PARTS, calendar_parts


class DateParts(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Of each column of dates: days since 1970 with their fraction, month (1 to 12), weekday
    (Monday is 0) and hour with its fraction. NaN where the date is missing.
    """

    def fit(self, rows: Any, _labels: Any = None) -> Self:
        """Note the columns. rows: (n, columns) of datetime64."""
        self.n_features_in_ = np.asarray(rows).shape[1]
        if (names := getattr(rows, "columns", None)) is not None:
            self.feature_names_in_ = np.asarray(names, dtype=object)
        return self

    def transform(self, rows: Any) -> npt.NDArray[np.float64]:
        """(n, 4 * columns) of float64: the parts of the first column, then of the next."""
        return calendar_parts(np.asarray(rows))

    def get_feature_names_out(self, names: Any = None) -> npt.NDArray[np.object_]:
        """`<column>_day` and so on, (4 * columns,)."""
        known = names if names is not None else getattr(self, "feature_names_in_", None)
        known = known if known is not None else [f"x{n}" for n in range(self.n_features_in_)]
        return np.array([f"{name}_{part}" for name in known for part in PARTS], dtype=object)
