"""/feedback/: the right answer for an earlier prediction, as soon as it is known."""

import sys
import threading
import time
from typing import Any

import msgspec

from rollout_inference.api.protocol import Protocol, Request, Response, parse_json
from rollout_inference.feedback.book import MOST_ROWS, Book
from rollout_inference.feedback.ledger import absolute_error, correct
from rollout_inference.feedback.prediction_id import Prediction
from rollout_inference.feedback.settlement import (
    MOST_VERSION,
    WRITE_REQUEST_ID,
    Sent,
    Settled,
    is_request_id,
    key_of_id,
    key_of_request,
)
from rollout_model.errors import BadInput, Refused

REASONS = {
    403: "forged",
    404: "unknown",
    409: "replayed",
    410: "late",
    422: "malformed",
    503: "away",
}
MOST = 10_000
"""Labels of one request."""
MOST_VALUE = sys.float_info.max
"""Whole numbers of JSON have no end."""
LONGEST_LABEL = 4096
"""Characters of a label: longer predictions have no id."""
LONGEST_ID = 4096
"""Characters of a prediction id; none of ours is near."""


_BY_REQUEST = (
    '; in place of id there may be "request_id": "<the one of the predict request>", with "row":'
    " <its number from 0 on> where that had several"
)
_VALUE = str | int | float | bool


def _is_named(one: Any) -> bool:
    """Whether it says which prediction it is for: by an id of ours, or by the caller's request_id
    and the number of the row.
    """
    if not isinstance(one, dict):
        return False
    if "id" in one:
        return isinstance(one["id"], str) and len(one["id"]) <= LONGEST_ID
    return is_request_id(one.get("request_id")) and _is_whole(one.get("row", 0), MOST_ROWS)


def _is_misnamed(one: Any) -> bool:
    """Whether its request_id is none that a predict request could have had."""
    return (
        isinstance(one, dict)
        and "id" not in one
        and "request_id" in one
        and not is_request_id(one["request_id"])
    )


def _is_whole(number: Any, below: int) -> bool:
    # JSON has no whole numbers of their own: 3.0 is one.
    return (
        isinstance(number, int | float)
        and not isinstance(number, bool)
        and 0 <= number < below
        and number == int(number)
    )


def _is_label(one: Any) -> bool:
    if not _is_named(one):
        return False
    label = one.get("label")
    # A list is the label of a model with several outputs.
    parts = label if isinstance(label, list) else [label]
    return (
        0 < len(parts) <= LONGEST_LABEL
        and all(isinstance(part, _VALUE) for part in parts)
        and sum(len(part) for part in parts if isinstance(part, str)) <= LONGEST_LABEL
    )


def _is_value(one: Any) -> bool:
    return (
        _is_named(one)
        and isinstance(one.get("value"), int | float)
        and not isinstance(one["value"], bool)
        and 0 <= one["value"] <= MOST_VALUE
    )


class Feedback(Protocol):
    """One label, or value, or a list of them: each is counted or refused by itself, but of a list
    with an entry in another form, none is counted.
    """

    counted = False

    def __init__(self, waits: bool = False) -> None:
        """waits: whether a store is asked."""
        self.waits = waits
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
                if self.waits and _is_misnamed(one):
                    raise BadInput(f"{which}{WRITE_REQUEST_ID}")
                raise BadInput(
                    f'{which}send {{"id": "<the prediction\'s id>", "label": <the right answer>}},'
                    ' or "value": <a number from 0 on> in place of the label'
                    + (_BY_REQUEST if self.waits else "")
                )
            if not self.waits and "id" not in one:
                request.state.metrics.refused(REASONS[422])
                raise BadInput(
                    "a label by request_id needs a feedback store, and there is none here: send the"
                    " prediction's id, or have the operator's configuration name a feedbackStore"
                )
            if self.waits and not _is_whole(one.get("version", 0), MOST_VERSION):
                request.state.metrics.refused(REASONS[422])
                raise BadInput("version must be a whole number from 0 on")
        if isinstance(asked, list) and not 0 < len(asked) <= MOST:
            raise BadInput(f"send from 1 to {MOST} labels in one request")
        if request.state.book is not None:
            return self._stored(request, asked, request.state.book)
        if not isinstance(asked, list):
            return Response(msgspec.json.encode(self._entered(request, asked)))
        return Response(
            msgspec.json.encode({"results": [self._tried(request, one) for one in asked]})
        )

    def _stored(self, request: Request, asked: Any, book: Book) -> Response:
        """The same by the store, whose thread this is."""
        many = asked if isinstance(asked, list) else [asked]
        sent = [_sent(request, one) for one in many]
        taken = iter(book.take([one for one in sent if isinstance(one, Sent)]))
        results = [next(taken) if isinstance(one, Sent) else one for one in sent]
        for one in results:
            if isinstance(one, Refused):
                request.state.metrics.refused(REASONS[one.status])
        if isinstance(asked, list):
            return Response(msgspec.json.encode({"results": [_said(one) for one in results]}))
        (only,) = results
        if isinstance(only, Refused):
            raise only
        return Response(msgspec.json.encode(_said(only)))

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


def _sent(request: Request, one: dict[str, Any]) -> Sent | Refused:
    """One label or value for the store, or why it is none."""
    is_label, version = _is_label(one), int(one.get("version", 0))
    label, value = (one["label"], None) if is_label else (None, float(one["value"]))
    if "id" not in one:
        key = key_of_request(one["request_id"], int(one.get("row", 0)))
        return Sent(key, label, value, version)
    try:
        prediction = request.state.signer.read(one["id"])
    except Refused as refused:
        return refused
    return Sent(key_of_id(prediction), label, value, version, prediction)


def _said(one: Settled | Refused) -> dict[str, Any]:
    """What is answered of one label or value."""
    if isinstance(one, Refused):
        return {"status": one.status, "error": str(one)}
    entry, whose = one.entry, _whose(one.entry.prediction)
    if one.of_value:
        return {"value": one.value, "taken": one.taken, **whose}
    if entry.prediction.numeric:
        return {"absolute_error": entry.measured, "taken": one.taken, **whose}
    return {"outcome": "correct" if entry.measured else "wrong", "taken": one.taken, **whose}


def _whose(prediction: Prediction) -> dict[str, str]:
    return {
        "model": prediction.model,
        "version": prediction.version,
        "revision": prediction.revision,
    }
