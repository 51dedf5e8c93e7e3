"""What skl2onnx's converters of trees lose, put right while one of them runs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from skl2onnx.common import tree_ensemble
from skl2onnx.operator_converters import (
    decision_tree,
    gradient_boosting,
    isolation_forest,
    random_forest,
)
from sklearn.ensemble import VotingClassifier

from rollout_model.estimator_parts import wrapped

MISSING = "nodes_missing_value_tracks_true"
DOUBLE = "double_"
"""How names of tree ensembles begin whose thresholds are in double precision."""
Thresholds = dict[str, list[float]]
"""Of each node whose name begins with DOUBLE, in double precision."""

_THRESHOLD = "sklearn_threshold"
_SINGLE, _HISTOGRAM = (
    "add_tree_to_attribute_pairs",
    "add_tree_to_attribute_pairs_hist_gradient_boosting",
)
_MODULES: dict[Any, tuple[str, ...]] = {
    tree_ensemble: (_THRESHOLD,),
    decision_tree: (_SINGLE,),
    gradient_boosting: (_SINGLE,),
    isolation_forest: (_SINGLE,),
    random_forest: (_SINGLE, _HISTOGRAM),
}


@contextmanager
def corrected() -> Iterator[Thresholds]:
    """Within it trees keep which way they send missing values; and those of histogram gradient
    boosting are converted at all.

    protobuf 7 takes no Python bool in a list of whole numbers; skl2onnx writes that for the
    latter.
    """
    found: Thresholds = {}
    kept = {
        (module, name): getattr(module, name)
        for module, names in _MODULES.items()
        for name in names
    }
    for (module, name), right in kept.items():
        if name == _HISTOGRAM:
            setattr(module, name, _histogram(right, found))
        else:
            setattr(module, name, _single(right) if name == _SINGLE else _threshold(right))
    try:
        yield found
    finally:
        for (module, name), right in kept.items():
            setattr(module, name, right)


@contextmanager
def unflattened(estimator: Any) -> Iterator[None]:
    """Within it no vote in the estimator is said to be flattened, which is of `transform` only, and
    which skl2onnx refuses.
    """
    changed = [
        one
        for one in wrapped(estimator)
        if isinstance(one, VotingClassifier) and one.flatten_transform
    ]
    for one in changed:
        one.flatten_transform = False
    try:
        yield
    finally:
        for one in changed:
            one.flatten_transform = True


def _threshold(right: Callable[..., Any]) -> Callable[..., Any]:
    """A tree that tells missing values from all others has an infinite threshold, which the
    converter would look for for ever.
    """
    return lambda value, *rest: right(value, *rest) if np.isfinite(value) else value


def _single(right: Callable[..., None]) -> Callable[..., None]:
    def add(pairs: dict[str, Any], is_classifier: bool, tree: Any, *rest: Any, **more: Any) -> None:
        begin = len(pairs[MISSING])
        right(pairs, is_classifier, tree, *rest, **more)
        if len(pairs[MISSING]) == begin + tree.node_count:
            pairs[MISSING][begin:] = [int(one) for one in tree.missing_go_to_left]

    return add


def _histogram(right: Callable[..., None], found: Thresholds) -> Callable[..., None]:
    def add(pairs: dict[str, Any], is_classifier: bool, tree: Any, *rest: Any, **more: Any) -> None:
        begin = len(pairs[MISSING])
        right(pairs, is_classifier, tree, *rest, **more)
        pairs[MISSING][begin:] = [int(one) for one in pairs[MISSING][begin:]]
        if not pairs["name"].startswith(DOUBLE):
            pairs["name"] = DOUBLE + pairs["name"]
        inner = [0.0 if node["is_leaf"] else float(node["num_threshold"]) for node in tree.nodes]
        found.setdefault(pairs["name"], []).extend(inner)

    return add
