"""Recipes for tables of text, truth values, dates and gaps: what they build, and what it learns."""

from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import StackingClassifier
from sklearn.pipeline import Pipeline

from rollout_model.date_parts import DateParts
from rollout_trainer.data import Split, load
from rollout_trainer.evaluate import judge
from rollout_trainer.recipe import Recipe, Search
from rollout_trainer.splitting import SplitBy
from rollout_trainer.train import fit, unfitted
from tests.unit.trainer.mixed import bird_split
from tests.unit.trainer.samples import RAW

LOGISTIC = "sklearn.linear_model.LogisticRegression"
TREE = "sklearn.tree.DecisionTreeClassifier"
ONE_HOT = {"sklearn.preprocessing.OneHotEncoder": {"handle_unknown": "ignore"}}
MEDIAN = {"sklearn.impute.SimpleImputer": {"strategy": "median"}}
EMPTY = {"sklearn.impute.SimpleImputer": {"strategy": "constant", "fill_value": ""}}
TFIDF = {"sklearn.feature_extraction.text.TfidfVectorizer": {"max_features": 50}}
BY_HAND = {
    "mass, beak": [MEDIAN, "sklearn.preprocessing.StandardScaler"],
    "numbers": "passthrough",
    "note": [EMPTY, TFIDF],
    "strings": ONE_HOT,
    "booleans": ONE_HOT,
    "datetimes": ["DateParts", "sklearn.impute.SimpleImputer"],
}


@pytest.fixture(scope="module")
def split() -> Split:
    return bird_split()


@pytest.mark.parametrize(
    "recipe",
    [
        pytest.param(
            Recipe(estimator=LOGISTIC, parameters={"max_iter": 5000}),
            id="nothing said, an estimator that takes no gaps",
        ),
        pytest.param(Recipe(estimator=TREE), id="nothing said, an estimator that takes gaps"),
        pytest.param(
            Recipe(estimator=LOGISTIC, parameters={"max_iter": 5000}, preprocessing=BY_HAND),
            id="columns by name and by kind, steps with parameters",
        ),
        pytest.param(
            Recipe(
                estimator=TREE,
                preprocessing={
                    "numbers": "passthrough",
                    "strings": ONE_HOT,
                    "booleans": "drop",
                    "datetimes": "drop",
                },
            ),
            id="columns that are dropped",
        ),
        pytest.param(Recipe(estimator=TREE, features=3), id="the first three columns only"),
        pytest.param(
            Recipe(estimator=LOGISTIC, parameters={"max_iter": 5000}, class_weight="balanced"),
            id="class weights of its own",
        ),
        pytest.param(
            Recipe(
                estimator="sklearn.naive_bayes.GaussianNB",
                class_weight={"auk": 3},
                preprocessing={
                    "numbers": MEDIAN,
                    "strings": "drop",
                    "booleans": "drop",
                    "datetimes": "drop",
                },
            ),
            id="class weights as weights of rows",
        ),
        pytest.param(
            Recipe(
                estimator="sklearn.ensemble.VotingClassifier",
                parameters={
                    "voting": "soft",
                    "estimators": {"tree": TREE, "linear": {LOGISTIC: {"max_iter": 5000}}},
                },
            ),
            id="a vote",
        ),
        pytest.param(
            Recipe(
                estimator="sklearn.ensemble.StackingClassifier",
                parameters={
                    "estimators": {
                        "linear": ["sklearn.preprocessing.MaxAbsScaler", {LOGISTIC: {"C": 0.1}}],
                        "tree": TREE,
                    },
                    "final_estimator": LOGISTIC,
                },
            ),
            id="a stack, of a pipeline too",
        ),
        pytest.param(
            Recipe(
                estimator="sklearn.calibration.CalibratedClassifierCV",
                parameters={"estimator": {"sklearn.svm.LinearSVC": {"max_iter": 50_000}}, "cv": 3},
            ),
            id="calibrated",
        ),
        pytest.param(
            Recipe(
                estimator="sklearn.multiclass.OneVsRestClassifier",
                parameters={"estimator": {TREE: {"max_depth": 3}}},
            ),
            id="one against the rest",
        ),
        pytest.param(
            Recipe(estimator=TREE, metric="roc_auc", search=Search({"max_depth": [1, 3]})),
            id="a search of all",
        ),
        pytest.param(
            Recipe(
                estimator=LOGISTIC,
                parameters={"max_iter": 5000},
                preprocessing=BY_HAND,
                search=Search({"C": {"min": 0.01, "max": 10, "log": True}}, tries=3),
            ),
            id="a search at random",
        ),
        pytest.param(
            Recipe(estimator=TREE, metric="balanced_accuracy"), id="another metric that counts"
        ),
    ],
)
def test_a_recipe_learns_from_a_mixed_table(split: Split, recipe: Recipe) -> None:
    model = fit(split, recipe)
    evaluation = judge(model, split, recipe)
    assert evaluation.metrics["accuracy"] > 0.8
    assert evaluation.crossed.metric == (recipe.metric or "accuracy")
    assert evaluation.metrics[f"cv_{evaluation.crossed.metric}_mean"] > 0.7
    assert set(evaluation.chosen) == set(recipe.search.parameters if recipe.search else ())


