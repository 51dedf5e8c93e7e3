"""A store behind the model server: requests that callers name, labels at any pod and after all of
them, and predictions that are answered whatever the store does.
"""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from sklearn.linear_model import LinearRegression
from starlette.testclient import TestClient

from rollout_inference.app import Application, create_app
from rollout_inference.feedback import book
from rollout_inference.feedback.databases import Sqlite
from rollout_inference.feedback.settlement import Entry, Sent
from rollout_inference.loading.loader import LoadedModel, load_folder
from rollout_inference.settings import Settings, SettingsError
from rollout_inference.shadow import orders
from tests.unit.inference.conftest import KEY, Save
from tests.unit.inference.serving import serving

SETOSA = [5.1, 3.5, 1.4, 0.2]
TENSOR = {"name": "input", "shape": [1, 4], "datatype": "FP64", "data": SETOSA}
HEADER = "X-Feedback-Request-Id"
Pod = Callable[..., TestClient]


@pytest.fixture
def pod(settings: Settings, loaded: LoadedModel, tmp_path: Path) -> Pod:
    """One more pod with the same store."""

    def started(revision: str = "abc123", **changes: Any) -> TestClient:
        more = {
            "model_revision": revision,
            "feedback_store": f"sqlite:{tmp_path}/labels",
            "feedback_scope": "u1",
            **changes,
        }
        return TestClient(create_app(settings.model_copy(update=more), loaded))

    return started


def app_of(client: TestClient) -> Application:
    made = client.app
    assert isinstance(made, Application)
    return made


def predict(client: TestClient, name: str, rows: int = 1) -> Any:
    body = {"request_id": name, "instances": [SETOSA] * rows}
    return client.post("/predict/", json=body)


def label(client: TestClient, name: str, right: Any = "setosa", **more: Any) -> Any:
    return client.post("/feedback/", json={"request_id": name, "label": right, **more})


def counters(client: TestClient, revision: str = "abc123") -> dict[str, float]:
    """Stored and retracted, by outcome."""
    found = {}
    for line in client.get("/metrics/").text.splitlines():
        if f'revision="{revision}"' in line and line.startswith(
            ("ml_feedback_stored_total", "ml_feedback_retracted_total")
        ):
            name = line.removeprefix("ml_feedback_").partition("_total")[0]
            outcome = line.partition('outcome="')[2].partition('"')[0]
            found[f"{name} {outcome}"] = float(line.rpartition(" ")[2])
    return found


NAMED: dict[str, tuple[str, dict[str, Any]]] = {
    "our own field": ("/predict/", {"json": {"request_id": "order-17", "instances": [SETOSA]}}),
    "our own protocol, by header": (
        "/predict/",
        {"json": {"instances": [SETOSA]}, "headers": {HEADER: "order-17"}},
    ),
    "the protocol's own id": (
        "/v2/models/iris/infer",
        {"json": {"id": "order-17", "inputs": [TENSOR]}},
    ),
    "MLflow's, by header": (
        "/invocations",
        {"json": {"inputs": [SETOSA]}, "headers": {HEADER: "order-17"}},
    ),
}


@pytest.mark.parametrize(("path", "request_"), NAMED.values(), ids=NAMED.keys())
def test_a_label_by_the_callers_own_key_is_counted_for_the_revision_that_answered(
    pod: Pod, path: str, request_: dict[str, Any]
) -> None:
    candidate, stable = pod("candidate"), pod("stable")
    reply = candidate.post(path, **request_)
    assert reply.headers["x-feedback-remembered"] == "true"
    assert label(stable, "order-17").json() == {
        "outcome": "correct",
        "taken": "counted",
        "model": "iris",
        "version": "local",
        "revision": "candidate",
    }
    for one in (stable, candidate):
        assert counters(one, "candidate")["stored correct"] == 1
        assert counters(one, "stable").get("stored correct", 0) == 0


def test_after_all_pods_were_replaced_labels_are_known_and_counted_once(pod: Pod) -> None:
    first = pod()
    predict(first, "order-1")
    predict(first, "order-2")
    assert label(first, "order-1").json()["taken"] == "counted"
    later = pod()
    assert label(later, "order-1").json()["taken"] == "duplicate"
    assert label(later, "order-2", "virginica").json()["taken"] == "counted"
    assert label(later, "order-2", "setosa", version=1).json() == {
        "outcome": "correct",
        "taken": "corrected",
        "model": "iris",
        "version": "local",
        "revision": "abc123",
    }
    assert counters(pod()) == {
        "stored correct": 2,
        "stored wrong": 1,
        "retracted correct": 0,
        "retracted wrong": 1,
    }


