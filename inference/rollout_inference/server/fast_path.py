"""Everything that bends uvicorn's HTTP protocol, and nothing else: limits that it lacks, and a fast
path for requests to the model.

A request that comes whole, in one piece, is answered without a task, an ASGI scope or a timer of
its own. Most predictions are such requests, and most of their time was spent on these. Whatever
else comes (bodies in pieces, HTTP/1.0, queries, traced requests, models that are not quick) goes
uvicorn's usual way, to the same endpoint.

uvicorn promises none of what stands in LEANS_ON, so pyproject.toml gives it a ceiling. To raise it:
read what httptools_impl.py changed of these names, then run tests/unit/inference/test_fast_path.py.
"""

import time
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from rollout_inference.api.endpoint import Endpoint
from rollout_inference.api.protocol import Headers, Response
from rollout_inference.server.request_batching import PendingRequest
from rollout_model.batching import Batcher

LEANS_ON = {
    "called by asyncio": ("connection_made", "data_received", "eof_received"),
    "called by uvicorn's server": ("shutdown",),
    "called by httptools": (
        "on_message_begin",
        "on_headers_complete",
        "on_body",
        "on_message_complete",
    ),
    "called by uvicorn's protocol itself": ("send_400_response", "timeout_keep_alive_handler"),
    "of the server": (
        "connections",
        "loop",
        "server_state",
        "server_state.default_headers",
        "server_state.total_requests",
        "timeout_keep_alive",
    ),
    "of a connection": ("flow", "flow.write_paused", "parser", "transport"),
    "of a request": (
        "cycle",
        "cycle.response_complete",
        "expect_100_continue",
        "headers",
        "url",
    ),
}
"""What of HttpToolsProtocol is overridden, called or read here."""

MOST_HEADERS = 64 * 1024
"""Bytes of a request's line and headers."""
LOOK = 1.0
"""Seconds between two looks for clients that are late."""


