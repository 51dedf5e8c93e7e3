"""Data, fitting and judging: the same for the same recipe, weak where weakness is asked for."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rollout_trainer.contract import read as read_contract
from rollout_trainer.data import Split, load, shuffle_labels
from rollout_trainer.errors import DataRefused, TrainerError
from rollout_trainer.evaluate import evaluate, judge
from rollout_trainer.model_card import card
from rollout_trainer.recipe import Recipe
from rollout_trainer.scores import fallen_short
from rollout_trainer.train import fit
from tests.unit.trainer.samples import CONTRACT, PROCESSED, RAW

HEADER = "sepal_length,sepal_width,petal_length,petal_width,species\n"


@pytest.fixture(scope="module")
def split() -> Split:
    return load(RAW)


def test_the_split_is_the_same_every_time(split: Split) -> None:
    again = load(PROCESSED)
    assert list(split.test.index) == list(again.test.index)
    assert split.digest == again.digest, "raw and processed data are the same data"
    assert (len(split.train), len(split.test)) == (105, 45)
    assert not set(split.train.index) & set(split.test.index)
    assert split.test_labels.value_counts().to_dict() == {
        "setosa": 15,
        "versicolor": 15,
        "virginica": 15,
    }


@pytest.mark.parametrize(
    ("recipe", "least", "most"),
    [
        pytest.param(Recipe(), 0.85, 1.0, id="all defaults make a good model"),
        pytest.param(
            Recipe(parameters={"n_estimators": 25, "max_depth": 4}),
            0.85,
            1.0,
            id="version 2 of the demo is good",
        ),
        pytest.param(
            Recipe(parameters={"n_estimators": 20, "max_depth": 2}, features=2),
            0.72,
            0.84,
            id="two measurements make a modest one",
        ),
        pytest.param(
            Recipe(parameters={"n_estimators": 1, "max_depth": 1}),
            0.0,
            0.69,
            id="one shallow tree cannot tell three species",
        ),
        pytest.param(Recipe(shuffled=1.0), 0.0, 0.6, id="shuffled labels teach nothing"),
    ],
)
def test_accuracy_follows_from_the_recipe(
    split: Split, recipe: Recipe, least: float, most: float
) -> None:
    metrics = evaluate(fit(split, recipe), split)
    assert least <= metrics["accuracy"] <= most
    assert 0 <= metrics["f1_macro"] <= 1
    assert metrics["samples"] == 45
    assert evaluate(fit(split, recipe), split) == metrics, "the same recipe makes the same model"


def fraud() -> Split:
    """One row in fifty is a fraud, and no column tells."""
    random = np.random.default_rng(0)
    labels = pd.Series(["fraud" if n % 50 == 0 else "fine" for n in range(1_000)], name="kind")
    rows = pd.DataFrame({"amount": random.normal(size=1_000)})
    return Split(rows[:700], labels[:700], rows[700:], labels[700:], "sha256:0")


def test_a_model_that_never_says_fraud_is_seen_through() -> None:
    split, recipe = fraud(), Recipe(estimator="sklearn.dummy.DummyClassifier")
    evaluation = judge(fit(split, recipe), split, recipe)
    assert evaluation.metrics["accuracy"] == 0.98
    assert evaluation.metrics["balanced_accuracy"] == 0.5
    assert evaluation.metrics["log_loss"] > 0
    assert evaluation.constant == "fine"
    assert evaluation.recalls == (1.0, 0.0)
    assert "| fraud | 6 | 0 | 0.0000 |" in card(recipe, split, evaluation)


def test_a_model_that_tells_classes_apart_is_not_called_constant(split: Split) -> None:
    recipe = Recipe(parameters={"n_estimators": 3})
    assert judge(fit(split, recipe), split, recipe).constant == ""


@pytest.mark.parametrize(
    ("least", "sentence"),
    [
        pytest.param({}, "", id="nothing asked for"),
        pytest.param({"accuracy": 0.9, "balanced_accuracy": 0.5}, "", id="reached"),
        pytest.param(
            {"balanced_accuracy": 0.6},
            "balanced_accuracy is 0.5000, and the recipe asks for 0.6: nothing is registered.",
            id="short",
        ),
    ],
)
def test_a_recipe_chooses_what_a_model_must_reach(least: dict[str, float], sentence: str) -> None:
    assert (
        fallen_short({"accuracy": 0.99, "balanced_accuracy": 0.5, "log_loss": 0.1}, least)
        == sentence
    )


def test_what_cannot_be_asked_for_is_a_sentence() -> None:
    with pytest.raises(
        TrainerError,
        match="no metric log_loss that could be asked for by `least`: there are",
    ):
        fallen_short({"accuracy": 0.99, "log_loss": 0.1}, {"log_loss": 0.1})


@pytest.mark.parametrize("features", [1, 2, 3, 4])
def test_every_model_takes_all_columns(split: Split, features: int) -> None:
    model = fit(split, Recipe(parameters={"n_estimators": 2}, features=features))
    assert len(model.predict(split.test)) == 45


def test_a_class_too_rare_to_cross_validate_is_a_sentence(split: Split) -> None:
    rare = split.train_labels.copy()
    rare.iloc[0] = "tulip"
    recipe = Recipe(parameters={"n_estimators": 2})
    few = Split(split.train, rare, split.test, split.test_labels, split.digest)
    with pytest.raises(TrainerError, match="class tulip has one training row only"):
        judge(fit(few, recipe), few, recipe)


@pytest.mark.parametrize(
    ("share", "moved_at_most"),
    [
        pytest.param(0.0, 0, id="none"),
        pytest.param(0.5, 52, id="half"),
        pytest.param(1.0, 105, id="all"),
    ],
)
def test_shuffling_permutes_and_invents_nothing(
    split: Split, share: float, moved_at_most: int
) -> None:
    before = split.train_labels.copy()
    after = shuffle_labels(split.train_labels, share, seed=3)
    assert after.value_counts().to_dict() == before.value_counts().to_dict()
    assert (after != before).sum() <= moved_at_most
    assert (after != before).any() == bool(share)
    pd.testing.assert_series_equal(split.train_labels, before)


@pytest.mark.parametrize(
    ("content", "sentence", "kind"),
    [
        pytest.param(None, "cannot be read", TrainerError, id="no such file"),
        pytest.param("", "cannot be read", TrainerError, id="an empty file"),
        pytest.param("a,b\n1,2\n", "no column sepal_length", DataRefused, id="other columns"),
        pytest.param(
            HEADER + "5.1,x,1.4,0.2,setosa\n", "x in row 2", DataRefused, id="words for numbers"
        ),
        pytest.param(
            HEADER + "5.1,,1.4,0.2,setosa\n",
            "missing values: 100 %",
            DataRefused,
            id="a missing value",
        ),
        pytest.param(
            HEADER + "5.1,3.5,1.4,0.2,setosa\n",
            "rows: 1, allowed is 60 or more",
            DataRefused,
            id="one flower",
        ),
    ],
)
def test_bad_data_is_a_sentence(
    tmp_path: Path, content: str | None, sentence: str, kind: type[TrainerError]
) -> None:
    path = tmp_path / "flowers.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(kind, match=sentence) as refused:
        load(path, read_contract(CONTRACT))
    assert str(path) in str(refused.value)
