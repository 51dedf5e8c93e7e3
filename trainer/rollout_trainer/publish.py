"""MLflow: log the run, register its model with content digest and signature, and try at once what a
pod will do with it.

What is registered already, by its digest, is not registered again.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from rollout_trainer.data import Split
from rollout_trainer.errors import TrainerError
from rollout_trainer.evaluate import Evaluation
from rollout_trainer.package import Package, signature_of
from rollout_trainer.recipe import Recipe

DIGEST_TAG = "rollouts.mlops.dev/digest"
SIGNATURE_TAG = "rollouts.mlops.dev/signature"
MEMORY_TAG = "rollouts.mlops.dev/memory"
"""Bytes that a pod was seen to take until it served."""
UNREADABLE_TAG = "rollouts.mlops.dev/unreadable"
"""Why no pod can serve the version, which has no digest then, so that nothing rolls it out."""
MOST_TAG = 500
"""Characters of a tag that every version of MLflow takes."""
MOST_PARAMETER = 6000
"""Characters of a parameter that MLflow takes."""
ROUND = 32
"""MiB; a limit that is asked for is a multiple of it."""
LOCAL_STORE = "sqlite:///mlflow.db"
"""Where runs go when MLFLOW_TRACKING_URI is unset."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A version in the registry."""

    uri: str
    """`models:/<name>/<version>`."""
    digest: str
    """The content digest of its files."""
    new: bool
    """Not where a version with the very same content was there already."""
    memory: int = 0
    """Bytes that a pod was seen to take until it served it; 0 where that is not known."""

    @property
    def limit(self) -> str:
        """The memory limit to set at least, as Kubernetes writes it."""
        return f"{-(-self.memory // (ROUND * 2**20)) * ROUND}Mi"


def register(recipe: Recipe, package: Package, split: Split, evaluation: Evaluation) -> Registered:
    """Log and register the package, unless the registry has it. Raises TrainerError where MLflow
    refuses, or no pod could serve what it hands out.
    """
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        mlflow.set_tracking_uri(LOCAL_STORE)
    try:
        client = MlflowClient()
        if known := _with_digest(client, recipe.name, package.digest):
            return Registered(known, package.digest, new=False)
        run = _logged(client, recipe, split, evaluation)
        _reachable(client, run)
        client.log_artifacts(run.info.run_id, str(package.folder), "model")
        client.log_artifacts(run.info.run_id, str(package.plots), "evaluation")
        client.set_terminated(run.info.run_id)
        return _version(client, recipe.name, run, package)
    except MlflowException as refused:
        where = mlflow.get_tracking_uri()
        raise TrainerError(
            f"MLflow at {where} refused: {refused.message} Check MLFLOW_TRACKING_URI."
        ) from refused


def _version(client: MlflowClient, name: str, run: Any, package: Package) -> Registered:
    """A new version of the run's model. Its digest comes last: until then nothing rolls it out."""
    about = package.card.split("## Data")[0].strip()
    made = client.create_model_version(
        name,
        f"{run.info.artifact_uri}/model",
        run.info.run_id,
        tags={SIGNATURE_TAG: signature_of(package.folder)},
        description=about,
    )
    registered = Registered(f"models:/{name}/{made.version}", package.digest, new=True)
    registered = _rehearsed(client, registered, name, str(made.version))
    if registered.memory:
        client.set_model_version_tag(name, made.version, MEMORY_TAG, str(registered.memory))
        needs = (
            f"A pod took {registered.memory // 2**20} MiB of memory until it served: a limit has to"
            f" be at least {registered.limit}."
        )
        client.update_model_version(name, made.version, f"{about}\n\n{needs}")
    client.set_model_version_tag(name, made.version, DIGEST_TAG, package.digest)
    return registered


