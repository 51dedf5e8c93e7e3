"""The rows that a conversion is proved on, and what scikit-learn says to them.

Like data (the example, training rows, values between neighbouring ones), far from it, with missing
values, on both sides of every split threshold led back through the steps before its tree, and on
both sides of where labels change.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from sklearn.base import is_classifier, is_outlier_detector
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble._forest import BaseForest
from sklearn.ensemble._gb import BaseGradientBoosting
from sklearn.ensemble._hist_gradient_boosting.gradient_boosting import BaseHistGradientBoosting
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder
from sklearn.tree import BaseDecisionTree

from rollout_model.artifact import Artifact
from rollout_model.parity import TIE, Proof, ties
from rollout_model.signature import LARGEST, Rows, Signature, frame

POINTS = 1_000
"""Rows of each kind that a conversion is tried on."""
MOST = 2_000
"""Training rows that it is tried on."""
SPARSE = 128
"""Rows of a kind that are asked one by one where scikit-learn refuses some of them."""
HALVINGS = 12
"""How often the way between two rows of different labels is halved."""
FEWEST = 50
"""Rows for each member of an ensemble, at least."""
DEEP = 6
"""How many wrappings of an estimator are looked through."""
TREES = BaseDecisionTree | BaseForest | BaseGradientBoosting | BaseHistGradientBoosting
Predicts = Callable[[Rows], Any]


def proof(
    estimator: Any, artifact: Artifact, rows: Rows | None, seed: int = 0, count: int = POINTS
) -> Proof:
    """Rows that scikit-learn answers, and its answers; rows: of training, where they are known.

    Raises ValueError where trees stand behind a step that cannot be undone, or nothing is answered.
    """
    signature = artifact.signature

    def predicts(asked: Rows) -> Any:
        return np.asarray(getattr(estimator, artifact.method)(frame(signature, asked)))

    kinds = list(trial_points(estimator, signature, artifact.example, seed, count, rows=rows))
    points, expected = answered(predicts, kinds)
    if is_classifier(estimator) and artifact.method == "predict" and expected.ndim == 1:
        random = np.random.default_rng(seed)
        near, labels = at_the_border(predicts, (points, expected), signature, random, count // 10)
        points = np.vstack([points, near])
        expected = np.concatenate([expected, labels])
    if artifact.method != "predict":
        return Proof(points, expected)
    probable, tied = _chances(estimator, signature, points, expected)
    return Proof(points, expected, probable, tied)


def answered(predicts: Predicts, kinds: list[Rows]) -> tuple[Rows, Any]:
    """The rows, of those of each kind, that scikit-learn answers, and its predictions.

    A row that it refuses is no evidence. Raises whatever the model does where it refuses all.
    """
    points = np.vstack(kinds)
    try:
        return points, predicts(points)
    except Exception:  # one row is enough: each kind is asked alone, then some of its rows
        points = np.vstack([part for rows in kinds for part in _taken(predicts, rows)])
        return points, predicts(points)


def _taken(predicts: Predicts, rows: Rows) -> list[Rows]:
    """The kind whole where it is answered whole, else those of its first SPARSE that are."""
    try:
        predicts(rows)
    except Exception:
        return (
            []
            if len(rows) == 1
            else [
                one
                for n in range(min(len(rows), SPARSE))
                for one in _taken(predicts, rows[n : n + 1])
            ]
        )
    return [rows]


def _chances(estimator: Any, signature: Signature, points: Rows, expected: Any) -> tuple[Any, Any]:
    """Probabilities, None where there are none that decide the labels; and which rows truly tie.

    A row ties where the two best of what scikit-learn itself decides by are equal: its decision
    values where it has them, else its probabilities. Saturated probabilities are no tie, and where
    labels are not the best of them, as behind a threshold of its own, nothing is.
    """
    asked, none = frame(signature, points), np.zeros(expected.shape, dtype=bool)
    if expected.ndim != 1:
        said = (
            estimator.predict_proba(asked)
            if is_classifier(estimator) and hasattr(estimator, "predict_proba")
            else None
        )
        return None, (
            np.column_stack([ties(one) for one in said]) if isinstance(said, list) else none
        )
    scores = None
    if hasattr(estimator, "decision_function"):
        scores = np.asarray(estimator.decision_function(asked))
    if is_outlier_detector(estimator):
        return None, none if scores is None else np.abs(scores.ravel()) < TIE
    if not (is_classifier(estimator) and plain_classes(estimator)):
        return None, none
    probable: Any = (
        np.asarray(estimator.predict_proba(asked)) if hasattr(estimator, "predict_proba") else None
    )
    if probable is not None and not (estimator.classes_[probable.argmax(axis=1)] == expected).all():
        probable = None
    if scores is None:
        return probable, none if probable is None else ties(probable)
    if scores.ndim == 1:
        best = estimator.classes_[(scores > 0).astype(int)] == expected
        return probable, (np.abs(scores) < TIE) if best.mean() > 0.99 else none
    tied = ties(scores) if scores.shape[1] == len(estimator.classes_) else none
    return probable, tied


def plain_classes(estimator: Any) -> bool:
    """Whether its classes are one list."""
    return (
        isinstance(getattr(estimator, "classes_", None), np.ndarray)
        and estimator.classes_.ndim == 1
    )


def at_the_border(
    predicts: Predicts,
    seen: tuple[Rows, Any],
    signature: Signature,
    random: np.random.Generator,
    count: int,
) -> tuple[Rows, Any]:
    """Rows ever nearer to where labels change, and their labels; none where there is one label.

    seen: rows, and their labels. The ways between `count` pairs of different labels are halved:
    whatever rule decides, here it is seen.
    """
    points, labels = seen
    first = random.integers(len(points), size=count * 4)
    second = random.integers(len(points), size=count * 4)
    apart = np.flatnonzero(
        (labels[first] != labels[second]) & np.isfinite(points[first] + points[second]).all(axis=1)
    )
    here, there = points[first[apart[:count]]], points[second[apart[:count]]]
    kept, mine = labels[first[apart[:count]]], labels[first[apart[:count]]]
    found, said = [here[:0]], [mine[:0]]
    for _ in range(HALVINGS if len(here) else 0):
        middle = _fit(here / 2 + there / 2, signature)
        try:
            kept = predicts(middle)
        except Exception:  # the way leads through what scikit-learn refuses
            break
        found.append(middle)
        said.append(kept)
        like = (kept == mine)[:, None]
        here, there = np.where(like, middle, here), np.where(like, there, middle)
    return np.vstack(found), np.concatenate(said)


def trial_points(
    estimator: Any,
    signature: Signature,
    example: list[list[float]],
    seed: int = 0,
    count: int = POINTS,
    *,
    rows: Rows | None = None,
) -> Iterator[Rows]:
    """Rows of each kind but those at the border. Raises ValueError as `led_back`."""
    random = np.random.default_rng(seed)
    width = signature.width
    yield _fit(np.zeros((1, width)), signature)
    known = np.zeros((0, width))
    if example:
        known = np.asarray(example, dtype=np.float64)
        yield _fit(known, signature)
        yield _fit(_between(known, random, count), signature)
    if rows is not None and len(rows):
        known = rows if len(rows) <= MOST else rows[random.choice(len(rows), MOST, replace=False)]
        yield known
        known = np.nan_to_num(known)
        yield _fit(_between(known, random, count), signature)
    centre, spread = np.zeros(width), np.full(width, 10.0)
    if len(known):
        yield _fit(_one_changed(known, _between(known, random, count), random), signature)
        yield _drawn(known, random, count)
        centre, spread = known.mean(axis=0), np.maximum(1.0, np.abs(known).max(axis=0))
        yield _fit(random.normal(centre, known.std(axis=0) + 1e-9, (count, width)), signature)
    wide = random.normal(centre, spread, (count, width))
    yield _fit(wide, signature)
    like = _drawn(known, random, count) if len(known) else wide
    missing = random.random((count // 4, width)) < 0.3
    yield np.where(missing, np.nan, _fit(like[: count // 4], signature))
    for found in led_back(estimator, frame(signature, like), signature, random):
        kept = found[(np.abs(found) < LARGEST).all(axis=1)]
        if not len(kept):
            raise ValueError("no row leads to the trees' thresholds")
        yield _fit(kept, signature)


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


def members(estimator: Any) -> list[Any]:
    """The estimators that it asks for its predictions, which are asked the same rows as itself."""
    found = _flat(getattr(estimator, "estimators_", None))
    found += [one.estimator for one in getattr(estimator, "calibrated_classifiers_", ())]
    if found:  # what they are copies of is not fitted
        return found
    inner = (
        getattr(estimator, name, None) for name in ("estimator_", "best_estimator_", "regressor_")
    )
    return [one for one in inner if one is not None]


def wrapped(estimator: Any, depth: int = 0) -> Iterator[Any]:
    """The estimator and all that have part in its predictions, whatever they are wrapped in."""
    yield estimator
    inner = (
        [step for _, step in estimator.steps]
        if isinstance(estimator, Pipeline)
        else members(estimator)
    )
    inner += [one for one in (getattr(estimator, "final_estimator_", None),) if one is not None]
    for one in inner if depth < DEEP else ():
        yield from wrapped(one, depth + 1)


def _flat(given: Any) -> list[Any]:
    """The members of an ensemble, however they are nested; a pipeline is a sequence, and one
    member.
    """
    if isinstance(given, list | tuple | np.ndarray):
        return [inner for one in given for inner in _flat(one)]
    return [] if given is None or isinstance(given, str) else [given]


def direct(estimator: Any, depth: int = 0) -> bool:
    """Whether trees that count in single precision are all that it asks,
    with the request's rows.
    """
    if isinstance(estimator, BaseHistGradientBoosting):
        return False  # its thresholds are in double precision
    if isinstance(estimator, TREES):
        return True
    if isinstance(estimator, Pipeline):
        return not _steps(estimator) and direct(estimator[-1], depth + 1)
    if hasattr(estimator, "final_estimator_") or isinstance(estimator, TransformedTargetRegressor):
        return False
    asked = members(estimator)
    return depth < DEEP and bool(asked) and all(direct(one, depth + 1) for one in asked)


def holds_trees(estimator: Any, depth: int = 0) -> bool:
    """Whether a tree has part in its predictions, whatever it is wrapped in."""
    if isinstance(estimator, TREES):
        return True
    asked = [estimator[-1]] if isinstance(estimator, Pipeline) else members(estimator)
    asked += [one for one in (getattr(estimator, "final_estimator_", None),) if one is not None]
    return depth < DEEP and any(holds_trees(one, depth + 1) for one in asked)


def led_back(
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
                yield from led_back(one, asked, signature, random, depth + 1)
                continue
            whole = np.asarray(asked, dtype=np.float64)
            for part in led_back(one, whole[:, seen], signature, random, depth + 1):
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
    """As `led_back`, through the steps of a pipeline."""
    steps = _steps(pipeline)
    inside = asked
    for step in steps:
        inside = step.transform(inside)
    for rows in led_back(pipeline[-1], inside, signature, random, depth + 1):
        made = rows
        for step in reversed(steps):
            made = _undone(step, made, signature)
        yield made


def _steps(pipeline: Pipeline) -> list[Any]:
    """The transformers before the last step that change anything."""
    return [
        step for _, step in pipeline.steps[:-1] if step is not None and not isinstance(step, str)
    ]


def _splits(estimator: Any) -> dict[int, Rows]:
    """Split thresholds by the column they are of, of every tree in an estimator of trees."""
    columns, values = [np.zeros(0, dtype=int)], [np.zeros(0)]
    for predictor in (one for some in getattr(estimator, "_predictors", ()) for one in some):
        inner = predictor.nodes[
            (predictor.nodes["is_leaf"] == 0) & (predictor.nodes["is_categorical"] == 0)
        ]
        columns.append(inner["feature_idx"].astype(int))
        values.append(inner["num_threshold"])
    for one in [estimator, *_flat(getattr(estimator, "estimators_", None))]:
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


def _fit(rows: Rows, signature: Signature) -> Rows:
    """Whole numbers where the signature asks for them."""
    if signature.whole:
        rows = rows.copy()
        rows[:, signature.whole] = np.rint(rows[:, signature.whole])
    return rows
