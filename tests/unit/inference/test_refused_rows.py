"""Rows that fit the signature and that the model itself refuses: its own sentence, in every
protocol, for the client to mend; and an error for gates, because another version may answer them.
"""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, PowerTransformer
from starlette.testclient import TestClient

from rollout_inference.app import create_app
from rollout_inference.loading.loader import load_folder
from rollout_inference.settings import Settings
from rollout_model.runtimes import SklearnRuntime
from tests.unit.inference.conftest import Save

BIRDS = pd.DataFrame(
    {"island": ["Dream", "Biscoe"] * 20, "ringed": [2024, 2025] * 20, "mass": np.arange(40) + 1.0}
)
TARGET = np.arange(40.0)
FINE = ["Dream", 2024, 3.0]
REFUSED: dict[str, tuple[Any, list[Any], str]] = {
    "a word that was never seen": (
        make_column_transformer((OneHotEncoder(), ["island"]), ("passthrough", ["mass"])),
        ["Atlantis", 2024, 3.0],
        "'Atlantis' is a category that the model has not learnt, and it takes no others",
    ),
    "a code that was never seen": (
        make_column_transformer((OneHotEncoder(), ["ringed"]), ("passthrough", ["mass"])),
        ["Dream", 2023, 3.0],
        "2023.0 is a category that the model has not learnt",
    ),
    "a number that the step cannot take": (
        make_column_transformer((PowerTransformer("box-cox"), ["mass"])),
        ["Dream", 2024, -3.0],
        "The Box-Cox transformation can only be applied to strictly positive data",
    ),
}


def served(save: Save, preparation: Any, settings: Settings) -> TestClient:
    estimator = make_pipeline(preparation, LinearRegression()).fit(BIRDS, TARGET)
    model = load_folder(*save(estimator, BIRDS))
    return TestClient(create_app(settings, model), raise_server_exceptions=False)


def bodies(row: list[Any]) -> dict[str, Any]:
    """The row beside one that is fine."""
    rows = [FINE, row]
    kinds = {"island": "BYTES", "ringed": "INT64", "mass": "FP64"}
    tensors = [
        {"name": name, "shape": [2], "datatype": kind, "data": [one[n] for one in rows]}
        for n, (name, kind) in enumerate(kinds.items())
    ]
    return {
        "/predict/": {"instances": rows},
        "/invocations": {"dataframe_split": {"columns": list(BIRDS), "data": rows}},
        "/v2/models/iris/infer": {"inputs": tensors},
    }


def counted(http: TestClient, name: str) -> float:
    found = re.search(rf"^{name}_total\{{.*}} (.*)$", http.get("/metrics/").text, re.MULTILINE)
    assert found is not None
    return float(found[1])


@pytest.mark.parametrize(("preparation", "row", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_the_models_own_sentence_is_said_in_every_protocol(
    save: Save, settings: Settings, preparation: Any, row: list[Any], said: str
) -> None:
    http = served(save, preparation, settings)
    for path, body in bodies(row).items():
        reply = http.post(path, json=body)
        assert reply.status_code == (422 if path == "/predict/" else 400), reply.text
        told = reply.json()
        assert f"the model refuses these rows: {said}" in told.get("error", told.get("message"))
    for path, body in bodies(FINE).items():
        assert http.post(path, json=body).status_code == 200
    assert counted(http, "ml_request_refused") == 3
    assert counted(http, "ml_request_errors") == 3, "a gate on errors sees them"


def test_where_no_example_was_answered_one_request_that_is_answered_tells(
    save: Save, settings: Settings
) -> None:
    """Made-up rows are refused as the words of others are, and say nothing of the model."""
    estimator = make_pipeline(OneHotEncoder(), LinearRegression()).fit(BIRDS[["island"]], TARGET)
    loaded = load_folder(*save(estimator, BIRDS[["island"]]))
    runtime = SklearnRuntime(estimator, loaded.signature)
    http = TestClient(create_app(settings, replace(loaded, runtime=runtime, answer=None)))
    statuses = [
        http.post("/predict/", json={"instances": [[word]]}).status_code
        for word in ("Atlantis", "Dream", "Atlantis")
    ]
    assert statuses == [500, 200, 422]
    assert counted(http, "ml_request_errors") == 2
