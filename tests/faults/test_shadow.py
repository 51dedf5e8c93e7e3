"""Copies of requests when the candidate does what no candidate should: real processes, of which
stable must not lose or delay an answer.
"""

import json
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from rollout_operator.domain.api.differences import MOST_OF_AN_OUTCOME, Difference
from rollout_operator.domain.shadow import differences
from tests.support.model_servers import (
    Behaviour,
    ModelServer,
    answers,
    candidate,
    drips,
    flowers,
    garbage,
    model_server,
    never_ends,
    write_model,
)

COLUMNS = {f"{part}_{size}" for part in ("sepal", "petal") for size in ("length", "width")}
STABLE, CANDIDATE = "aaaaaaaa", "bbbbbbbb"
REQUESTS = 200
Outcomes = dict[str, float]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("good") / "iris")


@pytest.fixture(scope="module")
def blind(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("blind") / "iris", blind=True)


@pytest.fixture
def started() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def stable(model: Path, tmp_path: Path, started: ExitStack) -> Callable[[int], ModelServer]:
    """Starts stable, which copies all of its requests to that port."""

    def start(port: int) -> ModelServer:
        url = f"http://127.0.0.1:{port}"
        made = started.enter_context(model_server(model, STABLE, tmp_path, MODEL_SHADOW_URL=url))
        code, said = made.told(CANDIDATE, 100)
        assert code == 200, said
        return made

    return start


def outcomes(server: ModelServer) -> Outcomes:
    found = server.series("ml_shadow_total", "outcome")
    return {name: count for name, count in found.items() if count}


def answered(server: ModelServer, requests: int = REQUESTS) -> None:
    """Send requests; every one gets its answer."""
    rows = flowers().train.to_numpy().tolist()
    found = [server.predict([rows[n % len(rows)]])[0] for n in range(requests)]
    assert found.count(200) == requests


def counted(
    server: ModelServer, wanted: Callable[[Outcomes], bool], seconds: float = 30
) -> Outcomes:
    """The outcomes, once they are as wanted."""
    ends = time.monotonic() + seconds
    while not wanted(found := outcomes(server)):
        assert time.monotonic() < ends, found
        server.told(CANDIDATE, 100)
        answered(server, 5)
        time.sleep(0.2)
    return found


def test_an_equal_candidate_answers_alike_and_counts_copies_apart(
    model: Path, tmp_path: Path, started: ExitStack, stable: Callable[[int], ModelServer]
) -> None:
    other = started.enter_context(model_server(model, CANDIDATE, tmp_path))
    server = stable(other.port)
    answered(server)
    found = counted(server, lambda seen: seen.get("same", 0) > 50)
    assert not {"different", "failed"} & found.keys()
    assert other.series("ml_copies_total")[""] >= found["same"]
    for name in ("ml_request_count_total", "ml_predictions_total", "ml_request_errors_total"):
        assert other.series(name) == {"": 0.0}
    assert set(other.series("ml_predicted_total", "bin").values()) == {0.0}
    assert set(server.series("ml_shadow_total", "candidate")) == {CANDIDATE}


def test_a_candidate_that_answers_otherwise_is_told(
    blind: Path, tmp_path: Path, started: ExitStack, stable: Callable[[int], ModelServer]
) -> None:
    other = started.enter_context(model_server(blind, CANDIDATE, tmp_path))
    server = stable(other.port)
    answered(server)
    found = counted(server, lambda seen: seen.get("different", 0) > 10 and "same" in seen)
    assert "failed" not in found
    log = (tmp_path / f"{STABLE}.log").read_text()
    assert "answered otherwise" in log
    assert "versicolor" in log
    kept = differences(server.told(CANDIDATE, 100)[1].encode(), CANDIDATE)
    assert 0 < len(kept) <= MOST_OF_AN_OUTCOME
    for one in kept:
        assert "virginica" in one.stable + one.candidate
        assert (one.sent, set(one.masked)) == ((), COLUMNS)
    # What may be seen is what the order names; what was kept by another one is gone with it.
    server.told(CANDIDATE, 100, fields=("petal_length", "owner"))
    answered(server)
    ends = time.monotonic() + 30
    while not (kept := seen(server)):
        assert time.monotonic() < ends
        answered(server, 5)
    known = {str(value) for value in flowers().train["petal_length"]}
    for one in kept:
        assert [(s.field, s.value in known) for s in one.sent] == [("petal_length", True)]
        assert set(one.masked) == COLUMNS - {"petal_length"}
    assert seen(server, percent=0), "told once more by the order that ends it"
    assert differences(server.told("another", 0)[1].encode(), "another") == ()


def seen(server: ModelServer, percent: int = 100) -> tuple[Difference, ...]:
    """What the answer to an order tells, where one field may be seen."""
    said = server.told(CANDIDATE, percent, fields=("petal_length", "owner"))[1]
    return differences(said.encode(), CANDIDATE)