class ConnectionLimits(HttpToolsProtocol):
    """An end to headers, in time and in size.

    One timer looks at all connections: a timer for each request would cost every request.
    """

    seconds = 10.0
    """Time that a client has to send a request's headers; set by a subclass."""
    headers_of: tuple[tuple[bytes, bytes], ...] = ()
    """Headers that say who answered; set by a subclass."""
    _timer: Any = None

    def connection_made(self, transport: Any) -> None:
        """A connection owes nothing before its first byte: routers connect ahead of requests, and
        what is then sent would meet a 408 that nobody has earned.
        """
        super().connection_made(transport)
        self._owed: float | None = None
        self._size = 0
        if type(self)._timer is None:
            type(self)._timer = self.loop.call_later(LOOK, self._look)

    def data_received(self, data: bytes) -> None:
        """Count what belongs to headers; more than there may be is 431."""
        if self._owed is None and (self.cycle is None or self.cycle.response_complete):
            self._owed, self._size = time.monotonic(), 0
        if self._owed is not None:
            self._size += len(data)
        super().data_received(data)
        if self._owed is not None and self._size > MOST_HEADERS:
            self._refuse(431, b"the headers are larger than %d bytes" % MOST_HEADERS)

    def on_headers_complete(self) -> None:
        """Nothing is owed until the next request."""
        self._owe_nothing()
        super().on_headers_complete()

    def check(self, now: float) -> None:
        """End the connection if its client is late; `now` by time.monotonic."""
        if self._owed is not None and now - self._owed > self.seconds:
            self._refuse(408, b"the request did not arrive within %g s" % self.seconds)

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP gets a sentence too, and is told who says so."""
        self._refuse(400, msg.encode())

    def _owe_nothing(self) -> None:
        self._owed, self._size = None, 0

    def _look(self) -> None:
        kind, now = type(self), time.monotonic()
        for connection in list(self.connections):
            if isinstance(connection, ConnectionLimits):
                connection.check(now)
        kind._timer = self.loop.call_later(LOOK, self._look) if self.connections else None

    def _refuse(self, status: int, sentence: bytes) -> None:
        if self.transport.is_closing():
            return
        body = b'{"error":"%s"}' % sentence
        lines = [
            b"content-type: application/json",
            b"content-length: %d" % len(body),
            b"connection: close",
        ]
        lines += [b"%s: %s" % pair for pair in self.headers_of]
        self.transport.write(STATUS_LINE[status] + b"\r\n".join(lines) + b"\r\n\r\n" + body)
        self.transport.close()


class FastPath(ConnectionLimits):
    """A short way to the endpoints."""

    endpoint_for: Callable[[str], Endpoint | None]
    """The endpoint for a POST to a path; set by a subclass."""
    batcher: Batcher[PendingRequest]
    """Answers them; set by a subclass."""

    _early: bytes | None = None
    """The body so far of a request of which nobody has been told yet; None where there is no such
    request.
    """
    _endpoint: Endpoint
    """Which one that request is for."""
    _waits = False
    """Whether a request waits for its answer with others; there is one at most, so that answers
    keep their order.
    """
    _last = False
    """Whether that request is the connection's last."""
    _idle_since: float | None = None
    """When the connection was made, or the last answer left by the fast path, if nothing has come
    since: an idle connection is closed by it.
    """

    def connection_made(self, transport: Any) -> None:
        """It is idle from its first moment."""
        super().connection_made(transport)
        self._idle_since = time.monotonic()

    def data_received(self, data: bytes) -> None:
        """What is not whole after one piece goes the usual way."""
        self._flush()
        self._idle_since = None
        super().data_received(data)
        if self._early is not None and not self.transport.is_closing():
            self._hand_over(self._early)

    def on_message_begin(self) -> None:
        """No scope is made yet."""
        self._flush()
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_headers_complete(self) -> None:
        """Wait for the body, where the request can take the fast path."""
        endpoint = self._quick_endpoint()
        self._early = b""
        if endpoint is None:
            self._hand_over(self._early)
        else:
            self._endpoint = endpoint
            self._owe_nothing()

    def on_body(self, body: bytes) -> None:
        """Keep what belongs to a request that nobody has been told of."""
        if self._early is None:
            super().on_body(body)
        else:
            self._early += body

    def on_message_complete(self) -> None:
        """Have it answered."""
        body, self._early = self._early, None
        if body is None:
            super().on_message_complete()
            return
        self._waits, self._last = True, not self.parser.should_keep_alive()

        def on_response(answer: tuple[Response, Headers] | None) -> None:
            self._waits = False
            if answer is not None:
                self._send(*answer)
            elif not self.transport.is_closing():
                self._hand_over(body)
                HttpToolsProtocol.on_message_complete(self)

        scope = {"path": self.url.decode(), "headers": self.headers}
        self.batcher.add(PendingRequest(self._endpoint, scope, body, on_response))

    def eof_received(self) -> None:
        """The client sends no more, and may wait for what it asked."""
        self._flush()
        super().eof_received()

    def shutdown(self) -> None:
        """Answer before the connection is closed."""
        self._flush()
        super().shutdown()

    def check(self, now: float) -> None:
        """End a connection that has been idle too long as well: before the first request, and after
        an answer by the fast path, uvicorn's own timer is not set.
        """
        super().check(now)
        if self._idle_since is not None and now - self._idle_since > self.timeout_keep_alive:
            self.timeout_keep_alive_handler()

    def _flush(self) -> None:
        """Have what waits answered, before anything else happens to the connection."""
        if self._waits:
            self.batcher.flush()

    def _quick_endpoint(self) -> Endpoint | None:
        """The endpoint that can answer at once, when the body is there."""
        if self.cycle is not None and not self.cycle.response_complete:
            return None
        if (
            self.parser.get_method() != b"POST"
            or self.expect_100_continue
            or self.flow.write_paused
        ):
            return None
        url = self.url
        # Numbers, because bytes in bytes is looked for in a way that raises an exception first.
        if (
            not url.isascii()
            or ord("%") in url
            or ord("?") in url
            or self.parser.get_http_version() != "1.1"
        ):
            return None
        endpoint = type(self).endpoint_for(url.decode())
        return endpoint if endpoint is not None and endpoint.quick else None

    def _send(self, response: Response, headers: Headers) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        parts = [STATUS_LINE[response.status]]
        for name, value in (*self.server_state.default_headers, *headers):
            parts += (name, b": ", value, b"\r\n")
        if self._last:
            parts.append(b"connection: close\r\n")
        parts += (b"\r\n", response.body)
        self.transport.write(b"".join(parts))
        if self._last:
            self.transport.close()
        else:
            self._idle_since = time.monotonic()

    def _refuse(self, status: int, sentence: bytes) -> None:
        self._flush()
        super()._refuse(status, sentence)

    def _hand_over(self, body: bytes) -> None:
        """Tell uvicorn of the request as if it came just now."""
        self._early = None
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        HttpToolsProtocol.on_message_begin(self)
        self.url, self.expect_100_continue = url, expects
        self.headers.extend(headers)
        super().on_headers_complete()
        if body:
            super().on_body(body)
