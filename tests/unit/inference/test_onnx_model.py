"""Models that were logged as ONNX: asked by their own inputs, answered with their own outputs."""

from pathlib import Path
from typing import Any

import mlflow.onnx
import mlflow.pyfunc
import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import (
    DoubleTensorType,
    FloatTensorType,
    Int64TensorType,
    StringTensorType,
)
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from starlette.testclient import TestClient

from rollout_inference.app import create_app
from rollout_inference.loading.loader import load, load_folder
from rollout_inference.settings import Settings
from rollout_model.errors import BadInput, LoadFailed
from rollout_model.outcome import PROBABILITIES, Question
from tests.unit.inference.flavored import saved_onnx

ROWS = pd.DataFrame(load_iris().data, columns=["a", "b", "c", "d"])
SPECIES = load_iris().target
WORDS = np.array(["setosa", "versicolor", "virginica"])[SPECIES]
NUMBERS = ROWS.to_numpy() @ np.array([3.0, -1.0, 0.5, 2.0])
LINEAR = LogisticRegression(max_iter=1_000)
ALSO = Question(frozenset({PROBABILITIES}))


def saved(folder: Path, model: Any, rows: Any = ROWS, **given: Any) -> Settings:
    return saved_onnx(folder, model, rows, **given)


def converted(estimator: Any, zipmap: bool = False, kind: Any = FloatTensorType) -> Any:
    given = {"options": {"zipmap": zipmap}} if hasattr(estimator, "classes_") else {}
    return to_onnx(estimator, initial_types=[("rows", kind([None, 4]))], **given)


@pytest.mark.parametrize(
    ("kind", "zipmap"),
    [
        pytest.param(FloatTensorType, True, id="a map for each row"),
        pytest.param(FloatTensorType, False, id="a matrix"),
        pytest.param(DoubleTensorType, False, id="a matrix in double precision"),
    ],
)
@pytest.mark.parametrize("labels", [SPECIES, WORDS], ids=["whole numbers", "words"])
def test_a_classifier_says_labels_and_probabilities(
    tmp_path: Path, labels: Any, kind: Any, zipmap: bool
) -> None:
    model = LINEAR.fit(ROWS.to_numpy(), labels)
    settings = saved(tmp_path / "m", converted(model, zipmap, kind))
    loaded = load_folder(tmp_path / "m", settings)
    said = loaded.runtime.run(ROWS.to_numpy(), ALSO)
    assert (loaded.runtime.name, loaded.plan.task) == ("onnx", "classifier")
    assert loaded.plan.classes == model.classes_.tolist()
    assert said.labels == model.predict(ROWS.to_numpy()).tolist()
    chances = model.predict_proba(ROWS.to_numpy())
    np.testing.assert_allclose(said.more[PROBABILITIES], chances, atol=1e-5)


async def test_a_regressor_is_served_by_all_that_a_server_does(tmp_path: Path) -> None:
    model = LinearRegression().fit(ROWS.to_numpy(), NUMBERS)
    settings = saved(tmp_path / "m", converted(model), input_example=ROWS.head(2))
    served = TestClient(create_app(settings, await load(settings)))
    answer = served.post("/invocations", json={"inputs": ROWS.to_numpy().tolist()}).json()
    expected = mlflow.pyfunc.load_model(str(tmp_path / "m")).predict(ROWS)["variable"]
    np.testing.assert_allclose(answer["predictions"], expected, rtol=1e-5)
    assert served.get("/v2/models/m").json()["platform"] == "onnx"


def test_columns_are_inputs_by_their_names(tmp_path: Path) -> None:
    """In whatever order the graph has them, each of its own type."""
    table = ROWS[["a", "b"]].assign(place=WORDS, code=SPECIES)
    model = make_pipeline(
        make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore"), ["place", "code"]),
            (StandardScaler(), ["a", "b"]),
        ),
        LINEAR,
    ).fit(table, WORDS)
    kinds = {"b": FloatTensorType, "code": Int64TensorType, "place": StringTensorType}
    initial = [(n, kinds.get(n, FloatTensorType)([None, 1])) for n in ("place", "b", "a", "code")]
    graph = to_onnx(model, initial_types=initial, options={"zipmap": False})
    loaded = load_folder(tmp_path / "m", saved(tmp_path / "m", graph, table))
    asked = loaded.signature.rows(table.to_numpy(dtype=object).tolist(), 150)
    assert loaded.runtime.run(asked).labels == model.predict(table).tolist()
    with pytest.raises(BadInput, match="'code' is missing"):
        loaded.signature.rows([[1.0, 2.0, "setosa", None]], 1)


def network(first: int | str, rows: int = 4, weights: int = 400) -> Any:
    """x · W, summed, of one row or of many, with weights that MLflow puts into another file."""
    drawn = np.random.default_rng(0).normal(size=(rows, weights)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "W"], ["h"]),
            helper.make_node("ReduceSum", ["h", "axes"], ["y"]),
        ],
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [first, rows])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [first, 1])],
        [
            numpy_helper.from_array(drawn, "W"),
            numpy_helper.from_array(np.array([1], dtype=np.int64), "axes"),
        ],
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9
    ), drawn


