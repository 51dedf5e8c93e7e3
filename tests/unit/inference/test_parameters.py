"""MLflow's parameters: taken, refused and filled in as MLflow itself does it with the same
signature.
"""

from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.models.utils import _enforce_params_schema
from mlflow.types.schema import ColSpec, ParamSchema, ParamSpec, Schema
from sklearn.linear_model import LinearRegression
from starlette.testclient import TestClient

from rollout_inference.app import create_app
from rollout_inference.loading.loader import LoadedModel, load_folder
from rollout_inference.settings import Settings
from rollout_model.errors import BadInput, LoadFailed
from rollout_model.outcome import PLAIN, Outcome, Question
from rollout_model.parameters import Parameters, parameters_of
from rollout_model.signature import Rows
from tests.unit.inference.conftest import Save

SCHEMA = ParamSchema(
    [
        ParamSpec("times", "double", 2.0),
        ParamSpec("single", "float", 0.5),
        ParamSpec("count", "integer", 3),
        ParamSpec("large", "long", 2**40),
        ParamSpec("really", "boolean", True),
        ParamSpec("word", "string", "plain"),
        ParamSpec("since", "datetime", np.datetime64("2026-11-29T12:00:00")),
        ParamSpec("weights", "double", [1.0, 2.0], shape=(-1,)),
        ParamSpec("words", "string", [], shape=(-1,)),
    ]
)
SIGNATURE = ModelSignature(Schema([ColSpec("double", "x")]), params=SCHEMA).to_dict()
KNOWN = parameters_of(SIGNATURE)
GIVEN: dict[str, Any] = {
    "nothing": None,
    "an empty object": {},
    "a number": {"times": 3.5},
    "a whole number for a number": {"times": 3, "single": 2},
    "a fraction for a whole number": {"count": 1.5},
    "a whole fraction for a whole number": {"count": 1.0},
    "truth for a number": {"times": True},
    "truth for a whole number": {"count": False},
    "a number for truth": {"really": 1},
    "text for a number": {"times": "3"},
    "a number for text": {"word": 3},
    "null": {"times": None, "word": None, "really": None},
    "a date": {"since": "2026-01-02"},
    "a date and a time": {"since": "2026-01-02T03:04:05"},
    "no date": {"since": "yesterday"},
    "a number for a date": {"since": 5},
    "a list": {"weights": [3, 4.5], "words": ["a", "b"]},
    "an empty list": {"weights": []},
    "a list with null": {"words": ["a", None]},
    "a list of something else": {"weights": [1, "two"]},
    "a value for a list": {"weights": 1.0},
    "a list of lists": {"weights": [[1.0]]},
    "null for a list": {"weights": None},
    "a list for a value": {"times": [1.0]},
    "an object for a value": {"word": {"a": 1}},
    "what the signature does not name": {"other": 1, "times": 1.0},
    "a list instead of an object": [1],
    "text instead of an object": "times",
}


@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN.keys())
def test_parameters_are_those_that_mlflow_hands_to_the_model(given: Any) -> None:
    try:
        expected = _enforce_params_schema(given, SCHEMA)
    except MlflowException:
        with pytest.raises(BadInput):
            KNOWN.checked(given)
        return
    found = KNOWN.checked(given)
    assert found == expected
    assert {name: type(one) for name, one in found.items()} == {
        name: type(one) for name, one in expected.items()
    }


@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN.keys())
def test_without_a_schema_all_are_ignored_as_by_mlflow(given: Any) -> None:
    assert Parameters().checked(given) == (_enforce_params_schema(given, None) or {}) == {}


def test_older_signatures_say_dtype() -> None:
    params = '[{"name": "times", "dtype": "double", "default": 2.0, "shape": null}]'
    assert parameters_of({"params": params}).checked({}) == {"times": 2.0}


def test_a_date_by_default_is_a_date() -> None:
    assert KNOWN.checked({})["since"] == datetime(2026, 11, 29, 12)
    assert KNOWN.checked({"since": "2026-01-02"})["since"] == date(2026, 1, 2)


UNREADABLE = {
    "no default": '[{"name": "times", "type": "double"}]',
    "a type of nobody's": '[{"name": "times", "type": "complex", "default": 1}]',
    "a default of another type": '[{"name": "times", "type": "double", "default": "x"}]',
    "a shape of nobody's": '[{"name": "times", "type": "double", "default": 1, "shape": [2]}]',
}


