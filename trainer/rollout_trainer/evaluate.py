"""Judging a model: by rows it has not seen, and its recipe by cross-validation on the rows it
learns from.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    log_loss,
)
from sklearn.model_selection import StratifiedKFold

from rollout_trainer.data import Split
from rollout_trainer.errors import TrainerError
from rollout_trainer.recipe import Recipe
from rollout_trainer.train import labels_to_learn, unfitted

FOLDS = 5
BETTER_HIGH = ("accuracy", "balanced_accuracy", "f1_macro", "cv_accuracy_mean")
"""Metrics of which a recipe may ask for the least."""


@dataclass(frozen=True, slots=True)
class Crossed:
    """Cross-validation of the recipe."""

    accuracies: tuple[float, ...]
    """Of each fold."""
    probabilities: npt.NDArray[np.float64] | None
    """(rows, classes): what a model that had not seen the training row gave it; None where the
    estimator gives none.
    """
    truth: npt.NDArray[np.bool_]
    """(rows, classes): whether the training row is of the class."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What is known of a fitted model."""

    metrics: dict[str, float]
    """By name, as in `evaluate` and, of cross-validation, with `cv_` before it."""
    classes: tuple[str, ...]
    """As text, in the order of `confusion`."""
    confusion: npt.NDArray[np.int64]
    """Held-out rows by true class (row) and predicted class (column)."""
    crossed: Crossed
    """Of the training rows alone."""

    @property
    def recalls(self) -> tuple[float, ...]:
        """Of the held-out rows of each class, the share that is found; NaN where there are none."""
        with np.errstate(invalid="ignore"):
            return tuple((self.confusion.diagonal() / self.confusion.sum(axis=1)).tolist())

    @property
    def constant(self) -> str:
        """The class that is said of every held-out row; "" where there are several."""
        said = np.flatnonzero(self.confusion.sum(axis=0))
        return self.classes[said[0]] if len(said) == 1 else ""


def evaluate(model: Any, split: Split) -> dict[str, float]:
    """`accuracy`, `balanced_accuracy` and `f1_macro`, 0 to 1, `log_loss` where there are
    probabilities, and how many held-out `samples` they rest on. Names are those of scikit-learn's
    scorers.
    """
    predicted = model.predict(split.test)
    metrics = {
        "accuracy": float(accuracy_score(split.test_labels, predicted)),
        "balanced_accuracy": float(balanced_accuracy_score(split.test_labels, predicted)),
        "f1_macro": float(f1_score(split.test_labels, predicted, average="macro", zero_division=0)),
        "samples": len(split.test_labels),
    }
    if hasattr(model, "predict_proba"):
        metrics["log_loss"] = round(
            float(
                log_loss(split.test_labels, model.predict_proba(split.test), labels=model.classes_)
            ),
            6,
        )
    return metrics


def fallen_short(metrics: Mapping[str, float], least: Mapping[str, float]) -> str:
    """What falls short of the least that a recipe asks for, as a sentence; "" where nothing does.
    Raises TrainerError for others.
    """
    known = [name for name in metrics if name in BETTER_HIGH]
    if unknown := [name for name in least if name not in known]:
        raise TrainerError(
            f"There is no metric {unknown[0]} that could be asked for: there are"
            f" {', '.join(known)}."
        )
    short = [
        f"{name} is {metrics[name]:.4f}, and the recipe asks for {most:g}"
        for name, most in least.items()
        if metrics[name] < most
    ]
    return f"{'; '.join(short)}: nothing is registered." if short else ""


def judge(model: Any, split: Split, recipe: Recipe) -> Evaluation:
    """Held-out metrics and cross-validation; raises TrainerError where a class has too few rows."""
    crossed = cross_validate(split, recipe)
    metrics = evaluate(model, split)
    metrics["cv_accuracy_mean"] = round(float(np.mean(crossed.accuracies)), 6)
    metrics["cv_accuracy_std"] = round(float(np.std(crossed.accuracies)), 6)
    if crossed.probabilities is not None:
        metrics["cv_brier"] = round(brier(crossed.probabilities, crossed.truth), 6)
    classes = model.classes_.tolist()
    confusion = confusion_matrix(split.test_labels, model.predict(split.test), labels=classes)
    return Evaluation(metrics, tuple(map(str, classes)), confusion, crossed)


def cross_validate(split: Split, recipe: Recipe) -> Crossed:
    """Stratified folds, at most FOLDS and no more than the rarest class has rows; raises
    TrainerError where that is less than 2.
    """
    labels = labels_to_learn(split, recipe).to_numpy()
    classes, counts = np.unique(labels, return_counts=True)
    folds = min(FOLDS, int(counts.min()))
    if folds < 2:
        raise TrainerError(
            f"The class {classes[counts.argmin()]} has one training row only: at least 2 are needed"
            " to cross-validate."
        )
    estimator = unfitted(split, recipe)
    probabilities = (
        np.zeros((len(labels), len(classes))) if hasattr(estimator, "predict_proba") else None
    )
    accuracies = []
    for learn, judged in StratifiedKFold(folds, shuffle=True, random_state=recipe.seed).split(
        split.train, labels
    ):
        model = clone(estimator).fit(split.train.iloc[learn], labels[learn])
        accuracies.append(
            float(accuracy_score(labels[judged], model.predict(split.train.iloc[judged])))
        )
        if probabilities is not None:
            probabilities[judged] = model.predict_proba(split.train.iloc[judged])
    return Crossed(tuple(accuracies), probabilities, labels[:, None] == classes[None, :])


def brier(probabilities: npt.NDArray[np.float64], truth: npt.NDArray[np.bool_]) -> float:
    """Mean squared distance of the probabilities from the truth, summed over classes, 0 to 2 (Brier
    1950, doi:10.1175/1520-0493).
    """
    return float(np.mean(np.sum((probabilities - truth) ** 2, axis=1)))