def echo(kind: int) -> Any:
    """Answers with its only column."""
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "echo",
        [helper.make_tensor_value_info("x", kind, [None, 1])],
        [helper.make_tensor_value_info("y", kind, [None, 1])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


@pytest.mark.parametrize(
    ("kind", "fine", "beyond", "said"),
    [
        (TensorProto.INT32, -(2**31), 2**31, "int32 cannot hold 2147483648"),
        (TensorProto.INT64, -(2**63), 2.0**63, "int64 cannot hold 9.22"),
        (TensorProto.INT32, 2, 1.5, "int32 cannot hold 1.5"),
        (TensorProto.INT8, 127, 128, "int8 cannot hold 128"),
        (TensorProto.UINT8, 255, -1, "uint8 cannot hold -1"),
        (TensorProto.FLOAT16, 65_504, 70_000, "float16 cannot hold 70000"),
        (TensorProto.BOOL, 1, 2, "bool cannot hold 2"),
    ],
)
def test_a_value_that_its_type_cannot_hold_becomes_no_other(
    tmp_path: Path, kind: int, fine: int, beyond: float, said: str
) -> None:
    settings = saved(tmp_path / "m", echo(kind), pd.DataFrame({"x": [1.0, 0.5]}))
    app = create_app(settings, load_folder(tmp_path / "m", settings))
    http = TestClient(app, raise_server_exceptions=False)
    assert http.post("/predict/", json={"instances": [[fine]]}).json()["predictions"] == [fine]
    reply = http.post("/predict/", json={"instances": [[fine], [beyond]]})
    assert (reply.status_code, said in reply.text) == (422, True), reply.text


@pytest.mark.parametrize("first", ["n", 1], ids=["any number of rows", "one row at a time"])
@pytest.mark.parametrize("named", [True, False], ids=["columns", "a tensor"])
def test_a_network_is_served_with_weights_beside_it(
    tmp_path: Path, first: int | str, named: bool
) -> None:
    graph, weights = network(first)
    rows = ROWS if named else ROWS.to_numpy(dtype=np.float32)
    loaded = load_folder(tmp_path / "m", saved(tmp_path / "m", graph, rows))
    expected = (ROWS.to_numpy(dtype=np.float32) @ weights).sum(axis=1)
    said = loaded.runtime.run(ROWS.to_numpy()).labels
    np.testing.assert_allclose(said, expected, rtol=1e-3)
    assert loaded.plan.task == "regressor"


def test_weights_outside_the_model_are_not_read(tmp_path: Path) -> None:
    graph, _ = network("n")
    settings = saved(tmp_path / "m", graph)
    (tmp_path / "secret").write_bytes(bytes(10_000))
    path = tmp_path / "m" / "model.onnx"
    model = onnx.load(str(path), load_external_data=False)
    held = model.graph.initializer[0]
    del held.external_data[:]
    held.ClearField("raw_data")
    held.data_location = TensorProto.EXTERNAL
    held.external_data.add(key="location", value="../secret")
    path.write_bytes(model.SerializeToString())
    with pytest.raises(LoadFailed, match="ONNX file cannot be read"):
        load_folder(tmp_path / "m", settings)


@pytest.mark.parametrize(
    ("graph", "rows", "said"),
    [
        pytest.param(network(32)[0], ROWS, "takes 32 rows at a time", id="a fixed batch"),
        pytest.param(network("n", 5)[0], ROWS, "fails on rows", id="another width"),
        pytest.param(
            converted(LinearRegression().fit(ROWS.to_numpy(), NUMBERS)),
            ROWS.rename(columns={"a": "z"}),
            "",
            id="names that one matrix does not need",
        ),
    ],
)
def test_what_does_not_fit_is_said(tmp_path: Path, graph: Any, rows: Any, said: str) -> None:
    settings = saved(tmp_path / "m", graph, rows, input_example=rows.head(2) if said else None)
    if not said:
        load_folder(tmp_path / "m", settings)
        return
    with pytest.raises(LoadFailed, match=said):
        load_folder(tmp_path / "m", settings)


def test_inputs_that_are_no_columns_are_named(tmp_path: Path) -> None:
    model = LinearRegression().fit(ROWS, NUMBERS)
    pipeline = make_pipeline(
        make_column_transformer((StandardScaler(), list(ROWS.columns))), model
    ).fit(ROWS, NUMBERS)
    graph = to_onnx(pipeline, initial_types=[(n, FloatTensorType([None, 1])) for n in "abcd"])
    settings = saved(tmp_path / "m", graph, ROWS.rename(columns={"a": "z"}))
    with pytest.raises(
        LoadFailed, match="has the inputs a, b, c, d, and its signature the columns"
    ):
        load_folder(tmp_path / "m", settings)
