"""Judging a model by flowers it has not seen."""

from typing import Any

from sklearn.metrics import accuracy_score, f1_score

from rollout_trainer.data import Split


def evaluate(model: Any, split: Split) -> dict[str, float]:
    """`accuracy` and `f1_macro`, 0 to 1, and how many held-out `samples` they rest on."""
    predicted = model.predict(split.test)
    return {
        "accuracy": float(accuracy_score(split.test_labels, predicted)),
        "f1_macro": float(f1_score(split.test_labels, predicted, average="macro", zero_division=0)),
        "samples": len(split.test_labels),
    }
