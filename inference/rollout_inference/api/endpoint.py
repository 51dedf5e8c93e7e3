"""A route to the model as a bare ASGI application: FastAPI documents it, and a request does not pay
for it.

Measured beside the same handler behind FastAPI's routing: about half the time of a request. What
comes whole is answered without ASGI, too, and together with others: see fast_path.py and
request_batching.py.
"""

import asyncio
import hmac
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from rollout_inference.api.compressed_body import unpacked
from rollout_inference.api.protocol import (
    JSON,
    Decoded,
    Headers,
    Protocol,
    Request,
    Response,
    Scope,
    header,
)
from rollout_inference.feedback.book import LARGE, LONGEST_SAID, MOST_ROWS, NAME
from rollout_inference.feedback.prediction_id import Prediction
from rollout_inference.feedback.settlement import Entry, is_request_id, key_of_request
from rollout_inference.loading.loader import LoadedModel
from rollout_inference.shadow.orders import COPY
from rollout_inference.state import State
from rollout_inference.tracing import NO_TRACING
from rollout_model.errors import BadInput, Refused, first_line
from rollout_model.outcome import Outcome

log = logging.getLogger(__name__)

REQUEST_ID, NOTED = b"x-feedback-request-id", b"x-feedback-remembered"
"""Headers: what a caller calls its request, and whether labels will find it by that. Not
X-Request-Id: routers make one up for every request, and some write over the caller's.
"""
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Disconnected(Exception):
    """The client is gone; nobody waits for an answer."""


