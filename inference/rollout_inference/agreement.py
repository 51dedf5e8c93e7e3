"""Whether ONNX Runtime and scikit-learn say the same: the rule that a conversion is held to, when it is made and before it serves."""

from typing import Any

import numpy as np

TIE = 1e-6
"""Where scikit-learn's two best classes differ by less, either is right: the sum over the trees depends on its order."""
CLOSE = 1e-5
"""How far probabilities, and relative to the value predictions of a regression, may be apart."""


def disagreement(task: str, expected: Any, probable: Any, said: list[Any]) -> str:
    """What ONNX Runtime's outputs, `said`, differ in from scikit-learn's; "" for nothing.

    task: as in Plan; expected: scikit-learn's predictions, (rows,) or (rows, outputs); probable: (rows, classes), None where it has none.
    """
    labels = np.asarray(said[0]).reshape(expected.shape)
    if task != "classifier":
        far = np.abs(labels - expected) > CLOSE * np.maximum(1, np.abs(expected))
        return f"{int(far.sum())} of {far.size} predictions" if far.any() else ""
    if _kind(labels) != _kind(expected):
        return f"labels are of type {labels.dtype}, not {expected.dtype}"
    differ = labels.astype(expected.dtype) != expected
    if probable is None:
        return f"{int(differ.sum())} of {differ.size} labels" if differ.any() else ""
    differ &= ~ties(probable)
    if differ.any():
        return f"{int(differ.sum())} of {differ.size} labels"
    if len(said) > 1 and not (far := np.abs(np.asarray(said[1]) - probable).max()) <= CLOSE:
        return f"probabilities by {far:.2g}"
    return ""


def _kind(labels: Any) -> str:
    return "U" if labels.dtype.kind == "O" and all(isinstance(one, str) for one in labels) else str(labels.dtype.kind)


def ties(probable: Any) -> Any:
    """Rows, as truth values, whose two best classes scikit-learn holds to be equally probable. `probable`: (rows, classes)."""
    best = np.sort(probable, axis=1)[:, -2:]
    return best[:, -1] - best[:, 0] < TIE
