"""A request to the model that comes whole, in one piece, is answered without a task, an ASGI scope
or a timer of its own.

Most predictions are such requests, and most of their time was spent on these. Whatever else comes
(bodies in pieces, HTTP/1.0, queries, traced requests, models that are not quick) goes uvicorn's
usual way, to the same endpoint.
"""

import time
from collections.abc import Callable

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from rollout_inference.api.endpoint import Endpoint, Headers, Reply
from rollout_inference.server.connection_limits import Deadlines
from rollout_inference.server.request_batching import Asked, Together


class Direct(Deadlines):
    """uvicorn's protocol with a short way to the endpoints; `find` and `together` are set by a
    subclass.
    """

    find: Callable[[str], Endpoint | None]
    together: Together

    _early: bytes | None = None
    """The body so far of a request of which nobody has been told yet; None where there is no such
    request.
    """
    _endpoint: Endpoint
    _waits = False
    """Whether a request waits for its answer with others; there is one at most, so that answers
    keep their order.
    """
    _last = False
    """Whether that request is the connection's last."""
    _answered: float | None = None
    """When the last direct answer was sent, if nothing has come since: an idle connection is closed
    by it.
    """

    def data_received(self, data: bytes) -> None:
        """What is not whole after one piece goes the usual way."""
        self._settle()
        self._answered = None
        super().data_received(data)
        if self._early is not None and not self.transport.is_closing():
            self._hand_over(self._early)

    def on_message_begin(self) -> None:
        """No scope is made yet."""
        self._settle()
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_headers_complete(self) -> None:
        """Wait for the body, where the request can be answered directly."""
        endpoint = self._found()
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

        def tell(answer: tuple[Reply, Headers] | None) -> None:
            self._waits = False
            if answer is not None:
                self._send(*answer)
            elif not self.transport.is_closing():
                self._hand_over(body)
                HttpToolsProtocol.on_message_complete(self)

        self.together.add(
            Asked(self._endpoint, {"path": self.url.decode(), "headers": self.headers}, body, tell)
        )

    def eof_received(self) -> None:
        """The client sends no more, and may wait for what it asked."""
        self._settle()
        super().eof_received()

    def shutdown(self) -> None:
        """Answer before the connection is closed."""
        self._settle()
        super().shutdown()

    def check(self, now: float) -> None:
        """End a connection that has been idle too long as well: after a direct answer uvicorn's own
        timer is not set.
        """
        super().check(now)
        if self._answered is not None and now - self._answered > self.timeout_keep_alive:
            self.timeout_keep_alive_handler()

    def _settle(self) -> None:
        """Have what waits answered, before anything else happens to the connection."""
        if self._waits:
            self.together.settle()

    def _found(self) -> Endpoint | None:
        """The endpoint that can answer directly, once the body is there."""
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
        endpoint = type(self).find(url.decode())
        return endpoint if endpoint is not None and endpoint.quick else None

    def _send(self, reply: Reply, headers: Headers) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        parts = [STATUS_LINE[reply.status]]
        for name, value in (*self.server_state.default_headers, *headers):
            parts += (name, b": ", value, b"\r\n")
        if self._last:
            parts.append(b"connection: close\r\n")
        parts += (b"\r\n", reply.body)
        self.transport.write(b"".join(parts))
        if self._last:
            self.transport.close()
        else:
            self._answered = time.monotonic()

    def _refuse(self, status: int, sentence: bytes) -> None:
        self._settle()
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
