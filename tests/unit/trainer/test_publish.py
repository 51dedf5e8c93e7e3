"""What ends up in the registry: a local store in a temporary folder."""

from collections.abc import Iterator
from pathlib import Path

import mlflow
import mlflow.artifacts
import numpy as np
import pytest
from click.testing import CliRunner
from mlflow.tracking import MlflowClient

from rollout_inference.loading.loader import load_folder
from rollout_inference.settings import Settings
from rollout_model import onnx_bundle
from rollout_model.artifact import verify
from rollout_model.digest import tree_digest
from rollout_model.load_policy import LoadPolicy
from rollout_trainer.__main__ import main
from rollout_trainer.data import load
from rollout_trainer.publish import DIGEST_TAG, SIGNATURE_TAG
from tests.unit.trainer.samples import RAW

OPTIONS = ("--name", "iris-test", "--features", "2", "--n-estimators", "3", "--data", str(RAW))


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowClient]:
    """A store of its own, in the working directory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("registry"))
        patch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
        before = mlflow.get_tracking_uri()
        mlflow.set_tracking_uri("sqlite:///mlflow.db")
        yield MlflowClient()
        mlflow.set_tracking_uri(before)


def train(*more: str) -> str:
    """The MODEL_URI that is printed last."""
    result = CliRunner().invoke(main, ["train", *OPTIONS, *more])
    assert result.exit_code == 0, result.output
    return result.stdout.split()[-1]


def test_what_is_registered_can_be_verified(registry: MlflowClient, tmp_path: Path) -> None:
    """The MODEL_URI is printed and written, the digest tag is the digest of what a pod downloads,
    and the pod loads it.
    """
    uri = train("--output", "out/uri.txt")
    assert uri == "models:/iris-test/1"
    assert Path("out/uri.txt").read_text() == uri + "\n"
    registered = registry.get_model_version("iris-test", "1")
    folder = Path(
        mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(tmp_path / "pod"))
    )
    assert registered.tags[DIGEST_TAG] == tree_digest(folder)
    assert '"petal_width"' in registered.tags[SIGNATURE_TAG].replace("\\", "")
    loaded = load_folder(
        folder, Settings(model_path=folder, model_digest=registered.tags[DIGEST_TAG])
    )
    run = registry.get_run(str(registered.run_id))
    assert (
        run.data.params["features"],
        run.data.params["n_estimators"],
        run.data.params["seed"],
    ) == ("2", "3", "0")
    assert set(run.data.metrics) == {
        *("accuracy", "balanced_accuracy", "f1_macro", "log_loss", "roc_auc", "samples"),
        *("cv_accuracy_mean", "cv_accuracy_std", "cv_brier"),
    }
    assert loaded.accuracy == run.data.metrics["accuracy"]
    pictures = {a.path for a in registry.list_artifacts(str(registered.run_id), "evaluation")}
    assert pictures == {"evaluation/confusion_matrix.png", "evaluation/calibration.png"}
    card = (folder / "model_card.md").read_text()
    assert f"| accuracy | {loaded.accuracy:.4f} | 45 held-out rows |" in card
    assert "It sees the first 2 features only." in card


def test_the_same_content_is_registered_once(registry: MlflowClient) -> None:
    first = train()
    assert train() == first
    other = train("--seed", "1")
    assert other != first
    assert train() == first
    experiment = registry.get_experiment_by_name("iris-test")
    assert experiment is not None
    runs = registry.search_runs([experiment.experiment_id])
    assert len(runs) == len(registry.search_model_versions("name = 'iris-test'"))


def test_training_rows_stay_at_home_where_that_is_asked_for(
    registry: MlflowClient, tmp_path: Path
) -> None:
    """Neither as such nor among the rows of the proof; the model is served by ONNX Runtime all the
    same.
    """
    uri = train("--name", "iris-private", "--no-training-rows")
    folder = Path(
        mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(tmp_path / "pod"))
    )
    artifact = verify(folder, LoadPolicy())
    assert onnx_bundle.rows(artifact) is None
    assert not (folder / "onnx" / "rows.npy").exists()
    assert onnx_bundle.read(artifact)[0].runtime == "onnx"
    learnt = {tuple(row) for row in load(RAW).train.iloc[:, :2].to_numpy().tolist()}
    shown = {tuple(row) for row in artifact.example}
    points = {tuple(row) for row in np.load(folder / "onnx" / "points.npy").tolist()}
    assert not (points & learnt) - shown
