"""Recipes: any classifier of scikit-learn, and a sentence for what is none."""

from pathlib import Path

import click
import pytest

from rollout_trainer.__main__ import _set, train
from rollout_trainer.data import Split, load
from rollout_trainer.errors import TrainerError
from rollout_trainer.evaluate import judge
from rollout_trainer.recipe import FOREST, Recipe
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


@pytest.mark.parametrize(
    ("recipe", "sentence"),
    [
        pytest.param(
            Recipe(estimator="os.system"),
            "no import path of scikit-learn",
            id="something that is run when imported",
        ),
        pytest.param(
            Recipe(estimator="RandomForestClassifier"),
            "no import path of scikit-learn",
            id="no module",
        ),
        pytest.param(
            Recipe(estimator="sklearn.ensemble.Forest"),
            "scikit-learn has no sklearn.ensemble.Forest",
            id="no such class",
        ),
        pytest.param(
            Recipe(estimator="sklearn.nothing.Forest"),
            "scikit-learn has no sklearn.nothing.Forest",
            id="no such module",
        ),
        pytest.param(
            Recipe(estimator="sklearn.metrics.accuracy_score"),
            "no estimator class",
            id="a function",
        ),
        pytest.param(
            Recipe(estimator="sklearn.linear_model.LinearRegression"),
            "is no classifier",
            id="a regressor",
        ),
        pytest.param(
            Recipe(parameters={"trees": 3}),
            "no parameter trees: it has n_estimators",
            id="an unknown parameter",
        ),
        pytest.param(
            Recipe(parameters={"n_estimators": -3}),
            "could not be fitted",
            id="a parameter out of range",
        ),
        pytest.param(
            Recipe(preprocessing=("sklearn.svm.SVC",)), "transforms nothing", id="no transformer"
        ),
        pytest.param(
            Recipe(
                estimator="sklearn.calibration.CalibratedClassifierCV",
                parameters={"estimator": "sklearn.svm.LinearSVC"},
            ),
            r"CalibratedClassifierCV is made of another estimator \(estimator\), which a recipe"
            r" cannot write",
            id="an estimator in an estimator",
        ),
        pytest.param(
            Recipe(
                estimator="sklearn.model_selection.GridSearchCV",
                parameters={"estimator": "sklearn.svm.SVC", "param_grid": {"C": [1, 2]}},
            ),
            "GridSearchCV is made of another estimator",
            id="a search",
        ),
        pytest.param(
            Recipe(
                estimator="sklearn.ensemble.VotingClassifier",
                parameters={"estimators": [["a", "sklearn.svm.SVC"]]},
            ),
            r"VotingClassifier is made of another estimator \(estimators\)",
            id="a vote of several",
        ),
        pytest.param(
            Recipe(estimator="sklearn.multiclass.OneVsRestClassifier"),
            "is made of another estimator",
            id="an estimator that is not given",
        ),
        pytest.param(
            Recipe(preprocessing=("sklearn.feature_selection.RFE",)),
            "RFE is made of another estimator",
            id="an estimator in a step",
        ),
        pytest.param(
            Recipe(features=5),
            "4 features and the recipe asks for 5",
            id="more features than there are",
        ),
        pytest.param(
            Recipe(estimator="sklearn.linear_model.LogisticRegression", parameters={"max_iter": 1}),
            "did not converge",
            id="too few steps",
        ),
    ],
)
def test_what_cannot_be_trained_is_a_sentence(split: Split, recipe: Recipe, sentence: str) -> None:
    with pytest.raises(TrainerError, match=sentence):
        fit(split, recipe)


def test_every_recipe_of_the_repository_can_be_built() -> None:
    recipes = sorted((ROOT / "trainer/recipes").glob("*.yaml"))
    assert recipes
    for path in recipes:
        recipe = Recipe.read(path)
        assert recipe.build()
        assert recipe.name == path.stem
        assert (ROOT / recipe.data).is_file()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param("estimators: 3", "estimators", id="a key that is misspelt"),
        pytest.param("name: ../x", "name", id="a path for a name"),
        pytest.param("shuffled: 2", "shuffled", id="more than all"),
        pytest.param("- 1", "no mapping", id="a list"),
        pytest.param("a: [", "cannot be read", id="no YAML"),
    ],
)
def test_a_recipe_file_that_is_not_valid_is_a_sentence(
    tmp_path: Path, text: str, sentence: str
) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(TrainerError, match=sentence) as refused:
        Recipe.read(path)
    assert str(path) in str(refused.value)


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
