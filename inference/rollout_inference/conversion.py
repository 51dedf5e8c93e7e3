"""From a scikit-learn estimator to ONNX, and the proof that both say the same: on the input example, random rows, around split thresholds.

Imported where a model is stored and by the process that loads one, never by the server: what it needs takes 150 MiB.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto
from onnx.helper import make_node, make_tensor_value_info
from skl2onnx import to_onnx
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
from sklearn.base import is_classifier, is_regressor
from sklearn.compose import ColumnTransformer
from sklearn.ensemble._forest import BaseForest
from sklearn.ensemble._gb import BaseGradientBoosting
from sklearn.ensemble._hist_gradient_boosting.gradient_boosting import BaseHistGradientBoosting
from sklearn.tree import BaseDecisionTree
from sklearn.tree._tree import Tree

from rollout_inference import carried
from rollout_inference.agreement import disagreement
from rollout_inference.artifact import Artifact, verify
from rollout_inference.errors import LoadFailed, first_line
from rollout_inference.plan import Plan, Shape
from rollout_inference.runtimes import OnnxRuntime
from rollout_inference.settings import Settings
from rollout_inference.signature import LARGEST, Rows, Signature, frame

POINTS = 1_000
"""Rows of each kind that a conversion is tried on."""
SMALLEST = 2
"""Rows that are no longer halved to find those that scikit-learn takes."""
TREES = frozenset({"TreeEnsembleClassifier", "TreeEnsembleRegressor", "TreeEnsemble"})
KEPT = 100
"""Rows of each kind that travel with a conversion, for pods to try it on again."""


def plan(estimator: Any, artifact: Artifact) -> tuple[Plan, bytes]:
    """The first way of conversion that agrees with the estimator, and its ONNX file (b"" with scikit-learn). Raises LoadFailed."""
    signature = artifact.signature
    task = "classifier" if is_classifier(estimator) else "regressor" if is_regressor(estimator) else "other"
    classes = [c.item() if hasattr(c, "item") else c for c in estimator.classes_] if _plain_classes(estimator) else []
    _answers_example(estimator, artifact)
    if signature.optional:
        return Plan(
            "sklearn", task, classes, reason="not converted: columns may be missing, and converters lose which way such rows go"
        ), b""
    try:
        points, expected = _answered(estimator, signature, list(trial_points(estimator, signature, artifact.example)))
        probable = probabilities(estimator, signature, points)
    except Exception as failure:  # no failure of the check keeps scikit-learn from serving
        return Plan("sklearn", task, classes, reason=f"not compared: {first_line(failure)}"), b""
    reasons = []
    for shape in _shapes(estimator, signature, expected.ndim == 1) if task != "other" else ():
        try:
            content = convert(estimator, signature, shape, task, probable is not None)
            said = OnnxRuntime(content, shape).answers(points)
            differs = disagreement(task, expected, probable, said)
        except Exception as failure:  # what a converter or a runtime does not know, it says in many ways
            reasons.append(f"not converted: {first_line(failure)}")
            continue
        if not differs:
            return Plan("onnx", task, classes, shape, points=len(points)), content
        reasons.append(f"converted, but not alike: {differs}")
    reason = reasons[0] if reasons else "only classifiers and regressors are converted"
    return Plan("sklearn", task, classes, reason=reason, points=len(points)), b""


def _answers_example(estimator: Any, artifact: Artifact) -> None:
    """Raises LoadFailed where the model does not answer its own example, or without one fails on zeros and does not refuse them."""
    rows = np.asarray(artifact.example or np.zeros((1, artifact.signature.width)), dtype=np.float64)
    try:
        estimator.predict(frame(artifact.signature, rows))
    except Exception as failure:
        if isinstance(failure, ValueError) and not artifact.example:
            return  # how scikit-learn refuses values; these are made up
        raise LoadFailed(f"The model fails on rows that its signature allows: {first_line(failure)}") from failure


def _answered(estimator: Any, signature: Signature, kinds: list[Rows]) -> tuple[Rows, Any]:
    """The rows, of those of each kind, that scikit-learn answers, and its predictions: one that it refuses is no evidence."""
    points = np.vstack(kinds)
    try:
        return points, np.asarray(estimator.predict(frame(signature, points)))
    except Exception:  # one row is enough: each kind is asked alone, and what is refused is asked row by row
        kept: list[Rows] = []
        for rows in kinds:
            kept += _taken(estimator, signature, rows)
        points = np.vstack(kept)
        return points, np.asarray(estimator.predict(frame(signature, points)))


def _taken(estimator: Any, signature: Signature, rows: Rows) -> list[Rows]:
    """The rows that scikit-learn takes: halves of what it refuses are tried again, down to SMALLEST of them."""
    try:
        estimator.predict(frame(signature, rows))
    except Exception:
        if len(rows) <= SMALLEST:
            return []
        middle = len(rows) // 2
        return _taken(estimator, signature, rows[:middle]) + _taken(estimator, signature, rows[middle:])
    return [rows]


def carry(estimator: Any, folder: Path) -> Plan:
    """Convert a stored model and put the conversion beside it, where it is one that agrees; the plan says why not. Raises LoadFailed."""
    artifact = verify(folder, Settings(model_path=folder))
    made, content = plan(estimator, artifact)
    if made.shape is not None:
        tried = list(trial_points(estimator, artifact.signature, artifact.example, seed=1, count=KEPT))
        points, expected = _answered(estimator, artifact.signature, tried)
        carried.write(artifact, made, content, carried.Proof(points, expected, probabilities(estimator, artifact.signature, points)))
    return made


def probabilities(estimator: Any, signature: Signature, points: Rows) -> Any:
    """(rows, classes) as scikit-learn has them; None where it has none, or where its labels are not those of the best of them.

    What decides by scores, as SGDClassifier does, has labels where probabilities tie.
    """
    if not (is_classifier(estimator) and _plain_classes(estimator) and hasattr(estimator, "predict_proba")):
        return None
    asked = frame(signature, points)
    said = np.asarray(estimator.predict_proba(asked))
    return said if (estimator.classes_[said.argmax(axis=1)] == estimator.predict(asked)).all() else None


def _plain_classes(estimator: Any) -> bool:
    return isinstance(getattr(estimator, "classes_", None), np.ndarray) and estimator.classes_.ndim == 1


def _shapes(estimator: Any, signature: Signature, flat: bool) -> Iterator[Shape]:
    """Trees that see the request's numbers count in single precision, as in scikit-learn; behind anything else in double precision only.

    What holds no tree is tried in double precision first. Then column by column.
    """
    kinds: tuple[str, ...] = ("float64", "float32")
    if any(True for _ in thresholds(estimator)):
        kinds = ("float32",) if _all_trees(estimator) else ("float64",)
    for columns in (False, True) if signature.named else (False,):
        for kind in kinds:
            yield Shape(kind, columns, flat)


def convert(estimator: Any, signature: Signature, shape: Shape, task: str, probable: bool = True) -> bytes:
    """The estimator as ONNX, with probabilities where `probable`; raises whatever the converter does."""
    tensor = FloatTensorType if shape.kind == "float32" else DoubleTensorType
    inputs = [(name, tensor([None, 1])) for name in signature.names] if shape.columns else [("input", tensor([None, signature.width]))]
    logging.getLogger("skl2onnx").setLevel(logging.WARNING)
    made = to_onnx(estimator, initial_types=inputs)
    if task == "classifier":
        _without_zipmap(made.graph, TensorProto.FLOAT if shape.kind == "float32" else TensorProto.DOUBLE)
        if not probable:
            del made.graph.output[1:]
    if shape.kind == "float64":
        _round_before_trees(made.graph)
    # The converter keeps what it imports in a set, whose order is chance; the same model has to be the same bytes.
    domains = sorted(made.opset_import, key=lambda one: one.domain)
    del made.opset_import[:]
    made.opset_import.extend(domains)
    return bytes(made.SerializeToString(deterministic=True))


def _without_zipmap(graph: Any, kind: int) -> None:
    """Probabilities as one array of `kind` instead of a dict for each row: what the option zipmap=False gives.

    The option itself makes skl2onnx ask every tree of a forest for the rows that it was trained on, which takes seconds.
    """
    for node in [one for one in graph.node if one.op_type == "ZipMap"]:
        (output,) = [one for one in graph.output if one.name == node.output[0]]
        source = node.input[0]
        graph.node.remove(node)
        if kind == TensorProto.DOUBLE:  # trees say single precision whatever they are asked in
            graph.node.append(make_node("Cast", [source], [output.name], to=kind))
            source = output.name
        output.CopyFrom(make_tensor_value_info(source, kind, None))


def _round_before_trees(graph: Any) -> None:
    """What a tree of a model in double precision is asked is rounded to single precision first, which is what scikit-learn's trees do."""
    nodes = list(graph.node)
    del graph.node[:]
    for number, node in enumerate(nodes):
        if node.op_type in TREES:
            single, double = f"rounded_{number}", f"rounded_double_{number}"
            graph.node.append(make_node("Cast", [node.input[0]], [single], to=TensorProto.FLOAT))
            graph.node.append(make_node("Cast", [single], [double], to=TensorProto.DOUBLE))
            node.input[0] = double
        graph.node.append(node)
        for output in graph.output if node.op_type in TREES - {"TreeEnsembleClassifier"} else ():
            if output.name == node.output[0]:
                node.output[0] = f"single_{number}"
                graph.node[-1].output[0] = node.output[0]
                graph.node.append(make_node("Cast", [node.output[0]], [output.name], to=TensorProto.DOUBLE))


