"""Probabilities, decision scores and single predictions by name: the same names and numbers over
all protocols, whichever runtime serves.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow.models import infer_signature
from sklearn.cluster import KMeans
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import SVC, OneClassSVM
from sklearn.tree import DecisionTreeClassifier
from starlette.testclient import TestClient

from rollout_inference.app import create_app
from rollout_inference.loading.loader import LoadedModel, load, load_folder
from rollout_inference.settings import Settings
from rollout_model import onnx_bundle, unconverted
from rollout_model.artifact import verify
from tests.unit.inference.conftest import Save
from tests.unit.inference.datasets import IRIS, NAMES

FLOWERS = IRIS.data.to_numpy()
KINDS = NAMES[IRIS.target]
HOLED = IRIS.data.set_axis(list("abcd"), axis=1)
HOLED.loc[::5, "a"] = np.nan
BOTH = pd.DataFrame({"kind": KINDS, "large": FLOWERS[:, 2] > 4})
ONE, FOREST = {"random_state": 0, "max_iter": 3}, {"n_estimators": 3, "random_state": 0}
Numbers = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Case:
    """A fitted estimator, its rows, and what it has by name: width, labels, and how scikit-learn
    says it.
    """

    estimator: Any
    rows: Any
    runtime: str
    has: dict[str, tuple[list[int], list[Any], Numbers]]


def method(name: str, part: int | None = None) -> Numbers:
    """What scikit-learn says, of one of its outputs."""
    return lambda model, rows: (
        getattr(model, name)(rows) if part is None else getattr(model, name)(rows)[part]
    )


CHANCES, SCORES = method("predict_proba"), method("decision_function")
LABELS = [str(name) for name in NAMES]
CASES = {
    "probabilities, by ONNX": Case(
        DecisionTreeClassifier(max_depth=2).fit(FLOWERS, KINDS),
        FLOWERS,
        "onnx",
        {"predict_proba": ([3], LABELS, CHANCES)},
    ),
    "probabilities and scores": Case(
        HistGradientBoostingClassifier(**ONE).fit(HOLED, KINDS),
        HOLED,
        "sklearn",
        {
            "predict_proba": ([3], LABELS, CHANCES),
            "decision_function": ([3], LABELS, SCORES),
        },
    ),
    "one score for two classes": Case(
        make_pipeline(SimpleImputer(), LogisticRegression(max_iter=500)).fit(HOLED, BOTH["large"]),
        HOLED,
        "sklearn",
        {
            "predict_proba": ([2], [False, True], CHANCES),
            "decision_function": ([], [False, True], SCORES),
        },
    ),
    "scores of pairs of classes": Case(
        make_pipeline(SimpleImputer(), SVC(decision_function_shape="ovo")).fit(
            pd.concat([HOLED, HOLED + 9]), np.append(KINDS, ["a fourth"] * 150)
        ),
        HOLED,
        "sklearn",
        {"decision_function": ([6], [], SCORES)},
    ),
    "scores of outliers": Case(
        make_pipeline(SimpleImputer(), OneClassSVM()).fit(HOLED),
        HOLED,
        "sklearn",
        {"decision_function": ([], [], SCORES)},
    ),
    "a regressor has none": Case(
        HistGradientBoostingRegressor(**ONE).fit(HOLED, IRIS.target), HOLED, "sklearn", {}
    ),
    "a clusterer has none": Case(
        make_pipeline(SimpleImputer(), KMeans(3, n_init=1, random_state=0)).fit(HOLED),
        HOLED,
        "sklearn",
        {},
    ),
    "probabilities of each of two outputs": Case(
        RandomForestClassifier(**FOREST).fit(
            HOLED, np.column_stack([IRIS.target, BOTH["large"].astype(int)])
        ),
        HOLED,
        "sklearn",
        {
            "predict_proba_0": ([3], [0, 1, 2], method("predict_proba", 0)),
            "predict_proba_1": ([2], [0, 1], method("predict_proba", 1)),
        },
    ),
}


@pytest.fixture(params=list(CASES.values()), ids=list(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


def by_sklearn(folder: Path, settings: Settings, estimator: Any) -> LoadedModel:
    """Loaded with a plan that no conversion is tried."""
    artifact = verify(folder, settings.load_policy)
    plan = unconverted.by_sklearn(estimator, artifact, "the trainer found none")
    onnx_bundle.write(artifact, plan, b"", None)
    return asyncio.run(load(settings))


@pytest.fixture
def model(case: Case, save: Save) -> LoadedModel:
    folder, settings = save(case.estimator, case.rows)
    if case.runtime == "sklearn":
        loaded = by_sklearn(folder, settings, case.estimator)
    else:
        loaded = load_folder(folder, settings)
    assert loaded.runtime.name == case.runtime, loaded.plan.reason
    return loaded


@pytest.fixture
def http(model: LoadedModel, settings: Settings) -> TestClient:
    return TestClient(create_app(settings, model), raise_server_exceptions=False)


def plain(rows: Any) -> list[list[float | None]]:
    found = np.asarray(rows).astype(object)
    found[pd.isna(found)] = None
    listed: list[list[float | None]] = found.tolist()
    return listed


def body(path: str, rows: Any, outputs: list[str]) -> dict[str, Any]:
    """A request by any protocol for these outputs."""
    cells = plain(rows)
    if path == "/predict/":
        return {"instances": cells, "outputs": outputs}
    if path == "/invocations":
        return {"dataframe_split": {"data": cells}, "params": {"outputs": outputs}}
    tensor = {"name": "x", "shape": list(rows.shape), "datatype": "FP64", "data": cells}
    return {"inputs": [tensor], "outputs": [{"name": name} for name in outputs]}


def values(path: str, said: Any) -> dict[str, Any]:
    """What an answer of any protocol has by name."""
    if path in {"/predict/", "/invocations"}:
        return {name: np.asarray(one) for name, one in said["outputs"].items()}
    return {
        one["name"]: np.reshape(np.asarray(one["data"]), one["shape"]) for one in said["outputs"]
    }


METADATA = "/v2/models/iris"
PATHS = {
    "our own": "/predict/",
    "MLflow's": "/invocations",
    "open inference": f"{METADATA}/infer",
}


def test_the_metadata_has_every_output_with_its_shape_and_labels(
    http: TestClient, case: Case
) -> None:
    _, ids, *beside = http.get(METADATA).json()["outputs"]
    assert ids["name"] == "prediction_id"
    assert [(one["name"], one["datatype"], one["shape"]) for one in beside] == [
        (name, "FP64", [-1, *width]) for name, (width, _, _) in case.has.items()
    ]
    told = [json.loads(one.get("parameters", {}).get("classes", "[]")) for one in beside]
    assert told == [classes for _, classes, _ in case.has.values()]


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS.keys())
def test_every_protocol_gives_scikit_learns_numbers(
    http: TestClient, case: Case, path: str
) -> None:
    names = [*case.has, "predict", "prediction_id"]
    reply = http.post(path, json=body(path, case.rows, names))
    assert reply.status_code == 200, reply.text
    said = values(path, reply.json())
    assert list(said) == names
    assert said["predict"].tolist() == case.estimator.predict(case.rows).tolist()
    assert len(set(said["prediction_id"])) == len(case.rows)
    for name, (width, _, numbers) in case.has.items():
        assert said[name].shape == (len(case.rows), *width)
        assert said[name] == pytest.approx(numbers(case.estimator, case.rows), abs=1e-6)


@pytest.mark.parametrize("path", ["/predict/", "/invocations"])
def test_labels_are_told_in_the_order_of_their_numbers(
    http: TestClient, case: Case, path: str
) -> None:
    said = http.post(path, json=body(path, case.rows[:1], list(case.has))).json()
    assert said.get("classes", {}) == {
        name: classes for name, (_, classes, _) in case.has.items() if classes
    }


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS.keys())
def test_an_output_that_there_is_not_is_told_with_those_that_there_are(
    http: TestClient, case: Case, path: str
) -> None:
    reply = http.post(path, json=body(path, case.rows[:1], ["predict_log_proba"]))
    there = ", ".join(["predict", "prediction_id", *case.has])
    assert reply.status_code == (422 if path == "/predict/" else 400)
    assert f"there is no output 'predict_log_proba': ask for {there}" in reply.text


WRONG: dict[str, Any] = {"a word": "predict", "a number": [1], "an object": {"predict": 1}}


@pytest.mark.parametrize("outputs", WRONG.values(), ids=WRONG.keys())
@pytest.mark.parametrize("path", ["/predict/", "/invocations"])
def test_what_are_no_names_is_told(client: TestClient, path: str, outputs: Any) -> None:
    reply = client.post(path, json=body(path, FLOWERS[:1], outputs))
    assert reply.status_code == (422 if path == "/predict/" else 400)
    assert "must be a list of names: predict, prediction_id, predict_proba" in reply.text


SPECIES = pd.DataFrame({"kind": IRIS.target, "large": BOTH["large"].astype(int)})
WORDS = BOTH.assign(large=np.where(BOTH["large"], "yes", "no"))


@pytest.mark.parametrize(
    ("answers", "datatype"), [(SPECIES, "INT64"), (WORDS, "BYTES")], ids=["codes", "words"]
)
def test_several_outputs_have_the_names_of_the_signature(
    save: Save, settings: Settings, answers: pd.DataFrame, datatype: str
) -> None:
    """MLflow writes these where it is shown a frame."""
    estimator = RandomForestClassifier(**FOREST).fit(HOLED, answers)
    folder, saved = save(estimator, HOLED)
    described = yaml.safe_load((folder / "MLmodel").read_text())
    described["signature"]["outputs"] = infer_signature(HOLED, answers).to_dict()["outputs"]
    (folder / "MLmodel").write_text(yaml.safe_dump(described))
    http = TestClient(create_app(settings, by_sklearn(folder, saved, estimator)))
    outputs = http.get(METADATA).json()["outputs"]
    assert {one["name"]: (one["datatype"], one["shape"]) for one in outputs} == {
        "predict": (datatype, [-1, 2]),
        "prediction_id": ("BYTES", [-1]),
        "predict_proba_kind": ("FP64", [-1, 3]),
        "predict_proba_large": ("FP64", [-1, 2]),
        "kind": (datatype, [-1]),
        "large": (datatype, [-1]),
    }
    expected = estimator.predict(HOLED)
    for path in PATHS.values():
        asked = body(path, HOLED.to_numpy(), ["large", "kind", "predict_proba_large"])
        said = values(path, http.post(path, json=asked).json())
        assert said["kind"].tolist() == expected[:, 0].tolist()
        assert said["large"].tolist() == expected[:, 1].tolist()
        assert said["predict_proba_large"] == pytest.approx(estimator.predict_proba(HOLED)[1])


def test_where_the_example_is_refused_its_outputs_are_known_all_the_same(
    save: Save, settings: Settings
) -> None:
    """Without an example a model is warmed up with an empty text, which this one does not know."""
    rows = pd.DataFrame({"kind": KINDS})
    estimator = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(rows, BOTH["large"])
    folder, saved = save(estimator, rows)
    described = yaml.safe_load((folder / "MLmodel").read_text())
    del described["saved_input_example_info"]
    (folder / "MLmodel").write_text(yaml.safe_dump(described))
    http = TestClient(create_app(settings, load_folder(folder, saved)))
    assert [one["name"] for one in http.get(METADATA).json()["outputs"]][:3] == [
        "predict",
        "prediction_id",
        "predict_proba",
    ]
    asked = {"instances": rows.to_numpy().tolist(), "outputs": ["predict_proba"]}
    said = http.post("/predict/", json=asked).json()["outputs"]["predict_proba"]
    assert np.asarray(said) == pytest.approx(estimator.predict_proba(rows), abs=1e-6)
