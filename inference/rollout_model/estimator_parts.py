"""What an estimator is made of: the estimators and the trees that have part in its predictions."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble._forest import BaseForest
from sklearn.ensemble._gb import BaseGradientBoosting
from sklearn.ensemble._hist_gradient_boosting.gradient_boosting import BaseHistGradientBoosting
from sklearn.pipeline import Pipeline
from sklearn.tree import BaseDecisionTree

DEEP = 6
"""How many wrappings of an estimator are looked through."""
TREES = BaseDecisionTree | BaseForest | BaseGradientBoosting | BaseHistGradientBoosting


def members(estimator: Any) -> list[Any]:
    """The estimators that it asks for its predictions, which are asked the same rows as itself."""
    found = flat(getattr(estimator, "estimators_", None))
    found += [one.estimator for one in getattr(estimator, "calibrated_classifiers_", ())]
    if found:  # what they are copies of is not fitted
        return found
    inner = (
        getattr(estimator, name, None) for name in ("estimator_", "best_estimator_", "regressor_")
    )
    return [one for one in inner if one is not None]


def wrapped(estimator: Any, depth: int = 0) -> Iterator[Any]:
    """The estimator and all that have part in its predictions, whatever they are wrapped in."""
    yield estimator
    inner = (
        [step for _, step in estimator.steps]
        if isinstance(estimator, Pipeline)
        else members(estimator)
    )
    inner += [one for one in (getattr(estimator, "final_estimator_", None),) if one is not None]
    for one in inner if depth < DEEP else ():
        yield from wrapped(one, depth + 1)


def asks_trees_only(estimator: Any, depth: int = 0) -> bool:
    """Whether trees that count in single precision are all that it asks,
    with the request's rows.
    """
    if isinstance(estimator, BaseHistGradientBoosting):
        return False  # its thresholds are in double precision
    if isinstance(estimator, TREES):
        return True
    if isinstance(estimator, Pipeline):
        return not transformers(estimator) and asks_trees_only(estimator[-1], depth + 1)
    if hasattr(estimator, "final_estimator_") or isinstance(estimator, TransformedTargetRegressor):
        return False
    asked = members(estimator)
    return depth < DEEP and bool(asked) and all(asks_trees_only(one, depth + 1) for one in asked)


def holds_trees(estimator: Any, depth: int = 0) -> bool:
    """Whether a tree has part in its predictions, whatever it is wrapped in."""
    if isinstance(estimator, TREES):
        return True
    asked = [estimator[-1]] if isinstance(estimator, Pipeline) else members(estimator)
    asked += [one for one in (getattr(estimator, "final_estimator_", None),) if one is not None]
    return depth < DEEP and any(holds_trees(one, depth + 1) for one in asked)


def plain_classes(estimator: Any) -> bool:
    """Whether its classes are one list."""
    return (
        isinstance(getattr(estimator, "classes_", None), np.ndarray)
        and estimator.classes_.ndim == 1
    )


def flat(given: Any) -> list[Any]:
    """The members of an ensemble, however they are nested; a pipeline is a sequence, and one
    member.
    """
    if isinstance(given, list | tuple | np.ndarray):
        return [inner for one in given for inner in flat(one)]
    return [] if given is None or isinstance(given, str) else [given]


def transformers(pipeline: Pipeline) -> list[Any]:
    """The transformers before the last step that change anything."""
    return [
        step for _, step in pipeline.steps[:-1] if step is not None and not isinstance(step, str)
    ]
