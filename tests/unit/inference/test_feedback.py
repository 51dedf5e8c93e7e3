"""Labels: signed ids that any pod credits, each once, and the live accuracy."""

import base64
import hmac as reference
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from starlette.testclient import TestClient

from rollout_inference.app import Application, create_app
from rollout_inference.feedback.ledger import Ledger, Window, absolute_error
from rollout_inference.feedback.prediction_id import MAC, Prediction, Signer
from rollout_inference.loading.loader import LoadedModel, load_folder
from rollout_inference.settings import Settings
from rollout_model.errors import Refused
from tests.unit.inference.conftest import KEY, Save

SETOSA = [5.1, 3.5, 1.4, 0.2]
MINE = 'model="iris",outcome="{}",revision="{}",version="local"'


def pod(
    settings: Settings, loaded: LoadedModel, revision: str = "abc123", **changes: Any
) -> tuple[Application, TestClient]:
    app = create_app(settings.model_copy(update={"model_revision": revision, **changes}), loaded)
    return app, TestClient(app)


def predict(client: TestClient, rows: int = 1) -> list[str]:
    ids: list[str] = client.post("/predict/", json={"instances": [SETOSA] * rows}).json()[
        "prediction_ids"
    ]
    return ids


def label(client: TestClient, one: str, right: Any = "setosa") -> Any:
    return client.post("/feedback/", json={"id": one, "label": right})


def test_a_label_is_counted_for_the_revision_that_made_the_prediction_whichever_pod_gets_it(
    settings: Settings, loaded: LoadedModel
) -> None:
    _, stable = pod(settings, loaded, "stable")
    _, candidate = pod(settings, loaded, "candidate")
    right, wrong = predict(candidate, 2)
    assert label(stable, right).json() == {
        "outcome": "correct",
        "model": "iris",
        "version": "local",
        "revision": "candidate",
    }
    assert label(stable, wrong, "virginica").json()["outcome"] == "wrong"
    said = stable.get("/metrics/").text
    for outcome in ("correct", "wrong"):
        assert f"ml_feedback_total{{{MINE.format(outcome, 'candidate')}}} 1.0" in said
        assert f"ml_feedback_total{{{MINE.format(outcome, 'stable')}}} 0.0" in said
    assert 'source="feedback"' not in said, "labels of another revision are not this one's accuracy"


def flipped(text: str, place: int) -> str:
    return text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]


def of_another_key(_: str) -> str:
    return Signer("another", "iris", "local", "abc123").sign(["setosa"], time.time())[0]


def resigned_by_plain_hash(text: str) -> str:
    body = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))[:-MAC]
    return (
        base64.urlsafe_b64encode(
            body.replace(b"abc123", b"better") + reference.digest(b"", body, "sha256")[:MAC]
        )
        .decode()
        .rstrip("=")
    )


