"""The conversion that travels with a model: made and proved when the model was stored, and proved
again by every pod before it serves.

`onnx/` in the model's folder, under its content digest like every other file: the ONNX file, the
plan, and what scikit-learn said to a few hundred rows, some of training among them. A pod that
holds ONNX Runtime against these needs no scikit-learn, whose imports are most of a start. Where
scikit-learn serves, the plan says so alone, and no pod tries again what cannot be converted.
"""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from rollout_model.artifact import Artifact, text
from rollout_model.errors import BadInput, first_line
from rollout_model.parity import Proof, mismatch
from rollout_model.runtimes import OnnxRuntime, onnx_runtime
from rollout_model.serving_plan import ONNX_FILE, Plan
from rollout_model.signature import AnyRows
from rollout_model.table import Table
from rollout_model.table_signature import TableSignature

FOLDER = "onnx"
INFO = "plan.json"
ROWS, POINTS, LABELS, PROBABILITIES, TIED = (
    "rows",
    "points",
    "labels.npy",
    "probabilities.npy",
    "tied.npy",
)
MOST_ROWS = 1_000
"""Training rows that travel with a model."""
RULE = 3
"""Which rule the proof is by; what was proved by another is converted anew."""
STRICT = frozenset({2, RULE})
"""Rules by which an agreement still holds; what did not agree may do so by a newer one."""
DECIDING = ("scikit-learn", "skl2onnx", "onnx", "onnxruntime")
"""Packages whose versions decide whether a model can be converted."""
OUTSIDE = b"\x0a\x08location"
"""How a tensor says that its values are in another file (onnx.proto, TensorProto.external_data): no
model may read other files.
"""


class NoBundle(Exception):
    """The folder has no conversion that can serve, and why; the model is then converted at load."""


class BundleInfo(msgspec.Struct, frozen=True):
    """How the model is to be served, and what that rests on."""

    plan: Plan
    """With scikit-learn, it holds for the same `versions` only."""
    made_from: str
    """sha256 of the model file that was converted, as hex."""
    rule: int = 0
    """As RULE; 0 where none was written."""
    versions: dict[str, str] = {}
    """Of the packages in DECIDING, where the plan was made."""


def write(
    artifact: Artifact,
    plan: Plan,
    content: bytes,
    proof: Proof | None,
    rows: AnyRows | None = None,
) -> None:
    """Put a plan, and where ONNX serves the conversion with its proof, beside its model.

    The same arguments give the same bytes. rows: of training, at most MOST_ROWS, for whoever has to
    convert it again.
    """
    folder = artifact.folder / FOLDER
    folder.mkdir()
    info = BundleInfo(plan, artifact.file_digest, RULE, _versions())
    (folder / INFO).write_bytes(msgspec.json.format(msgspec.json.encode(info), indent=2) + b"\n")
    arrays: dict[str, Any] = {}
    _save(folder, ROWS, rows)
    if plan.onnx_input is not None and proof is not None:
        (folder / ONNX_FILE).write_bytes(content)
        expected = proof.expected
        labels = expected.astype(str) if expected.dtype.kind == "O" else expected
        _save(folder, POINTS, proof.points)
        arrays = {LABELS: labels, PROBABILITIES: proof.probable, TIED: proof.tied}
    for name, array in arrays.items():
        if array is not None:
            np.save(folder / name, array, allow_pickle=False)


def read(artifact: Artifact) -> tuple[Plan, OnnxRuntime | None]:
    """The plan, and the model ready to answer, once ONNX Runtime has said to the stored rows what
    scikit-learn did.

    None where the trainer found, with these versions, that scikit-learn has to serve. Raises
    NoBundle.
    """
    folder = artifact.folder / FOLDER
    if not (folder / INFO).is_file():
        raise NoBundle("it brings no conversion")
    try:
        return _proved(artifact, folder)
    except NoBundle:
        raise
    except Exception as failure:  # a file of unknown content can fail in any way
        raise NoBundle(f"its conversion cannot be used: {first_line(failure)}") from failure


