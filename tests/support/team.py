"""A team that has never heard of us: its own Python, with MLflow's clients of all three stores."""

import hashlib
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from scripts.cluster.paths import REPOSITORY
from tests.support.fetching import PLAIN_MLFLOW, process
from tests.support.mlflow_server import ADMIN
from tests.support.stores import Store, kept

REQUIREMENTS = REPOSITORY / "tests" / "stores" / "team.txt"
USER = {"MLFLOW_TRACKING_USERNAME": ADMIN[0], "MLFLOW_TRACKING_PASSWORD": ADMIN[1]}
"""Of the private MLflow."""
CONTAINER = """
import os
from azure.storage.blob import BlobServiceClient

text = os.environ["AZURE_STORAGE_CONNECTION_STRING"]
BlobServiceClient.from_connection_string(text).create_container("models")
"""
IN_STORE = """
import sys
import mlflow

mlflow.set_experiment(experiment_id=mlflow.create_experiment(sys.argv[1], sys.argv[1]))
"""
DOWNLOAD = """
import sys
import mlflow

mlflow.artifacts.download_artifacts(sys.argv[1], dst_path=sys.argv[2])
"""
LATER = """
import pathlib, sys, tempfile
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.artifact.models_artifact_repo import ModelsArtifactRepository

source = ModelsArtifactRepository.get_underlying_uri(sys.argv[1])
later = pathlib.Path(tempfile.mkdtemp()) / "later.txt"
later.write_text("somebody was here")
get_artifact_repository(source).log_artifact(str(later))
"""


def trusting(certificate: str | Path) -> dict[str, str]:
    """The variables that an entry of models.credentials with a `ca` sets."""
    names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE")
    return dict.fromkeys(names, str(certificate))


def team_python() -> Path:
    """Installed once, into the cache."""

    def make(folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip: list[str | Path] = [folder / "bin" / "python", "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, "-r", REQUIREMENTS], check=True)

    key = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    return kept(f"team-{key}", make) / "bin" / "python"


def done(script: str, env: Mapping[str, str], *arguments: str | Path) -> str:
    """What a script of the team prints at last."""
    said = process(["-c", script, *arguments], env, team_python())
    assert said.returncode == 0, said.stderr[-3000:]
    return said.stdout.strip().rpartition("\n")[2]


def container_made(store: Store, env: Mapping[str, str]) -> None:
    """Have Azure's container, which is no folder that could be made beforehand."""
    if store.root.startswith("wasbs"):
        done(CONTAINER, env)


def registered(env: Mapping[str, str], place: str) -> str:
    """Train and register a version of `iris`, with an experiment whose artifacts are at `place`;
    returns its MODEL_URI.
    """
    return f"models:/iris/{done(IN_STORE + PLAIN_MLFLOW, env, place)}"
