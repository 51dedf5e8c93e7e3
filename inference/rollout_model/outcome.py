"""What a model says to rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Outcome:
    """Predictions for rows, as Python values."""

    labels: list[Any]
    """One prediction for each row."""
    probabilities: Any = None
    """(rows, classes); None where the model has none."""

    def split(self, sizes: Sequence[int]) -> "list[Outcome]":
        """The outcomes of requests of so many rows, in their order."""
        parts, end = [], 0
        for size in sizes:
            start, end = end, end + size
            chances = None if self.probabilities is None else self.probabilities[start:end]
            parts.append(Outcome(self.labels[start:end], chances))
        return parts
