"""Small real models: one made by the trainer, others of all kinds,
and copies of them to be spoilt.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow.sklearn
import pandas as pd
import pytest
import skops.io
from mlflow.models import infer_signature
from starlette.testclient import TestClient

from rollout_inference.app import create_app
from rollout_inference.loading.loader import LoadedModel, load_folder
from rollout_inference.settings import Settings
from rollout_trainer.data import load
from rollout_trainer.evaluate import evaluate
from rollout_trainer.package import write_package
from rollout_trainer.recipe import Recipe
from rollout_trainer.train import fit

DATA = Path(__file__).parents[3] / "data" / "raw" / "iris.csv"
KEY = "a key that all pods of a rollout have"


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifact folder of a forest of five trees."""
    folder = tmp_path_factory.mktemp("models") / "iris"
    split = load(DATA)
    model = fit(split, Recipe(parameters={"n_estimators": 5}))
    write_package(folder, model, split, evaluate(model, split))
    return folder


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    """The same folder, for a test to spoil."""
    return Path(shutil.copytree(trained, tmp_path / "iris"))


@pytest.fixture(scope="session")
def settings(trained: Path) -> Settings:
    return Settings(
        model_path=trained,
        model_revision="abc123",
        max_body=100_000,
        max_rows=500,
        feedback_key=KEY,
        accuracy_from=5,
    )


@pytest.fixture(scope="session")
def loaded(trained: Path, settings: Settings) -> LoadedModel:
    return load_folder(trained, settings)


@pytest.fixture(scope="session")
def client(loaded: LoadedModel, settings: Settings) -> TestClient:
    return TestClient(create_app(settings, loaded), raise_server_exceptions=False)


Save = Callable[..., tuple[Path, Settings]]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Writes any fitted estimator as MLflow would; returns its folder,
    and settings that serve it.
    """

    def saved(
        estimator: Any,
        rows: Any,
        metrics: dict[str, float] | None = None,
        predict_fn: str = "predict",
        **changes: Any,
    ) -> tuple[Path, Settings]:
        return written(tmp_path / "model", estimator, rows, metrics, predict_fn, **changes)

    return saved


def written(
    folder: Path,
    estimator: Any,
    rows: Any,
    metrics: dict[str, float] | None = None,
    predict_fn: str = "predict",
    **changes: Any,
) -> tuple[Path, Settings]:
    """The folder, as MLflow writes the estimator, and settings that serve it."""
    shown = rows.to_frame() if isinstance(rows, pd.Series) else rows
    mlflow.sklearn.save_model(
        estimator,
        str(folder),
        serialization_format="skops",
        skops_trusted_types=skops.io.get_untrusted_types(data=skops.io.dumps(estimator)),
        signature=infer_signature(rows, estimator.predict(rows)),
        input_example=shown.head(2) if isinstance(shown, pd.DataFrame) else shown[:2],
        pip_requirements=["scikit-learn"],
        pyfunc_predict_fn=predict_fn,
    )
    (folder / "metrics.json").write_text(json.dumps(metrics or {}))
    return folder, Settings(model_path=folder, model_revision="abc123", feedback_key=KEY, **changes)
