"""The profile of the training data that travels with a model: live rows are held against it."""

import csv
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from rollout_model.answer_signature import answers_of
from rollout_model.bins import MOST_ANSWERS
from rollout_model.errors import BadInput
from rollout_model.table_signature import rows_of_frame, signature_of
from rollout_model.training_profile import FILE, profile_of, written
from rollout_trainer.data import Split
from rollout_trainer.errors import TrainerError

__all__ = ["FILE", "of_csv", "profile_text"]
log = logging.getLogger(__name__)
MOST_ROWS = 100_000
"""Rows that a profile is made of: of more, so many by chance."""
NUMBERS = frozenset({"double", "float"})
"""MLflow's types of answers that are no classes."""
TEXTS = frozenset({"string", "object", "str"})
WHOLE = frozenset({"long", "integer", "int64", "int32", "boolean", "bool"})
"""Types of answers that are classes; of tensors by NumPy's name."""


def profile_text(described: str, model: Any, split: Split) -> str:
    """The text of training_profile.json; "" where the training data has rows that the model server
    refuses, such as dates with a time zone.

    described: the text of the MLmodel file. The same data and model give the same text.
    """
    rows = split.train
    if len(rows) > MOST_ROWS:
        rows = rows.sample(MOST_ROWS, random_state=0).sort_index()
    signature = signature_of(yaml.safe_load(described)["signature"])
    try:
        known = rows_of_frame(signature, rows)
    except BadInput as refused:
        log.warning("no profile of the training data: %s", refused)
        return ""
    answers = model.predict(split.test).tolist()
    return written(profile_of(signature, known, answers, classes=split.classes))


def of_csv(model: Path, rows: Path, answers: str | None = None) -> str:
    """The same for the folder of any MLflow model, by the CSV file that it learnt from, whose cells
    are read as the model server reads them; answers: the column that has the model's. Raises
    TrainerError.
    """
    try:
        described = yaml.safe_load((model / "MLmodel").read_text(encoding="utf-8"))
        signature = signature_of(described.get("signature"))
        with rows.open(encoding="utf-8-sig", newline="") as stream:
            table = list(csv.DictReader(stream))
    except (OSError, ValueError, LookupError, yaml.YAMLError, csv.Error) as trouble:
        raise TrainerError(f"There is nothing to make a profile of: {trouble}") from trouble
    except (AttributeError, TypeError) as trouble:
        raise TrainerError(
            f"There is nothing to make a profile of: {model / 'MLmodel'} is none of MLflow's."
        ) from trouble
    for number, row in enumerate(table):
        if (
            None in row or None in row.values()
        ):  # as DictReader marks what is too much, or too little
            raise TrainerError(
                f"{rows}: row {number} has other cells than the header: quote those with commas."
            )
    header = list(table[0]) if table else []
    wanted = [*signature.names, *([] if answers is None else [answers])]
    if absent := [name for name in wanted if name not in header]:
        raise TrainerError(
            f"{rows} lacks the column {absent[0]!r}: it has {', '.join(header) or 'no row'}."
        )
    if len(table) > MOST_ROWS:
        chosen = np.random.default_rng(0).choice(len(table), MOST_ROWS, replace=False)
        table = [table[number] for number in sorted(chosen.tolist())]
    try:
        known = signature.known(
            [
                [signature.read(number, name, row[name]) for name in signature.names]
                for number, row in enumerate(table)
            ]
        )
        # An empty cell is no answer.
        cells = [cell for row in table if (cell := row[answers])] if answers is not None else []
        said, classes = _answers(described.get("signature"), cells)
    except (BadInput, ValueError, TypeError) as refused:
        raise TrainerError(f"{rows} has other rows than the model takes: {refused}") from refused
    return written(profile_of(signature, known, said, classes=classes))


def _answers(signature: object, cells: list[str]) -> tuple[list[Any], bool]:
    """The answers as the model gives them, of which CSV has the text; and whether they are classes.

    By the signature, else by how they look: numbers are no classes where one has a fraction, or
    where there are more of them than classes have bins. Raises ValueError for what is no number.
    """
    if (kinds := _kinds(signature)) & TEXTS:
        return list(cells), True
    if {cell.lower() for cell in cells} <= {"true", "false"}:
        return [cell.lower() == "true" for cell in cells], True
    named = answers_of(signature).kinds
    sure = bool(named) and set(named) <= NUMBERS
    try:
        numbers = [float(cell) for cell in cells]
    except ValueError:
        if sure:
            raise
        return list(cells), True
    looks = any(number % 1 for number in numbers) or len(set(numbers)) > MOST_ANSWERS
    return numbers, not (sure or (looks and not kinds & WHOLE))


def _kinds(signature: object) -> set[str]:
    """The types of the model's answers, MLflow's of columns or NumPy's of tensors."""
    said: Any = signature.get("outputs") if isinstance(signature, dict) else None
    try:
        listed = json.loads(said) if said else []
        return {str(one.get("tensor-spec", {}).get("dtype") or one.get("type")) for one in listed}
    except (TypeError, ValueError, AttributeError):
        return set()
