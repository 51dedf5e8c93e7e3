"""A route to the model as a bare ASGI application: FastAPI documents it, and a request does not pay
for it.

Measured beside the same handler behind FastAPI's routing: about half the time of a request. What
comes whole is answered without ASGI, too, and together with others: see direct.py and together.py.
"""

import asyncio
import codecs
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from rollout_inference.api.compressed_body import unpacked
from rollout_inference.loading.loader import LoadedModel
from rollout_inference.state import State
from rollout_inference.tracing import NO_TRACING
from rollout_model.errors import Refused
from rollout_model.runtimes import Outcome
from rollout_model.signature import Rows

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

JSON = b"application/json"
TEXT = b"text/plain; charset=utf-8"


@dataclass(slots=True)
class Reply:
    """What is sent. rows: how many were predicted."""

    body: bytes
    status: int = 200
    kind: bytes = JSON
    headers: Iterable[tuple[bytes, bytes]] = ()
    rows: int = 0


@dataclass(slots=True)
class Call:
    """One request whose body is there."""

    body: bytes
    scope: Scope
    state: State
    model: LoadedModel

    def header(self, name: bytes) -> bytes:
        """The header's value, b"" where there is none."""
        return header(self.scope, name)


@dataclass(slots=True)
class Question:
    """Checked rows, and how predictions and the ids that labels are sent back with become an
    answer.
    """

    rows: Rows
    write: Callable[[Outcome, list[str]], Reply]


class Speaks:
    """How a protocol reads a request and says what is wrong with it. Subclasses define both.

    There is nothing in it to wait for, and it may run in any thread: whether rows are predicted on
    the event loop, together with those of others, or in a thread is not the protocol's business.
    """

    counted = True
    """Whether its requests are predictions, which gates on errors and latency look at."""

    def read(self, call: Call) -> Question | Reply:
        """What is asked of the model, or the answer where nothing is; raises Refused."""
        raise NotImplementedError

    def problem(self, status: int, sentence: str) -> Reply:
        """What is wrong, as the protocol's clients read it."""
        return Reply(msgspec.json.encode({"error": sentence}), status)


class Disconnected(Exception):
    """The client is gone; nobody waits for an answer."""


@dataclass
class Endpoint:
    """One route. fixed: headers that say who answered, on whatever it answers."""

    state: State
    speaks: Speaks
    fixed: Headers = field(init=False)

    def __post_init__(self) -> None:
        settings = self.state.settings
        self.fixed = [
            (b"x-model-version", settings.version.encode()),
            (b"x-model-revision", settings.model_revision.encode()),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        begun = time.perf_counter()
        span = self.state.tracing.begin(scope)
        try:
            reply = await self._reply(scope, receive)
        except Disconnected:
            return
        if span is not None:
            self.state.tracing.end(span, reply.status, reply.rows)
        await send(
            {
                "type": "http.response.start",
                "status": reply.status,
                "headers": self.told(scope, reply, begun),
            }
        )
        await send({"type": "http.response.body", "body": reply.body})

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
        )

    def told(self, scope: Scope, reply: Reply, begun: float) -> Headers:
        """Count the answer, and give the headers that it has."""
        if self.speaks.counted:
            metrics = self.state.metrics
            metrics.requests.inc()
            metrics.latency.observe(time.perf_counter() - begun)
            if reply.status >= 500:
                metrics.errors.inc()
        if log.isEnabledFor(logging.DEBUG):
            self._note(scope, reply, time.perf_counter() - begun)
        return [
            (b"content-type", reply.kind),
            (b"content-length", b"%d" % len(reply.body)),
            *self.fixed,
            *reply.headers,
        ]

    def read(
        self, scope: Scope, body: bytes, encoding: bytes, model: LoadedModel
    ) -> Question | Reply:
        """What the model is asked by a request that is there whole, or what is sent without it.
        Never raises: others are read beside it.
        """
        try:
            plain = unpacked(body, encoding, self.state.settings.max_body) if encoding else body
            found = self.speaks.read(Call(plain, scope, self.state, model))
            if not isinstance(found, Question | Reply):
                raise TypeError(
                    f"{type(self.speaks).__name__}.read must give a Question or a Reply at once,"
                    f" not {type(found).__name__}"
                )
            return found
        except Refused as refused:
            return self._problem(refused)
        except Exception:
            return self.failed(scope)

    def write(self, scope: Scope, question: Question, outcome: Outcome) -> Reply:
        """The answer, with signed ids. Never raises."""
        try:
            self.state.metrics.predictions.inc(len(question.rows))
            if self.state.live is not None:
                self.state.live.note(question.rows, outcome.labels)
            return question.write(outcome, self.state.signer.sign(outcome.labels, time.time()))
        except Exception:
            return self.failed(scope)

    def failed(self, scope: Scope) -> Reply:
        """What is sent instead of an answer where an exception is being handled."""
        log.exception("prediction failed", extra={"path": scope["path"]})
        return self.speaks.problem(
            500, "the model failed on this input; the server's log has the details"
        )

    async def answer(self, scope: Scope, body: bytes) -> Reply:
        """What is sent to a request that is there whole. What would keep the event loop too long is
        done in threads, step by step.
        """
        state, model, encoding = self.state, self._model(), header(scope, b"content-encoding")
        aside = asyncio.get_running_loop().run_in_executor
        small = len(body) <= state.pace.size and not encoding
        found = (
            self.read(scope, body, encoding, model)
            if small
            else await aside(state.aside, self.read, scope, body, encoding, model)
        )
        if isinstance(found, Reply):
            return found
        few = small and len(found.rows) <= state.pace.rows
        try:
            outcome = (
                model.runtime.run(found.rows)
                if few and model.runtime.inline
                else await model.runtime.predict(found.rows)
            )
        except Exception:
            return self.failed(scope)
        return (
            self.write(scope, found, outcome)
            if few
            else await aside(state.aside, self.write, scope, found, outcome)
        )

    async def _reply(self, scope: Scope, receive: Receive) -> Reply:
        try:
            self._model()
            return await self.answer(scope, await self._body(scope, receive))
        except Refused as refused:
            return self._problem(refused)

    def _model(self) -> LoadedModel:
        if (model := self.state.model) is None:
            raise Refused(f"not ready: {self.state.why}", 503)
        return model

    def _problem(self, refused: Refused) -> Reply:
        reply = self.speaks.problem(refused.status, str(refused))
        if refused.status in {408, 413}:  # the rest of the body may be on its way
            reply.headers = [*reply.headers, (b"connection", b"close")]
        return reply

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

    def _note(self, scope: Scope, reply: Reply, seconds: float) -> None:
        said = {
            "path": scope["path"],
            "status": reply.status,
            "rows": reply.rows,
            "milliseconds": round(1000 * seconds, 3),
        }
        log.debug("answered", extra=said)


def header(scope: Scope, name: bytes) -> bytes:
    """A request's header, b"" where there is none. `name` in lower case."""
    for known, value in scope["headers"]:
        if known == name:
            found: bytes = value
            return found
    return b""


def decoded(body: bytes) -> Any:
    """The body's JSON; raises Refused where it is none."""
    try:
        return msgspec.json.decode(unmarked(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as failure:
        raise Refused(f"the body is no JSON: {failure}") from failure


def unmarked(body: bytes) -> bytes:
    """The text without a byte-order mark, which JSON must not have and some senders write (RFC
    8259, 8.1).
    """
    return body.removeprefix(codecs.BOM_UTF8)


def _too_large(most: int) -> Refused:
    return Refused(f"the body is larger than {most} bytes: send fewer rows", 413)
