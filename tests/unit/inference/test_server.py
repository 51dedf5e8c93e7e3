"""What the server answers, and what it refuses to load."""

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from starlette.testclient import TestClient

from rollout_inference.app import Application, create_app
from rollout_inference.loading.loader import LoadedModel, load, load_folder
from rollout_inference.settings import Settings, SettingsError
from rollout_model.digest import tree_digest
from rollout_model.errors import LoadFailed
from rollout_trainer.data import load as load_data
from tests.support.malicious import MOST, REFUSED, replace_flavor, spoil_foreign_type
from tests.unit.inference.conftest import DATA

SETOSA = [5.1, 3.5, 1.4, 0.2]
COLUMNS = ("sepal_length", "sepal_width", "petal_length", "petal_width")
NAMED = dict(zip(COLUMNS, SETOSA, strict=True))


def predict(client: TestClient, body: Any) -> tuple[int, Any]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    reply = client.post("/predict/", content=content)
    return reply.status_code, reply.json()


@pytest.mark.parametrize(
    "row",
    [SETOSA, NAMED, dict(reversed(NAMED.items())), [5, 3, 1, 0]],
    ids=["list", "named", "otherwise ordered", "integers"],
)
def test_a_row_is_predicted(client: TestClient, row: Any) -> None:
    code, said = predict(client, {"instances": [row]})
    assert len(said.pop("prediction_ids")) == 1
    assert (code, said) == (
        200,
        {"predictions": ["setosa"], "model": "iris", "version": "local", "revision": "abc123"},
    )


def test_predictions_are_those_of_the_estimator(client: TestClient, trained: Path) -> None:
    flowers = load_data(DATA).test
    expected = (
        skops.io.load(trained / "model.skops", trusted=["sklearn.tree._tree.Tree"])
        .predict(flowers)
        .tolist()
    )
    assert predict(client, {"instances": flowers.to_numpy().tolist()})[1]["predictions"] == expected


BAD = {
    "no JSON": (b"{", 400, "no JSON"),
    "nothing": (b"", 400, "no JSON"),
    "bytes that are no text": (b"\xff\xfe", 400, "no JSON"),
    "nested too deeply": (b"[" * 50_000, 400, "no JSON"),
    "NaN as a word": (b'{"instances": [[NaN, 1, 1, 1]]}', 400, "no JSON"),
    "infinity as a number": (b'{"instances": [[1e999, 1, 1, 1]]}', 400, "no JSON"),
    "a list": ([], 422, "send a JSON object"),
    "another key": ({"rows": []}, 422, "send a JSON object"),
    "no rows": ({"instances": []}, 422, "at least one row"),
    "rows that are no list": ({"instances": "x"}, 422, "at least one row"),
    "a row that is no list": ({"instances": [7]}, 422, "row 0 has int"),
    "a row that is null": ({"instances": [SETOSA, None]}, 422, "row 1 has NoneType"),
    "too short a row": ({"instances": [[1, 2, 3]]}, 422, "send 4 numbers"),
    "too long a row": ({"instances": [[1, 2, 3, 4, 5]]}, 422, "send 4 numbers"),
    "a text": ({"instances": [["a", 2, 3, 4]]}, 422, "must be a number"),
    "a truth value": ({"instances": [[True, 2, 3, 4]]}, 422, "must be a number"),
    "a nested row": ({"instances": [[[1], 2, 3, 4]]}, 422, "must be a number"),
    "a column missing": ({"instances": [{"sepal_length": 1}]}, 422, "lacks 'sepal_width'"),
    "a column unknown": ({"instances": [{**NAMED, "colour": 1}]}, 422, "unknown 'colour'"),
    "too many rows": ({"instances": [SETOSA] * 501}, 422, "at most 500"),
    "beyond single precision": ({"instances": [[1e39, 2, 3, 4]]}, 422, "beyond"),
    "too large a body": (b" " * 100_001, 413, "larger than 100000 bytes"),
    "ten megabytes": (b" " * 10_000_000, 413, "larger than 100000 bytes"),
}


@pytest.mark.parametrize(("body", "code", "sentence"), BAD.values(), ids=BAD.keys())
def test_bad_input_gets_a_sentence(client: TestClient, body: Any, code: int, sentence: str) -> None:
    got, said = predict(client, body)
    assert got == code, said
    assert sentence in said["error"]


