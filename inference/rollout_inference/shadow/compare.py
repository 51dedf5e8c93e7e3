"""Whether two answers to one request are alike.

Of a request with several rows one is chosen by chance: so each copy is one sample, and what is
counted is the share of rows that are answered otherwise, whatever requests are made of.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

TOLERANCE = 0.01
"""What numbers may differ by: a prediction by this share of the larger one, probabilities and
scores by this much.
"""
PREDICT = "predict"
IDENTITY = frozenset({"prediction_id", "prediction_ids"})
"""Outputs that differ in every answer."""


class Unreadable(ValueError):
    """The answer is none of this protocol."""


def rows(body: bytes) -> list[dict[str, Any]]:
    """What an answer says of each row, by output. Raises Unreadable."""
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as failure:
        raise Unreadable(f"no JSON: {failure}") from failure
    if not isinstance(said, dict):
        raise Unreadable("no JSON object")
    outputs = said.get("outputs")
    found = _tensors(outputs) if isinstance(outputs, list) else _listed(said)
    lengths = {len(values) for values in found.values()}
    if len(lengths) != 1:
        raise Unreadable("no predictions" if not lengths else "outputs of different length")
    return [{name: values[n] for name, values in found.items()} for n in range(lengths.pop())]


def _listed(said: Mapping[str, Any]) -> dict[str, Sequence[Any]]:
    """Answers of /predict/ and /invocations."""
    more = said.get("outputs") if isinstance(said.get("outputs"), dict) else {}
    found = {PREDICT: said.get("predictions"), **(more or {})}
    return {n: v for n, v in found.items() if n not in IDENTITY and isinstance(v, list)}


def _tensors(outputs: list[Any]) -> dict[str, Sequence[Any]]:
    """Answers of the Open Inference Protocol: flat tensors, by row."""
    found: dict[str, Sequence[Any]] = {}
    for one in outputs:
        if not isinstance(one, dict):
            continue
        name, shape, data = one.get("name"), one.get("shape"), one.get("data")
        if not isinstance(name, str):
            raise Unreadable("an output without name")
        if name in IDENTITY:
            continue
        if not (isinstance(shape, list) and isinstance(data, list)):
            raise Unreadable("an output without shape or data")
        count = shape[0] if shape and isinstance(shape[0], int) else 0
        if count <= 0 or len(data) % count:
            raise Unreadable("an output whose data is not of its shape")
        width = len(data) // count
        found[name] = (
            data if len(shape) == 1 else [data[n * width : (n + 1) * width] for n in range(count)]
        )
    return found


def alike(ours: Mapping[str, Any], theirs: Mapping[str, Any], tolerance: float = TOLERANCE) -> bool:
    """Whether two answers to a row say the same, in every output that the first has."""
    return all(
        name in theirs and _same(value, theirs[name], tolerance, relative=name == PREDICT)
        for name, value in ours.items()
    )


def _same(ours: Any, theirs: Any, tolerance: float, *, relative: bool) -> bool:
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(
            _same(a, b, tolerance, relative=relative) for a, b in zip(ours, theirs, strict=True)
        )
    plain = not isinstance(ours, bool) and not isinstance(theirs, bool)
    numbers = plain and isinstance(ours, int | float) and isinstance(theirs, int | float)
    if numbers and float in {type(ours), type(theirs)}:
        within = {"rel_tol": tolerance} if relative else {"rel_tol": 0.0, "abs_tol": tolerance}
        try:
            return math.isclose(ours, theirs, **within)
        except OverflowError:  # a whole number beyond all others
            return False
    return bool(ours == theirs) and type(ours) is type(theirs)
