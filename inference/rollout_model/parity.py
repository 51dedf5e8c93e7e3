"""Whether ONNX Runtime and scikit-learn say the same: the rule that conversions are held to, when
made, before serving and by live rows.
"""

import warnings
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from rollout_model.signature import AnyRows

TIE = 1e-6
"""Where what scikit-learn decides by differs by less between its two best classes, either is right:
a sum depends on its order.
"""
CLOSE = 1e-5
"""How far apart probabilities may be; and numbers, by how far they are from the middle of all."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What scikit-learn said to some rows."""

    points: AnyRows
    """The rows."""
    expected: Any
    """Predictions, (rows,) or (rows, outputs)."""
    probable: Any = None
    """Probabilities, (rows, classes); None where it has none that decide labels."""
    tied: Any = None
    """Whether the label of a row is not determined, (rows,); None for none."""


class Mismatch(NamedTuple):
    """What differs."""

    share: float
    """Of the values, those that differ; above 0."""
    what: str
    """Which, in words."""


def mismatch(task: str, proof: Proof, said: list[Any]) -> Mismatch | None:
    """What ONNX Runtime's outputs, `said`, differ in from scikit-learn's; None for nothing. task:
    as in Plan.
    """
    expected = proof.expected
    labels = np.asarray(said[0]).reshape(expected.shape)
    if task == "regressor":
        return _share(far(labels, expected), "predictions")
    if _kind(labels) != _kind(expected):
        return Mismatch(1.0, f"labels are of type {labels.dtype}, not {expected.dtype}")
    differ = labels.astype(expected.dtype) != expected
    if proof.tied is not None:
        differ[proof.tied] = False
    if differ.any():
        return _share(differ, "labels")
    if proof.probable is None or len(said) < 2:
        return None
    away = np.abs(np.asarray(said[1]) - proof.probable)
    if (apart := ~(away <= CLOSE)).any():
        return Mismatch(float(apart.mean()), f"probabilities by {away.max():.2g}")
    return None


def _share(differ: Any, of: str) -> Mismatch | None:
    return (
        Mismatch(float(differ.mean()), f"{int(differ.sum())} of {differ.size} {of}")
        if differ.any()
        else None
    )


def far(said: Any, expected: Any, among: Any = None) -> Any:
    """Which numbers are too far apart, as truth values: measured from the middle, so that an offset
    of all of them hides nothing.

    said, expected: (rows,) or (rows, outputs); among: predictions of the same outputs whose middle
    and spread count, `expected` by default.
    """
    among = expected if among is None else among
    with np.errstate(invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column of NaN alone has no middle
        middle = np.nanmedian(among, axis=0)
        spread = np.nanmedian(np.abs(among - middle), axis=0)
        allowed = CLOSE * np.maximum(np.abs(expected - middle), spread)
        allowed = np.where(allowed > 0, allowed, CLOSE * np.maximum(np.abs(expected), 1e-30))
        same = (said == expected) | (np.isnan(said) & np.isnan(expected))
        return ~(same | (np.abs(said - expected) <= allowed))


def _kind(labels: Any) -> str:
    return (
        "U"
        if labels.dtype.kind == "O" and all(isinstance(one, str) for one in labels.ravel())
        else str(labels.dtype.kind)
    )


def ties(values: Any) -> Any:
    """Rows, as truth values, of which the two best differ by less than TIE. `values`: (rows,
    classes); a class alone ties with nothing.
    """
    best = np.sort(values, axis=1)[:, -2:]
    return (best[:, -1] - best[:, 0] < TIE) & (best.shape[1] > 1)