def rows(artifact: Artifact) -> AnyRows | None:
    """The training rows that travel with the model; None where none fit its signature."""
    try:
        found = _read(artifact, ROWS)
    except (OSError, ValueError, BadInput):
        return None
    if isinstance(found, Table):
        return found if 0 < len(found) <= MOST_ROWS else None
    fits = (
        found.dtype == np.float64 and found.ndim == 2 and found.shape[1] == artifact.signature.width
    )
    return found if fits and 0 < len(found) <= MOST_ROWS and not np.isinf(found).any() else None


def _save(folder: Path, name: str, rows: AnyRows | None) -> None:
    if isinstance(rows, Table):
        (folder / f"{name}.json").write_bytes(msgspec.json.encode(rows.cells()) + b"\n")
    elif rows is not None:
        np.save(folder / f"{name}.npy", rows, allow_pickle=False)


def _read(artifact: Artifact, name: str) -> Any:
    """Rows of the model's signature; raises OSError, ValueError or BadInput."""
    folder, signature = artifact.folder / FOLDER, artifact.signature
    if isinstance(signature, TableSignature):
        path = folder / f"{name}.json"
        return signature.known(msgspec.json.decode(path.read_bytes(), type=list[list[Any]]))
    return _array(folder / f"{name}.npy")


def numbers(artifact: Artifact) -> Any:
    """What scikit-learn said to the rows of the proof, where that is numbers: (rows,) or (rows,
    outputs); None where it is not there.
    """
    try:
        found = _array(artifact.folder / FOLDER / LABELS)
    except (OSError, ValueError):
        return None
    return found if found.dtype.kind == "f" and found.ndim and len(found) else None


def _proved(artifact: Artifact, folder: Path) -> tuple[Plan, OnnxRuntime | None]:
    info = msgspec.json.decode(text(folder / INFO), type=BundleInfo)
    plan = info.plan
    if info.made_from != artifact.file_digest:
        raise NoBundle("its conversion was made from another model file")
    if info.rule not in (STRICT if plan.runtime == "onnx" else {RULE}):
        raise NoBundle("its conversion was proved by another rule than this server's")
    if plan.runtime == "sklearn":
        if info.versions != (here := _versions()):
            other = [name for name in here if info.versions.get(name) != here[name]]
            raise NoBundle(
                f"it was found not to convert with another version of {', '.join(other)}"
            )
        return plan, None
    content = (folder / ONNX_FILE).read_bytes()
    if plan.onnx_input is None or OUTSIDE in content:
        raise NoBundle("its conversion names no ONNX model, or one that reads other files")
    if plan.method != artifact.method:
        raise NoBundle(
            f"its conversion answers {plan.method}, and MLmodel asks for {artifact.method}"
        )
    if artifact.signature.doubtful and not plan.onnx_input.features:
        raise NoBundle("its conversion knows no missing values")
    shown = _proof(artifact)
    runtime = onnx_runtime(content, plan.onnx_input)
    if shown.probable is None and runtime.probable:
        raise NoBundle("its conversion says probabilities, and none of scikit-learn's are with it")
    if found := mismatch(plan.task, shown, runtime.answers(shown.points)):
        raise NoBundle(f"its conversion does not say what scikit-learn said: {found.what}")
    return plan, runtime


def _proof(artifact: Artifact) -> Proof:
    """Raises NoBundle where its rows are none of the model's, and what reading raises."""
    folder, width = artifact.folder / FOLDER, artifact.signature.width
    points, labels = _read(artifact, POINTS), _array(folder / LABELS)
    shape = np.shape(points) if isinstance(points, np.ndarray) else (len(points), width)
    if not len(points) or shape[1:] != (width,):
        raise NoBundle(f"its conversion was tried on rows of another shape: {shape}")
    probable, tied = (
        _array(path) if (path := folder / name).is_file() else None
        for name in (PROBABILITIES, TIED)
    )
    return Proof(points, labels, probable, tied)


def _versions() -> dict[str, str]:
    return {name: version(name) for name in DECIDING}


def _array(path: Path) -> Any:
    return np.load(path, allow_pickle=False)