def _all_trees(estimator: Any) -> bool:
    """Whether trees are all that it is made of, so that they see the request's own numbers."""
    return isinstance(estimator, BaseDecisionTree | BaseForest | BaseGradientBoosting | BaseHistGradientBoosting)


def thresholds(estimator: Any, depth: int = 0) -> Iterator[Any]:
    """Arrays of split thresholds of every tree in the estimator, whatever it is wrapped in."""
    if depth > 6 or isinstance(estimator, str | int | float | None):
        return
    tree = getattr(estimator, "tree_", None)
    if isinstance(tree, Tree):
        yield tree.threshold[tree.feature >= 0]
    for predictors in getattr(estimator, "_predictors", None) or ():
        for one in predictors:
            nodes = one.nodes
            yield nodes["num_threshold"][nodes["is_leaf"] == 0]
    wrapped = _flat(getattr(estimator, "estimators_", None))
    wrapped += [step for _, step in getattr(estimator, "steps", ())]
    wrapped += [one.estimator for one in getattr(estimator, "calibrated_classifiers_", ())]
    inner = [getattr(estimator, name, None) for name in ("estimator_", "best_estimator_", "final_estimator_", "regressor_")]
    for one in [*wrapped, *(one for one in inner if one is not None)]:
        yield from thresholds(one, depth + 1)


