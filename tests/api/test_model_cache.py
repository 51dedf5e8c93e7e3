"""A real MLflow that keeps artifacts on a volume: what the step of a pod fetches from there, and
from its cache when MLflow is away.
"""

from pathlib import Path

from rollout_model.digest import tree_digest
from tests.support.fetching import PLAIN_MLFLOW, fetched, process
from tests.support.mlflow_server import mlflow_server


def test_a_volume_is_read_and_what_was_fetched_needs_no_mlflow(tmp_path: Path) -> None:
    with mlflow_server(tmp_path, served=False) as mlflow:
        env = {"MLFLOW_TRACKING_URI": mlflow.url}
        said = process(["-c", PLAIN_MLFLOW], env)
        assert said.returncode == 0, said.stderr[-3000:]
        code, words = fetched(tmp_path, "models:/iris/1", env)
        assert code == 1
        assert "is a folder of this pod" in words
        env |= {
            "MODEL_VOLUMES": str(tmp_path / "artifacts"),
            "MODEL_CACHE": str(tmp_path / "cache"),
        }
        code, words = fetched(tmp_path, "models:/iris/1", env)
        assert code == 0, words
    digest = tree_digest(tmp_path / "model")
    assert digest in words
    code, words = fetched(tmp_path, "models:/iris/1", env, digest)
    assert code == 0, words
    assert f"{digest} was fetched before" in words
    assert tree_digest(tmp_path / "model") == digest
    other = "sha256:" + "0" * 64
    code, words = fetched(
        tmp_path, "models:/iris/1", {**env, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}, other
    )
    assert code == 1
    assert "could not be fetched" in words
