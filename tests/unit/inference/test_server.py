"""What the server answers, and what it refuses to load."""

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import skops.io
import yaml
from sklearn.preprocessing import FunctionTransformer
from starlette.testclient import TestClient

from rollout_inference.app import create_app
from rollout_inference.digest import tree_digest
from rollout_inference.loading import LoadFailed, load_folder, warm_up
from rollout_inference.settings import Settings, SettingsError
from rollout_trainer.data import COLUMNS, load
from tests.unit.inference.conftest import DATA

SETOSA = [5.1, 3.5, 1.4, 0.2]
NAMED = dict(zip(COLUMNS, SETOSA, strict=True))


def predict(client: TestClient, body: Any) -> tuple[int, Any]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    reply = client.post("/predict/", content=content)
    return reply.status_code, reply.json()


@pytest.mark.parametrize(
    "row", [SETOSA, NAMED, dict(reversed(NAMED.items())), [5, 3, 1, 0]], ids=["list", "named", "otherwise ordered", "integers"]
)
def test_a_row_is_predicted(client: TestClient, row: Any) -> None:
    code, said = predict(client, {"instances": [row]})
    assert (code, said) == (200, {"predictions": ["setosa"], "model": "iris", "version": "local", "revision": "abc123"})


def test_predictions_are_those_of_the_estimator(client: TestClient, trained: Path, settings: Settings) -> None:
    flowers = load(DATA).test
    expected = load_folder(trained, settings).estimator.predict(flowers).tolist()
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
    "too large a body": (b" " * 100_001, 413, "larger than 100000 bytes"),
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


@pytest.mark.parametrize("path", ["/health/", "/health", "/health/live", "/metrics/", "/metrics", "/predict/", "/openapi.json", "/docs"])
def test_every_response_says_who_answered(client: TestClient, path: str) -> None:
    reply = client.get(path)
    assert reply.status_code == (405 if path == "/predict/" else 200)
    assert (reply.headers["x-model-version"], reply.headers["x-model-revision"]) == ("local", "abc123")


def test_series_carry_model_version_and_revision(trained: Path, settings: Settings) -> None:
    client = TestClient(create_app(settings, load_folder(trained, settings)))
    predict(client, {"instances": [SETOSA]})
    predict(client, b"{")
    text = client.get("/metrics/").text
    labels = 'model="iris",revision="abc123",version="local"'
    accuracy = json.loads((trained / "metrics.json").read_text())["accuracy"]
    assert f'ml_model_accuracy{{model="iris",revision="abc123",source="training",version="local"}} {accuracy}' in text
    assert f"ml_request_count_total{{{labels}}} 2.0" in text
    assert f"ml_request_errors_total{{{labels}}} 0.0" in text
    assert f"ml_request_latency_seconds_count{{{labels}}} 2.0" in text


def test_a_failing_model_is_an_error_that_counts(trained: Path, settings: Settings) -> None:
    class Broken:
        def predict(self, _: Any) -> Any:
            raise ZeroDivisionError

    loaded = load_folder(trained, settings)
    client = TestClient(create_app(settings, type(loaded)(Broken(), loaded.signature, loaded.digest, 0.9, 45)))
    assert predict(client, {"instances": [SETOSA]})[0] == 500
    assert "ml_request_errors_total{" in (text := client.get("/metrics/").text)
    assert text.split("ml_request_errors_total{")[1].split("\n")[0].endswith(" 1.0")


def test_not_ready_before_the_model_is(settings: Settings) -> None:
    client = TestClient(create_app(settings))
    assert (client.get("/health/").status_code, client.get("/health/live").status_code) == (503, 200)
    assert predict(client, {"instances": [SETOSA]})[0] == 503


def replace_flavor(folder: Path, **values: str) -> None:
    path = folder / "MLmodel"
    described = yaml.safe_load(path.read_text())
    described["flavors"]["sklearn"].update(values)
    path.write_text(yaml.safe_dump(described))


