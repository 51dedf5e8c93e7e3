"""How a model is served that is not converted: by scikit-learn, whatever became of a conversion.
Needs no converter.
"""

from typing import Any

from sklearn.base import is_classifier, is_regressor

from rollout_model.artifact import Artifact
from rollout_model.errors import LoadFailed, first_line
from rollout_model.estimator_parts import plain_classes
from rollout_model.serving_plan import Plan
from rollout_model.signature import frame
from rollout_model.table import Table
from rollout_model.table_form import form_of


def by_sklearn(estimator: Any, artifact: Artifact, reason: str, points: int = 0) -> Plan:
    """The plan with scikit-learn, or the library that the model is of.

    reason: why not ONNX Runtime; points: rows that both were compared on.
    """
    method = artifact.method
    return Plan(
        artifact.flavor.name,
        task(estimator, method),
        classes(estimator, method),
        reason=reason,
        points=points,
        method=method,
    )


def task(estimator: Any, method: str) -> str:
    """As in Plan: what is asked for probabilities or their logarithms answers with numbers."""
    if is_regressor(estimator) or method != "predict":
        return "regressor"
    return "classifier" if is_classifier(estimator) else "other"


def classes(estimator: Any, method: str) -> list[Any]:
    """As in Plan."""
    if method != "predict" or not plain_classes(estimator):
        return []
    return [c.item() if hasattr(c, "item") else c for c in estimator.classes_]


def answers_example(estimator: Any, artifact: Artifact) -> None:
    """Raises LoadFailed where the model does not answer its own example, or without one fails on
    zeros and does not refuse them.
    """
    rows = artifact.known_rows
    try:
        if isinstance(rows, Table):
            form_of(estimator, artifact.signature, artifact.method, rows)
        else:
            getattr(estimator, artifact.method)(frame(artifact.signature, rows))
    except Exception as failure:
        if isinstance(failure, ValueError) and not artifact.example:
            return  # how scikit-learn refuses values; these are made up
        raise LoadFailed(
            f"The model fails on rows that its signature allows: {first_line(failure)}"
        ) from failure
