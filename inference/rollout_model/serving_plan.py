"""What the process that reads a model is asked, and its answer: how the model is to be served."""

from typing import Any

import msgspec

from rollout_model.load_policy import LoadPolicy

ONNX_FILE = "model.onnx"


class OnnxInput(msgspec.Struct, frozen=True):
    """How an ONNX model is asked, and how its labels are to be read."""

    kind: str
    """Of its numbers: "float32" or "float64"."""
    columns: bool
    """Whether it has one input for each column, instead of one matrix."""
    flat: bool
    """Whether a prediction is one value, and not a list."""
    labels: str = ""
    """The type of labels that ONNX has as whole numbers: "bool" or "float64"; else ""."""
    features: bool = False
    """Whether its numbers are features, which the file itself says how to compute from rows."""


class Plan(msgspec.Struct, frozen=True, rename={"onnx_input": "shape"}):
    """How the model is to be served. It is stored with models, so names in JSON stay."""

    runtime: str
    """What serves: "onnx", or the name of the model's flavor."""
    task: str
    """One of "classifier", "regressor" and "other"."""
    classes: list[Any]
    """Labels in the order of probabilities; empty where they are not one list of plain values."""
    onnx_input: OnnxInput | None = None
    """None with scikit-learn."""
    reason: str = ""
    """Why not by ONNX Runtime; "" where it is."""
    points: int = 0
    """Rows that both runtimes were compared on."""
    method: str = "predict"
    """Of the estimator, which answers."""


class PrepareRequest(msgspec.Struct, frozen=True):
    """A model that is to be read, and converted where that may be."""

    folder: str
    """The model's."""
    target: str
    """The folder where the ONNX file is put."""
    policy: LoadPolicy
    """Limits and expectations of the load."""
    unconverted: str = ""
    """Why no conversion is tried; "" where one is."""


class PrepareReply(msgspec.Struct, frozen=True):
    """The plan; or why there is none."""

    plan: Plan | None = None
    """None where the model is refused."""
    refused: str = ""
    """A sentence; "" where there is a plan."""
    lasting: bool = False
    """Whether that is of the model, and not of a memory or disk that was full."""
