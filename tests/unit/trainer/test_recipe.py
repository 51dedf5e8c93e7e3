"""Recipes: any classifier of scikit-learn, and a sentence for what is none."""

from pathlib import Path

import click
import pytest

from rollout_trainer.__main__ import _set, train
from rollout_trainer.data import Split, load
from rollout_trainer.estimators import FOREST
from rollout_trainer.evaluate import judge
from rollout_trainer.recipe import Recipe
from rollout_trainer.train import fit
from tests.unit.trainer.samples import RAW, ROOT

SCALER = "sklearn.preprocessing.StandardScaler"


@pytest.fixture(scope="module")
def split() -> Split:
    return load(RAW)


@pytest.mark.parametrize(
    "recipe",
    [
        pytest.param(
            Recipe(estimator="sklearn.linear_model.LogisticRegression", preprocessing=(SCALER,)),
            id="logistic regression, scaled",
        ),
        pytest.param(
            Recipe(estimator="sklearn.svm.SVC", parameters={"C": 2.0}),
            id="a support vector machine, without probabilities",
        ),
        pytest.param(Recipe(estimator="sklearn.naive_bayes.GaussianNB"), id="no seed to set"),
        pytest.param(
            Recipe(
                estimator="sklearn.linear_model.LogisticRegression",
                preprocessing=(SCALER,),
                features=2,
            ),
            id="two features",
        ),
    ],
)
def test_any_classifier_is_trained_and_judged(split: Split, recipe: Recipe) -> None:
    model = fit(split, recipe)
    evaluation = judge(model, split, recipe)
    assert evaluation.metrics["accuracy"] > 0.6
    assert evaluation.metrics["cv_accuracy_mean"] > 0.6
    assert len(evaluation.crossed.accuracies) == 5
    assert evaluation.confusion.sum() == 45
    assert ("cv_brier" in evaluation.metrics) == (recipe.estimator != "sklearn.svm.SVC")
    assert judge(fit(split, recipe), split, recipe).metrics == evaluation.metrics


def test_every_recipe_of_the_repository_can_be_built() -> None:
    recipes = sorted((ROOT / "trainer/recipes").glob("*.yaml"))
    assert recipes
    for path in recipes:
        recipe = Recipe.read(path)
        assert recipe.last_step(classes=True) is not None
        assert recipe.name == path.stem
        assert (ROOT / recipe.data).is_file()


@pytest.mark.parametrize(
    ("text", "read"),
    [
        pytest.param("1e-2", 0.01, id="an exponent without a dot"),
        pytest.param("1.5e3", 1500.0, id="an exponent without a sign"),
        pytest.param("-2E+2", -200.0, id="both signs"),
        pytest.param(".5e1", 5.0, id="a dot first"),
        pytest.param("[1e-3, 1.0e-2]", [0.001, 0.01], id="in a list"),
        pytest.param("1e", "1e", id="no exponent"),
        pytest.param("1e5x", "1e5x", id="a word"),
        pytest.param("'1e-2'", "1e-2", id="quoted"),
        pytest.param("yes", True, id="a truth value as before"),
        pytest.param("7", 7, id="a whole number"),
        pytest.param("null", None, id="nothing"),
    ],
)
def test_numbers_of_a_recipe_are_numbers(tmp_path: Path, text: str, read: object) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(f"parameters: {{C: {text}}}\n")
    assert Recipe.read(path).parameters == {"C": read}
    said = click.Context(train, obj=None)
    assert _set(said, train.params[0], (f"C={text}",)) == {"C": read}


def test_options_go_before_the_file(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        f"name: things\nestimator: {FOREST}\nparameters: {{n_estimators: 7}}\nseed: 3\n"
    )
    recipe = Recipe.read(path).changed(seed=4, name=None)
    assert (recipe.name, recipe.seed, recipe.parameters) == ("things", 4, {"n_estimators": 7})