def _flat(members: Any) -> list[Any]:
    """The members of an ensemble, however they are nested; a pipeline or an ensemble is a sequence too, and is one member."""
    if isinstance(members, list | tuple | np.ndarray):
        return [inner for one in members for inner in _flat(one)]
    return [] if members is None else [members]


def trial_points(estimator: Any, signature: Signature, example: list[list[float]], seed: int = 0, count: int = POINTS) -> Iterator[Rows]:
    """Zeros, the example, rows within and around it, wide ones, and rows of which each value is at a split threshold or beside one."""
    random = np.random.default_rng(seed)
    yield _fit(np.zeros((1, signature.width)), signature)
    known = [one for one in thresholds(estimator) if len(one)]
    pool = np.unique(np.concatenate(known)) if known else np.zeros(0)
    pool = pool[np.isfinite(pool) & (np.abs(pool) < LARGEST / 2)]
    centre, spread = np.zeros(signature.width), np.full(signature.width, 10.0)
    if example:
        rows = np.asarray(example, dtype=np.float64)
        yield _fit(rows, signature)
        yield _fit(_between(rows, random, count), signature)
        centre, spread = rows.mean(axis=0), np.maximum(1.0, np.abs(rows).max(axis=0))
    yield _fit(random.normal(centre, spread, (count, signature.width)), signature)
    if len(pool):
        yield from (_fit(rows, signature) for rows in _behind(estimator, signature, pool, random, count))
        at = random.choice(pool, (count, signature.width)).astype(np.float32)
        step = random.integers(-1, 2, at.shape)
        beside = np.where(step == 0, at, np.nextafter(at, np.where(step > 0, np.inf, -np.inf).astype(np.float32)))
        yield _fit(beside.astype(np.float64), signature)
        yield _fit(random.uniform(pool[0] - 1, pool[-1] + 1, (count, signature.width)), signature)


