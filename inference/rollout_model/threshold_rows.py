"""Rows on both sides of the split thresholds of trees, led back through the steps before them."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from rollout_model.estimator_parts import DEEP, TREES, flat, holds_trees, members, transformers
from rollout_model.signature import Rows, Signature
from rollout_model.table import LARGEST

FEWEST = 50
"""Rows for each member of an ensemble, at least."""


def threshold_rows(
    estimator: Any, asked: Any, signature: Signature, random: np.random.Generator, depth: int = 0
) -> Iterator[Rows]:
    """Rows to both sides of the thresholds of every tree in it, led back to what it is asked.

    asked: rows like data that it takes, an array or a frame. Raises ValueError where a step between
    its rows and a tree cannot be undone.
    """
    if not holds_trees(estimator):
        return
    if depth > DEEP:
        raise ValueError(f"{type(estimator).__name__} holds estimators in too many others")
    if isinstance(estimator, TREES):
        yield from _at(_splits(estimator), np.asarray(asked, dtype=np.float64), random)
    elif isinstance(estimator, Pipeline):
        yield from _before(estimator, asked, signature, random, depth)
    else:
        if holds_trees(getattr(estimator, "final_estimator_", None)):
            raise ValueError(f"{type(estimator).__name__} asks a tree about what others say")
        asked = asked[: max(FEWEST, len(asked) // len(members(estimator)))]
        for number, one in enumerate(members(estimator)):
            seen = _columns_of(estimator, number)
            if seen is None:
                yield from threshold_rows(one, asked, signature, random, depth + 1)
                continue
            whole = np.asarray(asked, dtype=np.float64)
            for part in threshold_rows(one, whole[:, seen], signature, random, depth + 1):
                made = whole[random.integers(len(whole), size=len(part))].copy()
                made[:, seen] = part
                yield made


def _columns_of(estimator: Any, number: int) -> Any:
    """Which columns its member sees, as bagging and elimination have it; None for all."""
    chosen = getattr(estimator, "estimators_features_", None)
    if chosen is not None:
        return (
            None
            if np.array_equal(chosen[number], np.arange(estimator.n_features_in_))
            else chosen[number]
        )
    support = getattr(estimator, "support_", None)
    if isinstance(support, np.ndarray) and support.dtype == bool:
        return np.flatnonzero(support)
    return None


def _before(
    pipeline: Pipeline, asked: Any, signature: Signature, random: np.random.Generator, depth: int
) -> Iterator[Rows]:
    """As `threshold_rows`, through the steps of a pipeline."""
    steps = transformers(pipeline)
    inside = asked
    for step in steps:
        inside = step.transform(inside)
    for rows in threshold_rows(pipeline[-1], inside, signature, random, depth + 1):
        made = rows
        for step in reversed(steps):
            made = _undone(step, made, signature)
        yield made


def _splits(estimator: Any) -> dict[int, Rows]:
    """Split thresholds by the column they are of, of every tree in an estimator of trees."""
    columns, values = [np.zeros(0, dtype=int)], [np.zeros(0)]
    for predictor in (one for some in getattr(estimator, "_predictors", ()) for one in some):
        inner = predictor.nodes[
            (predictor.nodes["is_leaf"] == 0) & (predictor.nodes["is_categorical"] == 0)
        ]
        columns.append(inner["feature_idx"].astype(int))
        values.append(inner["num_threshold"])
    for one in [estimator, *flat(getattr(estimator, "estimators_", None))]:
        if (tree := getattr(one, "tree_", None)) is not None:
            columns.append(tree.feature[tree.feature >= 0])
            values.append(tree.threshold[tree.feature >= 0])
    column, value = np.concatenate(columns), np.concatenate(values)
    fits = np.isfinite(value) & (np.abs(value) < LARGEST / 2)
    return {n: np.unique(value[fits & (column == n)]) for n in np.unique(column[fits]).tolist()}


def _at(splits: dict[int, Rows], like: Rows, random: np.random.Generator) -> Iterator[Rows]:
    """Rows of which all values, and rows like data of which one value, is at a threshold or beside.

    Beside: one step of single and of double precision away, and halfway to the next threshold.
    """
    if not splits:
        return
    every = np.nan_to_num(like)
    for number, values in splits.items():
        middle = values[:-1] / 2 + values[1:] / 2
        singles = values.astype(np.float32)
        near = [
            np.nextafter(singles, np.float32(way)).astype(np.float64) for way in (-np.inf, np.inf)
        ]
        near += [np.nextafter(values, way) for way in (-np.inf, np.inf)]
        every[:, number] = random.choice(
            np.concatenate([values, singles, middle, *near]), len(every)
        )
    yield every
    one = like.copy()
    column = random.choice(list(splits), len(one))
    one[np.arange(len(one)), column] = every[np.arange(len(one)), column]
    yield one


def _undone(step: Any, rows: Rows, signature: Signature) -> Rows:
    """What the fitted transformer made `rows` from; zeros in columns that it drops.

    Raises ValueError where that cannot be said.
    """
    if isinstance(step, Pipeline):
        for inner in reversed(
            [one for _, one in step.steps if one is not None and not isinstance(one, str)]
        ):
            rows = _undone(inner, rows, signature)
        return rows
    if not isinstance(step, ColumnTransformer):
        if not hasattr(step, "inverse_transform"):
            raise ValueError(f"{type(step).__name__} cannot be undone")
        if isinstance(
            step, OneHotEncoder | OrdinalEncoder
        ):  # what is between codes leads to one of them
            return _codes(step, rows)
        made = np.asarray(step.inverse_transform(rows), dtype=np.float64)
        again = np.asarray(step.transform(made), dtype=np.float64)
        if not np.allclose(
            again, rows, rtol=1e-6, atol=1e-6 * (1 + np.abs(rows).max()), equal_nan=True
        ):
            raise ValueError(f"{type(step).__name__} cannot be undone")
        return made
    made = np.zeros((len(rows), step.n_features_in_))
    names = list(getattr(step, "feature_names_in_", signature.names))
    for name, inner, columns in step.transformers_:
        if isinstance(inner, str) and inner == "drop":
            continue
        part = rows[:, step.output_indices_[name]]
        places = [
            names.index(one) if isinstance(one, str) else one
            for one in np.atleast_1d(
                np.arange(len(names))[columns] if isinstance(columns, slice) else columns
            ).tolist()
        ]
        if not places:
            continue
        made[:, places] = part if isinstance(inner, str) else _undone(inner, part, signature)
    return made


def _codes(step: Any, rows: Rows) -> Rows:
    """The codes that an encoder's outputs are nearest to. Raises ValueError where there is no
    telling.
    """
    if isinstance(step, OneHotEncoder):
        return np.asarray(step.inverse_transform(rows), dtype=np.float64)
    nearest = [
        np.clip(np.rint(part), 0, len(known) - 1)
        for part, known in zip(rows.T, step.categories_, strict=True)
    ]
    return np.asarray(step.inverse_transform(np.column_stack(nearest)), dtype=np.float64)
