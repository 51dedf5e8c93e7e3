"""Birds as a table: text with gaps, truth values, whole numbers with gaps and dates; and a pipeline
of every step that such tables are prepared with.
"""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

COUNT = 120
COLUMNS = ["island", "mass", "eggs", "rings", "tagged", "ringed", "seen", "note"]


def birds() -> pd.DataFrame:
    """The same every time; the first rows have gaps, as MLflow's example then has."""
    random = np.random.default_rng(0)
    days = pd.to_timedelta(random.integers(0, 4, COUNT), "D")
    rows = pd.DataFrame(
        {
            "island": random.choice(["Torgersen", "Biscoe", "Dream"], COUNT),
            "mass": random.normal(4200, 500, COUNT).round(),
            "eggs": random.integers(0, 4, COUNT),
            "rings": random.integers(0, 9, COUNT).astype(float),
            "tagged": random.choice([True, False], COUNT),
            "ringed": random.choice([True, False], COUNT).astype(object),
            "seen": pd.Timestamp("2026-01-01") + days,
            "note": random.choice(["small and shy", "tall, grey", "loud bird", "größer"], COUNT),
        }
    )
    rows.loc[::5, "island"] = np.nan
    rows.loc[::7, "rings"] = np.nan
    rows.loc[::6, "ringed"] = np.nan
    return rows


def species(rows: pd.DataFrame) -> Any:
    """Of each bird, by all that is known of it."""
    heavy = rows["mass"] + 300 * rows["tagged"] + 400 * rows["island"].isna() > 4400
    return np.where(
        rows["note"].str.contains("loud"), "Chinstrap", np.where(heavy, "Gentoo", "Adelie")
    )


def pipeline() -> Any:
    """Not fitted."""
    often = SimpleImputer(strategy="most_frequent")
    known = OneHotEncoder(handle_unknown="ignore")
    return make_pipeline(
        make_column_transformer(
            (make_pipeline(often, known), ["island"]),
            (make_pipeline(SimpleImputer(), StandardScaler()), ["rings"]),
            (StandardScaler(), ["mass", "eggs"]),
            (OrdinalEncoder(), ["tagged"]),
            (known, ["ringed", "seen"]),
            (TfidfVectorizer(), "note"),
        ),
        LogisticRegression(max_iter=1_000),
    )
