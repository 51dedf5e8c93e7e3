"""Columns that the signature does not require: absent or null is a missing value, for models that
take one.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.base import BaseEstimator
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from starlette.testclient import TestClient

from rollout_inference.app import create_app
from rollout_inference.loading.loader import load, load_folder
from rollout_inference.settings import Settings
from tests.unit.inference.conftest import Save

NAMES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
ROWS = pd.DataFrame(load_iris().data, columns=NAMES)
HOLED = ROWS.copy()
HOLED.loc[::3, "petal_length"] = np.nan
HOLED.loc[1::4, "sepal_width"] = np.nan
SPECIES = load_iris().target
TAKE = {
    "histogram gradient boosting": HistGradientBoostingClassifier(max_iter=5, random_state=0),
    "a forest": RandomForestClassifier(5, random_state=0),
    "an imputer": make_pipeline(SimpleImputer(), LogisticRegression(max_iter=1_000)),
}


def client(save: Save, model: BaseEstimator, rows: pd.DataFrame) -> TestClient:
    folder, settings = save(model, rows)
    loaded = load_folder(folder, settings)
    assert loaded.runtime.name == "onnx", loaded.plan.reason
    return TestClient(create_app(settings, loaded))


@pytest.mark.parametrize("name", TAKE)
def test_missing_values_are_answered_as_scikit_learn_does(save: Save, name: str) -> None:
    """By null, by a column that is not there, by an empty cell, in every protocol that has them."""
    model = TAKE[name].fit(HOLED, SPECIES)
    served = client(save, model, HOLED)
    expected = model.predict(HOLED).tolist()
    nulls = json.loads(HOLED.to_json(orient="split", index=False, double_precision=15))
    records = [
        {k: v for k, v in zip(NAMES, row, strict=True) if v is not None} for row in nulls["data"]
    ]
    assert any(len(one) < 4 for one in records)
    bodies: list[tuple[str, Any]] = [
        ("/predict/", {"instances": nulls["data"]}),
        ("/predict/", {"instances": records}),
        ("/invocations", {"dataframe_split": nulls}),
        ("/invocations", {"dataframe_records": records}),
        (
            "/invocations",
            {"inputs": {name: [row[n] for row in nulls["data"]] for n, name in enumerate(NAMES)}},
        ),
    ]
    for path, body in bodies:
        answer = served.post(path, json=body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["predictions"] == expected, (path, str(body)[:80])
    text = served.post(
        "/invocations", content=HOLED.to_csv(index=False), headers={"content-type": "text/csv"}
    )
    assert text.json()["predictions"] == expected
    nan = json.dumps({"dataframe_split": nulls}).replace("null", "NaN")  # as MLflow's client may
    assert served.post("/invocations", content=nan).json()["predictions"] == expected
    absent = served.post(
        "/invocations",
        json={"inputs": {one: ROWS[one].tolist() for one in NAMES if one != "petal_length"}},
    )
    assert absent.json()["predictions"] == model.predict(ROWS.assign(petal_length=np.nan)).tolist()


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        pytest.param(
            [None, 3.0, 4.9, 1.8],
            "'sepal_length' must be a number, not NoneType",
            id="null in a required column",
        ),
        pytest.param(
            {"sepal_width": 3.0}, "lacks 'sepal_length'", id="a required column that is not there"
        ),
        pytest.param(
            [6.1, "x", 4.9, 1.8],
            "'sepal_width' must be a number, not str",
            id="a word in an optional column",
        ),
    ],
)
def test_what_the_signature_requires_is_required(save: Save, row: Any, sentence: str) -> None:
    served = client(save, TAKE["a forest"].fit(HOLED, SPECIES), HOLED)
    answer = served.post("/predict/", json={"instances": [row]})
    assert (answer.status_code, sentence in answer.text) == (422, True), answer.text


def test_where_the_model_takes_none_the_sentence_says_so(save: Save) -> None:
    """One column has an imputer, the other has none: the signature allows holes in both."""
    imputed = make_column_transformer((SimpleImputer(), ["petal_length"]), remainder="passthrough")
    folder, settings = save(
        make_pipeline(imputed, LogisticRegression(max_iter=1_000)).fit(ROWS, SPECIES), ROWS
    )
    _may_be_missing(folder, "petal_length", "sepal_width")
    served = TestClient(create_app(settings, load_folder(folder, settings)))
    assert served.post("/predict/", json={"instances": [[6.1, 3.0, None, 1.8]]}).status_code == 200
    answer = served.post("/predict/", json={"instances": [[6.1, None, 4.9, 1.8]]})
    assert answer.status_code == 422
    assert (
        "'sepal_width' is missing: the signature allows it, but the model takes no missing values"
        " there" in answer.text
    )


async def test_a_conversion_that_knows_no_missing_values_is_made_again_where_there_may_be_some(
    copy: Path,
) -> None:
    _may_be_missing(copy, "petal_length")
    model = await load(Settings(model_path=copy))
    assert (model.runtime.name, model.plan.onnx_input and model.plan.onnx_input.features) == (
        "onnx",
        True,
    )


def _may_be_missing(folder: Path, *names: str) -> None:
    path = folder / "MLmodel"
    described = yaml.safe_load(path.read_text())
    inputs = [
        one | {"required": one["name"] not in names}
        for one in json.loads(described["signature"]["inputs"])
    ]
    described["signature"]["inputs"] = json.dumps(inputs)
    path.write_text(yaml.safe_dump(described))


def test_the_document_says_what_may_be_missing(save: Save) -> None:
    served = client(save, TAKE["a forest"].fit(HOLED, SPECIES), HOLED)
    (named,) = [
        one
        for one in served.get("/openapi.json").json()["components"]["schemas"]["Rows"]["items"][
            "anyOf"
        ]
        if "properties" in one
    ]
    assert named["required"] == ["sepal_length", "petal_width"]
    assert named["properties"]["petal_length"]["type"] == ["number", "null"]
