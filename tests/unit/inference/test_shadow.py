"""Copies of requests: what is alike, who may order them, and that they are counted apart."""

import asyncio
import json
import socket
import time
from typing import Any

import msgspec
import pytest
from starlette.testclient import TestClient

from rollout_inference.app import Application, create_app
from rollout_inference.loading.loader import LoadedModel
from rollout_inference.metrics import Metrics
from rollout_inference.settings import Settings, SettingsError
from rollout_inference.shadow import copier, messages, orders
from rollout_inference.shadow.compare import Unreadable, alike, rows
from rollout_inference.shadow.copies import WAITING, Copies
from rollout_inference.shadow.messages import Copy, Target
from rollout_model.errors import Refused
from rollout_operator.domain import shadow as told_by
from tests.support.builders import START
from tests.unit.inference.conftest import KEY

SETOSA = [5.1, 3.5, 1.4, 0.2]
TARGET = Target("iris-def456", 80, "tok", 0.01)


def native(*predictions: Any, **outputs: list[Any]) -> bytes:
    said = {"predictions": list(predictions), "prediction_ids": ["x"] * len(predictions)}
    return json.dumps({**said, **({"outputs": outputs} if outputs else {})}).encode()


def tensors(*outputs: tuple[str, list[int], list[Any]]) -> bytes:
    made = [{"name": n, "datatype": "FP32", "shape": s, "data": d} for n, s, d in outputs]
    return json.dumps({"model_name": "iris", "outputs": made}).encode()


PAIRS: dict[str, tuple[bytes, bytes, bool]] = {
    "the same class": (native("setosa"), native("setosa"), True),
    "another class": (native("setosa"), native("virginica"), False),
    "the same number class": (native(1), native(1), True),
    "the next number class": (native(100), native(101), False),
    "a class that is a word now": (native(1), native("1"), False),
    "a class that is a truth value now": (native(1), native(True), False),
    "a number near enough": (native(100.0), native(100.9), True),
    "a number too far": (native(100.0), native(102.0), False),
    "a small number too far": (native(0.001), native(0.002), False),
    "a number that is whole now": (native(100.0), native(100), True),
    "a missing number": (native(None), native(None), True),
    "a number that is missing now": (native(1.0), native(None), False),
    "several outputs of a row": (native([1.0, 2.0]), native([1.0, 2.01]), True),
    "fewer outputs of a row": (native([1.0, 2.0]), native([1.0]), False),
    "probabilities near enough": (
        native("a", predict_proba=[[0.5, 0.5]]),
        native("a", predict_proba=[[0.505, 0.495]]),
        True,
    ),
    "probabilities too far": (
        native("a", predict_proba=[[0.02, 0.98]]),
        native("a", predict_proba=[[0.04, 0.96]]),
        False,
    ),
    "probabilities that are not there": (
        native("a", predict_proba=[[0.5, 0.5]]),
        native("a"),
        False,
    ),
    "a number beyond all others": (native(1.5), native(10**400), False),
    "tensors": (
        tensors(("predict", [1], [3.0]), ("prediction_id", [1], ["x"])),
        tensors(("predict", [1], [3.01]), ("prediction_id", [1], ["y"])),
        True,
    ),
    "tensors of two columns": (
        tensors(("predict", [1, 2], [3.0, 4.0])),
        tensors(("predict", [1, 2], [3.0, 9.0])),
        False,
    ),
}


@pytest.mark.parametrize(("ours", "theirs", "same"), PAIRS.values(), ids=PAIRS.keys())
def test_what_is_alike(ours: bytes, theirs: bytes, same: bool) -> None:
    (first,), (second,) = rows(ours), rows(theirs)
    assert alike(first, second) is same