class Payload:
    """A pickle that writes a file when it is loaded."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.target),)


def spoil_pickle(folder: Path) -> None:
    (folder / "model.pkl").write_bytes(pickle.dumps(Payload(folder.parent / "executed")))
    replace_flavor(folder, pickled_model="model.pkl", serialization_format="cloudpickle")


def spoil_skops_that_is_a_pickle(folder: Path) -> None:
    (folder / "model.skops").write_bytes(pickle.dumps(Payload(folder.parent / "executed")))


def spoil_foreign_type(folder: Path) -> None:
    skops.io.dump(FunctionTransformer(func=os.system), folder / "model.skops")


def spoil_trust_of_its_own(folder: Path) -> None:
    spoil_foreign_type(folder)
    replace_flavor(folder, skops_trusted_types="posix.system")


def spoil_traversal(folder: Path) -> None:
    (folder.parent / "outside.skops").write_bytes((folder / "model.skops").read_bytes())
    replace_flavor(folder, pickled_model="../outside.skops")


def spoil_link(folder: Path) -> None:
    (folder / "model.skops").unlink()
    (folder / "model.skops").symlink_to("/etc/passwd")


def spoil_truncated(folder: Path) -> None:
    whole = (folder / "model.skops").read_bytes()
    (folder / "model.skops").write_bytes(whole[: len(whole) // 2])


def spoil_signature(folder: Path) -> None:
    path = folder / "MLmodel"
    path.write_text(yaml.safe_dump({k: v for k, v in yaml.safe_load(path.read_text()).items() if k != "signature"}))


def spoil_yaml(folder: Path) -> None:
    (folder / "MLmodel").write_text("!!python/object/apply:os.mkdir [executed]")


def spoil_accuracy(folder: Path) -> None:
    (folder / "metrics.json").write_text('{"accuracy": 7}')


REFUSED = {
    "a pickle": (spoil_pickle, "is a pickle"),
    "a pickle named skops": (spoil_skops_that_is_a_pickle, "cannot be loaded"),
    "a type that is not trusted": (spoil_foreign_type, "not trusted: posix.system"),
    "a model that trusts itself": (spoil_trust_of_its_own, "not trusted: posix.system"),
    "a file outside of the model": (spoil_traversal, "no scikit-learn model file within"),
    "a symbolic link": (spoil_link, "symbolic link"),
    "a file cut off": (spoil_truncated, "cannot be loaded"),
    "no signature": (spoil_signature, "no signature"),
    "YAML that runs code": (spoil_yaml, "cannot be loaded"),
    "an accuracy that is no share": (spoil_accuracy, "no share from 0 to 1"),
}


@pytest.mark.parametrize(("spoil", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_a_model_is_refused_with_a_sentence_and_not_executed(copy: Path, spoil: Callable[[Path], None], sentence: str) -> None:
    spoil(copy)
    with pytest.raises(LoadFailed, match=sentence):
        load_folder(copy, Settings(model_path=copy))
    assert not (copy.parent / "executed").exists()
    assert not Path("executed").exists()


def test_a_digest_that_differs_is_refused_before_anything_is_read(copy: Path) -> None:
    (copy / "MLmodel").write_text("\0 no YAML at all")
    with pytest.raises(LoadFailed, match="DigestMismatch"):
        load_folder(copy, Settings(model_path=copy, model_digest="sha256:" + "0" * 64))


def test_the_recorded_digest_is_accepted(copy: Path) -> None:
    (copy / "registered_model_meta").write_text("written by every download")
    loaded = load_folder(copy, Settings(model_path=copy, model_digest=tree_digest(copy)))
    warm_up(loaded)
    assert loaded.accuracy is not None


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
    "a digest that is none": ({"MODEL_URI": "models:/iris/1", "MODEL_DIGEST": "md5:1"}, "64 hex digits"),
    "an unknown level": ({"MODEL_URI": "models:/iris/1", "LOG_LEVEL": "LOUD"}, "LOG_LEVEL"),
    "a port that is none": ({"MODEL_URI": "models:/iris/1", "PORT": "http"}, "PORT"),
}


@pytest.mark.parametrize(("env", "sentence"), WRONG.values(), ids=WRONG.keys())
def test_wrong_settings_are_named(env: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        Settings.from_environment(env)


def test_name_and_version_come_from_the_uri() -> None:
    settings = Settings.from_environment({"MODEL_URI": "models:/iris/7", "LOG_LEVEL": "debug"})
    assert (settings.name, settings.version, settings.log_level) == ("iris", "7", "DEBUG")
