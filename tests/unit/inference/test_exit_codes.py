"""How the server's process ends where its model is none that it can serve, and where it may be."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from rollout_model.errors import CANNOT_SERVE
from scripts.cluster.apiserver import free_port

OTHER = "sha256:" + "0" * 64
NOBODY = "http://127.0.0.1:1"


def ended(log: Path, env: Mapping[str, str]) -> tuple[int, str]:
    """Exit code and last words of a server that is started with these."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "MODEL_"))}
    known = {
        "PORT": str(free_port()),
        "TERMINATION_LOG": str(log),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    }
    process = subprocess.run(
        [sys.executable, "-m", "rollout_inference"],
        env={**own, **known, **env},
        capture_output=True,
        check=False,
        timeout=120,
    )
    return process.returncode, log.read_text()


def test_other_files_than_were_recorded_end_it_for_good(copy: Path, tmp_path: Path) -> None:
    code, said = ended(tmp_path / "log", {"MODEL_PATH": str(copy), "MODEL_DIGEST": OTHER})
    assert (code, said.split(":")[0]) == (CANNOT_SERVE, "DigestMismatch")


def test_files_of_no_model_end_it_for_good(copy: Path, tmp_path: Path) -> None:
    (copy / "MLmodel").write_text("flavors: {}")
    code, said = ended(tmp_path / "log", {"MODEL_PATH": str(copy)})
    assert code == CANNOT_SERVE, said


@pytest.mark.parametrize("uri", ["models:/iris/1", "models:/iris@champion"])
def test_a_registry_that_does_not_answer_may_answer_later(uri: str, tmp_path: Path) -> None:
    code, said = ended(tmp_path / "log", {"MODEL_URI": uri, "MLFLOW_TRACKING_URI": NOBODY})
    assert code == 1, said
    assert "could not be fetched" in said


def test_a_secret_that_is_no_setting_is_told_where_a_rollout_reads_it(tmp_path: Path) -> None:
    store = "postgresql://rollouts:a secret@db/labels"
    code, said = ended(tmp_path / "log", {"MODEL_URI": "models:/iris/1", "FEEDBACK_STORE": store})
    assert (code, "FEEDBACK_STORE" in said, "as %XX" in said) == (2, True, True)
    assert "a secret" not in said
