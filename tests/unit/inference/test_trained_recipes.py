"""What the trainer makes of a table of text, truth values, dates and gaps is served as it was
trained: each held-out row by HTTP, as JSON has it.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from starlette.testclient import TestClient

from rollout_inference.app import create_app
from rollout_inference.loading.loader import load_folder
from rollout_inference.settings import Settings
from rollout_trainer.data import Split
from rollout_trainer.evaluate import judge
from rollout_trainer.package import write_package
from rollout_trainer.recipe import Recipe, Search
from rollout_trainer.train import fit
from tests.unit.trainer.mixed import bird_split

TREE = "sklearn.tree.DecisionTreeClassifier"
LOGISTIC = "sklearn.linear_model.LogisticRegression"


def as_json(rows: pd.DataFrame) -> list[list[Any]]:
    """Rows as a client sends them: null for a gap, dates as text."""
    cells = rows.astype(object).to_numpy().tolist()
    return [[_cell(one) for one in row] for row in cells]


def _cell(value: Any) -> Any:
    if value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return None
    return value.isoformat() if isinstance(value, pd.Timestamp) else value


@pytest.mark.parametrize(
    ("label", "recipe"),
    [
        pytest.param(
            "kind", Recipe(estimator=LOGISTIC, parameters={"max_iter": 5000}), id="a linear model"
        ),
        pytest.param("kind", Recipe(estimator=TREE), id="a tree, which gets the gaps"),
        pytest.param(
            "kind",
            Recipe(
                estimator="sklearn.ensemble.StackingClassifier",
                parameters={"estimators": {"tree": TREE, "linear": LOGISTIC}, "cv": 3},
            ),
            id="a stack",
        ),
        pytest.param(
            "kind", Recipe(estimator=TREE, search=Search({"max_depth": [2, 3]})), id="a search"
        ),
        pytest.param("wing", Recipe(estimator="sklearn.linear_model.Ridge"), id="a number"),
        pytest.param(
            "kind",
            Recipe(estimator="lightgbm.LGBMClassifier", parameters={"n_estimators": 5}),
            id="LightGBM",
        ),
        pytest.param(
            "wing",
            Recipe(estimator="xgboost.XGBRegressor", parameters={"n_estimators": 5}),
            id="XGBoost",
        ),
    ],
)
def test_each_row_is_answered_as_the_trained_model_does(
    tmp_path: Path, label: str, recipe: Recipe
) -> None:
    split: Split = bird_split(label)
    model = fit(split, recipe)
    evaluation = judge(model, split, recipe)
    digests = [
        write_package(tmp_path / name, fit(split, recipe), split, evaluation.metrics)
        for name in ("once", "again")
    ]
    assert digests[0] == digests[1], "the same recipe is the same content"
    settings = Settings(model_path=tmp_path / "once", model_revision="abc123")
    loaded = load_folder(tmp_path / "once", settings)
    assert (loaded.runtime.name == "onnx") == ("sklearn" in recipe.estimator), loaded.plan.reason
    with TestClient(create_app(settings, loaded)) as client:
        reply = client.post("/predict/", json={"instances": as_json(split.test)})
        assert reply.status_code == 200, reply.text
        said, expected = reply.json()["predictions"], model.predict(split.test)
        if split.classes:
            assert said == expected.tolist()
        else:
            assert np.allclose(said, expected, rtol=1e-9)
        name = "balanced_accuracy" if split.classes else "root_mean_squared_error"
        series = (
            f'ml_model_metric{{metric="{name}",model="once",revision="abc123",version="local"}}'
        )
        assert f"{series} {evaluation.metrics[name]}" in client.get("/metrics/").text
