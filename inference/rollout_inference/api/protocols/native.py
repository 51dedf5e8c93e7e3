"""/predict/: rows in, predictions out, and who made them."""

import msgspec

from rollout_inference.api.protocol import Decoded, Protocol, Request, Response, parse_json
from rollout_model.errors import BadInput
from rollout_model.outcome import Outcome
from rollout_model.signature import AnyRows


class _Instances(msgspec.Struct):
    instances: list[list[float]]
    """Row by row."""


_QUICK = msgspec.json.Decoder(_Instances)


class Native(Protocol):
    """Our own protocol; a mistake in the rows is 422, in the JSON 400."""

    def decode(self, request: Request) -> Decoded:
        """`{"instances": [row, ...]}`."""
        return Decoded(request, self._rows(request))

    def encode(self, decoded: Decoded, outcome: Outcome, ids: list[str]) -> Response:
        """`{"predictions": [...], "prediction_ids": [...], "model": ..., "version": ...,
        "revision": ...}`.
        """
        settings = decoded.request.state.settings
        said = {
            "predictions": outcome.labels,
            "prediction_ids": ids,
            "model": settings.name,
            "version": settings.version,
            "revision": settings.model_revision,
        }
        return Response(msgspec.json.encode(said), rows=len(ids))

    def _rows(self, request: Request) -> AnyRows:
        """The rows of a body; raises Refused. What is right is read in one go, what is not a second
        time, to say what is wrong.
        """
        signature, most = request.model.signature, request.state.settings.max_rows
        try:
            quick = signature.matrix(_QUICK.decode(request.body).instances, most)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            quick = None
        if quick is not None:
            return quick
        asked = parse_json(request.body)
        if not isinstance(asked, dict) or "instances" not in asked:
            raise BadInput('send a JSON object {"instances": [row, ...]}')
        return signature.rows(asked["instances"], most)
