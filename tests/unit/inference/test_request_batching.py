"""Requests of one turn of the event loop share a run of the model, and nothing else."""

import asyncio
import gzip
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from rollout_inference.api.protocol import Decoded, Headers, Protocol, Request, Response
from rollout_inference.app import create_app
from rollout_inference.loading.loader import LoadedModel
from rollout_inference.server.request_batching import PendingRequest, request_batcher
from rollout_inference.settings import Settings
from rollout_inference.state import BUDGET, Pace
from rollout_model.outcome import PLAIN, Outcome, Question
from rollout_model.runtimes import Runtime
from rollout_model.signature import Rows

POISON = 6.66
"""A value on which the model fails."""
ROWS = {
    "setosa": [5.1, 3.5, 1.4, 0.2],
    "versicolor": [5.9, 2.8, 4.3, 1.3],
    "virginica": [6.3, 3.3, 6.0, 2.5],
}


@dataclass
class Watched:
    """The model, which notes how many rows each run had, and fails on poison."""

    model: Runtime
    ran: list[int] = field(default_factory=list)
    name: str = "onnx"
    inline: bool = True
    also: tuple[str, ...] = ("predict_proba",)
    takes_params: bool = False
    before: Callable[[], None] = field(default=lambda: None)

    async def predict(self, rows: Rows, question: Question = PLAIN) -> Outcome:
        return await asyncio.to_thread(self.run, rows, question)

    def run(self, rows: Rows, question: Question = PLAIN) -> Outcome:
        self.before()
        self.ran.append(len(rows))
        if (rows == POISON).any():
            raise RuntimeError("poison")
        return self.model.run(rows, question)


@dataclass
class Round:
    """One turn: what is asked, and what came of it."""

    settings: Settings
    loaded: LoadedModel

    def __post_init__(self) -> None:
        self.watched = Watched(self.loaded.runtime)
        self.app = create_app(self.settings, replace(self.loaded, runtime=self.watched))
        self.watched.ran.clear()
        self.app.state.pace = Pace(request=1e-6, byte=1e-9, rows=100, size=10_000)
        self.answers: list[tuple[Response, Headers] | None] = []
        self.batcher = request_batcher()

    async def ask(self, *asked: tuple[str, Any]) -> None:
        for path, body in asked:
            endpoint = self.app.endpoint(path)
            assert endpoint is not None
            whole = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.batcher.add(
                PendingRequest(endpoint, {"path": path, "headers": []}, whole, self.answers.append)
            )
        self.batcher.flush()

    @property
    def said(self) -> list[tuple[int, Any]]:
        return [(one[0].status, json.loads(one[0].body)) for one in self.answers if one is not None]


@pytest.fixture
def turn(settings: Settings, loaded: LoadedModel) -> Round:
    return Round(settings, loaded)


def rows(*names: str) -> dict[str, Any]:
    return {"instances": [ROWS[name] for name in names]}


def tensor(*names: str) -> dict[str, Any]:
    data = [value for name in names for value in ROWS[name]]
    return {
        "inputs": [{"name": "x", "shape": [len(names), 4], "datatype": "FP64", "data": data}],
        "outputs": [{"name": "predict_proba"}],
    }


async def test_requests_of_one_turn_are_one_run_and_each_has_its_own_answer(turn: Round) -> None:
    asked = [("virginica",), ("setosa", "versicolor"), ("versicolor",), ("setosa",)]
    await turn.ask(*(("/predict/", rows(*names)) for names in asked))
    assert turn.watched.ran == [5]
    assert [body["predictions"] for _, body in turn.said] == [list(names) for names in asked]
    ids = [one for _, body in turn.said for one in body["prediction_ids"]]
    assert len(set(ids)) == 5


async def test_protocols_share_a_run_and_probabilities_are_those_of_their_rows(
    turn: Round, settings: Settings
) -> None:
    infer = f"/v2/models/{settings.name}/infer"
    await turn.ask(
        ("/predict/", rows("setosa")),
        (infer, tensor("virginica", "setosa")),
        ("/invocations", rows("versicolor")),
    )
    assert turn.watched.ran == [4]
    (_, first), (_, second), (_, third) = turn.said
    assert first["predictions"] == ["setosa"]
    assert third["predictions"] == ["versicolor"]
    by_name = {one["name"]: one["data"] for one in second["outputs"]}
    most = [max(range(3), key=by_name["predict_proba"][n : n + 3].__getitem__) for n in (0, 3)]
    assert most == [2, 0]


async def test_what_is_wrong_is_answered_and_the_others_go_on(turn: Round) -> None:
    await turn.ask(
        ("/predict/", rows("setosa")),
        ("/predict/", b"["),
        ("/predict/", {"instances": [[1]]}),
        ("/predict/", rows("virginica")),
    )
    assert turn.watched.ran == [2]
    assert sorted(status for status, _ in turn.said) == [200, 200, 400, 422]


async def test_a_request_on_which_the_model_fails_takes_none_with_it(turn: Round) -> None:
    poisoned = {"instances": [[POISON] * 4]}
    await turn.ask(
        ("/predict/", rows("setosa")), ("/predict/", poisoned), ("/predict/", rows("virginica"))
    )
    assert turn.watched.ran == [3, 1, 1, 1]
    assert [status for status, _ in turn.said] == [200, 500, 200]