@dataclass
class Endpoint:
    """One route to the model."""

    state: State
    """The server's."""
    protocol: Protocol
    """How it reads requests and writes responses."""
    fixed: Headers = field(init=False)
    """Headers that say who answered, on whatever it answers."""

    def __post_init__(self) -> None:
        settings = self.state.settings
        self.fixed = [
            (b"x-model-version", settings.version.encode()),
            (b"x-model-revision", settings.model_revision.encode()),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        begun = time.perf_counter()
        span = None if self._is_copy(scope) else self.state.tracing.begin(scope)
        try:
            response = await self._response(scope, receive)
        except Disconnected:
            return
        if span is not None:
            self.state.tracing.end(span, response.status, response.rows)
        await send(
            {
                "type": "http.response.start",
                "status": response.status,
                "headers": self.finish(scope, response, begun),
            }
        )
        await send({"type": "http.response.body", "body": response.body})

    @property
    def quick(self) -> bool:
        """Whether the model answers without waiting for a thread, and nothing is traced: then
        requests may be answered together.
        """
        model = self.state.model
        return (
            model is not None
            and model.runtime.inline
            and self.state.pace.rows > 0
            and self.state.tracing is NO_TRACING
            and not self.protocol.waits
        )

    def finish(self, scope: Scope, response: Response, begun: float) -> Headers:
        """Count the response, and give the headers that it has."""
        if self._is_copy(scope):
            self.state.metrics.copied(response.status)
        elif self.protocol.counted:
            metrics = self.state.metrics
            metrics.requests.inc()
            metrics.latency.observe(time.perf_counter() - begun)
            if response.status >= 500:
                metrics.errors.inc()
        if log.isEnabledFor(logging.DEBUG):
            self._note(scope, response, time.perf_counter() - begun)
        return [
            (b"content-type", response.kind),
            (b"content-length", b"%d" % len(response.body)),
            *self.fixed,
            *response.headers,
        ]

    def decode(
        self, scope: Scope, body: bytes, encoding: bytes, model: LoadedModel
    ) -> Decoded | Response:
        """What the model is asked by a request that is there whole, or what is sent without it.
        Never raises: others are read beside it.
        """
        try:
            plain = unpacked(body, encoding, self.state.settings.max_body) if encoding else body
            begun = time.perf_counter()
            decoded = self.protocol.decode(Request(plain, scope, self.state, model, begun))
            if not isinstance(decoded, Decoded | Response):
                raise TypeError(
                    f"{type(self.protocol).__name__}.decode must give Decoded or a Response at"
                    f" once, not {type(decoded).__name__}"
                )
            return decoded
        except Refused as refused:
            return self._problem(refused)
        except Exception as failure:
            return self._failed(scope, failure)

    def encode(self, decoded: Decoded, outcome: Outcome | Exception) -> Response:
        """The response, with signed ids, to what the model said or raised. Never raises."""
        if isinstance(outcome, Refused):
            return self._problem(outcome)
        if isinstance(outcome, Exception):
            return self._raised(decoded.request, outcome)
        try:
            self.state.answered = True
            copy = self._is_copy(decoded.request.scope)
            if not copy:
                self.state.metrics.predictions.inc(len(decoded.rows))
                self.state.metrics.profile.note(decoded.rows, outcome.labels)
                if self.state.live is not None:
                    self.state.live.note(decoded.rows, outcome.labels)
            ids = self.state.signer.sign(outcome.labels, time.time())
            response = self.protocol.encode(decoded, outcome, ids)
            if self.state.copies.share and not copy and response.kind == JSON:
                self._copy(decoded.request, response)
            return response
        except Exception as failure:
            return self._failed(decoded.request.scope, failure)

    async def answer(self, scope: Scope, body: bytes) -> Response:
        """What is sent to a request that is there whole. What would keep the event loop too long is
        done in threads, step by step.
        """
        state, model, encoding = self.state, self._model(), header(scope, b"content-encoding")
        if self.protocol.waits and state.book is not None:
            said = await state.book.ask(partial(self.decode, scope, body, encoding, model))
            assert isinstance(said, Response)
            return said
        aside = asyncio.get_running_loop().run_in_executor
        small = len(body) <= state.pace.size and not encoding
        decoded = (
            self.decode(scope, body, encoding, model)
            if small
            else await aside(state.aside, self.decode, scope, body, encoding, model)
        )
        if isinstance(decoded, Response):
            return decoded
        few = small and len(decoded.rows) <= state.pace.rows
        outcome: Outcome | Exception
        try:
            outcome = (
                model.runtime.run(decoded.rows, decoded.question)
                if few and model.runtime.inline
                else await model.runtime.predict(decoded.rows, decoded.question)
            )
        except Exception as failure:  # models fail in as many ways as there are models
            outcome = failure
        noted = await self._noted(decoded, outcome)
        response = (
            self.encode(decoded, outcome)
            if few
            else await aside(state.aside, self.encode, decoded, outcome)
        )
        if noted is not None:
            response.headers = [*response.headers, (NOTED, b"true" if noted else b"false")]
        return response

    def named(self, decoded: Decoded) -> str:
        """The caller's own name for the request, where there is what remembers it; else "". The
        answer to a copy is nobody's: labels are for what the caller was answered.
        """
        if self.state.book is None or self._is_copy(decoded.request.scope):
            return ""
        return decoded.request_id or decoded.request.header(REQUEST_ID).decode("latin-1")

    async def _noted(self, decoded: Decoded, outcome: Outcome | Exception) -> bool | None:
        """Note what is predicted before it is answered, so that no label comes for what nobody
        knows; None where the request has no name, else whether it was noted.
        """
        book, request_id = self.state.book, self.named(decoded)
        if book is None or not request_id or isinstance(outcome, Exception):
            return None
        settings, said = self.state.settings, outcome.labels
        if not is_request_id(request_id):
            return book.skipped(NAME, len(said))
        if len(said) > MOST_ROWS or any(isinstance(v, str) and len(v) > LONGEST_SAID for v in said):
            return book.skipped(LARGE, len(said))
        now, numeric = int(time.time()), decoded.request.model.plan.task == "regressor"
        who = settings.name, settings.version, settings.model_revision
        return await book.remember(
            [
                Entry(key_of_request(request_id, row), Prediction(*who, now, 0, numeric, value))
                for row, value in enumerate(said)
            ]
        )

    def _is_copy(self, scope: Scope) -> bool:
        """Whether a pod of stable asks what a user has asked it."""
        token = self.state.copy_token
        sent = header(scope, COPY) if token else b""
        return bool(sent) and hmac.compare_digest(sent, token)

    def _copy(self, request: Request, response: Response) -> None:
        seconds = time.perf_counter() - request.begun
        scope = request.scope
        self.state.copies.note(
            scope["path"], scope["headers"], request.body, response.body, seconds
        )

    def _raised(self, request: Request, failure: Exception) -> Response:
        """ValueError is how scikit-learn and steps of one's own refuse values: the rows' fault
        where the model has answered any, and its own where it answers nothing.
        """
        if not isinstance(failure, ValueError) or not self.state.answered:
            return self._failed(request.scope, failure)
        if not self._is_copy(request.scope):
            self.state.metrics.rows_refused.inc()
            # Gates see a candidate by it that answers less than stable does.
            self.state.metrics.errors.inc()
        log.info("the model refused rows: %s", first_line(failure))
        return self._problem(BadInput(f"the model refuses these rows: {first_line(failure)}"))

    def _failed(self, scope: Scope, failure: Exception) -> Response:
        log.error("prediction failed", extra={"path": scope["path"]}, exc_info=failure)
        return self.protocol.problem(
            500, "the model failed on this input; the server's log has the details"
        )

    async def _response(self, scope: Scope, receive: Receive) -> Response:
        try:
            self._model()
            return await self.answer(scope, await self._body(scope, receive))
        except Refused as refused:
            return self._problem(refused)

    def _model(self) -> LoadedModel:
        if (model := self.state.model) is None:
            raise Refused(f"not ready: {self.state.why}", 503)
        return model

    def _problem(self, refused: Refused) -> Response:
        response = self.protocol.problem(refused.status, str(refused))
        if refused.status in {408, 413}:  # the rest of the body may be on its way
            response.headers = [*response.headers, (b"connection", b"close")]
        return response

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """The body, of at most `max_body` bytes; no more than that is ever kept."""
        most = self.state.settings.max_body
        message = await receive()
        body: bytes = message.get("body", b"")
        if message.get("more_body") or message["type"] != "http.request":
            body = await self._rest(message, scope, receive)
        if len(body) > most:
            raise _too_large(most)
        return body

    async def _rest(self, message: Mapping[str, Any], scope: Scope, receive: Receive) -> bytes:
        settings = self.state.settings
        declared = header(scope, b"content-length")
        if declared.isdigit() and int(declared) > settings.max_body:
            raise _too_large(settings.max_body)
        chunks, size = [], 0
        try:
            async with asyncio.timeout(settings.body_seconds):
                while True:
                    if message["type"] != "http.request":
                        raise Disconnected
                    chunks.append(message.get("body", b""))
                    size += len(chunks[-1])
                    if size > settings.max_body:
                        raise _too_large(settings.max_body)
                    if not message.get("more_body"):
                        return b"".join(chunks)
                    message = await receive()
        except TimeoutError:
            raise Refused(
                f"the body did not arrive within {settings.body_seconds:g} s", 408
            ) from None

    def _note(self, scope: Scope, response: Response, seconds: float) -> None:
        said = {
            "path": scope["path"],
            "status": response.status,
            "rows": response.rows,
            "milliseconds": round(1000 * seconds, 3),
            **({"copy": True} if self._is_copy(scope) else {}),
        }
        log.debug("answered", extra=said)


def _too_large(most: int) -> Refused:
    return Refused(f"the body is larger than {most} bytes: send fewer rows", 413)
