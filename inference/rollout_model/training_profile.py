"""What a model's training rows and answers were like: a file beside metrics.json, made by the
trainer. The server counts live rows in the bins that it has.

Pure: rows are the server's own (signature.py, table.py), so that training and live rows are counted
alike.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from rollout_model import bins
from rollout_model.bins import Bins
from rollout_model.signature import AnyRows, Signature
from rollout_model.table import NUMBERS, Kind, Table
from rollout_model.table_signature import TableSignature

FILE = "training_profile.json"
"""Its name among a model's files; part of the digest as they are."""
VERSION = 1
MOST_COLUMNS = 20
"""Columns that have bins: the first ones of the signature."""


class TrainingProfile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bins and the share of training rows in each."""

    version: int
    """Of the format: VERSION."""
    rows: int
    """How many the shares of columns rest on."""
    columns: list[Bins]
    """At most MOST_COLUMNS; no dates, which move by themselves."""
    answers: Bins | None = None
    """Of what the model says to held-out rows; None where it has several answers to one."""
    answered: int = 0
    """How many answers those shares rest on."""

    def __post_init__(self) -> None:
        """Raises ValueError for what is no profile."""
        if self.version != VERSION:
            raise ValueError(f"version {self.version} is not known, {VERSION} is")
        if len(self.columns) > MOST_COLUMNS:
            raise ValueError(f"{len(self.columns)} columns are more than {MOST_COLUMNS}")
        names = [column.name for column in self.columns]
        if "" in names or len(set(names)) < len(names):
            raise ValueError("a column has no name, or one that another has")
        if self.answers is not None and self.answers.name:
            raise ValueError("answers have a column's name")


def read(text: str) -> TrainingProfile:
    """The profile that the file's text is; raises ValueError where it is none."""
    try:
        return msgspec.json.decode(text, type=TrainingProfile)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as failure:
        raise ValueError(str(failure)) from failure


def written(profile: TrainingProfile) -> str:
    """The file's text; the same profile gives the same."""
    return msgspec.json.format(msgspec.json.encode(profile), indent=1).decode() + "\n"


def profile_of(
    signature: Signature, rows: AnyRows, answers: Sequence[Any], classes: bool
) -> TrainingProfile:
    """The profile of training rows, and of what the model says to rows that it has not seen.

    classes: whether these answers are classes; else they are numbers.
    """
    made: dict[str, Bins] = {}
    for position, kind in _profiled(signature, rows):
        values, name = values_of(rows, position), signature.names[position]
        if name and name not in made:
            texts = kind not in NUMBERS
            found = bins.of_texts(name, values.tolist()) if texts else bins.of_numbers(name, values)
            made[name] = found
        if len(made) == MOST_COLUMNS:
            break
    plain = len(answers) > 0 and not any(isinstance(one, list | tuple) for one in answers)
    said = None
    if plain:
        said = (
            bins.of_classes(answers)
            if classes
            else bins.of_answers(np.array(answers, dtype=np.float64))
        )
    return TrainingProfile(
        VERSION, len(rows), list(made.values()), said, len(answers) if plain else 0
    )


def _profiled(signature: Signature, rows: AnyRows) -> Iterator[tuple[int, Kind]]:
    """Positions and kinds of the columns that have bins: a date moves by itself."""
    if not isinstance(rows, Table):
        yield from ((position, Kind.DOUBLE) for position in range(signature.width))
        return
    for position, column in enumerate(rows.columns):
        if column.kind is not Kind.DATETIME:
            yield position, column.kind


def values_of(rows: AnyRows, position: int) -> npt.NDArray[Any]:
    """(rows,): the values of one column."""
    return rows.values[position] if isinstance(rows, Table) else rows[:, position]


def placed(profile: TrainingProfile, signature: Signature) -> list[tuple[int, Bins]]:
    """The columns of the profile that the signature has, of the same kind, and their positions."""
    places: dict[str, int] = {}
    for position, name in enumerate(signature.names):
        places.setdefault(name, position)  # of two columns of one name the first is profiled
    found = [(places[one.name], one) for one in profile.columns if one.name in places]
    if not isinstance(signature, TableSignature):
        return [(position, one) for position, one in found if one.kind == "number"]
    kinds = [column.kind for column in signature.table]
    return [
        (position, one)
        for position, one in found
        if kinds[position] is not Kind.DATETIME
        and (kinds[position] in NUMBERS) == (one.kind == "number")
    ]
