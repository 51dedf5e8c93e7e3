"""MLflow's client tells nobody of its use: not from pods, not from the trainer."""

import os
import subprocess
import sys

import pytest

FETCHING = "import rollout_inference.loading.download_worker"
TRAINING = """
import click
from rollout_trainer.__main__ import main
try:
    main(["train", "--data", "none.csv"], standalone_mode=False)
except click.ClickException:
    pass
"""
ASKED = """
import sys
assert "mlflow" in sys.modules
from mlflow.telemetry import get_telemetry_client
print(get_telemetry_client())
"""


@pytest.mark.parametrize(
    "code", [FETCHING, TRAINING], ids=["the server fetches a model", "the trainer trains"]
)
def test_mlflow_tells_nobody(code: str) -> None:
    # Of the environment only what starts Python: MLflow is quiet by itself where it sees CI or
    # pytest.
    env = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", code + ASKED], env=env, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["None"], done.stderr
