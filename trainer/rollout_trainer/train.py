"""Fitting: a random forest, on all measurements or on the first few."""

from dataclasses import dataclass
from typing import Any

from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import Pipeline

from rollout_trainer.data import COLUMNS, Split, shuffle_labels


@dataclass(frozen=True, slots=True)
class Parameters:
    """How a model is trained; max_depth None: as deep as it gets; features: how many of the four measurements it sees."""

    n_estimators: int = 100
    max_depth: int | None = None
    features: int = len(COLUMNS)
    shuffled: float = 0.0
    seed: int = 0


def fit(split: Split, parameters: Parameters) -> Any:
    """A fitted scikit-learn estimator that takes all four columns, whatever it looks at."""
    forest = RandomForestClassifier(n_estimators=parameters.n_estimators, max_depth=parameters.max_depth, random_state=parameters.seed)
    labels = shuffle_labels(split.train_labels, parameters.shuffled, parameters.seed) if parameters.shuffled else split.train_labels
    if parameters.features == len(COLUMNS):
        return forest.fit(split.train, labels)
    seen = ColumnTransformer([("seen", "passthrough", list(COLUMNS[: parameters.features]))])
    return Pipeline([("columns", seen), ("forest", forest)]).fit(split.train, labels)
