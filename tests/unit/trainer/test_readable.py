"""What is registered can be served: the trainer does with it what a pod will, at real MLflow
servers of both kinds.
"""

from pathlib import Path

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from rollout_trainer.data import load
from rollout_trainer.errors import TrainerError
from rollout_trainer.evaluate import judge
from rollout_trainer.package import make_package
from rollout_trainer.publish import DIGEST_TAG, MEMORY_TAG, UNREADABLE_TAG, Registered, register
from rollout_trainer.recipe import Recipe
from rollout_trainer.train import fit
from tests.support.mlflow_server import mlflow_server
from tests.unit.trainer.samples import RAW


def registered(scratch: Path, seed: int = 0) -> Registered:
    split, recipe = (
        load(RAW),
        Recipe(name="readable", data=RAW, seed=seed, parameters={"n_estimators": 3}),
    )
    model = fit(split, recipe)
    evaluation = judge(model, split, recipe)
    package = make_package(scratch / f"seed-{seed}", recipe, model, split, evaluation)
    return register(recipe, package, split, evaluation)


def test_a_version_is_tried_as_a_pod_will_before_it_can_roll_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = mlflow.get_tracking_uri()
    with mlflow_server(tmp_path) as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
        mlflow.set_tracking_uri(server.url)
        try:
            made = registered(tmp_path)
            version = MlflowClient().get_model_version("readable", "1")
            assert version.tags[DIGEST_TAG] == made.digest
            assert int(version.tags[MEMORY_TAG]) == made.memory
            assert 50 < made.memory / 2**20 <= int(made.limit.removesuffix("Mi")) < 1_000
            assert f"at least {made.limit}." in str(version.description)
            monkeypatch.setattr(mlflow.tracking.MlflowClient, "log_artifacts", lambda *_: None)
            with pytest.raises(
                TrainerError,
                match=r"no pod could serve it from mlflow-artifacts:.*--serve-artifacts",
            ):
                registered(tmp_path, seed=1)
            spoilt = MlflowClient().get_model_version("readable", "2")
            assert DIGEST_TAG not in spoilt.tags
            assert UNREADABLE_TAG in spoilt.tags
        finally:
            mlflow.set_tracking_uri(before)


def test_files_that_are_kept_where_no_pod_can_read_them_are_not_registered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = mlflow.get_tracking_uri()
    with mlflow_server(tmp_path, served=False) as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
        mlflow.set_tracking_uri(server.url)
        try:
            with pytest.raises(
                TrainerError,
                match=rf"keeps files in {tmp_path}.*Start MLflow with --serve-artifacts",
            ):
                registered(tmp_path)
            assert not MlflowClient().search_model_versions("name = 'readable'")
        finally:
            mlflow.set_tracking_uri(before)
