"""What a label or value that came does to what is known of its prediction: pure, so that every
store settles alike.

Each is counted once, however often and in whatever order it is sent: of the labels of a prediction
the one with the greatest `version` stands. Nothing that is counted falls: a correction adds what is
right now, and what was said before is counted as retracted.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rollout_inference.feedback.ledger import absolute_error, correct, same_label
from rollout_inference.feedback.prediction_id import Prediction
from rollout_model.errors import BadInput, Refused

REQUEST_ID = "[ -~]{1,256}"
"""Pattern of a caller's own name for a request: printable ASCII."""
_REQUEST_ID = re.compile(REQUEST_ID)
WRITE_REQUEST_ID = "request_id must be text of 1 to 256 printable ASCII characters"
MOST_VERSION = 2**53
"""Of a label, exclusive: what JSON tells exactly everywhere."""
GREATEST_ERROR = 1e300
"""Of a regression, exclusive: sums of errors stay finite."""
COUNTED, DUPLICATE, CORRECTED, SUPERSEDED = "counted", "duplicate", "corrected", "superseded"


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of one prediction."""

    key: str
    """Tells it from every other of its scope; see `key_of_request` and `key_of_id`."""
    prediction: Prediction
    """Who predicted what and when; `mark` is 0 where it has no signed id."""
    label: Any = None
    """As it stands; None where none came."""
    label_version: int = 0
    """Of the label that stands."""
    measured: float | None = None
    """1 for a right answer, 0 for a wrong one, or the absolute error of a regression."""
    value: float | None = None
    """As it was sent; None where none came."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One label or value that came."""

    key: str
    """Of the prediction."""
    label: Any = None
    """None for a value."""
    value: float | None = None
    """None for a label."""
    version: int = 0
    """A correction has a greater one than what it corrects."""
    prediction: Prediction | None = None
    """What its signed id says; None where the store has to know it."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of it."""

    entry: Entry
    """What is known from now on."""
    taken: str
    """COUNTED, DUPLICATE, CORRECTED or SUPERSEDED."""
    added: Mapping[str, float]
    """By name of a counter."""
    retracted: Mapping[str, float]
    """The same, of what is counted no more."""
    value: float | None = None
    """What a value is counted as; None for a label."""

    @property
    def of_value(self) -> bool:
        """Whether it was a value that came, not a label."""
        return self.value is not None


_NONE: Mapping[str, float] = {}


def key_of_request(request_id: str, row: int) -> str:
    """Of one row of a request that its caller has named."""
    return f"r{row}:{request_id}"


def key_of_id(prediction: Prediction) -> str:
    """Of a prediction that is known by its signed id."""
    return f"s{prediction.mark:016x}"


def is_request_id(text: object) -> bool:
    """Whether a caller may name a request so: ASCII, because a header must be able to say it."""
    return isinstance(text, str) and _REQUEST_ID.fullmatch(text) is not None


def settle(
    known: Entry | None,
    sent: Sent,
    closed: int,
    value_max: float = 0.0,
    latest: int = MOST_VERSION,
) -> Settled:
    """What one label or value does to its entry.

    known: the entry, None where the store has none. closed: Unix time, s; labels of predictions up
    to it come too late. value_max: as in Settings. latest: Unix time, s; what is dated later, no
    right clock has dated. Raises Refused: 404 for an unknown request_id, 409 for another label of
    the same version, 410 for one that is late, or early, 422 for another type.
    """
    entry = known or (None if sent.prediction is None else Entry(sent.key, sent.prediction))
    if entry is None:
        raise Refused(
            "no prediction is known by this request_id and row: send the request_id that the"
            " predict request had; one that is older than the store keeps, or was answered while"
            " the store was away, is not known",
            404,
        )
    if entry.prediction.issued <= closed:
        what = "label" if sent.value is None else "value"
        raise Refused(
            f"the {what} comes too late: it is taken for a limited time after the prediction", 410
        )
    if entry.prediction.issued > latest:
        raise Refused(
            "the prediction is dated in the future: the clock of the pod that made it was wrong,"
            " and no label of it is counted",
            410,
        )
    return _valued(entry, sent, value_max) if sent.value is not None else _labelled(entry, sent)


def _labelled(entry: Entry, sent: Sent) -> Settled:
    measured = _measured(entry.prediction, sent.label)
    if entry.label is not None:
        same = same_label(entry.label, sent.label)
        if sent.version < entry.label_version:
            return Settled(entry, SUPERSEDED, _NONE, _NONE)
        if sent.version == entry.label_version and same:
            return Settled(entry, DUPLICATE, _NONE, _NONE)
        if sent.version == entry.label_version:
            raise Refused(
                f"this prediction has another label of version {entry.label_version} already: send"
                f' a correction with a greater one, "version": {entry.label_version + 1}',
                409,
            )
    after = replace(entry, label=sent.label, label_version=sent.version, measured=measured)
    numeric = entry.prediction.numeric
    new = _counts(numeric, measured)
    old = _NONE if entry.measured is None else _counts(numeric, entry.measured)
    changed = {name for name in {*old, *new} if old.get(name) != new.get(name)}
    return Settled(
        after,
        COUNTED if entry.label is None else CORRECTED,
        {name: new[name] for name in new if name in changed},
        {name: old[name] for name in old if name in changed},
    )


def _measured(prediction: Prediction, label: Any) -> float:
    """Raises BadInput where the label says nothing of the prediction."""
    if not prediction.numeric:
        return float(correct(prediction, label))
    try:
        error = absolute_error(prediction, label)
    except TypeError:  # NaN was predicted, which a store keeps as null
        error = math.nan
    if not error < GREATEST_ERROR:
        raise BadInput("what was predicted is no number that a label could be compared with")
    return error


def _counts(numeric: bool, measured: float) -> Mapping[str, float]:
    if numeric:
        return {"numbers": 1.0, "absolute_error": measured}
    return {"correct" if measured else "wrong": 1.0}


def _valued(entry: Entry, sent: Sent, most: float) -> Settled:
    """Sums of values must not fall, so a value is never corrected."""
    value = float(sent.value or 0.0)
    if not most:
        raise BadInput("values are not taken here: the operator's models.values is not set")
    if sent.version:
        raise BadInput("a value takes no correction: send it without version, and once it is known")
    counted = min(value, most)
    if entry.value is not None:
        if entry.value == value:
            return Settled(entry, DUPLICATE, _NONE, _NONE, counted)
        raise Refused("this prediction has its value already, and another one", 409)
    added = {"values": 1.0, "value_sum": counted, "value_squares": counted * counted}
    if counted < value:
        added["values_clipped"] = 1.0
    return Settled(replace(entry, value=value), COUNTED, added, _NONE, counted)
