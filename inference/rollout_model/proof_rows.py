"""The rows that a conversion is proved on, and what scikit-learn says to them.

Those of trial_rows.py, as far as scikit-learn answers them, and rows on both sides of where labels
change.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import is_classifier, is_outlier_detector

from rollout_model.artifact import Artifact
from rollout_model.estimator_parts import plain_classes
from rollout_model.parity import TIE, Proof, ties
from rollout_model.signature import Rows, Signature, frame
from rollout_model.trial_rows import POINTS, fit, trial_rows

SPARSE = 128
"""Rows of a kind that are asked one by one where scikit-learn refuses some of them."""
HALVINGS = 12
"""How often the way between two rows of different labels is halved."""
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

    kinds = list(trial_rows(estimator, signature, artifact.example, seed, count, rows=rows))
    points, expected = answered(predicts, kinds)
    if is_classifier(estimator) and artifact.method == "predict" and expected.ndim == 1:
        random = np.random.default_rng(seed)
        near, labels = border_rows(predicts, (points, expected), signature, random, count // 10)
        points = np.vstack([points, near])
        expected = np.concatenate([expected, labels])
    if artifact.method != "predict":
        return Proof(points, expected)
    probable, tied = chances(estimator, signature, points, expected)
    return Proof(points, expected, probable, tied)


def answered(predicts: Predicts, kinds: list[Rows]) -> tuple[Rows, Any]:
    """The rows, of those of each kind, that scikit-learn answers, and its predictions.

    A row that it refuses proves nothing. Raises whatever the model does where it refuses all.
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


def chances(estimator: Any, signature: Signature, points: Rows, expected: Any) -> tuple[Any, Any]:
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


def border_rows(
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
        middle = fit(here / 2 + there / 2, signature)
        try:
            kept = predicts(middle)
        except Exception:  # the way leads through what scikit-learn refuses
            break
        found.append(middle)
        said.append(kept)
        like = (kept == mine)[:, None]
        here, there = np.where(like, middle, here), np.where(like, there, middle)
    return np.vstack(found), np.concatenate(said)
