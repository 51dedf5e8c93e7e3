"""The four models that every client asks, and the rows that it sends."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from rollout_inference.loading.loader import LoadedModel, load_folder
from rollout_inference.settings import Settings
from tests.unit.inference.conftest import written
from tests.unit.inference.datasets import DIABETES, IRIS, NAMES, SMALL


@dataclass(frozen=True, slots=True)
class Model:
    """A fitted estimator, and rows whose answers are known."""

    estimator: Any
    """Of scikit-learn."""
    training: pd.DataFrame
    """That its signature is made of."""
    rows: pd.DataFrame
    """That clients send."""

    @property
    def numeric(self) -> bool:
        """Whether all columns are numbers."""
        return all(is_numeric_dtype(kind) for kind in self.rows.dtypes)

    @property
    def probable(self) -> bool:
        """Whether clients may ask for probabilities by one name."""
        return hasattr(self.estimator, "predict_proba") and self.predicted.ndim == 1

    def part(self, name: str) -> pd.DataFrame:
        """The rows by what a client can say of them: "all", "texts" without gaps in text, "whole"
        without any.
        """
        texts = [name for name, kind in self.rows.dtypes.items() if not is_numeric_dtype(kind)]
        subset = {"all": [], "texts": texts, "whole": list(self.rows)}[name]
        return self.rows.dropna(subset=subset) if subset else self.rows

    @property
    def predicted(self) -> Any:
        """What the estimator says to the rows, (rows,) or (rows, outputs)."""
        return np.asarray(self.estimator.predict(self.rows))

    def served(self, folder: Path) -> tuple[Settings, LoadedModel]:
        """Written as MLflow does, and loaded as a pod does; served by the folder's name."""
        _, settings = written(folder, self.estimator, self.training)
        return settings, load_folder(folder, settings)


def models() -> dict[str, Model]:
    """All of them by name; the same every time."""
    flowers = IRIS.data.set_axis(["a", "b", "c", "d"], axis=1)
    kinds = NAMES[IRIS.target]
    large = np.where(IRIS.data.iloc[:, 2] > 4, "large", "small")
    birds = _birds()
    text = make_pipeline(
        make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore"), ["island"]),
            (make_pipeline(SimpleImputer(), StandardScaler()), ["mass"]),
            ("passthrough", ["eggs"]),
            (TfidfVectorizer(), "note"),
        ),
        LogisticRegression(),
    )
    told = {
        "numbers": (DecisionTreeClassifier(max_depth=3, random_state=0), flowers, kinds),
        "text": (text, birds, np.where(birds["note"].str.contains("loud"), "Gentoo", "Adelie")),
        "regressor": (GradientBoostingRegressor(**SMALL), DIABETES.data, DIABETES.target),
        "two": (RandomForestClassifier(**SMALL), flowers, np.column_stack([kinds, large])),
    }
    return {
        name: Model(estimator.fit(rows, target), rows, rows.iloc[[1, 2, 6, 60, 119]])
        for name, (estimator, rows, target) in told.items()
    }


def _birds() -> pd.DataFrame:
    """Text with gaps, numbers with gaps, whole numbers."""
    random, count = np.random.default_rng(0), 120
    rows = pd.DataFrame(
        {
            "island": random.choice(["Torgersen", "Biscoe", "Dream"], count),
            "mass": random.normal(4200, 500, count).round(),
            "eggs": random.integers(0, 4, count),
            "note": random.choice(["small and shy", "loud bird", "größer"], count),
        }
    )
    rows.loc[::4, "island"] = np.nan
    rows.loc[::6, "mass"] = np.nan
    return rows
