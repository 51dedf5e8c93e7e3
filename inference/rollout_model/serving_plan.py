"""What the process that reads a model is asked, and what it answers:
how the model is to be served.
"""

from typing import Any

import msgspec

from rollout_model.load_policy import LoadPolicy


class Shape(msgspec.Struct, frozen=True):
    """An ONNX model's face. kind: "float32" or "float64"; columns: one input for each column,
    instead of one matrix;

    flat: whether a prediction is one value, and not a list; labels: "bool" or "float64" where the
    model's labels are, which ONNX has as whole numbers, else "".
    """

    kind: str
    columns: bool
    flat: bool
    labels: str = ""


class Plan(msgspec.Struct, frozen=True):
    """How the model is to be served; runtime: "onnx" or "sklearn", and then `reason` says why not
    the former.

    task: "classifier", "regressor" or "other"; classes: labels in the order of probabilities, empty
    where they are not one list of plain values; points: rows that both runtimes were compared on;
    method: of the estimator, which answers.
    """

    runtime: str
    task: str
    classes: list[Any]
    shape: Shape | None = None
    reason: str = ""
    points: int = 0
    method: str = "predict"


class Order(msgspec.Struct, frozen=True):
    """The folder of the model, where to put the ONNX file, and the rules of the load.

    unconverted: why no conversion is tried; "" where one is.
    """

    folder: str
    target: str
    policy: LoadPolicy
    unconverted: str = ""


class Reply(msgspec.Struct, frozen=True):
    """The plan; or why there is none."""

    plan: Plan | None = None
    refused: str = ""


ONNX_FILE = "model.onnx"