FAULTS: dict[str, tuple[Behaviour, str]] = {
    "garbage": (garbage, "failed"),
    "another protocol's answer": (answers(b"<html>hello</html>"), "failed"),
    "outputs without a name": (
        answers(b'{"outputs": [{"name": ["x"], "shape": [1], "data": [1]}]}'),
        "failed",
    ),
    "JSON without predictions": (answers(b'{"predictions": "x"}'), "failed"),
    "nothing": (answers(b"", "204 No Content"), "failed"),
    "503": (answers(b'{"error": "not ready"}', "503 Service Unavailable"), "failed"),
    "answers without an end": (never_ends, "failed"),
    "a header byte by byte": (drips, "failed"),
    "other predictions": (answers(json.dumps({"predictions": ["tulip"]}).encode()), "different"),
    "answers after 30 s": (answers(b"{}", seconds=30), "failed"),
}


@pytest.mark.parametrize(("behaviour", "outcome"), FAULTS.values(), ids=FAULTS.keys())
def test_whatever_a_candidate_answers_no_request_is_lost(
    behaviour: Behaviour, outcome: str, started: ExitStack, stable: Callable[[int], ModelServer]
) -> None:
    server = stable(started.enter_context(candidate(behaviour)))
    answered(server)
    found = counted(server, lambda seen: seen.get(outcome, 0) > 0)
    assert not ({"same", "slower", "different", "failed"} - {outcome}) & found.keys()


def test_a_slow_answer_that_says_the_same_is_only_slower(
    model: Path, tmp_path: Path, started: ExitStack, stable: Callable[[int], ModelServer]
) -> None:
    rows = flowers().train.to_numpy().tolist()
    plain = started.enter_context(model_server(model, CANDIDATE, tmp_path))
    body = plain.pool.request("POST", f"{plain.url}/predict/", json={"instances": rows[:1]}).data
    server = stable(started.enter_context(candidate(answers(body, seconds=0.5))))
    for _ in range(20):
        assert server.predict(rows[:1])[0] == 200
    ends = time.monotonic() + 20
    while "slower" not in (found := outcomes(server)):
        assert time.monotonic() < ends, found
        time.sleep(0.2)
    assert not {"same", "different", "failed"} & found.keys()


def test_a_candidate_that_hangs_or_dies_costs_stable_nothing(
    model: Path, tmp_path: Path, started: ExitStack, stable: Callable[[int], ModelServer]
) -> None:
    """Stopped in the midst of it, then killed; none of stable's answers waits for it."""
    other = started.enter_context(model_server(model, CANDIDATE, tmp_path))
    server = stable(other.port)
    answered(server)
    counted(server, lambda seen: seen.get("same", 0) > 0)
    other.process.send_signal(signal.SIGSTOP)
    rows = flowers().train.to_numpy().tolist()
    slowest = max(server.predict([row])[1] for row in rows[:100])
    assert slowest < 5, "an answer waited for the candidate"
    counted(server, lambda seen: seen.get("failed", 0) > 0)
    other.process.kill()
    other.process.wait()
    answered(server)
    counted(server, lambda seen: seen.get("unreached", 0) > 0)


def test_copying_ends_when_it_is_told_to_or_when_nobody_says_it_again(
    model: Path, tmp_path: Path, started: ExitStack, stable: Callable[[int], ModelServer]
) -> None:
    other = started.enter_context(model_server(model, CANDIDATE, tmp_path))
    server = stable(other.port)
    answered(server)
    counted(server, lambda seen: seen.get("same", 0) > 0)
    assert server.told(CANDIDATE, 0)[0] == 200
    time.sleep(1)
    before = other.series("ml_copies_total")
    answered(server, 50)
    time.sleep(1)
    assert other.series("ml_copies_total") == before


def test_nobody_but_the_operator_tells_what_is_copied(
    stable: Callable[[int], ModelServer], started: ExitStack
) -> None:
    server = stable(started.enter_context(candidate(garbage)))
    code, said = server.told(CANDIDATE, 100, key="another")
    assert (code, "signature" in said) == (403, True)
    reply = server.pool.request("POST", f"{server.url}/shadow/", body=b"x" * 9000)
    assert reply.status == 413


def test_an_order_that_does_not_end_holds_no_connection(
    stable: Callable[[int], ModelServer], started: ExitStack, tmp_path: Path
) -> None:
    """Users reach the route as well: some of them wait, some of them go."""
    server = stable(started.enter_context(candidate(garbage)))
    begun = b"POST /shadow/ HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{"
    with ExitStack() as open_until:
        address = ("127.0.0.1", server.port)
        waits, goes = (
            open_until.enter_context(socket.create_connection(address, timeout=20))
            for _ in range(2)
        )
        for one in (waits, goes):
            one.sendall(begun)
        goes.close()
        assert waits.recv(4096).startswith(b"HTTP/1.1 408")
    answered(server, 5)
    assert "Traceback" not in (tmp_path / f"{STABLE}.log").read_text()