def _reachable(client: MlflowClient, run: Any) -> None:
    """Raises TrainerError where a tracking server would have files kept in a folder of this
    machine, which no pod can read.
    """
    where, tracking = str(run.info.artifact_uri), mlflow.get_tracking_uri()
    scheme = urlsplit(where).scheme
    if urlsplit(tracking).scheme not in {"http", "https"} or not (
        scheme in {"", "file"} or len(scheme) == 1
    ):
        return
    client.set_terminated(run.info.run_id, "FAILED")
    raise TrainerError(
        f"MLflow at {tracking} keeps files in {where}, a folder that only processes on that machine"
        " can read: no pod could serve the model, and nothing is registered. Start MLflow with"
        " --serve-artifacts and --artifacts-destination instead of --default-artifact-root; an"
        " experiment that is there already keeps its folder, so delete it, or take another name."
    )


def _rehearsed(client: MlflowClient, registered: Registered, name: str, number: str) -> Registered:
    """The version with what a pod took to serve it; raises TrainerError, and marks the version,
    where a pod could not.
    """
    command = [
        sys.executable,
        "-m",
        "rollout_inference.loading.rehearsal",
        registered.uri,
        registered.digest,
    ]
    env = os.environ | {"MLFLOW_TRACKING_URI": mlflow.get_tracking_uri()}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    try:
        said = json.loads(done.stdout)
    except ValueError:
        last = done.stderr.strip().splitlines()[-1:] or [
            f"its process ended with {done.returncode}"
        ]
        said = {"refused": last[0]}
    if not said["refused"]:
        return replace(registered, memory=said["peak"])
    client.set_model_version_tag(name, number, UNREADABLE_TAG, said["refused"][:MOST_TAG])
    where = client.get_model_version_download_uri(name, number)
    raise TrainerError(
        f"{registered.uri} is registered, but no pod could serve it from {where}: {said['refused']}"
        " It has no digest, so nothing rolls it out. Let MLflow hand out the files itself"
        " (--serve-artifacts), or let pods read them: rights, an image with the store's client."
    )


def _logged(client: MlflowClient, recipe: Recipe, split: Split, evaluation: Evaluation) -> Any:
    """A new run with parameters and metrics, in the experiment of the model's name."""
    _known(client, recipe.name)
    experiment = client.get_experiment_by_name(recipe.name)
    home = (
        experiment.experiment_id if experiment is not None else _new_experiment(client, recipe.name)
    )
    run = client.create_run(home, run_name=recipe.name)
    said = {
        "estimator": recipe.estimator,
        "preprocessing": _written(recipe.preprocessing),
        "class_weight": recipe.class_weight or "none",
        "split": recipe.split.column or "by chance",
        "features": recipe.features or len(split.train.columns),
        "shuffled": recipe.shuffled,
        "seed": recipe.seed,
        "data": recipe.data.name,
        "data_digest": split.digest,
        **recipe.parameters,
    }
    if recipe.search is not None:
        said |= {f"chosen.{key}": evaluation.chosen.get(key) for key in recipe.search.parameters}
    for key, value in said.items():
        client.log_param(run.info.run_id, key, str(value)[:MOST_PARAMETER])
    for key, value in evaluation.metrics.items():
        client.log_metric(run.info.run_id, key, value)
    return run


def _written(preprocessing: Any) -> str:
    """The steps as the recipe has them, in one line."""
    if isinstance(preprocessing, tuple | list) and all(isinstance(s, str) for s in preprocessing):
        return " ".join(preprocessing) or "none"
    return json.dumps(preprocessing)


def _with_digest(client: MlflowClient, name: str, digest: str) -> str:
    """The newest READY version of `name` with this content; "" where there is none."""
    token = None
    while True:
        page = client.search_model_versions(
            f"name = '{name}'", max_results=200, order_by=["version_number DESC"], page_token=token
        )
        for one in page:
            if one.tags.get(DIGEST_TAG) == digest and one.status == "READY":
                return f"models:/{name}/{one.version}"
        if not (token := page.token):
            return ""


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
