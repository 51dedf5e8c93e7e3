"""Trained twice, on another number of cores: the same digest, in processes of their own."""

import subprocess
import sys

import pytest

TRAIN = """
import os, sys, logging, tempfile, warnings
cores = sys.argv[1]
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = cores
if cores == "1" and hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
warnings.simplefilter("ignore")
logging.disable(logging.WARNING)
from pathlib import Path
from rollout_trainer.package import write_package
from rollout_trainer.recipe import Recipe
from rollout_trainer.train import fit
from tests.unit.trainer.mixed import bird_split
splits = {label: bird_split(label) for label in ("kind", "wing")}
for said in sys.argv[2:]:
    label, estimator, parameter, value = said.split(":")
    recipe = Recipe(estimator=estimator, parameters={parameter: int(value)})
    model = fit(splits[label], recipe)
    with tempfile.TemporaryDirectory() as scratch:
        print(write_package(Path(scratch) / "model", model, splits[label], {}))
"""
MODELS = {
    "histogram boosting": "kind:sklearn.ensemble.HistGradientBoostingClassifier:max_iter:3",
    "a forest": "kind:sklearn.ensemble.RandomForestClassifier:n_estimators:3",
    "a linear model": "kind:sklearn.linear_model.LogisticRegression:max_iter:5000",
    "LightGBM": "kind:lightgbm.LGBMClassifier:n_estimators:3",
    "XGBoost": "wing:xgboost.XGBRegressor:n_estimators:3",
}
"""Label, estimator, and one of its parameters with its value."""


@pytest.fixture(scope="module")
def digests() -> list[list[str]]:
    """Of each model, on one core and on three, in processes of their own."""
    found = []
    for cores in ("1", "3"):
        command = [sys.executable, "-c", TRAIN, cores, *MODELS.values()]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found.append([line for line in done.stdout.split() if line.startswith("sha256:")])
    return found


@pytest.mark.parametrize("model", MODELS)
def test_the_digest_does_not_tell_how_many_cores_there_were(
    digests: list[list[str]], model: str
) -> None:
    one, three = (found[list(MODELS).index(model)] for found in digests)
    assert one == three
