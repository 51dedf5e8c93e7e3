"""How an estimator is given a Table: as what it was trained on, of which its signature does not say
all.
"""

import logging
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rollout_model.errors import first_line
from rollout_model.signature import AnyRows, Signature, frame
from rollout_model.table import Table

log = logging.getLogger(__name__)
DEEP = 12
"""How far within an estimator its parts are looked for."""


@dataclass(frozen=True, slots=True)
class TableForm:
    """What the rows become."""

    named: bool = True
    """Whether columns have names; else the rows are an array of objects."""
    alone: bool = False
    """Whether the model takes its only column by itself, as vectorizers of text do."""
    gap: float | None = math.nan
    """What a missing text or truth value is."""

    def __call__(self, table: Table) -> Any:
        """The rows for `predict`."""
        whole = table.frame(self.gap)
        asked = whole.iloc[:, 0] if self.alone else whole
        return asked if self.named else asked.to_numpy(dtype=object)

    def given(self, signature: Signature, rows: AnyRows) -> Any:
        """The same for rows of any model of this signature."""
        return self(rows) if isinstance(rows, Table) else frame(signature, rows)


def form_of(estimator: Any, signature: Signature, method: str, known: Table) -> TableForm:
    """The form in which the estimator answers each row.

    known: rows that it takes. Raises whatever the estimator raises, or TypeError where it gives
    another number of answers.
    """
    form = unasked(estimator, signature)
    try:
        _ask(estimator, method, form, known)
    except Exception as failure:
        alone = replace(form, alone=True)
        if signature.width > 1 or not _answers(estimator, method, alone, known):
            raise failure from None
        return alone
    return form


def likely_form(estimator: Any, signature: Signature, method: str, known: AnyRows) -> TableForm:
    """The same, and where the estimator refuses these rows, as it may made-up ones, what can be
    seen of it. Raises whatever else the estimator raises.
    """
    if not isinstance(known, Table):
        return TableForm()
    try:
        return form_of(estimator, signature, method, known)
    except ValueError as failure:
        log.warning("the form of its rows is a guess: %s", first_line(failure))
        return unasked(estimator, signature)


def unasked(estimator: Any, signature: Signature) -> TableForm:
    """What can be seen of the form without a row that the estimator takes."""
    return TableForm(signature.named, gap=None if _learnt_none(estimator) else math.nan)


def _answers(estimator: Any, method: str, form: TableForm, known: Table) -> bool:
    try:
        _ask(estimator, method, form, known)
    except Exception:  # a guess: what counts is what it says to all its columns
        return False
    return True


def _ask(estimator: Any, method: str, form: TableForm, known: Table) -> None:
    # Of two rows or more: a vectorizer takes the names of a frame for its texts, and would pass
    # with one row of one column.
    twice = known.joined([known])
    answers = np.shape(getattr(estimator, method)(form(twice)))
    if not answers or answers[0] != len(twice):
        raise TypeError(f"it gives {answers[0] if answers else 1} answers to {len(twice)} rows")


def _learnt_none(part: Any, depth: int = 0) -> bool:
    """Whether None is what it knows as missing: for scikit-learn None and NaN are two things.

    pandas reads gaps as NaN, so None is learnt from what was made in Python only.
    """
    if isinstance(part, dict):
        inner = list(part.values())
    elif isinstance(part, list | tuple):
        inner = list(part)
    elif type(part).__module__.startswith(("numpy", "builtins", "pandas", "scipy")):
        return False
    else:
        state = getattr(part, "__dict__", {})
        learnt = [*state.get("categories_", ()), state.get("classes_", ())]
        if state.get("missing_values", 0) is None or any(
            cell is None
            for cells in learnt
            if getattr(getattr(cells, "dtype", None), "kind", "") == "O"
            for cell in cells.ravel()
        ):
            return True
        inner = list(state.values())
    return depth < DEEP and any(
        _learnt_none(one, depth + 1) for one in inner if not isinstance(one, str | int | float)
    )
