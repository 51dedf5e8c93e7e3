"""Where a version's files are, and how they are fetched: by MLflow's client, or out of the store.

MLflow's own clients of S3, GCS and Azure are three SDKs that the image lacks: see object_stores.py.
Of OCI registries it has none: see oci_images.py.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Where MLflow's telemetry reaches nobody it gives up, in a thread of its own, and takes its
# variable out of os.environ: a request that reads os.environ at that moment ends in KeyError.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import mlflow.artifacts
from mlflow.store.artifact.models_artifact_repo import ModelsArtifactRepository

from rollout_inference.loading import object_stores, oci_images
from rollout_inference.loading.store_failures import AUTHORITY, CREDENTIALS
from rollout_model.errors import LoadFailed, first_line


def fetch(uri: str, folder: Path, most: int, env: Mapping[str, str]) -> Path:
    """The folder with all files of a MODEL_URI, fetched below `folder`; most: bytes of them.

    Raises LoadFailed with a sentence for the person who rolled the model out.
    """
    try:
        source = ModelsArtifactRepository.get_underlying_uri(uri)  # type: ignore[no-untyped-call]
        refuse_foreign(source, env)
        if source.startswith("oci:"):
            return oci_images.download(source, folder / "model", most, env)
        if object_stores.location(source) is not None:
            target = folder / "model"
            object_stores.download(source, target, most, env)
            return target
        if (told := _size(uri)) > most:
            raise LoadFailed(
                f"The model is too large: {told} bytes, and {most} are the most. The operator's"
                " MODEL_MAX_BYTES sets it."
            )
        folder.mkdir(parents=True, exist_ok=True)
        return Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(folder)))
    except LoadFailed:
        raise
    except Exception as failure:  # artifact stores fail in as many ways as there are stores
        raise LoadFailed(
            f"{uri} could not be fetched: {first_line(failure)}{_advice(failure)}"
        ) from failure


def refuse_foreign(source: str, env: Mapping[str, str]) -> None:
    """Raises LoadFailed for an artifact URI that leads MLflow's client, and its credentials, to
    another server than MLflow; or to this pod's own files, where MODEL_VOLUMES tells volumes.

    Whoever may register a version chooses its source. MLflow's client sends MLFLOW_TRACKING_TOKEN
    to whatever host an http:, https: or mlflow-artifacts: source names
    (mlflow.store.artifact.http_artifact_repo).
    """
    parts = urlsplit(source)
    if parts.scheme in {"http", "https", "mlflow-artifacts"} and parts.netloc:
        ours = urlsplit(env.get("MLFLOW_TRACKING_URI", "")).netloc.rpartition("@")[2]
        if parts.netloc != ours:
            raise LoadFailed(
                f"The version's source {source} is on another server than MLflow, which would be"
                " sent MLflow's credentials: register it with files that MLflow keeps."
            )
    if parts.scheme in {"", "file"} and (told := env.get("MODEL_VOLUMES")) is not None:
        path = Path(os.path.realpath(unquote(parts.path)))
        if not any(path.is_relative_to(volume) for volume in told.split(":") if volume):
            raise LoadFailed(
                f"The version's source {source} is a folder of this pod, and no volume of it has"
                " models: the chart's models.credentials may name one."
            )


def _size(uri: str) -> int:
    """Bytes of all files below an artifact URI, as the registry tells them; what it does not tell
    counts as none.
    """
    found = mlflow.artifacts.list_artifacts(artifact_uri=uri)
    return sum(
        _size(f"{uri}/{one.path.rsplit('/', 1)[-1]}") if one.is_dir else one.file_size or 0
        for one in found
    )


def _advice(failure: Exception) -> str:
    """What to do where MLflow, or its store, asks who is there, or cannot be trusted; "" else."""
    text = str(failure)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return f" Its certificate is not trusted; {AUTHORITY}."
    return f" {CREDENTIALS}." if " 401 " in text or " 403 " in text else ""