@pytest.mark.parametrize(
    "recipe",
    [
        pytest.param(Recipe(estimator="sklearn.linear_model.Ridge"), id="a linear model"),
        pytest.param(Recipe(estimator="sklearn.tree.DecisionTreeRegressor"), id="a tree"),
        pytest.param(
            Recipe(
                estimator="sklearn.compose.TransformedTargetRegressor",
                parameters={
                    "regressor": "sklearn.linear_model.Ridge",
                    "transformer": "sklearn.preprocessing.StandardScaler",
                },
            ),
            id="of a transformed target",
        ),
        pytest.param(
            Recipe(
                estimator="sklearn.linear_model.Ridge",
                metric="root_mean_squared_error",
                search=Search({"alpha": [0.1, 1000.0]}),
            ),
            id="a search",
        ),
    ],
)
def test_a_number_is_estimated_from_a_mixed_table(recipe: Recipe) -> None:
    split = bird_split("wing")
    evaluation = judge(fit(split, recipe), split, recipe)
    metric = recipe.metric or "mean_absolute_error"
    assert 0 < evaluation.metrics[metric] < 25, "wings are 100 to 300 long"
    assert evaluation.metrics["r2"] > 0.8
    assert 0 < evaluation.metrics[f"cv_{metric}_mean"] < 25
    assert not evaluation.classes


def test_a_search_takes_what_is_best(split: Split) -> None:
    recipe = Recipe(estimator=TREE, search=Search({"max_depth": [1, 4]}))
    assert judge(fit(split, recipe), split, recipe).chosen == {"max_depth": 4}


def test_weights_of_classes_count() -> None:
    iris = load(RAW)
    recipe = Recipe(parameters={"n_estimators": 5, "max_depth": 1})
    weighed = recipe.changed(class_weight={"virginica": 50})
    plain, heavy = (fit(iris, one).predict(iris.test) for one in (recipe, weighed))
    assert (heavy == "virginica").sum() > (plain == "virginica").sum()


def test_a_group_is_never_on_both_sides() -> None:
    split = bird_split(by=SplitBy(group="observer"))
    assert split.keys is not None
    observers = split.keys
    assert len(observers) == len(split.train)
    assert not set(split.train.index) & set(split.test.index)
    recipe = Recipe(estimator=TREE, split=SplitBy(group="observer"))
    everyone = bird_split(by=SplitBy(group="observer", held_out=0.2))
    assert everyone.keys is not None
    assert len(set(everyone.keys)) >= len(set(observers)), "less is held out"
    assert judge(fit(split, recipe), split, recipe).metrics["cv_accuracy_mean"] > 0.7
    assert "observer" not in split.train.columns


def test_what_is_judged_by_is_later() -> None:
    by = SplitBy(time="seen", held_out=0.25)
    split = bird_split(by=by, gaps=False)
    assert split.keys is not None
    assert split.keys.is_monotonic_increasing
    assert 0.2 < len(split.test) / 240 <= 0.25
    recipe = Recipe(estimator=TREE, split=by)
    assert judge(fit(split, recipe), split, recipe).metrics["cv_accuracy_mean"] > 0.7


def test_a_vectorizer_gets_its_column_alone(split: Split) -> None:
    model = unfitted(split, Recipe(estimator=LOGISTIC, preprocessing=BY_HAND))
    assert isinstance(model, Pipeline)
    columns = model[0]
    assert isinstance(columns, ColumnTransformer)
    chosen = {name: names for name, _, names in columns.transformers}
    assert chosen == {
        "mass, beak": ["mass", "beak"],
        "numbers": ["wing"],
        "note": ["note"],
        "strings": ["island"],
        "booleans": ["ringed"],
        "datetimes": ["seen"],
    }
    alone = bird_split(gaps=False)
    first = unfitted(alone, Recipe(estimator=LOGISTIC, preprocessing={**BY_HAND, "note": TFIDF}))
    assert {name: names for name, _, names in first[0].transformers}["note"] == "note"


def test_estimators_are_made_within_estimators(split: Split) -> None:
    written: dict[str, Any] = {
        "estimators": {
            "tree": TREE,
            "svm": ["sklearn.preprocessing.StandardScaler", {"sklearn.svm.SVC": {"C": 7}}],
        },
        "final_estimator": {TREE: {"max_depth": 2}},
    }
    recipe = Recipe(estimator="sklearn.ensemble.StackingClassifier", parameters=written, seed=4)
    made = recipe.last_step(classes=True)
    assert isinstance(made, StackingClassifier)
    (_, tree), (_, svm) = made.estimators
    assert (tree.random_state, svm[-1].C, svm[-1].random_state) == (4, 7, 4)
    assert made.final_estimator.max_depth == 2


def test_a_date_becomes_numbers() -> None:
    times = [datetime(1969, 12, 31, 18), datetime(2024, 2, 29), pd.NaT]
    dates = pd.DataFrame({"seen": pd.Series(times, dtype="datetime64[ns]")})
    parts = DateParts().fit(dates)
    assert parts.get_feature_names_out().tolist() == ["seen_month", "seen_weekday", "seen_hour"]
    assert parts.transform(dates)[:2].tolist() == [[12, 2, 18], [2, 3, 0]]
    assert np.isnan(parts.transform(dates)[2]).all()
    days = DateParts(trend=True).fit(dates).transform(dates)[:, 3]
    assert days[:2].tolist() == [-0.25, 19782]


@pytest.mark.parametrize("count", [2, 3])
def test_the_area_under_the_curve_is_known_of_two_classes_and_of_more(count: int) -> None:
    split = bird_split()
    kept = split.train_labels.isin(["auk", "gull", "tern"][:count])
    held = split.test_labels.isin(["auk", "gull", "tern"][:count])
    fewer = Split(
        split.train[kept],
        split.train_labels[kept],
        split.test[held],
        split.test_labels[held],
        split.digest,
        split.optional,
    )
    recipe = Recipe(estimator=TREE, parameters={"max_depth": 2}, metric="roc_auc")
    metrics = judge(fit(fewer, recipe), fewer, recipe).metrics
    assert 0.5 < metrics["roc_auc"] <= 1
    assert np.isfinite(metrics["cv_roc_auc_std"])
