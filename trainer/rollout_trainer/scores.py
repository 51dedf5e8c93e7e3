"""How good predictions are: metrics by the names of scikit-learn, for classes and for numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn import metrics

from rollout_trainer.errors import TrainerError

CLASSIFICATION = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced_accuracy",
    "f1_macro": "f1_macro",
    "roc_auc": "roc_auc_ovr",
    "log_loss": "neg_log_loss",
}
"""Metrics of classes, and scikit-learn's scorers of them."""
REGRESSION = {
    "mean_absolute_error": "neg_mean_absolute_error",
    "root_mean_squared_error": "neg_root_mean_squared_error",
    "median_absolute_error": "neg_median_absolute_error",
    "r2": "r2",
}
"""The same of numbers."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a model says to rows whose labels are known."""

    truth: npt.NDArray[Any]
    """(rows,) of labels."""
    predicted: npt.NDArray[Any]
    """(rows,) of labels."""
    probabilities: npt.NDArray[np.float64] | None
    """(rows, classes); None where the model gives none."""
    classes: npt.NDArray[Any] | None
    """(classes,) in the order of `probabilities`; None for numbers."""


def asked(model: Any, rows: Any, truth: Any) -> Said:
    """What the model says to the rows."""
    classes = getattr(model, "classes_", None)
    chances = model.predict_proba(rows) if hasattr(model, "predict_proba") else None
    return Said(np.asarray(truth), np.asarray(model.predict(rows)), chances, classes)


def scored(said: Said) -> dict[str, float]:
    """Every metric that can be had: of classes where the model has some, else of numbers.

    Shares are 0 to 1, errors in the label's unit. `roc_auc` is one class against the rest, mean of
    the classes (Hand and Till's is for one against one), where each class is there.
    """
    truth, predicted = said.truth, said.predicted
    if said.classes is None:
        return {
            "mean_absolute_error": float(metrics.mean_absolute_error(truth, predicted)),
            "root_mean_squared_error": float(metrics.root_mean_squared_error(truth, predicted)),
            "median_absolute_error": float(metrics.median_absolute_error(truth, predicted)),
            "r2": float(metrics.r2_score(truth, predicted)),
        }
    found = {
        "accuracy": float(metrics.accuracy_score(truth, predicted)),
        "balanced_accuracy": float(metrics.balanced_accuracy_score(truth, predicted)),
        "f1_macro": float(metrics.f1_score(truth, predicted, average="macro", zero_division=0)),
    }
    if said.probabilities is None:
        return found
    if set(np.unique(truth)) == set(said.classes):
        two = len(said.classes) == 2
        chances = said.probabilities[:, 1] if two else said.probabilities
        options = {} if two else {"multi_class": "ovr", "labels": said.classes}
        found["roc_auc"] = round(float(metrics.roc_auc_score(truth, chances, **options)), 6)
    loss = metrics.log_loss(truth, said.probabilities, labels=said.classes)
    found["log_loss"] = round(float(loss), 6)
    return found


def scorer(metric: str, *, classes: int) -> str:
    """The name of scikit-learn's scorer, of which the greater is the better. metric: one that there
    is (Recipe.judged_by). classes: how many; 0 for numbers.
    """
    known = CLASSIFICATION if classes else REGRESSION
    return "roc_auc" if metric == "roc_auc" and classes == 2 else known[metric]


def fallen_short(
    metrics: Mapping[str, float], least: Mapping[str, float], most: Mapping[str, float] = {}
) -> str:
    """What falls short of the least, or is above the most, that a recipe asks for, as a sentence;
    "" where nothing does. Raises TrainerError for others.
    """
    high = [n for n in metrics if n.endswith("_mean") or n in CLASSIFICATION | REGRESSION]
    errors = [n for n in high if "error" in n or "loss" in n]
    for asked_for, there, word in (
        (least, set(high) - set(errors), "least"),
        (most, errors, "most"),
    ):
        if unknown := [name for name in asked_for if name not in there]:
            known = ", ".join(n for n in metrics if n in there)
            raise TrainerError(
                f"There is no metric {unknown[0]} that could be asked for by `{word}`: there are"
                f" {known}."
            )
    short = [
        f"{name} is {metrics[name]:.4f}, and the recipe asks for {bound:g}"
        for name, bound in least.items()
        if metrics[name] < bound
    ] + [
        f"{name} is {metrics[name]:.6g}, and the recipe asks for {bound:g} at most"
        for name, bound in most.items()
        if metrics[name] > bound
    ]
    return f"{'; '.join(short)}: nothing is registered." if short else ""
