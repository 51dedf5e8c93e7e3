"""From a scikit-learn estimator to the bytes of an ONNX file.

Imported where a model is stored and by the process that loads one, never by the server: what it
needs takes 150 MiB.
"""

import logging
from typing import Any

import msgspec
import numpy as np
import onnx
from onnx import TensorProto
from onnx.helper import make_attribute, make_node, make_tensor_value_info
from onnx.numpy_helper import from_array
from skl2onnx import to_onnx
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
from sklearn.base import is_outlier_detector
from sklearn.linear_model import LogisticRegression, RidgeClassifier, RidgeClassifierCV
from sklearn.linear_model._stochastic_gradient import BaseSGDClassifier
from sklearn.pipeline import Pipeline
from sklearn.svm import LinearSVC

from rollout_model.serving_plan import OnnxInput
from rollout_model.signature import Signature
from rollout_model.table_features import METADATA, Features
from rollout_model.threshold_corrections import DOUBLE, Thresholds, corrected, unflattened

TREES = frozenset({"TreeEnsembleClassifier", "TreeEnsembleRegressor", "TreeEnsemble"})
LINEAR = LinearSVC | RidgeClassifier | RidgeClassifierCV | BaseSGDClassifier
OPSET = 18
"""Of ONNX, where skl2onnx does not choose it."""


def carrying(content: bytes, features: Features) -> bytes:
    """The ONNX file, which now says how its features are computed."""
    made = onnx.ModelProto.FromString(content)
    made.metadata_props.add(key=METADATA, value=msgspec.json.encode(features).decode())
    return bytes(made.SerializeToString(deterministic=True))


def convert(
    estimator: Any,
    signature: Signature,
    onnx_input: OnnxInput,
    task: str,
    probable: bool = True,
    *,
    method: str = "predict",
) -> bytes:
    """The estimator as ONNX, with probabilities where `probable`, or with them alone where `method`
    asks for them.

    Raises whatever the converter does.
    """
    tensor = FloatTensorType if onnx_input.kind == "float32" else DoubleTensorType
    inputs = (
        [(name, tensor([None, 1])) for name in signature.names]
        if onnx_input.columns
        else [("input", tensor([None, signature.width]))]
    )
    logging.getLogger("skl2onnx").setLevel(logging.WARNING)
    if task == "classifier" and not probable and method == "predict":
        estimator = _of_labels(estimator)
    # The default is too new for IsolationForest.
    opset = {"": OPSET, "ai.onnx.ml": 3} if is_outlier_detector(estimator) else None
    with corrected() as exact, unflattened(estimator):
        made = to_onnx(estimator, initial_types=inputs, target_opset=opset)
    kind = TensorProto.FLOAT if onnx_input.kind == "float32" else TensorProto.DOUBLE
    _without_zipmap(made.graph, kind)
    if method == "predict_proba":
        _shares_alone(made.graph, kind)
    elif task != "regressor" and not (task == "classifier" and probable):
        del made.graph.output[1:]
    if onnx_input.kind == "float64":
        _round_before_trees(made.graph, exact)
    # The converter keeps what it imports in a set, whose order is chance; the same model has to be
    # the same bytes.
    domains = sorted(made.opset_import, key=lambda one: one.domain)
    for domain in domains if exact and onnx_input.kind == "float64" else ():
        if domain.domain == "ai.onnx.ml":  # thresholds in double precision are of its third version
            domain.version = max(3, domain.version)
    del made.opset_import[:]
    made.opset_import.extend(domains)
    return bytes(made.SerializeToString(deterministic=True))


def _of_labels(estimator: Any) -> Any:
    """The same labels, from a linear model of which double precision is known to the converter,
    where the last step is a linear one.

    skl2onnx takes labels of SGDClassifier from its probabilities, which tie, and converts others in
    single precision only.
    """
    if isinstance(estimator, Pipeline):
        last = _of_labels(estimator[-1])
        return (
            estimator
            if last is estimator[-1]
            else Pipeline([*estimator.steps[:-1], ("last", last)])
        )
    if not isinstance(estimator, LINEAR):
        return estimator
    same = LogisticRegression()
    same.classes_, same.coef_, same.n_features_in_ = (
        estimator.classes_,
        estimator.coef_,
        estimator.n_features_in_,
    )
    same.intercept_ = np.broadcast_to(
        estimator.intercept_, len(np.atleast_2d(estimator.coef_))
    ).astype(np.float64)
    return same


def _shares_alone(graph: Any, kind: int) -> None:
    """Probabilities as the only output, from 0 to 1, which sums in single precision miss by a
    little.
    """
    (chances,) = graph.output[1:2]
    source, bounds = chances.name, []
    for name, bound in (("least_share", 0.0), ("greatest_share", 1.0)):
        value = np.array(bound, dtype=np.float32 if kind == TensorProto.FLOAT else np.float64)
        graph.node.append(make_node("Constant", [], [name], value=from_array(value)))
        bounds.append(name)
    graph.node.append(make_node("Clip", [source, *bounds], ["shares"]))
    del graph.output[:]
    graph.output.append(make_tensor_value_info("shares", kind, None))


def _without_zipmap(graph: Any, kind: int) -> None:
    """Probabilities as one array of `kind` instead of a dict for each row: what the option
    zipmap=False gives.

    The option itself makes skl2onnx ask every tree of a forest for the rows that it was trained on,
    which takes seconds.
    """
    for node in [one for one in graph.node if one.op_type == "ZipMap"]:
        (output,) = [one for one in graph.output if one.name == node.output[0]]
        source = node.input[0]
        graph.node.remove(node)
        if kind == TensorProto.DOUBLE:  # trees say single precision whatever they are asked in
            graph.node.append(make_node("Cast", [source], [output.name], to=kind))
            source = output.name
        output.CopyFrom(make_tensor_value_info(source, kind, None))


def _round_before_trees(graph: Any, exact: Thresholds) -> None:
    """What a tree of a model in double precision is asked is rounded to single precision first,
    which is what scikit-learn's trees do.

    Those of histogram gradient boosting do not: they are given their thresholds as they are. Trees
    say single precision whatever they are asked in.
    """
    nodes = list(graph.node)
    del graph.node[:]
    for number, node in enumerate(nodes):
        if node.op_type not in TREES:
            graph.node.append(node)
            continue
        if node.name.startswith(DOUBLE):
            _give(node, "nodes_values", exact[node.name])
        else:
            single, double = f"rounded_{number}", f"rounded_double_{number}"
            graph.node.append(make_node("Cast", [node.input[0]], [single], to=TensorProto.FLOAT))
            graph.node.append(make_node("Cast", [single], [double], to=TensorProto.DOUBLE))
            node.input[0] = double
        place = 1 if node.op_type == "TreeEnsembleClassifier" else 0
        said, node.output[place] = node.output[place], f"single_{number}"
        graph.node.append(node)
        graph.node.append(make_node("Cast", [node.output[place]], [said], to=TensorProto.DOUBLE))


def _give(node: Any, name: str, values: list[float]) -> None:
    """A node's attribute in double precision, instead of single."""
    (old,) = [one for one in node.attribute if one.name == name]
    node.attribute.remove(old)
    node.attribute.append(make_attribute(f"{name}_as_tensor", from_array(np.array(values))))
