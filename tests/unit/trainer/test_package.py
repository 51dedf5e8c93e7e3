"""What a model folder holds: the same bytes for the same recipe, all that a server takes."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import canberra
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_limits

from rollout_model import estimator, onnx_bundle
from rollout_model.artifact import verify
from rollout_model.digest import tree_digest
from rollout_model.load_policy import LoadPolicy
from rollout_trainer.data import load
from rollout_trainer.errors import TrainerError
from rollout_trainer.package import write_package
from rollout_trainer.recipe import Recipe
from rollout_trainer.train import fit
from tests.unit.trainer.samples import RAW


def test_the_same_recipe_gives_the_same_bytes(tmp_path: Path) -> None:
    split = load(RAW)
    recipe = Recipe(parameters={"n_estimators": 3})
    digests = {
        write_package(tmp_path / str(n), fit(split, recipe), split, {"accuracy": 0.9})
        for n in range(2)
    }
    assert len(digests) == 1
    other = write_package(
        tmp_path / "other", fit(split, recipe.changed(seed=1)), split, {"accuracy": 0.9}
    )
    assert other not in digests


def test_the_same_recipe_gives_the_same_bytes_on_any_number_of_cores(tmp_path: Path) -> None:
    split = load(RAW)
    digests = set()
    for cores in (1, 2):
        with threadpool_limits(cores, user_api="openmp"):
            model = HistGradientBoostingClassifier(max_iter=3, random_state=0).fit(
                split.train, split.train_labels
            )
        model._bin_mapper.n_threads = cores  # as a machine with so many would have kept it
        digests.add(write_package(tmp_path / str(cores), model, split, {"accuracy": 0.9}))
    assert len(digests) == 1


def test_the_canonical_model_predicts_as_the_one_that_was_fitted(tmp_path: Path) -> None:
    split = load(RAW)
    model = fit(split, Recipe(parameters={"n_estimators": 5}))
    write_package(tmp_path / "model", model, split, {"accuracy": 0.9})
    loaded = estimator.load(verify(tmp_path / "model", LoadPolicy()), LoadPolicy())
    assert loaded.predict_proba(split.test).tolist() == model.predict_proba(split.test).tolist()


def test_what_the_server_would_not_load_is_refused_before_it_is_registered(tmp_path: Path) -> None:
    split = load(RAW)
    model = KNeighborsClassifier(metric=canberra).fit(split.train, split.train_labels)
    with pytest.raises(
        TrainerError, match=r"server does not load scipy\.spatial\.distance\.canberra"
    ):
        write_package(tmp_path / "model", model, split, {})


def test_the_conversion_is_stored_beside_the_model(tmp_path: Path) -> None:
    """A pod takes it as it is; the digest covers it."""
    split = load(RAW)
    model = fit(split, Recipe(parameters={"n_estimators": 5}))
    digest = write_package(tmp_path / "model", model, split, {"accuracy": 0.9})
    artifact = verify(tmp_path / "model", LoadPolicy())
    plan, _ = onnx_bundle.read(artifact)
    assert (plan.runtime, plan.classes) == ("onnx", model.classes_.tolist())
    rows = onnx_bundle.rows(artifact)
    assert isinstance(rows, np.ndarray)
    assert rows.tolist() == split.train.to_numpy().tolist(), (
        "the rows that it learnt from travel with it"
    )
    (tmp_path / "model" / "onnx" / "model.onnx").write_bytes(b"another")
    assert tree_digest(tmp_path / "model") != digest


def test_a_model_that_no_converter_knows_is_stored_with_that_verdict(tmp_path: Path) -> None:
    split = load(RAW)
    write_package(
        tmp_path / "model",
        fit(split, Recipe(estimator="sklearn.semi_supervised.LabelSpreading")),
        split,
        {},
    )
    assert not (tmp_path / "model" / "onnx" / "model.onnx").exists()
    plan, runtime = onnx_bundle.read(verify(tmp_path / "model", LoadPolicy()))
    assert (plan.runtime, runtime) == ("sklearn", None)
    assert "converted" in plan.reason
