"""One small real model, made by the trainer, and copies of it to be spoilt."""

import shutil
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from rollout_inference.app import create_app
from rollout_inference.loading import load_folder
from rollout_inference.settings import Settings
from rollout_trainer.data import load
from rollout_trainer.evaluate import evaluate
from rollout_trainer.registry import store
from rollout_trainer.train import Parameters, fit

DATA = Path(__file__).parents[3] / "data" / "raw" / "iris.csv"


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifact folder of a forest of five trees."""
    folder = tmp_path_factory.mktemp("models") / "iris"
    split = load(DATA)
    model = fit(split, Parameters(n_estimators=5))
    store(folder, model, split, evaluate(model, split))
    return folder


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    """The same folder, for a test to spoil."""
    return Path(shutil.copytree(trained, tmp_path / "iris"))


@pytest.fixture(scope="session")
def settings(trained: Path) -> Settings:
    return Settings(model_path=trained, model_revision="abc123", max_body=100_000, max_rows=500)


@pytest.fixture(scope="session")
def client(trained: Path, settings: Settings) -> TestClient:
    return TestClient(create_app(settings, load_folder(trained, settings)), raise_server_exceptions=False)
