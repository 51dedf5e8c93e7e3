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


def birds(rows: int = 240, seed: int = 0) -> pd.DataFrame:
    """Birds of three kinds with numbers, text, a truth value, a date and a note, in each of which
    something is missing; `kind` and `wing` can be told from them.
    """
    random = np.random.default_rng(seed)
    kind = random.choice(["auk", "gull", "tern"], rows)
    size = pd.Series(kind).map({"auk": 3.0, "gull": 2.0, "tern": 1.0}).to_numpy()
    likely = pd.Series(kind).map({"auk": "north", "gull": "south", "tern": "west"}).to_numpy()
    mixed = random.choice(["north", "south", "west"], rows)
    island = np.where(random.random(rows) < 0.8, likely, mixed)
    seen = pd.Timestamp(2024, 1, 1) + pd.to_timedelta(random.integers(0, 700, rows), unit="D")
    said = np.where(kind == "gull", "loud and near the harbour", "quiet, seen from the boat")
    table = pd.DataFrame(
        {
            "mass": (size * 400 + random.normal(0, 120, rows)).round(),
            "beak": (size * 12 + random.normal(0, 3, rows)).round(1),
            "island": island,
            "ringed": random.random(rows) < 0.5,
            "seen": seen.strftime("%Y-%m-%d"),
            "note": said + pd.Series(random.integers(0, 99, rows)).map(" at {} m".format),
            "observer": random.choice([f"O{n:02}" for n in range(12)], rows),
            "wing": (size * 100 + random.normal(0, 9, rows)).round(1),
            "kind": kind,
        }
    ).astype(object)
    for column in ("mass", "beak", "island", "ringed", "seen", "note"):
        table.loc[random.random(rows) < 0.06, column] = None
    return table


def weighed(rows: int = 60, seed: int = 0) -> pd.DataFrame:
    """`rows` things, half of them heavy, that meet WEIGHTS."""
    random = np.random.default_rng(seed)
    kind = np.where(np.arange(rows) % 2 == 0, "heavy", "light")
    mass = np.where(kind == "heavy", 80, 20) + random.uniform(-15, 15, rows)
    return pd.DataFrame({"mass": mass, "size": random.uniform(1, 9, rows), "kind": kind})
