"""The command line, and what ends up in the registry: a local store in a temporary folder."""

from pathlib import Path

import mlflow
import mlflow.artifacts
import pytest
from click.testing import CliRunner
from mlflow.tracking import MlflowClient

from rollout_inference.digest import tree_digest
from rollout_trainer.__main__ import main
from rollout_trainer.registry import DIGEST_TAG

DATA = Path(__file__).parents[3] / "data/raw/iris.csv"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        pytest.param(["--n-estimators", "0"], "0 is not in the range", id="no trees"),
        pytest.param(["--max-depth", "0"], "0 is not in the range", id="no depth"),
        pytest.param(["--features", "5"], "5 is not in the range", id="more measurements than there are"),
        pytest.param(["--shuffle-labels", "1.5"], "1.5 is not in the range", id="more than all labels"),
        pytest.param(["--shuffle-labels", "many"], "not a valid float", id="a word for a share"),
        pytest.param(["--name", "../x"], "write letters, digits", id="a path for a name"),
        pytest.param(["--name", ""], "write letters, digits", id="an empty name"),
    ],
)
def test_a_bad_option_is_refused_with_a_sentence(options: list[str], sentence: str) -> None:
    result = CliRunner().invoke(main, ["train", *options])
    assert result.exit_code == 2
    assert sentence in result.output


def test_bad_data_is_refused_with_a_sentence(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["train", "--data", str(tmp_path / "none.csv")])
    assert result.exit_code == 1
    assert "Give a CSV file by --data" in result.output


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"]], ids=" ".join)
def test_help(words: list[str]) -> None:
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0
    assert "Usage" in result.output


def test_what_is_registered_can_be_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The MODEL_URI is printed and written, and the digest tag is the digest of what a pod downloads."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    try:
        options = ["--name", "iris-test", "--features", "2", "--n-estimators", "3", "--data", str(DATA), "--output", "out/uri.txt"]
        result = CliRunner().invoke(main, ["train", *options])
        assert result.exit_code == 0, result.output
        assert result.stdout.split()[-1] == "models:/iris-test/1"
        assert Path("out/uri.txt").read_text() == "models:/iris-test/1\n"
        client = MlflowClient()
        registered = client.get_model_version("iris-test", "1")
        folder = Path(mlflow.artifacts.download_artifacts(artifact_uri="models:/iris-test/1", dst_path=str(tmp_path / "pod")))
        assert registered.tags[DIGEST_TAG] == tree_digest(folder)
        run = client.get_run(str(registered.run_id))
        assert (run.data.params["features"], run.data.params["n_estimators"]) == ("2", "3")
        assert set(run.data.metrics) == {"accuracy", "f1_macro", "samples"}
        assert (folder / "metrics.json").is_file()
        assert (folder / "MLmodel").is_file()
    finally:
        mlflow.set_tracking_uri(before)