FORGED: dict[str, Callable[[str], str]] = {
    "first character": lambda text: flipped(text, 0),
    "in the middle": lambda text: flipped(text, len(text) // 2),
    "in the signature": lambda text: flipped(text, len(text) - 3),
    "cut off": lambda text: text[:-4],
    "made longer": lambda text: text + "AAAA",
    "of another key": of_another_key,
    "another revision, signed without the key": resigned_by_plain_hash,
    "nothing": lambda _: "",
    "no base64": lambda _: "é" * 40,
    "other characters": lambda _: "!" * 40,
    "very long": lambda _: "A" * 4_000,
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED.keys())
def test_a_forged_id_is_refused(
    settings: Settings, loaded: LoadedModel, forge: Callable[[str], str]
) -> None:
    _, client = pod(settings, loaded)
    reply = label(client, forge(predict(client)[0]))
    assert (reply.status_code, "not signed by this rollout" in reply.json()["error"]) == (403, True)
    said = client.get("/metrics/").text
    assert f"ml_feedback_total{{{MINE.format('correct', 'abc123')}}} 0.0" in said
    labels = 'model="iris",reason="forged",revision="abc123",version="local"'
    assert f"ml_feedback_refused_total{{{labels}}} 1.0" in said


def test_every_single_bit_of_an_id_counts() -> None:
    signer = Signer(KEY, "iris", "7", "abc123")
    (one,) = signer.sign(["setosa"], 1_000_000.0)
    whole = base64.urlsafe_b64decode(one + "=" * (-len(one) % 4))
    assert signer.read(one).value == "setosa"
    for bit in range(8 * len(whole)):
        spoilt = bytearray(whole)
        spoilt[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Refused):
            signer.read(base64.urlsafe_b64encode(bytes(spoilt)).decode().rstrip("="))


def test_the_signature_is_hmac_sha256() -> None:
    (one,) = Signer(KEY, "iris", "7", "abc123").sign(["setosa"], 1_000_000.0)
    whole = base64.urlsafe_b64decode(one + "=" * (-len(one) % 4))
    assert whole[-MAC:] == reference.digest(KEY.encode(), whole[:-MAC], "sha256")[:MAC]


@pytest.mark.parametrize("value", ["setosa", "", "naïve", 3, -1, 2.5, True, [1.5, 2.0]], ids=repr)
def test_what_was_predicted_comes_back(value: Any) -> None:
    signer = Signer(KEY, "iris", "7", "abc123")
    first, second = signer.sign([value, value], 1_000_000.7)
    said = signer.read(first)
    assert (said.model, said.version, said.revision, said.issued, said.value) == (
        "iris",
        "7",
        "abc123",
        1_000_000,
        value,
    )
    assert said.mark != signer.read(second).mark, "no two ids are alike"


def test_a_label_is_counted_once(settings: Settings, loaded: LoadedModel) -> None:
    _, client = pod(settings, loaded)
    (one,) = predict(client)
    assert [label(client, one).status_code for _ in range(3)] == [200, 409, 409]
    assert (
        f"ml_feedback_total{{{MINE.format('correct', 'abc123')}}} 1.0"
        in client.get("/metrics/").text
    )


def test_a_label_that_comes_too_late_is_refused(settings: Settings, loaded: LoadedModel) -> None:
    app, client = pod(settings, loaded, feedback_seconds=600)
    (old,) = app.state.signer.sign(["setosa"], time.time() - 700)
    assert label(client, old).status_code == 410


def prediction(issued: int, mark: int) -> Prediction:
    return Prediction("iris", "7", "abc123", issued, mark, False, "setosa")


def test_a_full_ledger_forgets_no_id_that_it_would_take_again() -> None:
    """What does not fit is refused from then on; a replay never counts."""
    ledger = Ledger(window=10_000, most=100)
    counted = set()
    for mark in range(300):
        one = prediction(60 * (mark // 10) + 6_000, mark)
        ledger.enter(one, 8_000)
        counted.add(mark)
    assert len(counted) == 300
    for mark in range(300):
        with pytest.raises(Refused):
            ledger.enter(prediction(60 * (mark // 10) + 6_000, mark), 8_000)


MALFORMED = {
    "no object": 7,
    "a list with one that is none": [{"id": "x", "label": "y"}, 7],
    "an empty list": [],
    "no id": {"label": "setosa"},
    "an id that is no text": {"id": 7, "label": "setosa"},
    "an id longer than any of ours": [{"id": "x" * 5000, "label": "setosa"}],
    "no label": {"id": "x"},
    "a label that is null": {"id": "x", "label": None},
    "a label that is an object": {"id": "x", "label": {"species": "setosa"}},
    "a label that is an empty list": {"id": "x", "label": []},
    "a label that is a list of lists": {"id": "x", "label": [["setosa"]]},
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_label_in_another_form_gets_a_sentence(client: TestClient, body: Any) -> None:
    reply = client.post("/feedback/", json=body)
    assert reply.status_code == 422
    assert ("send from 1 to" if body == [] else 'send {"id"') in reply.json()["error"]


@pytest.mark.parametrize("right", [3, True, ["setosa"]], ids=repr)
def test_a_label_of_another_type_is_a_mistake_not_a_wrong_answer(
    settings: Settings, loaded: LoadedModel, right: Any
) -> None:
    _, client = pod(settings, loaded)
    (one,) = predict(client)
    assert label(client, one, right).status_code == 422
    assert label(client, one).status_code == 200, "and it did not use the id up"


def test_many_labels_at_once_are_judged_one_by_one(settings: Settings, loaded: LoadedModel) -> None:
    _, client = pod(settings, loaded)
    first, second = predict(client, 2)
    sent = [
        {"id": one, "label": right}
        for one, right in ((first, "setosa"), (second, "virginica"), (first, "setosa"), ("x", "y"))
    ]
    said = client.post("/feedback/", json=sent).json()["results"]
    assert [one.get("outcome", one.get("status")) for one in said] == ["correct", "wrong", 409, 403]


def test_the_accuracy_becomes_live_once_there_are_enough_labels(
    settings: Settings, loaded: LoadedModel
) -> None:
    _, client = pod(settings, loaded, accuracy_from=5, accuracy_window=8)
    series = 'ml_model_accuracy{model="iris",revision="abc123",source="feedback",version="local"}'
    outcomes = [True, True, False, True, True, True, False, False, False, False]
    for n, (one, right) in enumerate(
        zip(predict(client, len(outcomes)), outcomes, strict=True), start=1
    ):
        label(client, one, "setosa" if right else "virginica")
        said = client.get("/metrics/").text
        assert (series in said) == (n >= 5)
        assert ('source="training"' in said) == (n < 5), "never two series of one pod"
    assert f"{series} {sum(outcomes[-8:]) / 8}" in said
    labels = 'model="iris",revision="abc123",source="feedback",version="local"'
    assert f"ml_model_accuracy_samples{{{labels}}} 8.0" in said
    health = client.get("/health/").json()
    assert (health["accuracy"], health["samples"], health["source"]) == (
        sum(outcomes[-8:]) / 8,
        8,
        "feedback",
    )


def test_without_a_key_ids_are_good_for_the_pod_that_made_them(
    settings: Settings, loaded: LoadedModel
) -> None:
    _, one = pod(settings, loaded, feedback_key="")
    _, other = pod(settings, loaded, feedback_key="")
    (mine,) = predict(one)
    assert (label(other, mine).status_code, label(one, mine).status_code) == (403, 200)


def test_a_regression_reports_its_error(save: Save) -> None:
    rows = np.arange(20.0).reshape(10, 2)
    folder, settings = save(
        LinearRegression().fit(rows, rows.sum(axis=1)),
        rows,
        {"mae": 0.25, "samples": 40},
        accuracy_from=2,
    )
    client = TestClient(create_app(settings, load_folder(folder, settings)))
    said = client.get("/metrics/").text
    error = 'ml_model_absolute_error{{model="model",revision="abc123",source="{}",version="local"}}'
    assert f"{error.format('training')} 0.25" in said
    assert "ml_feedback_total{" not in said, (
        "there is no right and wrong that a gate on accuracy could read"
    )
    reply = client.post("/predict/", json={"instances": [[1, 2], [3, 4]]}).json()
    assert reply["predictions"] == pytest.approx([3, 7])
    errors = [
        label(client, one, right).json()["absolute_error"]
        for one, right in zip(reply["prediction_ids"], (3.5, 5), strict=True)
    ]
    assert errors == pytest.approx([0.5, 2])
    said = client.get("/metrics/").text
    assert 'ml_feedback_numbers_total{model="model",revision="abc123",version="local"} 2.0' in said
    (live,) = [line for line in said.splitlines() if line.startswith(error.format("feedback"))]
    assert float(live.split()[-1]) == pytest.approx(1.25)
    assert client.get("/health/").json()["samples"] == 2
    assert (
        label(
            client,
            client.post("/predict/", json={"instances": [[1, 2]]}).json()["prediction_ids"][0],
            "three",
        ).status_code
        == 422
    )


def test_several_outputs_have_one_error() -> None:
    said = Prediction("m", "1", "r", 0, 1, True, [1.0, 2.0])
    assert absolute_error(said, [2.0, 5.0]) == 2.0
    with pytest.raises(Refused, match="2 numbers"):
        absolute_error(said, [1.0])


def test_a_window_says_nothing_before_it_has_enough() -> None:
    window = Window(most=3, least=2)
    means = []
    for value in (1.0, 0.0, 1.0, 1.0):
        window.add(value)
        means.append(window.mean)
    assert means == [None, 0.5, pytest.approx(2 / 3), pytest.approx(2 / 3)]


def value(client: TestClient, one: str, told: Any) -> Any:
    return client.post("/feedback/", json={"id": one, "value": told})


def of_values(text: str, revision: str) -> tuple[float, ...]:
    """Count, sum, sum of squares, and how many were clipped."""
    whose = f'{{model="iris",revision="{revision}",version="local"}}'
    names = ("values", "value_sum", "value_squares", "values_clipped")
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return tuple(float(lines[f"ml_feedback_{name}_total{whose}"]) for name in names)


def test_a_value_is_counted_once_for_the_revision_that_made_the_prediction(
    settings: Settings, loaded: LoadedModel
) -> None:
    _, stable = pod(settings, loaded, "stable", value_max=200.0)
    _, candidate = pod(settings, loaded, "candidate", value_max=200.0)
    first, second, third = predict(candidate, 3)
    assert value(stable, first, 12.5).json() == {
        "value": 12.5,
        "model": "iris",
        "version": "local",
        "revision": "candidate",
    }
    assert value(stable, first, 3).status_code == 409
    assert "its value already" in value(stable, first, 3).json()["error"]
    assert value(stable, second, 0).json()["value"] == 0
    assert value(stable, third, 10**300).json()["value"] == 200
    endless = b'{"id": "%s", "value": 1e999}' % third.encode()
    assert stable.post("/feedback/", content=endless).status_code == 400
    said = stable.get("/metrics/").text
    assert of_values(said, "candidate") == (3, 212.5, 12.5**2 + 200**2, 1)
    assert of_values(said, "stable") == (0, 0, 0, 0)


def test_a_prediction_may_have_a_label_and_a_value(settings: Settings, loaded: LoadedModel) -> None:
    _, client = pod(settings, loaded, value_max=5.0)
    (one,) = predict(client)
    assert label(client, one).status_code == 200
    assert value(client, one, 4).status_code == 200
    both = client.post("/feedback/", json={"id": one, "value": 4, "label": "setosa"})
    assert both.status_code == 422, "one of them would be lost"
    assert "in place of the label" in both.json()["error"]
    told = client.post("/feedback/", json=[{"id": one, "value": 4}, {"id": one, "label": "setosa"}])
    assert [entry["status"] for entry in told.json()["results"]] == [409, 409]
    assert "its label already" in told.json()["results"][1]["error"]


@pytest.mark.parametrize(
    ("most", "told", "words"),
    [
        pytest.param(0.0, 4, "values are not taken here", id="none are taken"),
        pytest.param(5.0, -0.5, 'or "value": <a number from 0 on>', id="less than nothing"),
        pytest.param(5.0, True, 'or "value": <a number from 0 on>', id="a truth value"),
        pytest.param(5.0, "4", 'or "value": <a number from 0 on>', id="a text"),
        pytest.param(5.0, None, 'or "value": <a number from 0 on>', id="nothing"),
    ],
)
def test_a_value_that_is_none_is_refused(
    settings: Settings, loaded: LoadedModel, most: float, told: Any, words: str
) -> None:
    _, client = pod(settings, loaded, value_max=most)
    (one,) = predict(client)
    refused = value(client, one, told)
    assert refused.status_code == 422
    assert words in refused.json()["error"]
    # It can be sent as it should be.
    assert not most or value(client, one, 4).status_code == 200
