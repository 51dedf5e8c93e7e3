"""A small data set and its contract, for tests to spoil."""

from pathlib import Path

import numpy as np
import pandas as pd

from rollout_trainer.contract import Contract

ROOT = Path(__file__).parents[3]
RAW = ROOT / "data/raw/iris.csv"
CONTRACT = ROOT / "data/contracts/iris.yaml"
PROCESSED = ROOT / "data/processed/iris.csv"

WEIGHTS = Contract.model_validate(
    {
        "label": "kind",
        "classes": ["heavy", "light"],
        "features": {"mass": {"min": 0, "max": 100}, "size": {"min": 0, "max": 10}},
    }
)


def weighed(rows: int = 60, seed: int = 0) -> pd.DataFrame:
    """`rows` things, half of them heavy, that meet WEIGHTS."""
    random = np.random.default_rng(seed)
    kind = np.where(np.arange(rows) % 2 == 0, "heavy", "light")
    mass = np.where(kind == "heavy", 80, 20) + random.uniform(-15, 15, rows)
    return pd.DataFrame({"mass": mass, "size": random.uniform(1, 9, rows), "kind": kind})
