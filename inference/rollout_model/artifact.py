"""A model's folder as it came from the registry: its size, its content digest, and what its MLmodel
file says. Nothing here runs code.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rollout_model.answer_signature import AnswerSignature, answers_of
from rollout_model.digest import digest_of, file_digests
from rollout_model.errors import BadInput, LoadFailed, first_line
from rollout_model.flavors import MLMODEL, SKLEARN, Flavor, chosen
from rollout_model.load_policy import LoadPolicy
from rollout_model.model_signature import verify_signature
from rollout_model.parameters import Parameters, parameters_of
from rollout_model.signature import AnyRows, Signature
from rollout_model.table_signature import TableSignature, signature_of
from rollout_model.training_profile import FILE, TrainingProfile, read

MOST_FILES = 10_000
MOST_METRICS, LONGEST_NAME = 50, 100
"""Figures of metrics.json, and characters of a name, that become series."""
MOST_TEXT = 1024 * 1024
"""Bytes of each file of a model that is read as text."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A verified folder. Figures are None where metrics.json has none."""

    folder: Path
    """With MLmodel in it."""
    file: Path
    """The model file in it."""
    flavor: Flavor
    """What MLmodel says of the flavor that is served."""
    signature: Signature
    """Of the rows that it takes, as MLmodel has it."""
    digest: str
    """The content digest of the folder."""
    example: list[list[Any]]
    """Rows of the input example, null for a missing value; empty where there is none."""
    accuracy: float | None = None
    """Share of right answers on held-out data, 0 to 1."""
    absolute_error: float | None = None
    """Mean absolute error on held-out data."""
    samples: int | None = None
    """Held-out rows behind either."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """What metrics.json says, by name."""
    made_with: str = ""
    """scikit-learn's version; "" where MLmodel does not say, or the model is of another library."""
    code: Path | None = None
    """The folder of its code_paths."""
    file_digest: str = ""
    """The hex sha256 of `file`."""
    answers: AnswerSignature = field(default_factory=AnswerSignature)
    """What MLmodel says of its predictions."""
    parameters: Parameters = field(default_factory=Parameters)
    """What it can be given beside rows."""
    profile: TrainingProfile | None = None
    """What its training rows and answers were like; None where it brings no such file."""

    @property
    def serialization(self) -> str:
        """How the model file is written: "skops", "own" or a pickle's."""
        return self.flavor.serialization

    @property
    def method(self) -> str:
        """Of the estimator, which MLflow's own server would ask."""
        return self.flavor.method

    @property
    def unconverted(self) -> str:
        """Why no conversion of it is tried; "" where one is."""
        if self.flavor.name != SKLEARN:
            return f"not converted: {self.flavor.name} answers as quickly itself"
        return ""

    @property
    def known_rows(self) -> AnyRows:
        """The example's rows, as a request for them would be asked; a made-up one without."""
        return self.signature.known(self.example or [self.signature.blank])


def verify(folder: Path, policy: LoadPolicy) -> Artifact:
    """Size, then digest, and only then a look into any file; raises LoadFailed."""
    if not (folder / MLMODEL).is_file():
        raise LoadFailed(f"{folder} has no {MLMODEL} file, so it is no MLflow model.")
    digests = verified_files(folder, policy)
    digest = digest_of(digests)
    try:
        described = mlmodel(folder)
        signature = signature_of(described.get("signature"))
        parameters = parameters_of(described.get("signature"))
        flavors = described.get("flavors") or {}
        flavor = chosen(flavors, policy)
        file = within(folder, flavor.file)
        if (of_file := digests.get(file.relative_to(folder.resolve()).as_posix())) is None:
            raise LoadFailed(
                f"MLmodel names {file.name} as the model file, which is no part of the digest."
            )
        said = flavor.settings
        code = within(folder, said["code"], folders=True) if said.get("code") else None
        measured = _measured(folder / "metrics.json")
        example = _example(folder, described, signature)
        profile = _profile(folder / FILE)
    except LoadFailed:
        raise
    except Exception as failure:  # a file of unknown content can fail in any way
        raise LoadFailed(f"The model cannot be loaded: {first_line(failure)}") from failure
    return Artifact(
        folder,
        file,
        flavor,
        signature,
        digest,
        example,
        made_with=str(said.get("sklearn_version") or ""),
        code=code,
        file_digest=of_file,
        answers=answers_of(described.get("signature")),
        parameters=parameters,
        profile=profile,
        **measured,
    )


