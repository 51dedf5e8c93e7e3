"""What a protocol is: two plain functions, from a request to rows, and from predictions to a
response. There is nothing in them to wait for, and they may run in any thread.
"""

import codecs
from collections.abc import Iterable, MutableMapping
from typing import Any

import msgspec

from rollout_inference.loading.loader import LoadedModel
from rollout_inference.state import State
from rollout_model.errors import Refused
from rollout_model.outcome import PLAIN, Outcome, Question
from rollout_model.signature import AnyRows

Scope = MutableMapping[str, Any]
Headers = list[tuple[bytes, bytes]]

JSON = b"application/json"
TEXT = b"text/plain; charset=utf-8"


class Request(msgspec.Struct):
    """One request whose body is there."""

    body: bytes
    """Unpacked, where it was sent compressed."""
    scope: Scope
    """ASGI's; of what takes the fast path it has `path` and `headers` only."""
    state: State
    """The server's."""
    model: LoadedModel
    """The one that is asked, even where the server gets another meanwhile."""
    begun: float = 0.0
    """When it was read, by time.perf_counter."""

    def header(self, name: bytes) -> bytes:
        """The header's value, b"" where there is none."""
        return header(self.scope, name)


class Response(msgspec.Struct):
    """What is sent."""

    body: bytes
    """In full: nothing is streamed."""
    status: int = 200
    """HTTP's."""
    kind: bytes = JSON
    """Its content type."""
    headers: Iterable[tuple[bytes, bytes]] = ()
    """Beside those that every response has."""
    rows: int = 0
    """How many were predicted."""


class Decoded(msgspec.Struct):
    """What a request asks of the model."""

    request: Request
    """Kept for the response: its scope, state and model."""
    rows: AnyRows
    """Checked against the model's signature."""
    wanted: Any = None
    """What else was read and decides how the response looks, in the protocol's own form."""
    question: Question = PLAIN
    """What the model is asked beside predictions."""
    request_id: str = ""
    """The caller's own name for the request, which labels may be sent with; "" where it has none.
    """


class Protocol:
    """How clients speak. Whether rows are predicted on the event loop, together with those of
    others, or in a thread is not the protocol's business.
    """

    counted = True
    """Whether its requests are predictions, which gates on errors and latency look at."""

    waits = False
    """Whether `decode` waits for the feedback store, in whose thread it then runs."""

    def decode(self, request: Request) -> Decoded | Response:
        """What is asked of the model, or the response where nothing is; raises Refused."""
        raise NotImplementedError

    def encode(self, decoded: Decoded, outcome: Outcome, ids: list[str]) -> Response:
        """The response with the predictions, and the ids that labels are sent back with."""
        raise NotImplementedError

    def problem(self, status: int, sentence: str) -> Response:
        """What is wrong, as the protocol's clients read it."""
        return Response(msgspec.json.encode({"error": sentence}), status)


def header(scope: Scope, name: bytes) -> bytes:
    """A request's header, b"" where there is none. `name` in lower case."""
    for known, value in scope["headers"]:
        if known == name:
            found: bytes = value
            return found
    return b""


def parse_json(body: bytes) -> Any:
    """The body's JSON; raises Refused where it is none."""
    try:
        return msgspec.json.decode(without_bom(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as failure:
        raise Refused(f"the body is no JSON: {failure}") from failure


def without_bom(body: bytes) -> bytes:
    """The text without a byte-order mark, which JSON must not have and some senders write (RFC
    8259, 8.1).
    """
    return body.removeprefix(codecs.BOM_UTF8)
