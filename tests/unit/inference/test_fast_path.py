"""Requests that come whole are answered directly, all others through uvicorn: a client cannot tell
which.
"""

import ast
import gzip
import inspect
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest
import uvicorn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from rollout_inference.api.protocol import Headers, Response
from rollout_inference.loading.loader import LoadedModel
from rollout_inference.server import fast_path
from rollout_inference.server.fast_path import LEANS_ON, FastPath
from rollout_inference.settings import Settings
from rollout_inference.state import Pace
from rollout_model import estimator
from rollout_model.artifact import verify
from rollout_model.runtimes import SklearnRuntime
from tests.unit.inference.serving import serving

ROW = b'{"instances": [[5.1, 3.5, 1.4, 0.2]]}'


def post(path: str, body: bytes = ROW, *headers: str, version: str = "1.1") -> bytes:
    lines = [f"POST {path} HTTP/{version}", "Host: x", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.fixture(scope="module")
def address(loaded: LoadedModel, settings: Settings) -> Iterator[tuple[str, int]]:
    with serving(settings, loaded) as found:
        yield found


@pytest.fixture(scope="module")
def hasty(loaded: LoadedModel, settings: Settings) -> Iterator[tuple[str, int]]:
    """A server whose event loop takes three rows at most."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            "rollout_inference.app.measured",
            lambda *_: Pace(request=1e-5, byte=1e-6, rows=3, size=60),
        )
        with serving(settings, loaded) as found:
            yield found


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths that were answered directly."""
    found, original = [], FastPath._send

    def send(self: FastPath, response: Response, headers: Headers) -> None:
        found.append(self.url.decode())
        original(self, response, headers)

    monkeypatch.setattr(FastPath, "_send", send)
    return found


def answers(
    address: tuple[str, int], *parts: bytes, count: int = 1, pause: float = 0.05
) -> list[tuple[bytes, bytes]]:
    """Heads and bodies of so many answers to the parts,
    sent one after the other on one connection.
    """
    with socket.create_connection(address, timeout=20) as peer:
        for number, part in enumerate(parts):
            time.sleep(pause if number else 0)
            peer.sendall(part)
        with peer.makefile("rb") as stream:
            return [_answer(stream) for _ in range(count)]


def _answer(stream: BinaryIO) -> tuple[bytes, bytes]:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline()
        assert line, head
        head += line
    found = re.search(rb"content-length: (\d+)", head)
    assert found is not None, head
    return head, stream.read(int(found[1]))


def alike(answer: tuple[bytes, bytes]) -> tuple[list[bytes], bytes]:
    """An answer without what differs from one to the next: its date, the ids, the length that they
    have.
    """
    head, body = answer
    lines = [
        line for line in head.split(b"\r\n") if not line.startswith((b"date", b"content-length"))
    ]
    return lines, re.sub(rb'"[\w-]{60,}"', b'"an id"', body)


WHOLE = {
    "a prediction": ("/predict/", ROW, ()),
    "without the slash": ("/predict", ROW, ()),
    "under a prefix": ("/models/iris/predict/", ROW, ()),
    "MLflow's": ("/invocations", ROW, ("Content-Type: application/json",)),
    "open inference": (
        "/v2/models/model/infer",
        (
            b'{"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP64", "data": [5.1, 3.5,'
            b" 1.4, 0.2]}]}"
        ),
        (),
    ),
    "a wrong width": ("/predict/", b'{"instances": [[1]]}', ()),
    "no JSON": ("/predict/", b"[", ()),
    "no body": ("/predict/", b"", ()),
    "a label that was never asked for": ("/feedback/", b'{"id": "nothing", "label": "setosa"}', ()),
    "the last of its connection": ("/predict/", ROW, ("Connection: close",)),
}


@pytest.mark.parametrize(("path", "body", "headers"), WHOLE.values(), ids=WHOLE.keys())
def test_an_answer_is_the_same_both_ways(
    address: tuple[str, int],
    asked: list[str],
    settings: Settings,
    path: str,
    body: bytes,
    headers: tuple[str, ...],
) -> None:
    path = path.replace("/models/model/", f"/models/{settings.name}/")
    request = post(path, body, *headers)
    at_once = answers(address, request)
    assert asked == [path]
    head = request.index(b"\r\n\r\n") + 4
    in_pieces = answers(address, request[: head - 5], request[head - 5 : head], request[head:])
    assert [alike(one) for one in at_once] == [alike(one) for one in in_pieces]


USUAL = {
    "in two pieces": [post("/predict/")[:-5], post("/predict/")[-5:]],
    "HTTP/1.0": [post("/predict/", ROW, version="1.0")],
    "with a query": [post("/predict/?a=b")],
    "an escaped path": [post("/pr%65dict/")],
    "more rows than are predicted at once": [
        post("/predict/", b'{"instances": [' + b",".join([b"[5,3,1,0]"] * 8) + b"]}")
    ],
    "a compressed body": [post("/predict/", gzip.compress(ROW), "Content-Encoding: gzip")],
}


@pytest.mark.parametrize("parts", USUAL.values(), ids=USUAL.keys())
def test_what_is_not_whole_or_not_usual_is_answered_as_well(
    hasty: tuple[str, int], asked: list[str], parts: list[bytes]
) -> None:
    [(head, body)] = answers(hasty, *parts)
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"setosa" in body
    assert not asked


def test_a_client_that_waits_to_be_told_so_is_told_to_go_on(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=20) as peer:
        peer.sendall(post("/predict/", ROW, "Expect: 100-continue").removesuffix(ROW))
        assert peer.recv(100).startswith(b"HTTP/1.1 100 ")
        peer.sendall(ROW)
        with peer.makefile("rb") as stream:
            assert _answer(stream)[0].startswith(b"HTTP/1.1 200 ")


def test_answers_to_a_pipeline_come_in_order(hasty: tuple[str, int]) -> None:
    """Quick ones, one that waits for a thread, one through FastAPI, and quick ones behind them."""

    def rows(count: int) -> bytes:
        return post("/predict/", b'{"instances": [' + b",".join([b"[5,3,1,0]"] * count) + b"]}")

    counts = [1, 2, 5, 1, 3, 4, 1]
    got = answers(hasty, b"".join(map(rows, counts)), count=len(counts))
    assert [body.count(b"setosa") for _, body in got] == counts
    mixed = answers(hasty, rows(2) + b"GET /health/ HTTP/1.1\r\nHost: x\r\n\r\n" + rows(1), count=3)
    assert [body.count(b"setosa") for _, body in mixed] == [2, 0, 1]


def test_many_requests_of_one_connection_are_answered_directly(
    address: tuple[str, int], asked: list[str]
) -> None:
    with socket.create_connection(address, timeout=20) as peer, peer.makefile("rb") as stream:
        for _ in range(50):
            peer.sendall(post("/predict/"))
            assert _answer(stream)[0].startswith(b"HTTP/1.1 200 ")
    assert len(asked) == 50


def test_what_is_no_http_after_a_request_is_refused(address: tuple[str, int]) -> None:
    good, bad = answers(address, post("/predict/") + b"\x00\x01\x02\r\n\r\n", count=2)
    assert good[0].startswith(b"HTTP/1.1 200 ")
    assert bad[0].startswith(b"HTTP/1.1 400 ")


def test_a_model_that_waits_for_its_thread_is_never_asked_directly(
    trained: Path, loaded: LoadedModel, settings: Settings, asked: list[str]
) -> None:
    forest = estimator.load(verify(trained, settings.load_policy), settings.load_policy)
    with serving(
        settings, replace(loaded, runtime=SklearnRuntime(forest, loaded.signature))
    ) as address:
        [(head, _)] = answers(address, post("/predict/"))
    assert head.startswith(b"HTTP/1.1 200 ")
    assert not asked


def test_an_idle_connection_is_closed_in_the_end(
    loaded: LoadedModel, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rollout_inference.server.uvicorn_config.KEEP_ALIVE", 1)
    with (
        serving(settings, loaded) as address,
        socket.create_connection(address, timeout=20) as peer,
    ):
        peer.sendall(post("/predict/"))
        with peer.makefile("rb") as stream:
            assert _answer(stream)[0].startswith(b"HTTP/1.1 200 ")
            assert stream.read() == b""


CLOSED = {
    "a request and then no more": (post("/predict/"), 1),
    "a request that is the last, and one behind it": (
        post("/predict/", ROW, "Connection: close") + post("/predict/"),
        1,
    ),
    "a request that is the last, and another kind behind it": (
        post("/predict/", ROW, "Connection: close") + b"GET /health/ HTTP/1.1\r\nHost: x\r\n\r\n",
        1,
    ),
}


@pytest.mark.parametrize(("sent", "count"), CLOSED.values(), ids=CLOSED.keys())
def test_a_client_that_ends_after_its_request_is_answered(
    address: tuple[str, int], sent: bytes, count: int
) -> None:
    with socket.create_connection(address, timeout=20) as peer:
        peer.sendall(sent)
        peer.shutdown(socket.SHUT_WR)
        with peer.makefile("rb") as stream:
            got = [_answer(stream) for _ in range(count)]
            assert stream.read() == b""
    assert all(head.startswith(b"HTTP/1.1 200 ") for head, _ in got)


HELD: dict[str, type] = {
    "cycle": RequestResponseCycle,
    "flow": FlowControl,
    "server_state": ServerState,
}
"""What uvicorn's protocol holds that is uvicorn's, too."""


def names_of(kind: type) -> set[str]:
    """What a class has, and what its objects have from the beginning."""
    return {*dir(kind), *inspect.unwrap(vars(kind)["__init__"]).__code__.co_names}


def used() -> set[str]:
    """Names of uvicorn's protocol in fast_path.py, and of what it holds."""
    known = (
        set(dir(HttpToolsProtocol)) | set(HttpToolsProtocol.__init__.__code__.co_names) | {"url"}
    )
    found = set()
    for node in ast.walk(ast.parse(Path(fast_path.__file__).read_text())):
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        match node:
            case ast.Attribute(ast.Name("self" | "HttpToolsProtocol"), name):
                found.add(name)
            case ast.Attribute(ast.Call(ast.Name("super")), name):
                found.add(name)
            case ast.Attribute(ast.Attribute(ast.Name("self"), held), name) if held in HELD:
                found.add(f"{held}.{name}")
    return {name for name in found if name.partition(".")[0] in known}


def test_the_list_of_what_is_leaned_on_is_whole() -> None:
    assert used() == {name for names in LEANS_ON.values() for name in names}


async def test_uvicorn_has_what_is_leaned_on() -> None:
    config = uvicorn.Config(lambda: None, lifespan="off")
    protocol = HttpToolsProtocol(config, ServerState(), {})
    protocol.on_message_begin()
    for name in (name for names in LEANS_ON.values() for name in names):
        held, _, inner = name.partition(".")
        assert hasattr(protocol, held), name
        if inner:
            assert inner in names_of(HELD[held]), name
