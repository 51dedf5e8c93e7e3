"""Labels that come later: each counted once, and the live accuracy of the newest of them."""

import math
from collections import deque
from typing import Any

from rollout_inference.feedback.prediction_id import Prediction
from rollout_model.errors import BadInput, Refused

MINUTE = 60
MOST = 500_000
"""Ids that are remembered, some 30 MiB. When there are more, labels of the oldest predictions are
refused: none is counted twice.
"""


class Ledger:
    """Which predictions have a label already; forgets a prediction when its label would come too
    late anyway. `window` in seconds; `what` it gets, for sentences.
    """

    def __init__(self, window: int, most: int = MOST, what: str = "label") -> None:
        self._window, self._most, self._what = window, most, what
        self._minutes: dict[int, set[int]] = {}
        self._count = 0
        self._closed = -1
        """The newest minute whose ids are forgotten."""

    def enter(self, prediction: Prediction, now: float) -> None:
        """Note a label; raises Refused where there is one already, or it comes too late."""
        minute = prediction.issued // MINUTE
        self._forget(int(now - self._window) // MINUTE)
        if minute <= self._closed:
            raise Refused(
                f"the {self._what} comes too late: it is taken for a limited time after the"
                " prediction",
                410,
            )
        known = self._minutes.setdefault(minute, set())
        if prediction.mark in known:
            raise Refused(f"this prediction has its {self._what} already", 409)
        known.add(prediction.mark)
        self._count += 1
        while self._count > self._most:
            self._forget(min(self._minutes))

    def _forget(self, until: int) -> None:
        if until > self._closed:
            self._closed = until
            for minute in [m for m in self._minutes if m <= until]:
                self._count -= len(self._minutes.pop(minute))


class Window:
    """The mean of the newest `most` values; none before there are `least`."""

    def __init__(self, most: int, least: int) -> None:
        self._values: deque[float] = deque(maxlen=most)
        self.least = min(least, most)

    def add(self, value: float) -> None:
        self._values.append(value)

    @property
    def samples(self) -> int:
        return len(self._values)

    @property
    def mean(self) -> float | None:
        """Exact for truth values; None while there are too few."""
        return (
            math.fsum(self._values) / len(self._values) if len(self._values) >= self.least else None
        )


def correct(prediction: Prediction, label: Any) -> bool:
    """Whether the label is what was predicted; raises BadInput where it is not of the same type."""
    if _kind(prediction.value) != _kind(label):
        raise BadInput(
            f"the label must be a {_kind(prediction.value)}, as the prediction was, not a"
            f" {_kind(label)}"
        )
    return bool(prediction.value == label)


def same_label(one: Any, other: Any) -> bool:
    """Whether two labels say the same: JSON and CSV tell one number as 1 and as 1.0."""
    return _kind(one) == _kind(other) and bool(one == other)


def absolute_error(prediction: Prediction, label: Any) -> float:
    """How far the label, a number, or as many numbers as were predicted, is from the prediction;
    their mean where there are several.
    """
    said, told = (one if isinstance(one, list) else [one] for one in (prediction.value, label))
    numbers = [
        one
        for one in told
        if isinstance(one, int | float) and not isinstance(one, bool) and abs(one) < 1e300
    ]
    if len(numbers) != len(told) or len(told) != len(said):
        raise BadInput(
            "the label must be a number, as the prediction was"
            if len(said) == 1
            else f"the label must be {len(said)} numbers"
        )
    return math.fsum(abs(a - b) for a, b in zip(said, numbers, strict=True)) / len(said)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "truth value"
    return (
        "number"
        if isinstance(value, int | float)
        else "text"
        if isinstance(value, str)
        else type(value).__name__
    )
