"""A real MLflow with a password and TLS by a private CA: what a pod's step fetches, and says."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from rollout_inference.loading.sources import AUTHORITY, CREDENTIALS
from rollout_model.digest import tree_digest
from rollout_model.errors import CANNOT_SERVE
from tests.support.mlflow_server import ADMIN, private_mlflow_server

USER = {"MLFLOW_TRACKING_USERNAME": ADMIN[0], "MLFLOW_TRACKING_PASSWORD": ADMIN[1]}
TEAM = """
import mlflow
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

rows, species = load_iris(return_X_y=True, as_frame=True)
model = LogisticRegression(max_iter=1000).fit(rows, species)
with mlflow.start_run():
    mlflow.sklearn.log_model(
        model, name="model", input_example=rows.head(2), registered_model_name="iris"
    )
"""
"""What a team runs that has never heard of us."""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What the step must be told to reach it, without who asks; models:/iris/1 is there."""
    folder = tmp_path_factory.mktemp("mlflow")
    with private_mlflow_server(folder) as (url, certificate):
        reach = {"MLFLOW_TRACKING_URI": url, "REQUESTS_CA_BUNDLE": str(certificate)}
        said = process(["-c", TEAM], {**reach, **USER})
        assert said.returncode == 0, said.stderr[-3000:]
        yield reach


def process(arguments: list[str], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Python, with nothing of MLflow's in its environment but this."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "REQUESTS_"))}
    return subprocess.run(
        [sys.executable, *arguments],
        env={**own, **env},
        text=True,
        capture_output=True,
        check=False,
        timeout=300,
    )


def fetched(folder: Path, env: Mapping[str, str], digest: str = "") -> tuple[int, str]:
    """Exit code and last words of the step."""
    (folder / "model").mkdir(exist_ok=True)
    words = folder / "words"
    words.unlink(missing_ok=True)
    known = {"MODEL_URI": "models:/iris/1", "MODEL_DIGEST": digest, "TERMINATION_LOG": str(words)}
    arguments = ["-m", "rollout_inference.loading.fetch_model", str(folder / "model")]
    said = process(arguments, {**env, **known})
    return said.returncode, words.read_text() if words.exists() else said.stdout


def test_with_the_secret_and_the_ca_the_files_come(
    registry: dict[str, str], tmp_path: Path
) -> None:
    code, said = fetched(tmp_path, {**registry, **USER})
    assert code == 0, said
    digest = tree_digest(tmp_path / "model")
    assert digest in said
    assert (tmp_path / "model" / "MLmodel").is_file()
    again, _ = fetched(tmp_path, {**registry, **USER}, digest)
    assert again == 0, "what a former try has left is in nobody's way"


def test_a_digest_that_is_another_is_refused_with_both(
    registry: dict[str, str], tmp_path: Path
) -> None:
    other = "sha256:" + "0" * 64
    code, said = fetched(tmp_path, {**registry, **USER}, other)
    assert code == CANNOT_SERVE
    assert said.startswith("DigestMismatch: ")
    assert other in said
    assert said.count("sha256:") == 2


def test_without_credentials_the_chart_s_value_is_named(
    registry: dict[str, str], tmp_path: Path
) -> None:
    code, said = fetched(tmp_path, registry)
    assert code == 1
    assert "401" in said
    assert CREDENTIALS in said


def test_a_wrong_password_is_told_the_same_way(registry: dict[str, str], tmp_path: Path) -> None:
    wrong = {**USER, "MLFLOW_TRACKING_PASSWORD": "wrong"}
    code, said = fetched(tmp_path, {**registry, **wrong})
    assert code == 1
    assert CREDENTIALS in said
    assert "wrong" not in said.replace("went wrong", "")


def test_an_unknown_certificate_is_told(registry: dict[str, str], tmp_path: Path) -> None:
    reach = {k: v for k, v in registry.items() if k != "REQUESTS_CA_BUNDLE"}
    quick = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
    code, said = fetched(tmp_path, {**reach, **USER, **quick})
    assert code == 1
    assert "certificate" in said.lower()
    assert AUTHORITY in said
