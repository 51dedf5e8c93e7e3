"""The Iris data: read, checked, split; labels shuffled where a weak model is wanted."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from rollout_trainer.errors import TrainerError

COLUMNS = ("sepal_length", "sepal_width", "petal_length", "petal_width")
LABEL = "species"
HELD_OUT = 0.3
SPLIT_SEED = 42
"""The held-out flowers are the same for every model, so that accuracies compare."""


@dataclass(frozen=True, slots=True)
class Split:
    """Measurements in cm, (n, 4), and species, (n,): to learn from and to be judged by."""

    train: pd.DataFrame
    train_labels: pd.Series
    test: pd.DataFrame
    test_labels: pd.Series


def load(path: Path) -> Split:
    """Read and split the CSV at `path`; raises TrainerError where it is not the Iris data."""
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as trouble:
        raise TrainerError(f"{path} cannot be read: {trouble}. Give a CSV file by --data.") from trouble
    if missing := [c for c in (*COLUMNS, LABEL) if c not in table.columns]:
        raise TrainerError(f"{path} has no column {', '.join(missing)}: it needs {', '.join(COLUMNS)} and {LABEL}.")
    measured = table[list(COLUMNS)]
    if not all(pd.api.types.is_numeric_dtype(measured[c]) for c in COLUMNS) or not np.isfinite(measured.to_numpy(dtype=float)).all():
        raise TrainerError(f"{path} holds measurements that are missing or no numbers.")
    try:
        parts = train_test_split(measured.astype(float), table[LABEL], test_size=HELD_OUT, random_state=SPLIT_SEED, stratify=table[LABEL])
    except ValueError as trouble:
        raise TrainerError(f"{path} cannot be split: {trouble}") from trouble
    return Split(parts[0], parts[2], parts[1], parts[3])


def shuffle_labels(labels: pd.Series, share: float, seed: int) -> pd.Series:
    """The labels with a `share` (0 to 1) of them permuted among themselves."""
    random = np.random.default_rng(seed)
    chosen = random.choice(len(labels), size=round(share * len(labels)), replace=False)
    values = labels.to_numpy(copy=True)
    values[chosen] = values[random.permutation(chosen)]
    return pd.Series(values, index=labels.index, name=labels.name)