@pytest.mark.parametrize("params", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_signature_that_mlflow_could_not_read_is_refused_at_load(save: Save, params: str) -> None:
    folder, settings = served(save)
    described = yaml.safe_load((folder / "MLmodel").read_text())
    described["signature"]["params"] = params
    (folder / "MLmodel").write_text(yaml.safe_dump(described))
    with pytest.raises((MlflowException, KeyError)):
        ParamSchema.from_json(params)
    with pytest.raises(LoadFailed, match="the signature"):
        load_folder(folder, settings)


X = np.array([[1.0], [2.0], [5.0]])


def served(save: Save) -> tuple[Path, Settings]:
    """A regressor whose signature has the parameters."""
    folder, settings = save(LinearRegression().fit(X, X[:, 0] * 10), X)
    described = yaml.safe_load((folder / "MLmodel").read_text())
    described["signature"]["params"] = SIGNATURE["params"]
    (folder / "MLmodel").write_text(yaml.safe_dump(described))
    return folder, settings


class Multiplied:
    """A model that takes parameters, as pyfunc's do; it notes those that it was given."""

    name, inline, also, takes_params = "pyfunc", False, (), True

    def __init__(self) -> None:
        self.given: list[dict[str, Any]] = []

    async def predict(self, rows: Rows, question: Question = PLAIN) -> Outcome:
        return self.run(rows, question)

    def run(self, rows: Rows, question: Question = PLAIN) -> Outcome:
        self.given.append(dict(question.params))
        return Outcome((rows[:, 0] * question.params.get("times", 1)).tolist())


@pytest.fixture
def loaded_with(save: Save) -> LoadedModel:
    return load_folder(*served(save))


BODIES: dict[str, tuple[str, dict[str, Any], str]] = {
    "our own": ("/predict/", {"instances": [[1.5]]}, "params"),
    "MLflow's": ("/invocations", {"inputs": [[1.5]]}, "params"),
    "open inference": (
        "/v2/models/iris/infer",
        {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP64", "data": [1.5]}]},
        "parameters",
    ),
}


@pytest.mark.parametrize(("path", "body", "word"), BODIES.values(), ids=BODIES.keys())
def test_a_model_that_takes_parameters_has_them_over_every_protocol(
    loaded_with: LoadedModel, settings: Settings, path: str, body: dict[str, Any], word: str
) -> None:
    runtime = Multiplied()
    http = TestClient(create_app(settings, replace(loaded_with, runtime=runtime)))
    runtime.given.clear()
    for params, times in ((None, 2.0), ({"times": 4, "other": 1}, 4.0)):
        reply = http.post(path, json={**body, word: params})
        assert reply.status_code == 200, reply.text
        said = reply.json()
        predicted = said["outputs"][0]["data"] if "outputs" in said else said["predictions"]
        assert predicted == [1.5 * times]
    assert [one["times"] for one in runtime.given] == [2.0, 4.0]
    assert all(one.keys() == KNOWN.names for one in runtime.given)
    wrong = http.post(path, json={**body, word: {"times": "x"}})
    assert wrong.status_code == (422 if path == "/predict/" else 400)
    assert "the parameter 'times' must be a number, not 'x'" in wrong.text


@pytest.mark.parametrize(("path", "body", "word"), BODIES.values(), ids=BODIES.keys())
def test_scikit_learn_is_not_given_any_as_by_mlflow(
    loaded_with: LoadedModel, settings: Settings, path: str, body: dict[str, Any], word: str
) -> None:
    http = TestClient(create_app(settings, loaded_with))
    told = [http.post(path, json={**body, word: one}).json() for one in (None, {"times": 7.0})]
    said = [one["outputs"][0]["data"] if "outputs" in one else one["predictions"] for one in told]
    assert said == [[pytest.approx(15.0)]] * 2
    assert http.post(path, json={**body, word: {"times": "x"}}).status_code in {400, 422}


def test_the_document_has_the_models_own_parameters(
    loaded_with: LoadedModel, settings: Settings
) -> None:
    http = TestClient(create_app(settings, loaded_with))
    schemas = http.get("/openapi.json").json()["components"]["schemas"]
    said = schemas["Parameters"]["properties"]
    assert said["times"] == {"type": ["number", "null"]}
    assert said["words"] == {"type": "array", "items": {"type": ["string", "null"]}}
    assert set(schemas["Params"]["properties"]) == {"outputs", *KNOWN.names}
