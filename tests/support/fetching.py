"""The step of a pod that fetches, as a process of its own: what it leaves, and what it says."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

FOREIGN = ("MLFLOW_", "REQUESTS_", "AWS_", "AZURE_", "GOOGLE_", "STORAGE_", "SSL_CERT_", "MODEL_")
"""Beginnings of variables that a process would ask a registry or a store by."""
PLAIN_MLFLOW = """
import mlflow
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

rows, species = load_iris(return_X_y=True, as_frame=True)
model = LogisticRegression(max_iter=1000).fit(rows, species)
with mlflow.start_run():
    logged = mlflow.sklearn.log_model(
        model, name="model", input_example=rows.head(2), registered_model_name="iris"
    )
print(logged.registered_model_version)
"""
"""What a team runs that has never heard of us; it prints the version."""


def process(
    arguments: Sequence[str | Path], env: Mapping[str, str], python: str | Path = sys.executable
) -> subprocess.CompletedProcess[str]:
    """Python, with nothing of FOREIGN in its environment but this."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)}
    return subprocess.run(
        [python, *arguments],
        env={**own, **env},
        text=True,
        capture_output=True,
        check=False,
        timeout=600,
    )


def fetched(folder: Path, uri: str, env: Mapping[str, str], digest: str = "") -> tuple[int, str]:
    """Exit code and last words of the step, which fetches into `folder`/model."""
    (folder / "model").mkdir(exist_ok=True)
    words = folder / "words"
    words.unlink(missing_ok=True)
    known = {"MODEL_URI": uri, "MODEL_DIGEST": digest, "TERMINATION_LOG": str(words)}
    arguments = ["-m", "rollout_inference.loading.fetch_model", str(folder / "model")]
    said = process(arguments, {**env, **known})
    return said.returncode, words.read_text() if words.exists() else said.stdout