def test_an_integer_that_no_float_holds(client: TestClient) -> None:
    code, said = predict(client, b'{"instances": [[' + b"9" * 400 + b", 1, 1, 1]]}")
    assert code in {400, 422}
    assert said["error"]


@pytest.mark.parametrize(
    "path",
    [
        "/health/",
        "/health",
        "/health/live",
        "/metrics/",
        "/metrics",
        "/predict/",
        "/openapi.json",
        "/docs",
    ],
)
def test_every_response_says_who_answered(client: TestClient, path: str) -> None:
    reply = client.get(path)
    assert reply.status_code == (405 if path == "/predict/" else 200)
    assert (reply.headers["x-model-version"], reply.headers["x-model-revision"]) == (
        "local",
        "abc123",
    )


def test_series_carry_model_version_and_revision(
    trained: Path, settings: Settings, loaded: LoadedModel
) -> None:
    client = TestClient(create_app(settings, loaded))
    predict(client, {"instances": [SETOSA]})
    predict(client, b"{")
    text = client.get("/metrics/").text
    labels = 'model="iris",revision="abc123",version="local"'
    accuracy = json.loads((trained / "metrics.json").read_text())["accuracy"]
    assert (
        'ml_model_accuracy{model="iris",revision="abc123",source="training",version="local"}'
        f" {accuracy}" in text
    )
    assert f"ml_request_count_total{{{labels}}} 2.0" in text
    assert f"ml_request_errors_total{{{labels}}} 0.0" in text
    assert f"ml_request_latency_seconds_count{{{labels}}} 2.0" in text
    assert f"ml_predictions_total{{{labels}}} 1.0" in text
    for outcome in ("correct", "wrong"):
        of_outcome = f'model="iris",outcome="{outcome}",revision="abc123",version="local"'
        assert f"ml_feedback_total{{{of_outcome}}} 0.0" in text
    info = f'digest="{loaded.digest}",model="iris",revision="abc123",runtime="onnx",'
    info += 'task="classifier",version="local"'
    assert f"ml_model_info{{{info}}} 1.0" in text


def test_a_failing_model_is_an_error_that_counts(settings: Settings, loaded: LoadedModel) -> None:
    class Broken:
        name = "broken"

        async def predict(self, _: Any) -> Any:
            raise ZeroDivisionError

    client = TestClient(create_app(settings, replace(loaded, runtime=Broken())))  # type: ignore[arg-type]
    assert predict(client, {"instances": [SETOSA]})[0] == 500
    assert "ml_request_errors_total{" in (text := client.get("/metrics/").text)
    assert text.split("ml_request_errors_total{")[1].split("\n")[0].endswith(" 1.0")


def test_health_says_which_runtime_serves(client: TestClient, loaded: LoadedModel) -> None:
    said = client.get("/health/").json()
    assert (said["runtime"], said["task"], said["digest"], said["source"]) == (
        "onnx",
        "classifier",
        loaded.digest,
        "training",
    )


def test_not_ready_before_the_model_is(settings: Settings) -> None:
    client = TestClient(create_app(settings))
    assert (client.get("/health/").status_code, client.get("/health/live").status_code) == (
        503,
        200,
    )
    assert predict(client, {"instances": [SETOSA]})[0] == 503


