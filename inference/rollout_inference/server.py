"""How the app is served: uvicorn with uvloop and httptools, and limits that suit a pod behind a router."""

import time
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from rollout_inference.settings import Settings

KEEP_ALIVE = 120
"""Seconds that an idle connection is kept. Routers keep theirs for up to 90 s (Traefik; nginx 60 s) and must be the ones to close:
a request that meets a connection just closed by the server is answered 502 by the router. uvicorn's own default is 5 s."""
GRACE = 20
"""Seconds that requests under way have to end after SIGTERM; with the preStop sleep of 5 s it fits into the pod's 30 s."""
MOST_HEADERS = 64 * 1024
"""Bytes of a request's line and headers."""
LOOK = 1.0
"""Seconds between two looks for clients that are late."""


class Deadlines(HttpToolsProtocol):
    """uvicorn's protocol, with what it lacks: an end to headers, in time and in size. `seconds` is set by a subclass.

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
        self._owed, self._size = None, 0
        super().on_headers_complete()

    def _look(self) -> None:
        kind = type(self)
        now = time.monotonic()
        for one in list(self.connections):
            if isinstance(one, Deadlines) and one._owed is not None and now - one._owed > kind.seconds:
                one._refuse(408, b"the request did not arrive within %g s" % kind.seconds)
        kind._timer = self.loop.call_later(LOOK, self._look) if self.connections else None

    def _refuse(self, status: int, sentence: bytes) -> None:
        if self.transport.is_closing():
            return
        body = b'{"error":"%s"}' % sentence
        lines = [b"content-type: application/json", b"content-length: %d" % len(body), b"connection: close"]
        lines += [b"%s: %s" % one for one in self.headers_of]
        self.transport.write(STATUS_LINE[status] + b"\r\n".join(lines) + b"\r\n\r\n" + body)
        self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP gets a sentence too, and is told who says so."""
        self._refuse(400, msg.encode())


def configuration(app: Any, settings: Settings) -> uvicorn.Config:
    """The configuration that the pod runs with."""
    who = ((b"x-model-version", settings.version.encode()), (b"x-model-revision", settings.model_revision.encode()))
    protocol = type("Limited", (Deadlines,), {"seconds": settings.header_seconds, "headers_of": who})
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=protocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
    )
