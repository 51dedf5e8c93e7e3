"""Clients that are slow, or send too much, get an answer and no more of the server's time; others
do not notice.
"""

import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from rollout_inference.loading.loader import LoadedModel
from rollout_inference.server import uvicorn_config
from rollout_inference.server.fast_path import MOST_HEADERS
from rollout_inference.settings import Settings
from tests.unit.inference.serving import serving

ROW = b'{"instances": [[5.1, 3.5, 1.4, 0.2]]}'
HEAD = b"POST /predict/ HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(ROW)


@pytest.fixture(scope="module")
def address(loaded: LoadedModel, settings: Settings) -> Iterator[tuple[str, int]]:
    """A server with little patience."""
    with serving(
        settings.model_copy(update={"header_seconds": 1, "body_seconds": 1}), loaded
    ) as found:
        yield found


def answer(address: tuple[str, int], *parts: bytes, pause: float = 0.0) -> bytes:
    """Send the parts, pausing between them; returns what comes back until the server closes."""
    with socket.create_connection(address, timeout=20) as peer:
        for part in parts:
            try:
                peer.sendall(part)
            except OSError:
                break
            time.sleep(pause)
        got = b""
        try:
            while block := peer.recv(65536):
                got += block
        except ConnectionResetError:
            pass
        return got


SLOW = {
    "half a request line": ((b"POST /pre",), 408),
    "headers without an end": ((HEAD[:40],), 408),
    "a header a second": ([b"GET / HTTP/1.1\r\n", *(b"X-%d: 1\r\n" % n for n in range(6))], 408),
    "a body that stops": ((HEAD, ROW[:10]), 408),
}


@pytest.mark.parametrize(("parts", "status"), SLOW.values(), ids=SLOW.keys())
def test_a_slow_client_is_told_and_let_go(
    address: tuple[str, int], parts: tuple[bytes, ...], status: int
) -> None:
    got = answer(address, *parts, pause=0.5)
    assert got.startswith(b"HTTP/1.1 %d " % status), got
    assert b'"error"' in got
    assert b"x-model-revision: abc123" in got


LARGE = {
    "headers without end": (
        [
            b"GET /health/ HTTP/1.1\r\n",
            *(b"X-%d: " % n + b"x" * 1000 + b"\r\n" for n in range(100)),
        ],
        431,
    ),
    "one long header": ([b"GET /health/ HTTP/1.1\r\nX: " + b"x" * (MOST_HEADERS + 1)], 431),
    "a body said to be large": (
        [b"POST /predict/ HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n", b"x" * 1000],
        413,
    ),
    "no HTTP": ([b"\x16\x03\x01 TLS to a plain port\r\n\r\n"], 400),
}


@pytest.mark.parametrize(("parts", "status"), LARGE.values(), ids=LARGE.keys())
def test_what_is_too_large_is_told_and_let_go(
    address: tuple[str, int], parts: list[bytes], status: int
) -> None:
    assert answer(address, *parts).startswith(b"HTTP/1.1 %d " % status)


def test_a_body_in_parts_is_read_whole(address: tuple[str, int]) -> None:
    got = answer(
        address,
        HEAD.replace(b"Host: x", b"Host: x\r\nConnection: close"),
        ROW[:10],
        ROW[10:],
        pause=0.1,
    )
    assert got.startswith(b"HTTP/1.1 200 ")
    assert b"setosa" in got


def test_an_idle_connection_outlives_the_time_for_headers(address: tuple[str, int]) -> None:
    """Routers keep connections: what counts is the time since a request began."""
    with httpx.Client(base_url=f"http://{address[0]}:{address[1]}") as http:
        for _ in range(2):
            reply = http.post("/predict/", content=ROW)
            assert reply.status_code == 200
            time.sleep(2.5)
        assert reply.extensions["network_stream"].get_extra_info("client_addr") is not None


def test_a_connection_made_ahead_waits_for_its_first_request(
    loaded: LoadedModel, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Routers connect before they have something to send; one that never does is let go unheard."""
    monkeypatch.setattr(uvicorn_config, "KEEP_ALIVE", 4)
    impatient = settings.model_copy(update={"header_seconds": 1})
    with serving(impatient, loaded) as found, socket.create_connection(found, timeout=20) as ahead:
        time.sleep(2.5)
        ahead.sendall(HEAD + ROW)
        assert ahead.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert answer(found) == b""


def test_many_slow_clients_do_not_keep_others_waiting_for_good(address: tuple[str, int]) -> None:
    """Every one of them is gone after its time, and requests between them are all answered."""
    slow = [socket.create_connection(address) for _ in range(100)]
    for one in slow:
        one.sendall(HEAD[:30])
    with httpx.Client(base_url=f"http://{address[0]}:{address[1]}") as http:
        assert all(http.post("/predict/", content=ROW).status_code == 200 for _ in range(100))
    for one in slow:
        one.settimeout(20)
        assert one.recv(100).startswith(b"HTTP/1.1 408 ")
        one.close()
