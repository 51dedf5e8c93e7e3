"""Models that are code: only where the configuration allows it, in a process of their own, with
what MLflow's own server gives them.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature
from mlflow.types.schema import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec
from starlette.testclient import TestClient

from rollout_inference.app import create_app
from rollout_inference.loading.loader import LoadedModel, load, load_folder
from rollout_inference.settings import Settings
from rollout_model.errors import LoadFailed
from tests.unit.inference import code_models
from tests.unit.inference.code_models import (
    HEIGHTS,
    Curious,
    Doubled,
    Fragile,
    Several,
    Summing,
    Tall,
    Types,
    Vague,
    saved,
)

LIMIT = ParamSchema([ParamSpec("limit", "double", 1.0)])
cloudpickle.register_pickle_by_value(code_models)


@pytest.fixture
def served() -> Iterator[Any]:
    """Loads a model; ends its process afterwards."""
    made: list[LoadedModel] = []

    def serve(settings: Settings) -> LoadedModel:
        assert settings.model_path is not None
        made.append(load_folder(settings.model_path, settings))
        return made[-1]

    yield serve
    for one in made:
        one.runtime.close()  # type: ignore[attr-defined]


def client(settings: Settings, loaded: LoadedModel) -> TestClient:
    return TestClient(create_app(settings, loaded), raise_server_exceptions=False)


def test_code_is_refused_where_nothing_allows_it(tmp_path: Path) -> None:
    settings = saved(tmp_path / "m", Tall()).model_copy(update={"allow_code": False})
    with pytest.raises(LoadFailed, match=r"python_function \(a model of one's own\).*allowCode"):
        load_folder(tmp_path / "m", settings)


async def test_a_server_runs_it_and_hands_its_parameters_on(tmp_path: Path) -> None:
    signature = infer_signature(HEIGHTS, ["tall"], {"limit": 1.0})
    settings = saved(tmp_path / "m", Tall(), signature=signature, input_example=HEIGHTS)
    loaded = await load(settings)
    try:
        with_it = client(settings, loaded)
        said = with_it.post("/invocations", json={"dataframe_split": split(HEIGHTS)}).json()
        assert said["predictions"] == ["short", "tall", "tall"]
        asked = {"dataframe_split": split(HEIGHTS), "params": {"limit": 2.0}}
        said = with_it.post("/invocations", json=asked).json()
        assert said["predictions"] == ["short", "short", "tall"]
        assert with_it.get("/health/").json()["runtime"] == "pyfunc"
    finally:
        loaded.runtime.close()  # type: ignore[attr-defined]


def test_a_model_from_code_is_served(tmp_path: Path, served: Any) -> None:
    """The way that MLflow advises: a file, not a pickle."""
    code = tmp_path / "model.py"
    code.write_text(
        "import mlflow\n"
        "class Model(mlflow.pyfunc.PythonModel):\n"
        "    def predict(self, context, model_input, params=None):\n"
        "        return model_input['height'] * 2\n"
        "mlflow.models.set_model(Model())\n"
    )
    loaded = served(saved(tmp_path / "m", str(code)))
    assert loaded.runtime.run(HEIGHTS.to_numpy()).labels == [1.0, 3.0, 5.0]


def split(rows: pd.DataFrame) -> dict[str, Any]:
    return {"columns": list(rows.columns), "data": rows.to_numpy(dtype=object).tolist()}


MIXED = Schema(
    [
        ColSpec("double", "a"),
        ColSpec("float", "b"),
        ColSpec("long", "c"),
        ColSpec("integer", "d"),
        ColSpec("boolean", "e"),
        ColSpec("string", "f"),
        ColSpec("datetime", "g"),
    ]
)
CELLS = [1.25, 2.5, 3, 4, True, "ä", "2026-11-29T12:00:00"]


@pytest.mark.parametrize(
    ("schema", "row"),
    [
        pytest.param(MIXED, CELLS, id="all types"),
        pytest.param(Schema(list(MIXED)[:4]), CELLS[:4], id="numbers of all kinds"),
        pytest.param(
            Schema([ColSpec("double", "a", required=False), ColSpec("double", "b")]),
            [None, 1.0],
            id="a gap",
        ),
    ],
)
def test_frames_are_as_mlflow_makes_them(
    tmp_path: Path, served: Any, schema: Schema, row: list[Any]
) -> None:
    """Held against MLflow's server's own functions."""
    from mlflow.pyfunc.scoring_server import infer_and_parse_data

    signature = mlflow.models.ModelSignature(inputs=schema)
    settings = saved(tmp_path / "m", Types(), signature=signature)
    loaded = served(settings)
    body = {"dataframe_split": {"columns": schema.input_names(), "data": [row, row]}}
    frame = infer_and_parse_data(body, schema)
    expected = mlflow.pyfunc.load_model(str(tmp_path / "m")).predict(frame)
    said = client(settings, loaded).post("/invocations", json=body)
    assert said.json()["predictions"] == expected


def test_tensors_and_several_outputs(tmp_path: Path, served: Any) -> None:
    signature = mlflow.models.ModelSignature(Schema([TensorSpec(np.dtype("float32"), (-1, 2))]))
    loaded = served(saved(tmp_path / "tensor", Doubled(), signature=signature))
    assert loaded.runtime.run(np.array([[1.0, 2.0]])).labels == [[2.0, 4.0]]
    named = infer_signature(HEIGHTS, pd.DataFrame({"double": [1.0], "half": [1.0]}))
    loaded = served(saved(tmp_path / "several", Several(), signature=named))
    assert loaded.runtime.run(np.array([[1.0], [3.0]])).labels == [[2.0, 0.5], [6.0, 1.5]]
    assert (loaded.plan.task, dict(loaded.parts)) == ("regressor", {"double": 0, "half": 1})


def test_columns_of_its_answers_may_be_asked_for_by_name(tmp_path: Path, served: Any) -> None:
    named = infer_signature(HEIGHTS, pd.DataFrame({"double": [1.0], "half": [1.0]}))
    settings = saved(tmp_path / "m", Several(), signature=named, input_example=HEIGHTS)
    http = client(settings, served(settings))
    listed = {one["name"]: one["shape"] for one in http.get("/v2/models/m").json()["outputs"]}
    assert listed == {"predict": [-1, 2], "prediction_id": [-1], "double": [-1], "half": [-1]}
    asked = {"instances": HEIGHTS.to_numpy().tolist(), "outputs": ["half", "double"]}
    said = http.post("/predict/", json=asked).json()["outputs"]
    assert said == {"half": [0.25, 0.75, 1.25], "double": [1.0, 3.0, 5.0]}


def wait(condition: Any) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_it_is_started_again_when_it_ends(tmp_path: Path, served: Any) -> None:
    """Who asked, and who asks meanwhile, gets 503 and a sentence; the server stays healthy."""
    settings = saved(tmp_path / "m", Fragile())
    loaded = served(settings)
    with_it = client(settings, loaded)

    def ask(height: float) -> Any:
        return with_it.post("/predict/", json={"instances": [[height]]})

    first = ask(1).json()["predictions"][0]
    assert ask(12).status_code == 500
    assert (ask(11).status_code, "eleven is none" in ask(11).text) == (422, True)
    assert ask(1).json()["predictions"] == [first]
    died = ask(13)
    assert died.status_code == 503
    assert "ended by signal 9, and is being started again" in died.text
    assert with_it.get("/health/").status_code == 200
    wait(lambda: ask(1).status_code == 200)
    assert ask(1).json()["predictions"] != [first]


def test_a_row_that_kills_it_over_and_over_does_not_keep_it_from_coming_back(
    tmp_path: Path, served: Any
) -> None:
    loaded = served(saved(tmp_path / "m", Fragile()))
    for _ in range(2):
        with pytest.raises(Exception, match="ended by signal 9"):
            loaded.runtime.run(np.array([[13.0]]))
        wait(lambda: loaded.runtime._process is not None)
    assert len(loaded.runtime.run(np.array([[1.0], [2.0]])).labels) == 2


def test_it_has_nothing_of_the_servers_environment(
    tmp_path: Path, served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEEDBACK_KEY", "secret")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "secret")
    loaded = served(saved(tmp_path / "m", Curious()))
    said = loaded.runtime.run(np.array([[1.0]])).labels[0].split(",")
    assert {"FEEDBACK_KEY", "MLFLOW_TRACKING_TOKEN"}.isdisjoint(said)


PR_GET_DUMPABLE = 3


def test_the_servers_memory_and_environment_are_closed_to_its_user(
    tmp_path: Path, served: Any
) -> None:
    import ctypes

    served(saved(tmp_path / "m", Curious()))
    assert ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"model_python": "/nowhere/python"}, "/nowhere/python cannot", id="no Python"),
        pytest.param({"model_python": "bare"}, "No module named 'mlflow'", id="no MLflow there"),
        pytest.param({"load_seconds": 0.01}, "did not answer in time", id="too slow"),
    ],
)
def test_what_keeps_it_from_starting_is_said(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    if change.get("model_python") == "bare":
        import venv

        venv.create(tmp_path / "bare")
        change = {"model_python": str(tmp_path / "bare" / "bin" / "python")}
    settings = saved(tmp_path / "m", Tall()).model_copy(update=change)
    with pytest.raises(LoadFailed, match=said):
        load_folder(tmp_path / "m", settings)


def test_another_interpreter_runs_it(tmp_path: Path, served: Any) -> None:
    settings = saved(tmp_path / "m", Curious())
    loaded = served(settings.model_copy(update={"model_python": sys.executable}))
    assert loaded.runtime.name == "pyfunc"


def test_an_answer_that_is_not_one_for_each_row_is_refused(tmp_path: Path) -> None:
    settings = saved(tmp_path / "m", Summing(), input_example=HEIGHTS)
    with pytest.raises(LoadFailed, match="answers with a float, not with one for each row"):
        load_folder(tmp_path / "m", settings)


def test_answers_without_a_number_are_null_and_no_fault_of_the_rows(
    tmp_path: Path, served: Any
) -> None:
    """As scikit-learn's are."""
    settings = saved(tmp_path / "m", Vague())
    http = client(settings, served(settings))
    said = http.post("/predict/", json={"instances": HEIGHTS.to_numpy().tolist()})
    assert said.json()["predictions"] == [0.5, None, None], said.text
    tensor = {"name": "input", "shape": [3, 1], "datatype": "FP64", "data": [0.5, 1.5, 2.5]}
    (labels, _) = http.post("/v2/models/m/infer", json={"inputs": [tensor]}).json()["outputs"]
    assert (labels["datatype"], labels["data"]) == ("FP64", [0.5, None, None])
    said = http.post("/predict/", json={"instances": [[13.0]]})
    assert (said.status_code, "the model failed" in said.text) == (500, True), said.text


def test_a_pickle_runs_in_a_process_of_its_own_where_code_is_allowed(
    tmp_path: Path, served: Any
) -> None:
    import mlflow.sklearn
    from sklearn.linear_model import LinearRegression

    model = LinearRegression().fit(HEIGHTS, [1.0, 3.0, 5.0])
    mlflow.sklearn.save_model(
        model,
        str(tmp_path / "m"),
        serialization_format="cloudpickle",
        signature=infer_signature(HEIGHTS, model.predict(HEIGHTS)),
        pip_requirements=[],
    )
    loaded = served(Settings(model_path=tmp_path / "m", allow_code=True))
    assert loaded.runtime.name == "pyfunc"
    np.testing.assert_allclose(loaded.runtime.run(HEIGHTS.to_numpy()).labels, [1, 3, 5])
