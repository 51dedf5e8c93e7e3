"""From MODEL_URI to a model in memory: fetch, verify the digest, and only then read what could run code."""

import json
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow.artifacts
import numpy as np
import skops.io
from mlflow.models import Model as MlflowModel
from mlflow.models.model import MLMODEL_FILE_NAME

from rollout_inference.digest import tree_digest
from rollout_inference.settings import Settings
from rollout_inference.signature import Signature

TRUSTED_TYPES = frozenset({"sklearn.tree._tree.Tree"})
"""Types that skops may build beside its own defaults. Ours alone: a model must not say which types of its own are to be trusted."""


class LoadFailed(Exception):
    """The model cannot be served; the message is one sentence for the person who rolled it out."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that is ready to be asked.

    accuracy: share of right answers on held-out data, 0 to 1, None where metrics.json has none; samples: answers behind it.
    """

    estimator: Any
    signature: Signature
    digest: str
    accuracy: float | None
    samples: int | None


def load(settings: Settings) -> LoadedModel:
    """Fetch, verify and load the model; raises LoadFailed."""
    if settings.model_path is not None:
        return load_folder(settings.model_path, settings)
    with tempfile.TemporaryDirectory(prefix="model-") as folder:
        try:
            fetched = mlflow.artifacts.download_artifacts(artifact_uri=settings.model_uri, dst_path=folder)
        except Exception as failure:
            raise LoadFailed(f"{settings.model_uri} could not be fetched: {_first_line(failure)}") from failure
        return load_folder(Path(fetched), settings)


def load_folder(folder: Path, settings: Settings) -> LoadedModel:
    """Verify and load a folder that has an MLmodel file; raises LoadFailed."""
    if not (folder / MLMODEL_FILE_NAME).is_file():
        raise LoadFailed(f"{folder} has no {MLMODEL_FILE_NAME} file, so it is no MLflow model.")
    try:
        digest = tree_digest(folder)
    except ValueError as failure:
        raise LoadFailed(f"The model's files cannot be trusted: {failure}.") from failure
    if settings.model_digest and digest != settings.model_digest:
        raise LoadFailed(
            f"DigestMismatch: the files of {settings.model_uri or folder} are {digest}, but {settings.model_digest} was recorded."
        )
    try:
        described = MlflowModel.load(str(folder))
        signature = Signature.of(described.signature)
        estimator = _estimator(folder, described.flavors.get("sklearn", {}), settings)
        accuracy, samples = _metrics(folder / "metrics.json")
    except LoadFailed:
        raise
    except Exception as failure:  # a file of unknown content can fail in any way
        raise LoadFailed(f"The model cannot be loaded: {_first_line(failure)}") from failure
    return LoadedModel(estimator, signature, digest, accuracy, samples)


def _estimator(folder: Path, flavor: dict[str, Any], settings: Settings) -> Any:
    """The scikit-learn estimator; skops with our own allow-list, pickle only where the configuration allows it."""
    name = flavor.get("pickled_model", "")
    path = (folder / name).resolve()
    if not name or not path.is_relative_to(folder.resolve()) or not path.is_file():
        raise LoadFailed(f"MLmodel names no scikit-learn model file within the model: {name!r}.")
    if flavor.get("serialization_format") == "skops":
        foreign = set(skops.io.get_untrusted_types(file=path)) - TRUSTED_TYPES
        if foreign:
            raise LoadFailed(f"The model holds types that are not trusted: {', '.join(sorted(foreign))}.")
        return skops.io.load(path, trusted=sorted(TRUSTED_TYPES))
    if not settings.allow_pickle:
        raise LoadFailed("The model is a pickle, which can run any code: save it with serialization_format='skops'.")
    import cloudpickle  # noqa: PLC0415 - only where it is allowed

    with path.open("rb") as stream:
        return cloudpickle.load(stream)


def _metrics(path: Path) -> tuple[float | None, int | None]:
    if not path.is_file():
        return None, None
    said = json.loads(path.read_text())
    accuracy, samples = said.get("accuracy"), said.get("samples")
    if accuracy is not None and not (isinstance(accuracy, int | float) and math.isfinite(accuracy) and 0 <= accuracy <= 1):
        raise LoadFailed(f"metrics.json says accuracy {accuracy!r}, which is no share from 0 to 1.")
    return (None if accuracy is None else float(accuracy)), (samples if isinstance(samples, int) else None)


def warm_up(model: LoadedModel) -> None:
    """One prediction, so that the first request is as fast as the next; raises LoadFailed where the model cannot even do that."""
    try:
        model.estimator.predict(model.signature.frame(np.zeros((1, model.signature.width))))
    except Exception as failure:
        raise LoadFailed(f"The model fails on a row of zeros: {_first_line(failure)}") from failure


def _first_line(failure: BaseException) -> str:
    text = str(failure).strip().splitlines()
    return (text[0] if text else type(failure).__name__)[:300]