async def test_too_many_rows_for_one_run_are_several(turn: Round) -> None:
    turn.app.state.pace = replace(turn.app.state.pace, rows=3)
    await turn.ask(
        ("/predict/", rows("setosa", "setosa")), ("/predict/", rows("virginica", "setosa"))
    )
    assert turn.watched.ran == [2, 2]
    await turn.ask(("/predict/", rows(*["setosa"] * 4)))
    assert turn.answers[2] is None, "it is left to the usual way, in a thread"


async def test_a_body_that_is_too_large_is_left_to_the_usual_way(
    turn: Round, settings: Settings
) -> None:
    await turn.ask(("/predict/", b" " * (settings.max_body + 1)))
    assert turn.answers == [None]


async def test_an_answer_that_cannot_be_sent_keeps_none_of_the_others_waiting(turn: Round) -> None:
    endpoint = turn.app.endpoint("/predict/")
    assert endpoint is not None

    def broken(_: object) -> None:
        raise ConnectionError

    for body in (json.dumps(rows("setosa")).encode(), b"["):
        turn.batcher.add(
            PendingRequest(endpoint, {"path": "/predict/", "headers": []}, body, broken)
        )
    await turn.ask(("/predict/", rows("virginica")))
    assert [body["predictions"] for _, body in turn.said] == [["virginica"]]


async def test_nothing_asked_is_nothing_done(turn: Round) -> None:
    await turn.ask()
    assert (turn.watched.ran, turn.answers) == ([], [])


async def test_a_turn_takes_what_it_has_time_for_and_leaves_the_rest_to_the_next(
    turn: Round,
) -> None:
    """Between two turns the event loop hears whoever asks for something else."""
    turn.app.state.pace = Pace(request=0.4 * BUDGET, byte=0, rows=100, size=10_000)
    endpoint = turn.app.endpoint("/predict/")
    assert endpoint is not None
    for _ in range(5):
        body = json.dumps(rows("setosa")).encode()
        turn.batcher.add(
            PendingRequest(
                endpoint, {"path": "/predict/", "headers": []}, body, turn.answers.append
            )
        )
    seen = []
    while len(turn.answers) < 5:
        await asyncio.sleep(0)
        seen.append(len(turn.answers))
    assert seen == [2, 4, 5]


LEFT = {
    "more bytes than it has time for": (json.dumps(rows("setosa")).encode() + b" " * 10_000, []),
    "more rows": (
        json.dumps(
            {"inputs": [{"name": "x", "shape": [101, 4], "datatype": "FP64", "data": [5.0] * 404}]}
        ).encode(),
        [],
    ),
    "a body that is to be unpacked first": (
        gzip.compress(json.dumps(rows("setosa")).encode()),
        [(b"content-encoding", b"gzip")],
    ),
}


@pytest.mark.parametrize(("body", "headers"), LEFT.values(), ids=LEFT.keys())
async def test_what_would_take_the_event_loop_too_long_is_left_to_threads(
    turn: Round, settings: Settings, body: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    path = f"/v2/models/{settings.name}/infer" if b"inputs" in body else "/predict/"
    endpoint = turn.app.endpoint(path)
    assert endpoint is not None
    turn.batcher.add(
        PendingRequest(endpoint, {"path": path, "headers": headers}, body, turn.answers.append)
    )
    await turn.ask(("/predict/", rows("virginica")))
    assert turn.answers[0] is None
    assert turn.watched.ran == [1]
    threads: list[str] = []
    turn.watched.before = lambda: threads.append(threading.current_thread().name)
    reply = await endpoint.answer({"path": path, "headers": headers}, body)
    assert reply.status == 200
    assert threads != [threading.current_thread().name], "the model ran in a thread"


class Awaits(Protocol):
    """A protocol that waits for something, as none may."""

    async def decode(self, request: Request) -> Decoded | Response:  # type: ignore[override]
        await asyncio.sleep(0)
        return Response(b"")


class Raises(Protocol):
    """A protocol with a defect in what it writes."""

    def decode(self, request: Request) -> Decoded:
        return Decoded(request, np.array([ROWS["setosa"]]))

    def encode(self, decoded: Decoded, outcome: Outcome, ids: list[str]) -> Response:
        raise KeyError("a defect")


@pytest.mark.filterwarnings("ignore:coroutine:RuntimeWarning")
@pytest.mark.parametrize("defective", [Awaits(), Raises()], ids=["it awaits", "it raises"])
async def test_a_protocol_with_a_defect_keeps_no_answer_from_the_others_of_its_turn(
    turn: Round, defective: Protocol
) -> None:
    turn.app.endpoints["invocations"].protocol = defective
    await turn.ask(
        ("/predict/", rows("setosa")),
        ("/invocations", rows("setosa")),
        ("/predict/", rows("virginica")),
    )
    assert sorted(status for status, _ in turn.said) == [200, 200, 500]
    assert [body["predictions"] for status, body in turn.said if status == 200] == [
        ["setosa"],
        ["virginica"],
    ]


async def test_a_model_that_is_not_asked_inline_any_more_is_left_to_the_usual_way(
    turn: Round,
) -> None:
    turn.watched.inline = False
    await turn.ask(("/predict/", rows("setosa")))
    assert (turn.watched.ran, turn.answers) == ([], [None])
