"""From a scikit-learn estimator to ONNX, and the proof that both say the same: on the input example, random rows, around split thresholds.

Imported where a model is stored and by the process that loads one, never by the server: what it needs takes 150 MiB.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto
from onnx.helper import make_tensor_value_info
from skl2onnx import to_onnx
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
from sklearn.base import is_classifier, is_regressor

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
KEPT = 100
"""Rows of each kind that travel with a conversion, for pods to try it on again."""


def plan(estimator: Any, artifact: Artifact) -> tuple[Plan, bytes]:
    """The first way of conversion that agrees with the estimator, and its ONNX file (b"" with scikit-learn). Raises LoadFailed."""
    signature = artifact.signature
    task = "classifier" if is_classifier(estimator) else "regressor" if is_regressor(estimator) else "other"
    points = np.vstack(list(trial_points(estimator, signature, artifact.example)))
    try:
        expected = np.asarray(estimator.predict(frame(signature, points)))
    except Exception as failure:
        raise LoadFailed(f"The model fails on rows that its signature allows: {first_line(failure)}") from failure
    classes = [c.item() if hasattr(c, "item") else c for c in estimator.classes_] if _plain_classes(estimator) else []
    reasons = []
    for shape in _shapes(estimator, signature, expected.ndim == 1) if task != "other" else ():
        try:
            content = convert(estimator, signature, shape, task)
            said = OnnxRuntime(content, shape).answers(points)
            differs = disagreement(task, expected, probabilities(estimator, signature, points), said)
        except Exception as failure:  # what a converter or a runtime does not know, it says in many ways
            reasons.append(f"not converted: {first_line(failure)}")
            continue
        if not differs:
            return Plan("onnx", task, classes, shape, points=len(points)), content
        reasons.append(f"converted, but not alike: {differs}")
    reason = reasons[0] if reasons else "only classifiers and regressors are converted"
    return Plan("sklearn", task, classes, reason=reason, points=len(points)), b""


def carry(estimator: Any, folder: Path) -> Plan:
    """Convert a stored model and put the conversion beside it, where it is one that agrees; the plan says why not. Raises LoadFailed."""
    artifact = verify(folder, Settings(model_path=folder))
    made, content = plan(estimator, artifact)
    if made.shape is not None:
        points = np.vstack(list(trial_points(estimator, artifact.signature, artifact.example, seed=1, count=KEPT)))
        expected = np.asarray(estimator.predict(frame(artifact.signature, points)))
        carried.write(artifact, made, content, carried.Proof(points, expected, probabilities(estimator, artifact.signature, points)))
    return made


def probabilities(estimator: Any, signature: Signature, points: Rows) -> Any:
    """(rows, classes) as scikit-learn has them; None where it has none."""
    if not (is_classifier(estimator) and hasattr(estimator, "predict_proba")):
        return None
    return np.asarray(estimator.predict_proba(frame(signature, points)))


def _plain_classes(estimator: Any) -> bool:
    return isinstance(getattr(estimator, "classes_", None), np.ndarray) and estimator.classes_.ndim == 1


def _shapes(estimator: Any, signature: Signature, flat: bool) -> Iterator[Shape]:
    """Trees count in single precision, as in scikit-learn; the rest is tried in double precision first. Then column by column."""
    kinds = ("float32",) if any(True for _ in thresholds(estimator)) else ("float64", "float32")
    for columns in (False, True) if signature.named else (False,):
        for kind in kinds:
            yield Shape(kind, columns, flat)


def convert(estimator: Any, signature: Signature, shape: Shape, task: str) -> bytes:
    """The estimator as ONNX; raises whatever the converter does."""
    tensor = FloatTensorType if shape.kind == "float32" else DoubleTensorType
    inputs = [(name, tensor([None, 1])) for name in signature.names] if shape.columns else [("input", tensor([None, signature.width]))]
    logging.getLogger("skl2onnx").setLevel(logging.WARNING)
    made = to_onnx(estimator, initial_types=inputs)
    if task == "classifier":
        _without_zipmap(made.graph)
    # The converter keeps what it imports in a set, whose order is chance; the same model has to be the same bytes.
    domains = sorted(made.opset_import, key=lambda one: one.domain)
    del made.opset_import[:]
    made.opset_import.extend(domains)
    return bytes(made.SerializeToString(deterministic=True))


def _without_zipmap(graph: Any) -> None:
    """Probabilities as one array instead of a dict for each row: what the option zipmap=False gives.

    The option itself makes skl2onnx ask every tree of a forest for the rows that it was trained on, which takes seconds.
    """
    for node in [one for one in graph.node if one.op_type == "ZipMap"]:
        (output,) = [one for one in graph.output if one.name == node.output[0]]
        output.CopyFrom(make_tensor_value_info(node.input[0], TensorProto.FLOAT, None))
        graph.node.remove(node)


def thresholds(estimator: Any, depth: int = 0) -> Iterator[Any]:
    """Arrays of split thresholds of every tree in the estimator, whatever it is wrapped in."""
    if depth > 6 or isinstance(estimator, str | int | float | None):
        return
    tree = getattr(estimator, "tree_", None)
    if tree is not None:
        yield tree.threshold[tree.feature >= 0]
    for predictors in getattr(estimator, "_predictors", None) or ():
        for one in predictors:
            nodes = one.nodes
            yield nodes["num_threshold"][nodes["is_leaf"] == 0]
    inner = getattr(estimator, "estimators_", None)
    wrapped = list(np.ravel(inner)) if inner is not None else []
    wrapped += [step for _, step in getattr(estimator, "steps", ())]
    wrapped += [one for one in (getattr(estimator, "estimator_", None), getattr(estimator, "best_estimator_", None)) if one is not None]
    for one in wrapped:
        yield from thresholds(one, depth + 1)


def trial_points(estimator: Any, signature: Signature, example: list[list[float]], seed: int = 0, count: int = POINTS) -> Iterator[Rows]:
    """Zeros, the example, rows around it, wide random rows, and rows of which each value is at a split threshold or one step beside it."""
    random = np.random.default_rng(seed)
    yield _fit(np.zeros((1, signature.width)), signature)
    known = [one for one in thresholds(estimator) if len(one)]
    pool = np.unique(np.concatenate(known)) if known else np.zeros(0)
    pool = pool[np.isfinite(pool) & (np.abs(pool) < LARGEST / 2)]
    centre, spread = np.zeros(signature.width), np.full(signature.width, 10.0)
    if example:
        rows = np.asarray(example, dtype=np.float64)
        yield _fit(rows, signature)
        centre, spread = rows.mean(axis=0), np.maximum(1.0, np.abs(rows).max(axis=0))
    yield _fit(random.normal(centre, spread, (count, signature.width)), signature)
    if len(pool):
        at = random.choice(pool, (count, signature.width)).astype(np.float32)
        step = random.integers(-1, 2, at.shape)
        beside = np.where(step == 0, at, np.nextafter(at, np.where(step > 0, np.inf, -np.inf).astype(np.float32)))
        yield _fit(beside.astype(np.float64), signature)
        yield _fit(random.uniform(pool[0] - 1, pool[-1] + 1, (count, signature.width)), signature)


def _fit(rows: Rows, signature: Signature) -> Rows:
    """Whole numbers where the signature asks for them."""
    if signature.whole:
        rows = rows.copy()
        rows[:, signature.whole] = np.rint(rows[:, signature.whole])
    return rows