def test_rows_of_a_request_are_told_by_their_number(pod: Pod) -> None:
    client = pod()
    predict(client, "order-1", rows=3)
    said = [label(client, "order-1", row=row).status_code for row in (0, 2, 3)]
    assert said == [200, 200, 404]
    assert label(client, "order-1").json()["taken"] == "duplicate", "the first where none is said"


def test_signed_ids_are_counted_once_by_all_pods(pod: Pod) -> None:
    first, second = pod(), pod()
    reply = first.post("/predict/", json={"instances": [SETOSA]})
    assert "x-feedback-remembered" not in reply.headers
    (one,) = reply.json()["prediction_ids"]
    said = [
        client.post("/feedback/", json={"id": one, "label": "setosa"}).json()["taken"]
        for client in (second, first)
    ]
    assert said == ["counted", "duplicate"]
    assert counters(first)["stored correct"] == 1


def test_of_many_labels_each_is_answered_by_itself(pod: Pod) -> None:
    client = pod()
    predict(client, "order-1")
    (signed,) = client.post("/predict/", json={"instances": [SETOSA]}).json()["prediction_ids"]
    sent = [
        {"request_id": "order-1", "label": "setosa"},
        {"request_id": "nobody", "label": "setosa"},
        {"id": "A" * 40, "label": "setosa"},
        {"id": signed, "label": "virginica"},
        {"request_id": "order-1", "label": 3},
        {"request_id": "order-1", "label": "virginica"},
    ]
    results = client.post("/feedback/", json=sent).json()["results"]
    assert [one.get("status", one.get("taken")) for one in results] == [
        "counted",
        404,
        403,
        "counted",
        422,
        409,
    ]
    said = client.get("/metrics/").text
    for reason in ("unknown", "forged", "malformed", "replayed"):
        labels = f'model="iris",reason="{reason}",revision="abc123",version="local"'
        assert f"ml_feedback_refused_total{{{labels}}} 1.0" in said


MALFORMED: dict[str, tuple[Any, str]] = {
    "a value beyond all numbers": ({"request_id": "a", "value": 10**400}, "from 0 on"),
    "a label that nothing predicts": ({"request_id": "a", "label": "x" * 5000}, "the right answer"),
    "no id of any kind": ({"label": "setosa"}, '"request_id": "<the one of the predict request>"'),
    "an empty name": ({"request_id": "", "label": "setosa"}, "printable ASCII"),
    "a name that is no ASCII": ({"request_id": "größe", "label": "setosa"}, "printable ASCII"),
    "a name with a line break": ({"request_id": "a\nb", "label": "setosa"}, "printable ASCII"),
    "a name with a NUL": ({"request_id": "a\0b", "label": "setosa"}, "printable ASCII"),
    "a name that is a number": ({"request_id": 17, "label": "setosa"}, "printable ASCII"),
    "a long name": ({"request_id": "a" * 257, "label": "setosa"}, "1 to 256"),
    "10 KB of name": ([{"request_id": "a" * 10_240, "label": "setosa"}], "entry 0: request_id"),
    "a row that is none": ({"request_id": "a", "row": -1, "label": "setosa"}, "request_id"),
    "a version that is none": ({"request_id": "a", "version": "x", "label": "y"}, "version must"),
    "a version below 0": ({"request_id": "a", "version": -1, "label": "y"}, "version must"),
}


