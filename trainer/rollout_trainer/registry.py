"""MLflow: log the run, store the artifact with its metrics inside, register it with its content digest."""

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import mlflow.sklearn
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from mlflow.tracking import MlflowClient

from rollout_inference.digest import tree_digest
from rollout_trainer.data import Split
from rollout_trainer.errors import TrainerError
from rollout_trainer.train import Parameters

DIGEST_TAG = "rollouts.mlops.dev/digest"
LOCAL_STORE = "sqlite:///mlflow.db"
"""Where runs go when MLFLOW_TRACKING_URI is unset."""
REQUIREMENTS = ("scikit-learn", "skops", "pandas", "numpy")
TRUSTED = ["sklearn.tree._tree.Tree"]
"""The one type that skops asks about: tree nodes hold raw indices, so a file of unknown origin could crash the process. The pod
verifies the content digest before it loads."""


def store(folder: Path, model: Any, split: Split, metrics: Mapping[str, float]) -> str:
    """Write the model with signature, input example and metrics.json to `folder`; returns its content digest."""
    example = split.test.head(2)
    mlflow.sklearn.save_model(
        model,
        str(folder),
        serialization_format="skops",
        skops_trusted_types=TRUSTED,
        signature=infer_signature(example, model.predict(example)),
        input_example=example,
        pip_requirements=[f"{name}=={version(name)}" for name in REQUIREMENTS],
    )
    (folder / "metrics.json").write_text(json.dumps(dict(metrics), indent=2) + "\n")
    return tree_digest(folder)


def register(name: str, model: Any, split: Split, parameters: Parameters, metrics: Mapping[str, float]) -> str:
    """Log and register the model; returns its MODEL_URI, `models:/<name>/<version>`. Raises TrainerError where MLflow refuses."""
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        mlflow.set_tracking_uri(LOCAL_STORE)
    try:
        client = MlflowClient()
        experiment = client.get_experiment_by_name(name)
        home = experiment.experiment_id if experiment is not None else _new_experiment(client, name)
        run = client.create_run(home, run_name=name)
        for key, value in asdict(parameters).items():
            client.log_param(run.info.run_id, key, value)
        for key, value in metrics.items():
            client.log_metric(run.info.run_id, key, value)
        with tempfile.TemporaryDirectory() as kept:
            folder = Path(kept) / "model"
            digest = store(folder, model, split, metrics)
            client.log_artifacts(run.info.run_id, str(folder), "model")
        client.set_terminated(run.info.run_id)
        _known(client, name)
        source = f"{run.info.artifact_uri}/model"
        made = client.create_model_version(name, source, run.info.run_id, tags={DIGEST_TAG: digest})
    except MlflowException as refused:
        where = mlflow.get_tracking_uri()
        raise TrainerError(f"MLflow at {where} refused: {refused.message} Check MLFLOW_TRACKING_URI.") from refused
    return f"models:/{name}/{made.version}"


def _new_experiment(client: MlflowClient, name: str) -> str:
    """Create the experiment; another trainer may have done so in between."""
    try:
        return str(client.create_experiment(name))
    except MlflowException:
        found = client.get_experiment_by_name(name)
        if found is None:
            raise
        return str(found.experiment_id)


def _known(client: MlflowClient, name: str) -> None:
    try:
        client.create_registered_model(name)
    except MlflowException as refused:
        if refused.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
