"""What a row costs is measured when a model is loaded, and what would keep the event loop too long
leaves it.
"""

import asyncio
import gzip
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from rollout_inference.api.endpoint import Endpoint
from rollout_inference.app import Application, create_app
from rollout_inference.loading.loader import LoadedModel
from rollout_inference.pace import measured
from rollout_inference.settings import Settings
from rollout_inference.state import BUDGET, Pace
from rollout_model.outcome import PLAIN, Outcome, Question
from rollout_model.runtimes import Runtime
from rollout_model.signature import Rows

SETOSA = [5.1, 3.5, 1.4, 0.2]


@dataclass
class Costly:
    """The model, of which a row costs so many seconds of CPU; it notes in which threads it ran."""

    model: Runtime
    row: float = 0.0
    name: str = "onnx"
    inline: bool = True
    also: tuple[str, ...] = ()
    takes_params: bool = False
    threads: set[str] = field(default_factory=set)

    async def predict(self, rows: Rows, question: Question = PLAIN) -> Outcome:
        return await asyncio.to_thread(self.run, rows, question)

    def run(self, rows: Rows, question: Question = PLAIN) -> Outcome:
        self.threads.add(threading.current_thread().name)
        until = time.thread_time() + self.row * len(rows)
        while time.thread_time() < until:
            pass
        return self.model.run(rows, question)


def pace_of(settings: Settings, model: LoadedModel) -> Pace:
    return measured(create_app(settings).state, model)


def test_what_a_row_costs_says_how_many_are_predicted_at_once(
    settings: Settings, loaded: LoadedModel
) -> None:
    cheap, dear = (
        pace_of(settings, replace(loaded, runtime=Costly(loaded.runtime, row)))
        for row in (0, BUDGET / 10)
    )
    assert 1 <= dear.rows <= 10 < cheap.rows
    assert dear.size < cheap.size <= settings.max_body
    assert dear.request >= BUDGET / 10 > cheap.request


NEVER = {
    "one row is too much": {"row": 2 * BUDGET},
    "it cannot be measured": {"model": None},
}


@pytest.mark.parametrize("changes", NEVER.values(), ids=NEVER.keys())
def test_a_model_that_is_too_slow_or_cannot_be_measured_is_never_asked_by_the_event_loop(
    settings: Settings, loaded: LoadedModel, changes: dict[str, Any]
) -> None:
    costly = Costly(**{"model": loaded.runtime, **changes})
    app = create_app(settings, replace(loaded, runtime=costly))
    assert app.state.pace == Pace()
    assert not app.endpoints["predict"].quick


def test_a_model_with_a_thread_of_its_own_is_not_asked_to_be_measured(
    settings: Settings, loaded: LoadedModel
) -> None:
    apart = Costly(loaded.runtime, row=1.0, inline=False)
    assert pace_of(settings, replace(loaded, runtime=apart)).rows > 10
    assert not apart.threads


@contextmanager
def noted(app: Application, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, set[str]]]:
    """Threads in which requests were decoded, and responses encoded."""
    found: dict[str, set[str]] = {"decode": set(), "encode": set()}

    def noting(name: str) -> Any:
        original = getattr(Endpoint, name)

        def note(self: Endpoint, *arguments: Any) -> Any:
            found[name].add(threading.current_thread().name)
            return original(self, *arguments)

        return note

    with monkeypatch.context() as patched:
        for name in found:
            patched.setattr(Endpoint, name, noting(name))
        yield found


def instances(count: int) -> bytes:
    return json.dumps({"instances": [SETOSA] * count}).encode()


def lines(count: int) -> bytes:
    return ("a,b\n" + "5,3\n" * count).encode()


def tensor(count: int) -> bytes:
    return json.dumps(
        {"inputs": [{"name": "x", "shape": [count, 4], "datatype": "FP64", "data": SETOSA * count}]}
    ).encode()


def labels(count: int) -> bytes:
    return json.dumps([{"id": "nobody's", "label": "setosa"}] * count).encode()


LONG = {
    "our own": ("predict", instances(200), {}),
    "MLflow's": ("invocations", instances(200), {}),
    "CSV": ("invocations", lines(500), {b"content-type": b"text/csv"}),
    "open inference": ("infer", tensor(200), {}),
    "labels": ("feedback", labels(200), {}),
    "what has to be unpacked first": (
        "predict",
        gzip.compress(instances(1)),
        {b"content-encoding": b"gzip"},
    ),
}


@pytest.mark.parametrize(("name", "body", "headers"), LONG.values(), ids=LONG.keys())
@pytest.mark.parametrize("inline", [True, False], ids=["", "with a thread of its own"])
async def test_long_requests_are_read_predicted_and_written_aside(
    settings: Settings,
    loaded: LoadedModel,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    body: bytes,
    headers: dict[bytes, bytes],
    inline: bool,
) -> None:
    costly, mine = Costly(loaded.runtime, inline=inline), threading.current_thread().name
    app = create_app(settings, replace(loaded, runtime=costly))
    app.state.pace = Pace(request=1e-5, byte=1e-6, rows=50, size=1_000)
    costly.threads.clear()
    with noted(app, monkeypatch) as where:
        reply = await app.endpoints[name].answer(
            {"path": "/", "headers": list(headers.items())}, body
        )
    assert reply.status == (400 if name == "invocations" and headers else 200)
    assert mine not in where["decode"] | costly.threads
    if name in {"predict", "infer"} and not headers:
        assert costly.threads
        assert where["encode"]
        assert mine not in where["encode"]


async def test_short_requests_stay_where_they_are(
    settings: Settings, loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    costly, mine = Costly(loaded.runtime), threading.current_thread().name
    app = create_app(settings, replace(loaded, runtime=costly))
    app.state.pace = Pace(request=1e-5, byte=1e-6, rows=50, size=1_000)
    costly.threads.clear()
    with noted(app, monkeypatch) as where:
        assert (
            await app.endpoints["predict"].answer({"path": "/", "headers": []}, instances(3))
        ).status == 200
    assert where == {"decode": {mine}, "encode": {mine}}
    assert costly.threads == {mine}


async def test_a_label_is_counted_once_where_long_lists_of_it_come_at_once(
    settings: Settings, loaded: LoadedModel
) -> None:
    """They are entered by another thread, beside the event loop."""
    app = create_app(settings, loaded)
    ids = app.state.signer.sign(["setosa"] * 300, time.time())
    app.state.pace = Pace(request=1e-5, byte=1e-6, rows=50, size=1_000)
    body = json.dumps([{"id": one, "label": "setosa"} for one in ids]).encode()
    singly = [json.dumps({"id": one, "label": "setosa"}).encode() for one in ids]
    answer = app.endpoints["feedback"].answer
    long = asyncio.create_task(answer({"path": "/", "headers": []}, body))
    short = []
    for one in singly:
        short.append(await answer({"path": "/", "headers": []}, one))
        await asyncio.sleep(0)
    results = json.loads((await long).body)["results"]
    counted = sum("outcome" in one for one in results) + sum(one.status == 200 for one in short)
    assert counted == 300
    assert (
        app.state.metrics.registry.get_sample_value(
            "ml_feedback_total",
            {"model": "iris", "version": "local", "revision": "abc123", "outcome": "correct"},
        )
        == 300
    )
