"""What the signature of an MLmodel file says of a model's predictions.

Source of the format: mlflow.models.ModelSignature.to_dict.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class AnswerSignature:
    """What is known of predictions; all of it empty where the signature says nothing."""

    names: tuple[str, ...] = ()
    """Of the predictions of one row, in order; empty where any has none."""
    kinds: tuple[str, ...] = ()
    """MLflow's types of them, such as "double" or "string"; as many as names."""


def answers_of(signature: object) -> AnswerSignature:
    """From the signature of an MLmodel file. What cannot be read says nothing: no request is held
    against it.
    """
    said: Any = signature.get("outputs") if isinstance(signature, Mapping) else None
    try:
        listed = json.loads(said) if said else []
    except (TypeError, ValueError):
        return AnswerSignature()
    if not isinstance(listed, list) or not all(_named(one) for one in listed):
        return AnswerSignature()
    return AnswerSignature(
        tuple(one["name"] for one in listed), tuple(one["type"] for one in listed)
    )


def _named(column: object) -> bool:
    return isinstance(column, dict) and all(
        isinstance(column.get(word), str) for word in ("name", "type")
    )
