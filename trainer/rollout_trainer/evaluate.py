"""Judging a model: by rows it has not seen, and its recipe by cross-validation on the rows it
learns from.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone
from sklearn.metrics import confusion_matrix

from rollout_trainer.data import Split
from rollout_trainer.errors import TrainerError
from rollout_trainer.recipe import Recipe
from rollout_trainer.scores import Said, asked, scored
from rollout_trainer.splitting import folds
from rollout_trainer.train import attempted, chosen, labels_to_learn, weighed


@dataclass(frozen=True, slots=True)
class Crossed:
    """Cross-validation of the recipe; of a search, with the parameters that it chose."""

    metric: str
    """The one that counts, by its name in `evaluate`."""
    scores: tuple[float, ...]
    """The metric of each fold."""
    accuracies: tuple[float, ...]
    """Of each fold; none of numbers."""
    probabilities: npt.NDArray[np.float64] | None
    """(rows, classes): what a model that had not seen the training row gave it; None where the
    estimator gives none.
    """
    truth: npt.NDArray[np.bool_]
    """(rows, classes): whether the training row is of the class; (0, 0) of numbers."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What is known of a fitted model."""

    metrics: dict[str, float]
    """By name, as in `evaluate` and, of cross-validation, with `cv_` before it."""
    classes: tuple[str, ...]
    """As text, in the order of `confusion`; none of numbers."""
    confusion: npt.NDArray[np.int64]
    """Held-out rows by true class (row) and predicted class (column); (0, 0) of numbers."""
    crossed: Crossed
    """Of the training rows alone."""
    said: Said
    """Of the held-out rows."""
    chosen: dict[str, Any]
    """What a search chose, by the names that the recipe has; empty where there was none."""

    @property
    def recalls(self) -> tuple[float, ...]:
        """Of the held-out rows of each class, the share that is found; NaN where there are none."""
        with np.errstate(invalid="ignore"):
            return tuple((self.confusion.diagonal() / self.confusion.sum(axis=1)).tolist())

    @property
    def constant(self) -> str:
        """The class that is said of every held-out row; "" where there are several."""
        found = np.flatnonzero(self.confusion.sum(axis=0))
        return self.classes[found[0]] if len(found) == 1 else ""


def evaluate(model: Any, split: Split) -> dict[str, float]:
    """The metrics of scores.scored on the held-out rows, and how many `samples` they rest on."""
    return _metrics(asked(model, split.test, split.test_labels))


def _metrics(said: Said) -> dict[str, float]:
    found = scored(said)
    return {**found, "samples": len(said.truth)}


def judge(model: Any, split: Split, recipe: Recipe) -> Evaluation:
    """Held-out metrics and cross-validation; raises TrainerError where a class has too few rows."""
    crossed = cross_validate(model, split, recipe)
    said = asked(model, split.test, split.test_labels)
    metrics = _metrics(said)
    if crossed.accuracies:
        metrics |= _crossed("accuracy", crossed.accuracies)
    metrics |= _crossed(crossed.metric, crossed.scores)
    if crossed.probabilities is not None:
        metrics["cv_brier"] = round(brier(crossed.probabilities, crossed.truth), 6)
    classes = [] if said.classes is None else said.classes.tolist()
    confusion = np.zeros((0, 0), dtype=np.int64)
    if classes:
        confusion = confusion_matrix(said.truth, said.predicted, labels=classes)
    return Evaluation(
        metrics, tuple(map(str, classes)), confusion, crossed, said, chosen(model, recipe)
    )


def _crossed(metric: str, scores: tuple[float, ...]) -> dict[str, float]:
    return {
        f"cv_{metric}_mean": round(float(np.mean(scores)), 6),
        f"cv_{metric}_std": round(float(np.std(scores)), 6),
    }


def cross_validate(model: Any, split: Split, recipe: Recipe) -> Crossed:
    """The model fitted anew on folds of the training rows; raises TrainerError where there are too
    few rows.
    """
    labels = labels_to_learn(split, recipe).to_numpy()
    metric = recipe.judged_by(classes=split.classes)
    cut = folds(labels, split.keys, split.by, recipe.seed, classes=split.classes)
    classes = np.unique(labels) if split.classes else np.zeros(0)
    probable = split.classes and hasattr(model, "predict_proba")
    probabilities = np.full((len(labels), len(classes)), np.nan)
    scores, accuracies = [], []
    weights = weighed(model, split, recipe, labels)
    for learn, judged in cut:
        more = {name: of_rows[learn] for name, of_rows in weights.items()}
        rows = split.train.iloc[learn]
        fold = attempted(recipe, clone(model).fit, rows, labels[learn], strict=False, **more)
        said = asked(fold, split.train.iloc[judged], labels[judged])
        found = scored(said)
        if metric in found:
            scores.append(found[metric])
        if split.classes:
            accuracies.append(found["accuracy"])
        if probable and said.probabilities is not None and said.classes is not None:
            probabilities[np.ix_(judged, np.searchsorted(classes, said.classes))] = (
                said.probabilities
            )
    if not scores:
        raise TrainerError(
            f"{recipe.estimator} has no {metric}: it needs probabilities, and all classes in each"
            " fold. Name another `metric`, or an estimator that gives them."
        )
    known = ~np.isnan(probabilities).all(axis=1)
    return Crossed(
        metric,
        tuple(scores),
        tuple(accuracies),
        np.nan_to_num(probabilities[known]) if probable else None,
        (labels[:, None] == classes[None, :])[known if probable else slice(None)],
    )


def brier(probabilities: npt.NDArray[np.float64], truth: npt.NDArray[np.bool_]) -> float:
    """Mean squared distance of the probabilities from the truth, summed over classes, 0 to 2 (Brier
    1950, doi:10.1175/1520-0493).
    """
    return float(np.mean(np.sum((probabilities - truth) ** 2, axis=1)))