def _between(rows: Rows, random: np.random.Generator, count: int) -> Rows:
    """(count, width): each value halfway between two neighbouring ones of its column, or beside one of them, as data have it."""
    columns = []
    for column in rows.T:
        values = np.unique(column)
        middle = values[:-1] / 2 + values[1:] / 2
        columns.append(random.choice(np.concatenate([values, middle, np.nextafter(middle, -np.inf), np.nextafter(middle, np.inf)]), count))
    return np.column_stack(columns)


def _behind(estimator: Any, signature: Signature, pool: Rows, random: np.random.Generator, count: int) -> Iterator[Rows]:
    """Rows that the steps before a tree take to both sides of its thresholds, and between neighbouring ones; none where there are no steps.

    Raises ValueError where a step cannot be undone.
    """
    if _all_trees(estimator) or not hasattr(estimator, "steps"):
        return
    steps = [step for _, step in estimator.steps[:-1] if step is not None and step != "passthrough"]
    values = np.unique(np.concatenate([pool, pool[:-1] / 2 + pool[1:] / 2]))
    values = np.concatenate([values, *(np.nextafter(values.astype(np.float32), np.float32(way)) for way in (-np.inf, np.inf))])
    width = getattr(steps[-1], "n_features_out_", None) or len(steps[-1].get_feature_names_out()) if steps else signature.width
    seen = random.choice(values, (count, width)).astype(np.float64)
    rows = seen
    for step in reversed(steps):
        rows = _undone(step, rows, signature)
    kept = rows[(np.abs(rows) < LARGEST).all(axis=1)]
    if not len(kept):
        raise ValueError("no row leads to the trees' thresholds")
    yield kept


def _undone(step: Any, rows: Rows, signature: Signature) -> Rows:
    """What the fitted transformer made `rows` from; zeros in columns that it drops. Raises ValueError where that cannot be said."""
    if not isinstance(step, ColumnTransformer):
        if not hasattr(step, "inverse_transform"):
            raise ValueError(f"{type(step).__name__} cannot be undone")
        return np.asarray(step.inverse_transform(rows), dtype=np.float64)
    made = np.zeros((len(rows), step.n_features_in_))
    names = list(getattr(step, "feature_names_in_", signature.names))
    for name, inner, columns in step.transformers_:
        part = rows[:, step.output_indices_[name]]
        if isinstance(inner, str) and inner == "drop":
            continue
        places = [
            names.index(one) if isinstance(one, str) else one
            for one in np.atleast_1d(np.arange(len(names))[columns] if isinstance(columns, slice) else columns).tolist()
        ]
        made[:, places] = part if isinstance(inner, str) else _undone(inner, part, signature)
    return made


def _fit(rows: Rows, signature: Signature) -> Rows:
    """Whole numbers where the signature asks for them."""
    if signature.whole:
        rows = rows.copy()
        rows[:, signature.whole] = np.rint(rows[:, signature.whole])
    return rows