@pytest.mark.parametrize(("body", "why"), MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_no_label_gets_a_sentence(pod: Pod, body: Any, why: str) -> None:
    reply = pod().post("/feedback/", json=body)
    assert (reply.status_code, why in reply.json()["error"]) == (422, True)


def test_without_a_store_a_request_id_changes_nothing(client: TestClient) -> None:
    reply = predict(client, "order-1")
    assert reply.status_code == 200
    assert "x-feedback-remembered" not in reply.headers
    refused = label(client, "order-1")
    assert (refused.status_code, "feedbackStore" in refused.json()["error"]) == (422, True)
    assert "ml_feedback_store" not in client.get("/metrics/").text


@pytest.mark.parametrize("name", ["", 7, "a\tb", "größe", "x" * 300], ids=repr)
def test_a_request_id_that_is_none_is_refused_where_it_is_asked_for(
    client: TestClient, name: Any
) -> None:
    reply = client.post("/predict/", json={"request_id": name, "instances": [SETOSA]})
    assert (reply.status_code, "request_id must be" in reply.json()["error"]) == (422, True)


def test_an_id_of_the_protocol_that_is_none_of_ours_is_answered_without_being_noted(
    pod: Pod,
) -> None:
    client = pod()
    reply = client.post("/v2/models/iris/infer", json={"id": "x" * 300, "inputs": [TENSOR]})
    assert (reply.status_code, reply.headers["x-feedback-remembered"]) == (200, "false")
    labels = 'model="iris",reason="name",revision="abc123",version="local"'
    assert f"ml_feedback_unremembered_total{{{labels}}} 1.0" in client.get("/metrics/").text


def test_a_name_whose_label_has_come_is_not_remembered_again(pod: Pod) -> None:
    client = pod()
    assert predict(client, "a").headers["X-Feedback-Remembered"] == "true"
    label(client, "a")
    assert predict(client, "a").headers["X-Feedback-Remembered"] == "false"
    assert predict(client, "b").headers["X-Feedback-Remembered"] == "true"
    lost = app_of(client).state.book
    assert lost is not None
    assert lost.unremembered == {"away": 0, "reused": 1, "large": 0, "name": 0}


def test_a_store_that_cannot_be_understood_hides_no_other_series(
    pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise ValueError("a row of another program")

    client = pod()
    predict(client, "a")
    made = app_of(client).state.book
    assert made is not None
    monkeypatch.setattr(made.store, "snapshot", broken)
    told = client.get("/metrics/")
    assert told.status_code == 200
    assert "ml_request_count_total" in told.text
    assert 'ml_feedback_store_up{model="iris",revision="abc123",version="local"} 0.0' in told.text


def test_a_store_that_is_away_holds_up_no_prediction(pod: Pod, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    client = pod(feedback_store=f"sqlite:{tmp_path}/file/labels")
    reply = predict(client, "order-1")
    assert (reply.status_code, reply.headers["x-feedback-remembered"]) == (200, "false")
    refused = label(client, "order-1")
    assert (refused.status_code, "again later" in refused.json()["error"]) == (503, True)
    (one,) = client.post("/feedback/", json=[{"request_id": "a", "label": "b"}]).json()["results"]
    assert one["status"] == 503
    said = client.get("/metrics/").text
    assert 'ml_feedback_store_up{model="iris",revision="abc123",version="local"} 0.0' in said
    assert "ml_feedback_stored_total{" not in said, "nothing is claimed that was not read"
    labels = 'model="iris",reason="away",revision="abc123",version="local"'
    assert f"ml_feedback_unremembered_total{{{labels}}} 1.0" in said


def test_a_volume_that_is_full_is_told_though_it_can_be_read(
    pod: Pod, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rollout_inference.feedback.store.WAIT_AFTER", 0.0)
    client = pod()
    predict(client, "before")
    kept = app_of(client).state.book
    assert kept is not None

    def bounded(pages: int) -> None:
        with kept.store._database.transaction() as cursor:
            cursor.execute(f"PRAGMA max_page_count = {pages}")

    def told() -> str:
        said = client.get("/metrics/").text
        return str(next(ln for ln in said.splitlines() if ln.startswith("ml_feedback_store_up")))

    assert told().endswith(" 1.0")
    database = kept.store._database
    assert isinstance(database, Sqlite)
    connection = database._connected

    def full() -> Any:
        made = connection()
        made.execute("PRAGMA max_page_count = 1")
        return made

    monkeypatch.setattr(database, "_connected", full)
    bounded(1)
    assert predict(client, "x" * 200, rows=500).headers["X-Feedback-Remembered"] == "false"
    assert told().endswith(" 0.0"), "its counts are read, and nothing is noted"
    assert counters(client) == {
        f"{name} {outcome}": 0.0
        for name in ("stored", "retracted")
        for outcome in ("correct", "wrong")
    }
    monkeypatch.setattr(database, "_connected", connection)
    kept.store.close()
    assert predict(client, "after").headers["X-Feedback-Remembered"] == "true"
    assert told().endswith(" 1.0")


def test_a_store_that_hangs_costs_one_wait_and_not_one_for_each_request(
    pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = pod()
    # However long the requests take, they come in the time in which nobody waits again.
    monkeypatch.setattr(book, "time", SimpleNamespace(monotonic=lambda: 0.0))
    kept = app_of(client).state.book
    assert kept is not None
    asked = []

    def hangs(entries: list[Entry]) -> int:
        asked.append(len(entries))
        time.sleep(1.5)
        return 0

    monkeypatch.setattr(kept.store, "remember", hangs)
    monkeypatch.setattr(book, "PATIENCE", 0.3)
    replies = [predict(client, f"order-{n}") for n in range(20)]
    assert {one.status_code for one in replies} == {200}
    assert {one.headers["x-feedback-remembered"] for one in replies} == {"false"}
    assert asked == [1]


def test_the_live_accuracy_outlives_the_pod(pod: Pod) -> None:
    first = pod(accuracy_from=5)
    for n in range(6):
        predict(first, f"order-{n}")
        label(first, f"order-{n}", "setosa" if n else "virginica")
    said = pod(accuracy_from=5).get("/metrics/").text
    labels = 'model="iris",revision="abc123",source="feedback",version="local"'
    value = next(line for line in said.splitlines() if f"ml_model_accuracy{{{labels}}}" in line)
    assert float(value.rpartition(" ")[2]) == pytest.approx(5 / 6)


def test_errors_of_a_regression_are_summed_and_corrected(save: Save, tmp_path: Path) -> None:
    rows = [[0.0], [1.0], [2.0], [3.0]]
    folder, settings = save(
        LinearRegression().fit(_frame(rows), [0.0, 2.0, 4.0, 6.0]), _frame(rows)
    )
    settings = settings.model_copy(update={"feedback_store": f"sqlite:{tmp_path}/labels"})
    client = TestClient(create_app(settings, load_folder(folder, settings)))
    client.post("/predict/", json={"request_id": "a", "instances": [[2.0]]})
    assert label(client, "a", 5.0).json()["absolute_error"] == pytest.approx(1.0)
    assert label(client, "a", 4.5, version=1).json()["taken"] == "corrected"
    said = client.get("/metrics/").text
    sums = {
        name: float(line.rpartition(" ")[2])
        for line in said.splitlines()
        for name in ("stored_numbers", "stored_absolute_error", "retracted_absolute_error")
        if line.startswith(f"ml_feedback_{name}_total")
    }
    assert sums == {
        "stored_numbers": 1,
        "stored_absolute_error": pytest.approx(1.5),
        "retracted_absolute_error": pytest.approx(1.0),
    }


def _frame(rows: list[list[float]]) -> Any:
    import pandas as pd

    return pd.DataFrame(rows, columns=["x"])


@pytest.fixture
def address(settings: Settings, loaded: LoadedModel, tmp_path: Path) -> Iterator[str]:
    mine = settings.model_copy(update={"feedback_store": f"sqlite:{tmp_path}/labels"})
    with serving(mine, loaded) as (host, port):
        yield f"http://{host}:{port}"


def test_named_requests_and_others_go_through_one_connection_in_order(address: str) -> None:
    """A real server: what has no name takes the fast path, what has one waits for the store."""
    with httpx.Client(base_url=address) as client:
        for n in range(20):
            named = {"request_id": f"order-{n}"} if n % 2 else {}
            reply = client.post("/predict/", json={"instances": [SETOSA], **named})
            assert reply.status_code == 200
            assert ("x-feedback-remembered" in reply.headers) is bool(named)
        sent = [{"request_id": f"order-{n}", "label": "setosa"} for n in range(20)]
        results = client.post("/feedback/", json=sent).json()["results"]
    assert ["taken" in one for one in results] == [bool(n % 2) for n in range(20)]


WRONG = {
    "another database": {"FEEDBACK_STORE": "mysql://db/x"},
    "no folder": {"FEEDBACK_STORE": "sqlite:labels"},
    "a scope with a slash": {"FEEDBACK_SCOPE": "../x"},
    "no entries": {"FEEDBACK_STORE_ENTRIES": "0"},
}


@pytest.mark.parametrize("env", WRONG.values(), ids=WRONG.keys())
def test_settings_that_cannot_be_meant_are_refused(env: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=next(iter(env))) as refused:
        Settings.from_environment({"MODEL_PATH": "/m", **env})
    assert "mysql://db/x" not in str(refused.value), "there may be a password in it"


def test_predictions_are_noted_while_a_long_list_of_labels_is_settled(
    pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = pod(max_body=1_000_000)
    kept = app_of(client).state.book
    assert kept is not None
    order: list[str] = []
    take, remember = kept.store.take, kept.store.remember

    def slow(sent: list[Sent]) -> list[Any]:
        time.sleep(0.1)
        order.append("labels")
        return take(sent)

    def noted(entries: list[Entry]) -> frozenset[str]:
        order.append("prediction")
        return remember(entries)

    monkeypatch.setattr(kept.store, "take", slow)
    monkeypatch.setattr(kept.store, "remember", noted)
    many = [{"request_id": f"order-{n}", "label": "setosa"} for n in range(5_000)]
    sender = threading.Thread(target=client.post, args=("/feedback/",), kwargs={"json": many})
    sender.start()
    while not order:
        assert sender.is_alive()
        time.sleep(0.01)
    assert predict(client, "order-x").headers["x-feedback-remembered"] == "true"
    sender.join()
    assert order.index("prediction") <= 4 < len(order)


def test_the_answer_to_a_copy_takes_no_label_from_the_one_that_the_caller_got(pod: Pod) -> None:
    stable, candidate = pod("stable"), pod("candidate")
    assert predict(stable, "order-1").headers["x-feedback-remembered"] == "true"
    mark = {"x-model-copy": orders.copy_token(KEY, "candidate").decode(), HEADER: "order-1"}
    body = {"request_id": "order-1", "instances": [SETOSA]}
    copy = candidate.post("/predict/", json=body, headers=mark)
    assert (copy.status_code, "x-feedback-remembered" in copy.headers) == (200, False)
    assert label(stable, "order-1").json()["revision"] == "stable"
