"""/feedback/: the right answer for an earlier prediction, as soon as it is known."""

import math
import threading
import time
from typing import Any

import msgspec

from rollout_inference.api.protocol import Protocol, Request, Response, parse_json
from rollout_inference.feedback.ledger import absolute_error, correct
from rollout_inference.feedback.prediction_id import Prediction
from rollout_model.errors import BadInput, Refused

REASONS = {403: "forged", 409: "replayed", 410: "late", 422: "malformed"}
MOST = 10_000
"""Labels of one request."""
LONGEST_ID = 4096
"""Characters of a prediction id; none of ours is near."""


_VALUE = str | int | float | bool


def _is_label(one: Any) -> bool:
    if (
        not isinstance(one, dict)
        or not isinstance(one.get("id"), str)
        or len(one["id"]) > LONGEST_ID
    ):
        return False
    label = one.get("label")
    # A list is the label of a model with several outputs.
    return isinstance(label, _VALUE) or (
        isinstance(label, list) and bool(label) and all(isinstance(part, _VALUE) for part in label)
    )


def _is_value(one: Any) -> bool:
    return (
        isinstance(one, dict)
        and isinstance(one.get("id"), str)
        and len(one["id"]) <= LONGEST_ID
        and isinstance(one.get("value"), int | float)
        and not isinstance(one["value"], bool)
        and 0 <= one["value"] < math.inf
    )


class Feedback(Protocol):
    """One label, or value, or a list of them: each is counted or refused by itself, but of a list
    with an entry in another form, none is counted.
    """

    counted = False

    def __init__(self) -> None:
        self._one = threading.Lock()
        """Long lists are entered by a thread, beside the event loop: each label is counted once,
        and wholly.
        """

    def decode(self, request: Request) -> Response:
        """`{"outcome": "correct"}` for one label; for a list, `{"results": [...]}` with an outcome
        or an error for each.
        """
        asked = parse_json(request.body)
        for number, one in enumerate(asked if isinstance(asked, list) else [asked]):
            # Of both in one, one would be lost.
            if _is_label(one) == _is_value(one):
                request.state.metrics.refused(REASONS[422])
                which = f"entry {number}: " if isinstance(asked, list) else ""
                raise BadInput(
                    f'{which}send {{"id": "<the prediction\'s id>", "label": <the right answer>}},'
                    ' or "value": <a number from 0 on> in place of the label'
                )
        if not isinstance(asked, list):
            return Response(msgspec.json.encode(self._entered(request, asked)))
        if not 0 < len(asked) <= MOST:
            raise BadInput(f"send from 1 to {MOST} labels in one request")
        return Response(
            msgspec.json.encode({"results": [self._tried(request, one) for one in asked]})
        )

    def _tried(self, request: Request, one: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._entered(request, one)
        except Refused as refused:
            return {"status": refused.status, "error": str(refused)}

    def _entered(self, request: Request, one: dict[str, Any]) -> dict[str, Any]:
        metrics = request.state.metrics
        try:
            prediction = request.state.signer.read(one["id"])
            if not _is_label(one):
                return self._valued(request, prediction, one["value"])
            error = absolute_error(prediction, one["label"]) if prediction.numeric else None
            right = correct(prediction, one["label"]) if error is None else None
            with self._one:
                request.state.ledger.enter(prediction, time.time())
                if error is not None:
                    metrics.off_by(prediction, error)
                else:
                    metrics.labelled(prediction, bool(right))
        except Refused as refused:
            metrics.refused(REASONS[refused.status])
            raise
        if error is not None:
            return {"absolute_error": error, **_whose(prediction)}
        return {"outcome": "correct" if right else "wrong", **_whose(prediction)}

    def _valued(self, request: Request, prediction: Prediction, value: float) -> dict[str, Any]:
        if not request.state.settings.value_max:
            raise BadInput("values are not taken here: the operator's models.values is not set")
        with self._one:
            request.state.values.enter(prediction, time.time())
            counted = request.state.metrics.valued(prediction, value)
        return {"value": counted, **_whose(prediction)}


def _whose(prediction: Prediction) -> dict[str, str]:
    return {
        "model": prediction.model,
        "version": prediction.version,
        "revision": prediction.revision,
    }
