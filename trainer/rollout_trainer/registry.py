"""MLflow: log the run, store the artifact with its metrics and card inside, register it with
content digest and signature.

What is registered already, by its digest, is not registered again.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import mlflow
import mlflow.sklearn
import numpy as np
import skops.io
import yaml
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from mlflow.tracking import MlflowClient

from rollout_model.digest import tree_digest
from rollout_model.errors import LoadFailed
from rollout_model.onnx_conversion import add_bundle
from rollout_model.trusted_types import TRUSTED_TYPES
from rollout_trainer.canonical import canonicalise
from rollout_trainer.data import Split
from rollout_trainer.errors import TrainerError
from rollout_trainer.evaluate import Evaluation
from rollout_trainer.model_card import card
from rollout_trainer.plots import draw
from rollout_trainer.recipe import Recipe

DIGEST_TAG = "rollouts.mlops.dev/digest"
SIGNATURE_TAG = "rollouts.mlops.dev/signature"
MEMORY_TAG = "rollouts.mlops.dev/memory"
"""Bytes that a pod was seen to take until it served."""
UNREADABLE_TAG = "rollouts.mlops.dev/unreadable"
"""Why no pod can serve the version, which has no digest then, so that nothing rolls it out."""
MOST_TAG = 500
"""Characters of a tag that every version of MLflow takes."""
ROUND = 32
"""MiB; a limit that is asked for is a multiple of it."""
LOCAL_STORE = "sqlite:///mlflow.db"
"""Where runs go when MLFLOW_TRACKING_URI is unset."""
REQUIREMENTS = ("scikit-learn", "skops", "pandas", "numpy")


@dataclass(frozen=True, slots=True)
class Registered:
    """`uri` is `models:/<name>/<version>`; not `new` where a version with the very same content was
    there already.

    memory: bytes that a pod was seen to take until it served it; 0 where that is not known.
    """

    uri: str
    digest: str
    new: bool
    memory: int = 0

    @property
    def limit(self) -> str:
        """The memory limit to set at least, as Kubernetes writes it."""
        return f"{-(-self.memory // (ROUND * 2**20)) * ROUND}Mi"


def store(
    folder: Path,
    model: Any,
    split: Split,
    metrics: Mapping[str, float],
    text: str = "",
    *,
    training_rows: bool = True,
) -> str:
    """Write the model with signature, input example, metrics.json, its card and its conversion to
    ONNX; returns its content digest.

    training_rows: whether a sample of them travels with the conversion. The same data, recipe and
    library versions give the same digest. Raises TrainerError where the model server would not load
    it.
    """
    example = split.test.head(2)
    held = set(skops.io.get_untrusted_types(data=skops.io.dumps(model)))
    if foreign := held - TRUSTED_TYPES:
        raise TrainerError(
            f"The model server does not load {', '.join(sorted(foreign))}, which this estimator is"
            " made of: train another one, such as a forest, gradient boosting"
            " (GradientBoostingClassifier), a linear model or a support vector machine."
        )
    mlflow.sklearn.save_model(
        model,
        str(folder),
        serialization_format="skops",
        skops_trusted_types=sorted(held),
        signature=infer_signature(example, model.predict(example)),
        input_example=example,
        pip_requirements=[f"{name}=={version(name)}" for name in REQUIREMENTS],
    )
    (folder / "metrics.json").write_text(json.dumps(dict(metrics), indent=2) + "\n", newline="\n")
    if text:
        (folder / "model_card.md").write_text(text, encoding="utf-8", newline="\n")
    canonicalise(folder)
    try:
        add_bundle(model, folder, split.train.to_numpy(dtype=np.float64) if training_rows else None)
    except LoadFailed as refused:
        raise TrainerError(f"The model server would not serve this model: {refused}") from refused
    return tree_digest(folder)


def register(
    recipe: Recipe, model: Any, split: Split, evaluation: Evaluation, *, training_rows: bool = True
) -> Registered:
    """Log and register the model, unless the registry has it; training_rows: as in `store`.

    Raises TrainerError where MLflow refuses.
    """
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        mlflow.set_tracking_uri(LOCAL_STORE)
    text = card(recipe, split, evaluation)
    with tempfile.TemporaryDirectory() as kept:
        folder = Path(kept) / "model"
        digest = store(folder, model, split, evaluation.metrics, text, training_rows=training_rows)
        pictures = draw(evaluation, Path(kept) / "evaluation")
        try:
            client = MlflowClient()
            if known := _with_digest(client, recipe.name, digest):
                return Registered(known, digest, new=False)
            run = _logged(client, recipe, split, evaluation)
            _reachable(client, run)
            client.log_artifacts(run.info.run_id, str(folder), "model")
            client.log_artifacts(run.info.run_id, str(pictures[0].parent), "evaluation")
            client.set_terminated(run.info.run_id)
            about = text.split("## Data")[0].strip()
            made = client.create_model_version(
                recipe.name,
                f"{run.info.artifact_uri}/model",
                run.info.run_id,
                tags={SIGNATURE_TAG: signature_of(folder)},
                description=about,
            )
            registered = Registered(f"models:/{recipe.name}/{made.version}", digest, new=True)
            registered = _rehearsed(client, registered, recipe.name, str(made.version))
            if registered.memory:
                client.set_model_version_tag(
                    recipe.name, made.version, MEMORY_TAG, str(registered.memory)
                )
                needs = (
                    f"A pod took {registered.memory // 2**20} MiB of memory until it served: a"
                    f" limit has to be at least {registered.limit}."
                )
                client.update_model_version(recipe.name, made.version, f"{about}\n\n{needs}")
            client.set_model_version_tag(recipe.name, made.version, DIGEST_TAG, digest)
        except MlflowException as refused:
            where = mlflow.get_tracking_uri()
            raise TrainerError(
                f"MLflow at {where} refused: {refused.message} Check MLFLOW_TRACKING_URI."
            ) from refused
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


def signature_of(folder: Path) -> str:
    """MLflow's signature of a stored model, as JSON: what the operator compares with stable's."""
    signature = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))["signature"]
    return json.dumps({key: value for key, value in signature.items() if value is not None})


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
        "preprocessing": " ".join(recipe.preprocessing) or "none",
        "features": recipe.features or len(split.train.columns),
        "shuffled": recipe.shuffled,
        "seed": recipe.seed,
        "data": recipe.data.name,
        "data_digest": split.digest,
        **recipe.parameters,
    }
    for key, value in said.items():
        client.log_param(run.info.run_id, key, value)
    for key, value in evaluation.metrics.items():
        client.log_metric(run.info.run_id, key, value)
    return run


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