def verified_files(
    folder: Path, policy: LoadPolicy, read: Mapping[str, str] | None = None
) -> Mapping[str, str]:
    """The digest of every file, by path, once their size was found allowed; and their content what
    the policy names, if it names one, and what one of its signers signed. Raises LoadFailed.

    read: these digests, where the files were read already.
    """
    _weigh(folder, policy.max_bytes)
    try:
        digests = file_digests(folder) if read is None else read
    except ValueError as failure:
        raise LoadFailed(f"The model's files cannot be trusted: {failure}.") from failure
    if policy.digest and (digest := digest_of(digests)) != policy.digest:
        raise LoadFailed(
            f"DigestMismatch: the files of {policy.uri or folder} are {digest}, but"
            f" {policy.digest} was recorded."
        )
    if policy.signers:
        verify_signature(folder, digests, policy.signers)
    return digests


def _weigh(folder: Path, most: int) -> None:
    sizes = [
        path.lstat().st_size for path in folder.rglob("*") if path.is_symlink() or path.is_file()
    ]
    if len(sizes) > MOST_FILES or sum(sizes) > most:
        raise LoadFailed(
            f"The model is too large: {len(sizes)} files of {sum(sizes)} bytes, and {most} bytes in"
            f" {MOST_FILES} files are the most. The operator's MODEL_MAX_BYTES sets it."
        )


def text(path: Path) -> str:
    """A small file of a model; raises LoadFailed where it is none."""
    if path.stat().st_size > MOST_TEXT:
        raise LoadFailed(f"{path.name} has more than {MOST_TEXT} bytes.")
    return path.read_text()


def mlmodel(folder: Path) -> dict[str, Any]:
    """What the MLmodel file says; raises LoadFailed, or what YAML raises where it is none."""
    described = yaml.safe_load(text(folder / MLMODEL))
    if not isinstance(described, dict):
        raise LoadFailed(f"{MLMODEL} is no mapping, so it is none of MLflow's.")
    return described


def within(folder: Path, name: object, *, folders: bool = False) -> Path:
    """The file or folder that MLmodel names; raises LoadFailed where it is not in `folder`."""
    path = (folder / str(name)).resolve()
    there = path.is_dir() if folders else path.is_file()
    if not name or not path.is_relative_to(folder.resolve()) or not there:
        raise LoadFailed(f"MLmodel names no model file within the model: {name!r}.")
    return path


def _measured(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    said = json.loads(text(path))
    accuracy, samples = said.get("accuracy"), said.get("samples")
    error = said.get("mean_absolute_error", said.get("mae"))
    if accuracy is not None and not (_number(accuracy) and 0 <= accuracy <= 1):
        raise LoadFailed(f"metrics.json says accuracy {accuracy!r}, which is no share from 0 to 1.")
    if error is not None and not (_number(error) and error >= 0):
        raise LoadFailed(f"metrics.json says a mean absolute error of {error!r}, which is none.")
    return {
        "accuracy": None if accuracy is None else float(accuracy),
        "absolute_error": None if error is None else float(error),
        "samples": samples if isinstance(samples, int) else None,
        "metrics": _metrics(said),
    }


def _metrics(said: dict[str, Any]) -> dict[str, float]:
    """Every number of metrics.json by its name, but how many samples there were."""
    found = {name: float(value) for name, value in said.items() if _number(value)}
    kept = sorted(name for name in found if name != "samples" and len(name) <= LONGEST_NAME)
    return {name: found[name] for name in kept[:MOST_METRICS]}


def _profile(path: Path) -> TrainingProfile | None:
    if not path.is_file():
        return None
    try:
        return read(text(path))
    except ValueError as failure:
        raise LoadFailed(
            f"{path.name} is no profile of training data: {first_line(failure)}. Have the trainer"
            " write it, or leave it out."
        ) from failure


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _example(folder: Path, described: dict[str, Any], signature: Signature) -> list[list[Any]]:
    """Rows of MLflow's input example, as far as they are rows of this signature: a check is made
    with them, nothing rests on it.
    """
    name = (described.get("saved_input_example_info") or {}).get("artifact_path", "")
    if not name:
        return []
    said = json.loads(text(within(folder, name)))
    rows = said.get("data", []) if isinstance(said, dict) else said
    if isinstance(signature, TableSignature):
        return [fitting for row in rows[:100] if (fitting := _fitting(signature, row)) is not None]
    return [
        row
        for row in rows[:100]
        if isinstance(row, list) and len(row) == signature.width and all(_number(v) for v in row)
    ]


def _fitting(signature: TableSignature, row: object) -> list[Any] | None:
    """The row as JSON has it, where it is one of the signature: MLflow writes some gaps as NaN."""
    cells = row if isinstance(row, list) else [row]
    plain = [None if isinstance(cell, float) and math.isnan(cell) else cell for cell in cells]
    try:
        signature.known([plain])
    except BadInput:
        return None
    return plain
