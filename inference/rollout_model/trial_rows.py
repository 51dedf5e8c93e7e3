"""Rows that a conversion is tried on: like data (the example, training rows, values between
neighbouring ones), far from it, with missing values, and at the thresholds of trees.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from rollout_model.signature import Rows, Signature, frame
from rollout_model.table import LARGEST
from rollout_model.threshold_rows import threshold_rows

POINTS = 1_000
"""Rows of each kind."""
MOST = 2_000
"""Training rows."""


def trial_rows(
    estimator: Any,
    signature: Signature,
    example: list[list[float]],
    seed: int = 0,
    count: int = POINTS,
    *,
    rows: Rows | None = None,
) -> Iterator[Rows]:
    """Rows of each kind but those at the border. Raises ValueError as `threshold_rows`."""
    random = np.random.default_rng(seed)
    width = signature.width
    yield fit(np.zeros((1, width)), signature)
    known = np.zeros((0, width))
    if example:
        known = np.asarray(example, dtype=np.float64)
        yield fit(known, signature)
        yield fit(_between(known, random, count), signature)
    if rows is not None and len(rows):
        known = rows if len(rows) <= MOST else rows[random.choice(len(rows), MOST, replace=False)]
        yield known
        known = np.nan_to_num(known)
        yield fit(_between(known, random, count), signature)
    centre, spread = np.zeros(width), np.full(width, 10.0)
    if len(known):
        yield fit(_one_changed(known, _between(known, random, count), random), signature)
        yield _drawn(known, random, count)
        centre, spread = known.mean(axis=0), np.maximum(1.0, np.abs(known).max(axis=0))
        yield fit(random.normal(centre, known.std(axis=0) + 1e-9, (count, width)), signature)
    wide = random.normal(centre, spread, (count, width))
    yield fit(wide, signature)
    like = _drawn(known, random, count) if len(known) else wide
    missing = random.random((count // 4, width)) < 0.3
    yield np.where(missing, np.nan, fit(like[: count // 4], signature))
    for found in threshold_rows(estimator, frame(signature, like), signature, random):
        kept = found[(np.abs(found) < LARGEST).all(axis=1)]
        if not len(kept):
            raise ValueError("no row leads to the trees' thresholds")
        yield fit(kept, signature)


def _between(rows: Rows, random: np.random.Generator, count: int) -> Rows:
    """(count, width): each value halfway between two neighbours of its column, or beside one."""
    columns = []
    for column in rows.T:
        values = np.unique(column)
        middle = values[:-1] / 2 + values[1:] / 2
        beside = (np.nextafter(middle, -np.inf), np.nextafter(middle, np.inf))
        columns.append(random.choice(np.concatenate([values, middle, *beside]), count))
    return np.column_stack(columns)


def _drawn(rows: Rows, random: np.random.Generator, count: int) -> Rows:
    """(count, width): each value is one that its column has, so that codes stay codes."""
    return np.column_stack([random.choice(column, count) for column in rows.T])


def _one_changed(rows: Rows, others: Rows, random: np.random.Generator) -> Rows:
    """Known rows, each with one value taken from `others`."""
    made = rows[random.integers(len(rows), size=len(others))].copy()
    column = random.integers(rows.shape[1], size=len(made))
    made[np.arange(len(made)), column] = others[np.arange(len(made)), column]
    return made


def fit(rows: Rows, signature: Signature) -> Rows:
    """Whole numbers where the signature asks for them."""
    if signature.whole:
        rows = rows.copy()
        rows[:, signature.whole] = np.rint(rows[:, signature.whole])
    return rows
