"""/predict/: rows in, predictions out, and who made them."""

from typing import Any

import msgspec

from rollout_inference.api.named_outputs import by_name, names_of, question
from rollout_inference.api.protocol import Decoded, Protocol, Request, Response, parse_json
from rollout_inference.feedback.settlement import WRITE_REQUEST_ID, is_request_id
from rollout_model.errors import BadInput
from rollout_model.outcome import Outcome
from rollout_model.signature import AT_ONCE, AnyRows


class _Instances(msgspec.Struct):
    instances: list[list[float]]
    """Row by row."""
    outputs: list[str] | None = None
    """What is asked for by name; None for predictions alone."""
    params: Any = None
    """The model's parameters by name; None for their defaults."""
    request_id: str | None = None
    """The caller's own name for the request; None for none."""


class _Unread(msgspec.Struct):
    instances: list[msgspec.Raw]
    """The JSON of each row."""
    outputs: list[str] | None = None
    """As in _Instances."""
    params: Any = None
    """As in _Instances."""
    request_id: str | None = None
    """As in _Instances."""


_QUICK = msgspec.json.Decoder(_Instances)
_UNREAD = msgspec.json.Decoder(_Unread)
_ROWS = msgspec.json.Decoder(list[list[float]])
LARGE = 256 * 1024
"""Bytes of a body that is read in pieces: no other thread of Python runs while one is, and whoever
asks after health waits.
"""


def _read(body: bytes) -> _Instances:
    """A body with rows of numbers; raises MsgspecError for any other."""
    if len(body) < LARGE:
        return _QUICK.decode(body)
    unread = _UNREAD.decode(body)
    rows: list[list[float]] = []
    for start in range(0, len(unread.instances), AT_ONCE):
        piece = b",".join(unread.instances[start : start + AT_ONCE])
        rows += _ROWS.decode(b"[%b]" % piece)
    return _Instances(rows, unread.outputs, unread.params, unread.request_id)


class Native(Protocol):
    """Our own protocol; a mistake in the rows is 422, in the JSON 400."""

    def decode(self, request: Request) -> Decoded:
        """`{"instances": [row, ...]}`, `outputs`: a list of names, `params`, and `request_id`."""
        rows, names, params, named = self._asked(request)
        asked = question(request.model, names, params)
        return Decoded(request, rows, names, asked, named)

    def encode(self, decoded: Decoded, outcome: Outcome, ids: list[str]) -> Response:
        """`{"predictions": [...], "prediction_ids": [...], "model": ..., "version": ...,
        "revision": ...}`, and what was asked for by name.
        """
        settings = decoded.request.state.settings
        said = {
            "predictions": outcome.labels,
            **by_name(decoded.request.model, decoded.wanted, outcome, ids),
            "prediction_ids": ids,
            "model": settings.name,
            "version": settings.version,
            "revision": settings.model_revision,
        }
        return Response(msgspec.json.encode(said), rows=len(ids))

    def _asked(self, request: Request) -> tuple[AnyRows, tuple[str, ...], object, str]:
        """The rows of a body, names of outputs, parameters, and the request's name; raises Refused.
        What is right is read in one go, what is not a second time, to say what is wrong.
        """
        signature, most = request.model.signature, request.state.settings.max_rows
        try:
            said = _read(request.body)
            quick = signature.matrix(said.instances, most)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            quick = None
        if quick is not None:
            return quick, tuple(said.outputs or ()), said.params, _named(said.request_id)
        asked = parse_json(request.body)
        if not isinstance(asked, dict) or "instances" not in asked:
            raise BadInput('send a JSON object {"instances": [row, ...]}')
        names = names_of(request.model, asked.get("outputs"))
        rows = signature.rows(asked["instances"], most)
        return rows, names, asked.get("params"), _named(asked.get("request_id"))


def _named(request_id: Any) -> str:
    """The caller's name for the request, "" for none; raises BadInput where it is no name."""
    if request_id is None:
        return ""
    if not is_request_id(request_id):
        raise BadInput(WRITE_REQUEST_ID)
    return str(request_id)
