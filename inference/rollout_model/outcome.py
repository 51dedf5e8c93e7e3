"""What a model is asked beside its rows, and what it says to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

PREDICT, PROBABILITIES, SCORES = "predict", "predict_proba", "decision_function"
"""What outputs are called, by scikit-learn's words for what is asked, which MLServer uses too."""
BESIDE = (PROBABILITIES, SCORES)
"""What may be asked for beside predictions, by name."""
IDENTITY = "prediction_id"
"""The output with the ids that labels are sent back with."""


@dataclass(frozen=True, slots=True)
class Question:
    """What one request asks of the model beside predictions for its rows."""

    also: frozenset[str] = frozenset()
    """Of BESIDE; empty for predictions alone."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """MLflow's parameters by name, as the signature has them; empty where it has none."""


PLAIN = Question()
"""Predictions alone, which is what nearly every request asks."""


def joined(questions: Sequence[Question]) -> Question | None:
    """One question for the rows of all; None where their parameters differ. Of none, PLAIN."""
    first = questions[0] if questions else PLAIN
    if questions.count(first) == len(questions):
        return first
    if any(one.params != first.params for one in questions):
        return None
    return Question(first.also.union(*(one.also for one in questions)), first.params)


@dataclass(frozen=True, slots=True)
class Output:
    """An output beside predictions that a model has."""

    name: str
    """By which requests ask for it."""
    method: str
    """Of BESIDE: what gives it."""
    width: tuple[int, ...]
    """Of its answer to one row: (), or (numbers,), -1 where that is not known."""
    classes: tuple[Any, ...] = ()
    """Labels in the order of its numbers; a score alone is that of the second. Empty where none
    are known.
    """
    part: int | None = None
    """Which of the model's predictions it is about; None where it has one for each row."""

    def of(self, outcome: "Outcome") -> Any:
        """The numbers, (rows, *width); raises KeyError where they were not asked for."""
        said = outcome.more[self.method]
        return said if self.part is None else said[self.part]


class Outcome(msgspec.Struct, frozen=True):
    """What a model says to rows. A Struct is made in a fraction of a dataclass's time."""

    labels: list[Any]
    """One prediction for each row, as Python values."""
    more: Mapping[str, Any] = {}
    """What else was asked for, by the names of BESIDE: an array (rows, ...), or a list of them, one
    for each of a row's predictions.
    """

    def split(self, sizes: Sequence[int]) -> "list[Outcome]":
        """The outcomes of requests of so many rows, in their order."""
        parts, end = [], 0
        for size in sizes:
            start, end = end, end + size
            part = Outcome(self.labels[start:end])
            if self.more:
                more = {name: _part(said, start, end) for name, said in self.more.items()}
                part = Outcome(part.labels, more)
            parts.append(part)
        return parts


def _part(said: Any, start: int, end: int) -> Any:
    return [one[start:end] for one in said] if isinstance(said, list) else said[start:end]


def outputs(
    said: Mapping[str, Any], classes: Sequence[Any], names: Sequence[str] = ()
) -> dict[str, Output]:
    """The outputs of a model that said this to some rows, `said` as in Outcome.more, by their
    names.

    classes: its labels, or one list of them for each prediction of a row. names: of these
    predictions; their numbers where there are none.
    """
    found = []
    for method, values in said.items():
        if not isinstance(values, list):
            found.append(_output(method, method, values, classes))
            continue
        for part, value in enumerate(values):
            which = names[part] if len(names) == len(values) else part
            of = classes[part] if len(classes) == len(values) else ()
            found.append(_output(f"{method}_{which}", method, value, of, part))
    return {one.name: one for one in found}


def _output(
    name: str, method: str, values: Any, classes: Sequence[Any], part: int | None = None
) -> Output:
    width = np.shape(values)[1:]
    known = [one for one in classes if not isinstance(one, list | tuple | np.ndarray)]
    fits = len(known) == len(classes) and len(known) == (*width, 2)[0]
    return Output(name, method, width, tuple(known) if fits else (), part)