UNREADABLE = {
    "no JSON": b"\x16\x03",
    "a list": b"[1]",
    "nothing": b"{}",
    "an error": b'{"error": "no"}',
    "predictions that are none": b'{"predictions": 7}',
    "outputs of different length": native("a", predict_proba=[[1.0], [1.0]]),
    "a tensor without shape": b'{"outputs": [{"name": "predict", "data": [1]}]}',
    "a tensor of another shape": tensors(("predict", [2], [1.0, 2.0, 3.0])),
    "a tensor of nothing": tensors(("predict", [0], [])),
    "a tensor that is none": b'{"outputs": [7]}',
    "a tensor whose name is none": b'{"outputs": [{"name": ["x"], "shape": [1], "data": [1]}]}',
    "nested too deeply": b"[" * 100_000,
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_is_no_answer(body: bytes) -> None:
    with pytest.raises(Unreadable):
        rows(body)


def test_of_several_rows_the_share_that_differs_is_what_is_counted() -> None:
    """One row of each copy, chosen by chance: 30 of 100 differ, and so do 30 % of the copies."""
    body = native(*["a"] * 100)
    theirs = native(*["b"] * 30, *["a"] * 70)
    one = Copy("/predict/", [], b"", body, 0.001)
    found = [copier.compared(one, 200, theirs, 0.001, TARGET)[0] for _ in range(4000)]
    assert set(found) == {messages.DIFFERENT, messages.ALIKE}
    assert 0.26 < found.count(messages.DIFFERENT) / len(found) < 0.34


CAME: dict[str, tuple[int, bytes, float, str]] = {
    "as stable": (200, native("a"), 0.01, messages.ALIKE),
    "as stable, within what the way takes": (200, native("a"), 0.1, messages.ALIKE),
    "as stable, much later": (200, native("a"), 0.3, messages.SLOWER),
    "otherwise, and much later": (200, native("b"), 0.3, messages.DIFFERENT),
    "with an error": (500, b'{"error": "x"}', 0.01, messages.FAILED),
    "with a refusal": (422, b'{"error": "x"}', 0.01, messages.FAILED),
    "with what is no answer": (200, b"<html>", 0.01, messages.FAILED),
    "with fewer rows": (200, native(), 0.01, messages.FAILED),
}


@pytest.mark.parametrize(("status", "body", "seconds", "outcome"), CAME.values(), ids=CAME.keys())
def test_outcomes(status: int, body: bytes, seconds: float, outcome: str) -> None:
    copy = Copy("/predict/", [], b"", native("a"), 0.01)
    assert copier.compared(copy, status, body, seconds, TARGET)[0] == outcome


def test_a_copy_is_the_request_with_the_mark_of_one() -> None:
    copy = Copy("/v2/models/iris/infer", [(b"content-type", b"x/y")], b"body", b"", 0.0)
    head, _, body = copier.request(copy, Target("iris-abc", 80, "tok", 0.0)).partition(b"\r\n\r\n")
    assert body == b"body"
    assert head.split(b"\r\n") == [
        b"POST /v2/models/iris/infer HTTP/1.1",
        b"host: iris-abc",
        b"content-length: 4",
        b"x-model-copy: tok",
        b"content-type: x/y",
    ]


def test_a_path_is_sent_as_it_came_where_the_models_name_has_blanks() -> None:
    copy = Copy("/v2/models/my model/infer", [], b"", b"", 0.0)
    head = copier.request(copy, Target("iris-abc", 80, "tok", 0.0))
    assert head.startswith(b"POST /v2/models/my%20model/infer HTTP/1.1\r\n")


async def test_a_process_that_has_lost_one_of_its_tasks_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So that the server sees it, and begins it anew."""

    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(copier, "_asked", broken)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        theirs.setblocking(False)
        ours.send(msgspec.msgpack.encode(Target("127.0.0.1", 9, "tok", 0.01)))
        ours.send(msgspec.msgpack.encode([Copy("/predict/", [], b"{}", native("a"), 0.01)]))
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(copier.Copier(theirs).run(), 10)


# Orders


def order(percent: int = 20, key: str = KEY, ends: bool = False) -> tuple[bytes, bytes]:
    shadow = told_by.Shadow("abc123", "def456", percent)
    body, signature = told_by.message(shadow, START, key, ends=ends)
    return body, signature.encode()


NOW = START.timestamp()


def test_server_and_operator_agree_on_an_order() -> None:
    said = orders.order(*order(), KEY, NOW + 2)
    assert (said.candidate, said.percent) == ("def456", 20)
    assert said.seconds == told_by.LEASE.total_seconds() <= orders.LONGEST_LEASE
    assert orders.order(*order(ends=True), KEY, NOW).percent == 0
    assert (told_by.PATH, told_by.SIGNATURE.lower().encode()) == (orders.PATH, orders.SIGNATURE)
    assert told_by.RENEW * 2 < told_by.LEASE


ORDERS: dict[str, tuple[tuple[bytes, bytes], str, float, str]] = {
    "another rollout's key": (order(key="another"), KEY, NOW, "only the operator"),
    "a body that was changed": ((order()[0] + b" ", order()[1]), KEY, NOW, "only the operator"),
    "no signature": ((order()[0], b""), KEY, NOW, "only the operator"),
    "an old one": (order(), KEY, NOW + 400, "clocks"),
    "one of the future": (order(), KEY, NOW - 400, "clocks"),
    "a server without a key": (order(key=""), "", NOW, "no FEEDBACK_KEY"),
    "more than all": (order(percent=101), KEY, NOW, "percent is from 0 to 100"),
}


@pytest.mark.parametrize(("sent", "key", "now", "why"), ORDERS.values(), ids=ORDERS.keys())
def test_orders_that_are_none(sent: tuple[bytes, bytes], key: str, now: float, why: str) -> None:
    with pytest.raises(Refused, match=why):
        orders.order(*sent, key, now)


POD = "iris-abc123-6f7d8c9b-x2x4z"


def test_copies_go_to_the_service_beside_the_pods_own_and_nowhere_else(settings: Settings) -> None:
    assert orders.address_of("def456", settings, POD) == ("iris-def456", 80)
    for pod, candidate in (
        ("node-7", "def456"),
        (POD, "evil.example.com"),
        (POD, "a/b"),
        (POD, ""),
    ):
        with pytest.raises(Refused, match="no pod of a rollout"):
            orders.address_of(candidate, settings, pod)
    outside = settings.model_copy(update={"shadow_url": "http://127.0.0.1:8081"})
    assert orders.address_of("def456", outside, "laptop") == ("127.0.0.1", 8081)


WRONG = {
    "MODEL_SHADOW_URL": ["127.0.0.1:80", "https://a", "http://a/b", "http://u:p@a"],
    "MODEL_SHADOW_TOLERANCE": ["x", "1", "-0.1", "nan"],
}


@pytest.mark.parametrize(("name", "texts"), WRONG.items(), ids=WRONG.keys())
def test_settings_that_are_none(name: str, texts: list[str]) -> None:
    for text in texts:
        with pytest.raises(SettingsError, match=name):
            Settings.from_environment({"MODEL_URI": "models:/iris/1", name: text})


# The server


@pytest.fixture
def app(loaded: LoadedModel, settings: Settings) -> Application:
    return create_app(settings, loaded)


@pytest.fixture
def asked(app: Application) -> TestClient:
    return TestClient(app, raise_server_exceptions=False)


def told(app: Application, name: str) -> dict[str, float]:
    """The counters of that name that are not 0, by their last label."""
    return {
        list(sample.labels.values())[-1]: sample.value
        for family in app.state.metrics.registry.collect()
        for sample in family.samples
        if sample.name == name and sample.value
    }


USERS = (
    "ml_request_count_total",
    "ml_request_errors_total",
    "ml_predictions_total",
    "ml_predicted_total",
    "ml_input_total",
    "ml_request_latency_seconds_count",
    "ml_request_refused_total",
)


def test_a_copy_is_answered_as_ever_and_counted_apart(
    app: Application, asked: TestClient, settings: Settings
) -> None:
    mark = {"x-model-copy": orders.copy_token(KEY, settings.model_revision).decode()}
    body = {"instances": [SETOSA]}
    plain = asked.post("/predict/", json=body)
    before = {name: told(app, name) for name in USERS}
    copied = asked.post("/predict/", json=body, headers=mark)
    assert copied.status_code == 200
    assert copied.json()["predictions"] == plain.json()["predictions"]
    assert {name: told(app, name) for name in USERS} == before
    assert told(app, "ml_copies_total") == {"abc123": 1.0}
    assert asked.post("/predict/", json={}, headers=mark).status_code == 422
    assert told(app, "ml_copy_errors_total") == {}


@pytest.mark.parametrize("mark", ["", "true", orders.copy_token(KEY, "another").decode()])
def test_who_only_says_so_is_no_copy(app: Application, asked: TestClient, mark: str) -> None:
    headers = {"x-model-copy": mark}
    assert asked.post("/predict/", json={"instances": [SETOSA]}, headers=headers).status_code == 200
    assert told(app, "ml_request_count_total") == {"abc123": 1.0}
    assert told(app, "ml_copies_total") == {}


def test_orders_by_http_are_refused_with_a_sentence(asked: TestClient) -> None:
    body, signature = order()
    refused = asked.post("/shadow/", content=body, headers={"x-shadow-signature": "0" * 64})
    assert refused.status_code == 403
    assert "only the operator" in refused.json()["error"]
    assert asked.post("/shadow/", content=b"x" * 9000).status_code == 413
    old = asked.post("/shadow/", content=body, headers={"x-shadow-signature": signature.decode()})
    assert (old.status_code, "old" in old.json()["error"]) == (403, True)


def test_what_is_copied_is_what_was_answered_well(
    app: Application, asked: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[tuple[str, bytes, bytes]] = []

    def note(path: str, _: Any, body: bytes, answer: bytes, seconds: float) -> None:
        assert 0 < seconds < 60
        noted.append((path, body, answer))

    monkeypatch.setattr(app.state.copies, "share", 1.0)
    monkeypatch.setattr(app.state.copies, "note", note)
    assert asked.post("/predict/", json={"instances": []}).status_code == 422
    assert noted == []
    said = asked.post("/predict/", json={"instances": [SETOSA]})
    binary = {
        "inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP64", "data": SETOSA}],
        "parameters": {"binary_data_output": True},
    }
    assert asked.post("/v2/models/iris/infer", json=binary).status_code == 200
    assert noted == [("/predict/", said.request.content, said.content)]


def test_series_of_copies_are_bounded(settings: Settings) -> None:
    metrics = Metrics(settings)
    for n in range(50):
        metrics.shadows(f"c{n}")
        metrics.shadowed(f"c{n}", "same", 1)
        metrics.shadowed(f"c{n}", "made up", 1)
    metrics.shadowed("c0", "same", 1)
    found = [
        sample.labels["candidate"]
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "ml_shadow_total"
    ]
    assert sorted(set(found)) == ["c47", "c48", "c49"]
    assert len(found) == 3 * len(messages.OUTCOMES)


def test_a_candidate_that_is_tried_again_goes_on_with_its_counts(settings: Settings) -> None:
    metrics = Metrics(settings)
    metrics.shadows("a")
    metrics.shadowed("a", "same", 3)
    metrics.shadows("b")
    metrics.shadows("a")
    metrics.shadowed("a", "same", 1)
    values = {
        (s.labels["candidate"], s.labels["outcome"]): s.value
        for family in metrics.registry.collect()
        for s in family.samples
        if s.name == "ml_shadow_total"
    }
    assert (values["a", "same"], values["b", "same"]) == (4.0, 0.0)


def test_a_request_that_cannot_be_copied_now_is_dropped_and_costs_nothing(
    settings: Settings,
) -> None:
    metrics = Metrics(settings)
    copies = Copies(settings, metrics, chance=lambda: 0.0)
    vars(copies).update(share=1.0, _candidate="def456")
    metrics.shadows("def456")
    began = time.perf_counter()
    for _ in range(WAITING + 1000):
        copies.note("/predict/", [], b"{}", b"{}", 0.001)
    assert time.perf_counter() - began < 1
    copies.note("/predict/", [], b" " * 10**6, b"{}", 0.001)
    dropped = [
        s.value
        for family in metrics.registry.collect()
        for s in family.samples
        if s.name == "ml_shadow_total" and s.labels["outcome"] == "dropped"
    ]
    assert dropped == [1001.0]


async def test_an_order_that_is_taken_back_at_once_leaves_nothing(settings: Settings) -> None:
    here = settings.model_copy(update={"shadow_url": "http://127.0.0.1:9"})
    copies = Copies(here, Metrics(here))
    await copies.told(orders.Order("def456", 100, 20.0, NOW))
    assert copies.share == 1.0
    await copies.told(orders.Order("def456", 0, 20.0, NOW))
    assert (copies.share, vars(copies)["_task"]) == (0.0, None)
    await copies.told(orders.Order("def456", 50, 20.0, NOW))
    assert copies.share == 0.5
    await copies.end()
    copies.note("/predict/", [], b"{}", b"{}", 0.001)
    assert not vars(copies)["_waiting"]


async def test_orders_that_come_at_once_are_followed_one_after_the_other(
    settings: Settings,
) -> None:
    """The end of one candidate and the beginning of another, on connections of their own."""
    here = settings.model_copy(update={"shadow_url": "http://127.0.0.1:9"})
    copies = Copies(here, Metrics(here))
    await copies.told(orders.Order("abc", 100, 20.0, NOW))
    said = [orders.Order("def456", percent, 20.0, NOW + 1) for percent in (10, 20, 30)]
    await asyncio.gather(*map(copies.told, said))
    running = [task for task in asyncio.all_tasks() if task.get_name() == "copies"]
    assert (copies.share, vars(copies)["_candidate"], len(running)) == (0.3, "def456", 1)
    await copies.end()


async def test_an_order_that_was_kept_back_changes_nothing(settings: Settings) -> None:
    here = settings.model_copy(update={"shadow_url": "http://127.0.0.1:9"})
    copies = Copies(here, Metrics(here))
    first, ends = orders.Order("def456", 100, 20.0, NOW), orders.Order("def456", 0, 20.0, NOW + 1)
    await copies.told(first)
    await copies.told(ends)
    with pytest.raises(Refused, match="newer order"):
        await copies.told(first)
    assert copies.share == 0.0
    await copies.told(orders.Order("def456", 10, 20.0, NOW + 2))
    with pytest.raises(Refused, match="newer order"):
        await copies.told(ends)
    assert copies.share == 0.1
    await copies.end()


async def test_an_order_that_is_not_said_again_ends_by_itself(settings: Settings) -> None:
    here = settings.model_copy(update={"shadow_url": "http://127.0.0.1:9"})
    copies = Copies(here, Metrics(here))
    await copies.told(orders.Order("def456", 100, 0.2, NOW))
    for _ in range(500):
        if not copies.share:
            break
        await asyncio.sleep(0.02)
    assert (copies.share, vars(copies)["_task"], vars(copies)["_process"]) == (0.0, None, None)
