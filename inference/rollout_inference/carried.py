"""The conversion that travels with a model: made and proved when the model was stored, and proved again by every pod before it serves.

`onnx/` in the model's folder, under its content digest like every other file: the ONNX file, the plan, and what scikit-learn said to a few
hundred rows. A pod that holds ONNX Runtime against these needs no scikit-learn, whose imports are most of a start.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from rollout_inference.agreement import disagreement
from rollout_inference.artifact import Artifact, text
from rollout_inference.digest import file_digest
from rollout_inference.errors import first_line
from rollout_inference.plan import ONNX_FILE, Plan
from rollout_inference.runtimes import OnnxRuntime
from rollout_inference.signature import Rows

FOLDER = "onnx"
DESCRIBED = "plan.json"
POINTS, LABELS, PROBABILITIES = "points.npy", "labels.npy", "probabilities.npy"
OUTSIDE = b"\x0a\x08location"
"""How a tensor says that its values are in another file (onnx.proto, TensorProto.external_data): no model may read other files."""


class NotCarried(Exception):
    """The folder has no conversion that can serve, and why; the model is then converted at load."""


class Described(msgspec.Struct, frozen=True):
    """How the model is to be served; made_from: sha256 of the model file that was converted, as hex."""

    plan: Plan
    made_from: str


@dataclass(frozen=True, slots=True)
class Proof:
    """What scikit-learn said to some rows; arrays as in `disagreement`."""

    points: Rows
    expected: Any
    probable: Any


def write(artifact: Artifact, plan: Plan, content: bytes, proof: Proof) -> None:
    """Put a conversion beside its model; the same arguments give the same bytes."""
    folder = artifact.folder / FOLDER
    folder.mkdir()
    (folder / ONNX_FILE).write_bytes(content)
    described = msgspec.json.encode(Described(plan, file_digest(artifact.file)))
    (folder / DESCRIBED).write_bytes(msgspec.json.format(described, indent=2) + b"\n")
    labels = proof.expected.astype(str) if proof.expected.dtype.kind == "O" else proof.expected
    for name, array in ((POINTS, proof.points), (LABELS, labels), (PROBABILITIES, proof.probable)):
        if array is not None:
            np.save(folder / name, array, allow_pickle=False)


def read(artifact: Artifact) -> tuple[Plan, OnnxRuntime]:
    """The plan, and the model ready to answer, once ONNX Runtime has said to the stored rows what scikit-learn did. Raises NotCarried."""
    folder = artifact.folder / FOLDER
    if not (folder / DESCRIBED).is_file():
        raise NotCarried("it brings no conversion")
    try:
        return _proved(artifact, folder)
    except NotCarried:
        raise
    except Exception as failure:  # a file of unknown content can fail in any way
        raise NotCarried(f"its conversion cannot be used: {first_line(failure)}") from failure


def _proved(artifact: Artifact, folder: Path) -> tuple[Plan, OnnxRuntime]:
    described = msgspec.json.decode(text(folder / DESCRIBED), type=Described)
    if described.made_from != file_digest(artifact.file):
        raise NotCarried("its conversion was made from another model file")
    plan, content = described.plan, (folder / ONNX_FILE).read_bytes()
    if plan.shape is None or OUTSIDE in content:
        raise NotCarried("its conversion names no ONNX model, or one that reads other files")
    points, expected = _array(folder / POINTS), _array(folder / LABELS)
    probable = _array(folder / PROBABILITIES) if (folder / PROBABILITIES).is_file() else None
    if points.ndim != 2 or points.shape[1] != artifact.signature.width or not len(points):
        raise NotCarried(f"its conversion was tried on rows of another shape: {points.shape}")
    runtime = OnnxRuntime(content, plan.shape)
    if probable is None and runtime.probable:
        raise NotCarried("its conversion says probabilities, and none of scikit-learn's are with it")
    if differs := disagreement(plan.task, expected, probable, runtime.answers(points)):
        raise NotCarried(f"its conversion does not say what scikit-learn said: {differs}")
    return plan, runtime


def _array(path: Path) -> Any:
    return np.load(path, allow_pickle=False)
