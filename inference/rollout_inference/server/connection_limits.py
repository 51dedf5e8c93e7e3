"""An end to requests that come too slowly or too large: what uvicorn's protocol lacks."""

import time
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

MOST_HEADERS = 64 * 1024
"""Bytes of a request's line and headers."""
LOOK = 1.0
"""Seconds between two looks for clients that are late."""


class Deadlines(HttpToolsProtocol):
    """uvicorn's protocol, with what it lacks: an end to headers, in time and in size. `seconds` is
    set by a subclass.

    One timer looks at all connections: a timer for each request would cost every request.
    """

    seconds = 10.0
    headers_of: tuple[tuple[bytes, bytes], ...] = ()
    _timer: Any = None

    def connection_made(self, transport: Any) -> None:
        """A connection owes a request from its first moment."""
        super().connection_made(transport)
        self._owed: float | None = time.monotonic()
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

    def _owe_nothing(self) -> None:
        self._owed, self._size = None, 0

    def _look(self) -> None:
        kind, now = type(self), time.monotonic()
        for one in list(self.connections):
            if isinstance(one, Deadlines):
                one.check(now)
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
        lines += [b"%s: %s" % one for one in self.headers_of]
        self.transport.write(STATUS_LINE[status] + b"\r\n".join(lines) + b"\r\n\r\n" + body)
        self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP gets a sentence too, and is told who says so."""
        self._refuse(400, msg.encode())