@pytest.mark.parametrize(("spoil", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_a_model_is_refused_with_a_sentence_and_not_executed(
    copy: Path, spoil: Callable[[Path], None], sentence: str
) -> None:
    spoil(copy)
    with pytest.raises(LoadFailed, match=sentence):
        load_folder(copy, Settings(model_path=copy, max_model=MOST))
    assert not (copy.parent / "executed").exists()
    assert not Path("executed").exists()


def test_a_digest_that_differs_is_refused_before_anything_is_read(copy: Path) -> None:
    (copy / "MLmodel").write_text("\0 no YAML at all")
    with pytest.raises(LoadFailed, match="DigestMismatch"):
        load_folder(copy, Settings(model_path=copy, model_digest="sha256:" + "0" * 64))


def test_the_recorded_digest_is_accepted(copy: Path) -> None:
    (copy / "registered_model_meta").write_text("written by every download")
    loaded = load_folder(copy, Settings(model_path=copy, model_digest=tree_digest(copy)))
    assert loaded.accuracy is not None


def test_what_the_digest_leaves_out_is_no_model(copy: Path) -> None:
    """Every download writes that file anew: the digest would vouch for none of it."""
    (copy / "model.skops").rename(copy / "registered_model_meta")
    replace_flavor(copy, pickled_model="registered_model_meta")
    with pytest.raises(
        LoadFailed,
        match="names registered_model_meta as the model file, which is no part of the digest",
    ):
        load_folder(copy, Settings(model_path=copy, model_digest=tree_digest(copy)))


def test_a_pickle_is_loaded_only_where_the_configuration_allows_it(
    copy: Path, trained: Path
) -> None:
    estimator = skops.io.load(trained / "model.skops", trusted=["sklearn.tree._tree.Tree"])
    (copy / "model.pkl").write_bytes(pickle.dumps(estimator))
    replace_flavor(copy, pickled_model="model.pkl", serialization_format="cloudpickle")
    with pytest.raises(LoadFailed, match="is a pickle"):
        load_folder(copy, Settings(model_path=copy))
    assert load_folder(copy, Settings(model_path=copy, allow_pickle=True)).runtime.name == "onnx"


async def test_a_process_of_its_own_reads_the_model(copy: Path, tmp_path: Path) -> None:
    """The whole way that a pod goes, and that what reads the model is gone when it serves."""
    model = await load(Settings(model_path=copy))
    assert (await model.runtime.predict(np.array([SETOSA]))).labels == ["setosa"]
    spoil_foreign_type(copy)
    with pytest.raises(LoadFailed, match=r"not trusted: posix\.system"):
        await load(Settings(model_path=copy))


def change(folder: Path) -> None:
    (folder / "metrics.json").write_text("{}")


def rename(folder: Path) -> None:
    (folder / "metrics.json").rename(folder / "metricz.json")


def add(folder: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "deep" / "file").write_text("")


@pytest.mark.parametrize("touch", [change, rename, add])
def test_the_digest_sees_every_change(copy: Path, touch: Callable[[Path], None]) -> None:
    before = tree_digest(copy)
    touch(copy)
    assert tree_digest(copy) != before


WRONG = {
    "neither URI nor path": ({}, "exactly one"),
    "both URI and path": ({"MODEL_URI": "models:/iris/1", "MODEL_PATH": "/m"}, "exactly one"),
    "another scheme": ({"MODEL_URI": "file:///etc/passwd"}, "MODEL_URI"),
    "a traversal": ({"MODEL_URI": "models:/../x/1"}, "MODEL_URI"),
    "a name with a query": ({"MODEL_URI": "models:/x?y/1"}, "MODEL_URI"),
    "a digest that is none": (
        {"MODEL_URI": "models:/iris/1", "MODEL_DIGEST": "md5:1"},
        "64 hex digits",
    ),
    "an unknown level": ({"MODEL_URI": "models:/iris/1", "LOG_LEVEL": "LOUD"}, "LOG_LEVEL"),
    "a port that is none": ({"MODEL_URI": "models:/iris/1", "PORT": "http"}, "PORT"),
    "a limit that is none": (
        {"MODEL_URI": "models:/iris/1", "MAX_ROWS": "-1"},
        "MAX_ROWS='-1' is out of range",
    ),
}


NAMES = {
    "a blank": ("models:/my model/1", "my model", "1"),
    "accents": ("models:/größe/1", "größe", "1"),
    "another script": ("models:/日本/1", "日本", "1"),
    "a dash first": ("models:/-x/1", "-x", "1"),
    "an alias that begins with a digit": ("models:/iris@2026-q4", "iris", "2026-q4"),
}


@pytest.mark.parametrize(("uri", "name", "version"), NAMES.values(), ids=NAMES.keys())
def test_a_model_is_served_under_whatever_name_mlflow_takes(
    uri: str, name: str, version: str
) -> None:
    settings = Settings.from_environment({"MODEL_URI": uri})
    assert (settings.name, settings.version) == (name, version)
    assert Application(settings).endpoint(f"/v2/models/{name}/infer") is not None


@pytest.mark.parametrize(("env", "sentence"), WRONG.values(), ids=WRONG.keys())
def test_wrong_settings_are_named(env: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        Settings.from_environment(env)


def test_name_and_version_come_from_the_uri() -> None:
    settings = Settings.from_environment({"MODEL_URI": "models:/iris/7", "LOG_LEVEL": "debug"})
    assert (settings.name, settings.version, settings.log_level) == ("iris", "7", "DEBUG")
