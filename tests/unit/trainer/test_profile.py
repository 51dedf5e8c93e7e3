"""The profile of the training data: the trainer's own, and one for a model that another made."""

import json
import math
from pathlib import Path
from typing import Any

import mlflow.sklearn
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression, LogisticRegression

from rollout_model.artifact import verify
from rollout_model.load_policy import LoadPolicy
from rollout_model.training_profile import FILE
from rollout_trainer.__main__ import main
from rollout_trainer.data import load
from rollout_trainer.package import write_package
from rollout_trainer.recipe import Recipe
from rollout_trainer.train import fit
from tests.unit.trainer.samples import RAW


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["profile", *map(str, words)])


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the trainer's, with its training rows and answers as CSV beside it."""
    place, split = tmp_path_factory.mktemp("packed"), load(RAW)
    model = fit(split, Recipe(parameters={"n_estimators": 5}))
    write_package(place / "model", model, split, {})
    split.train.to_csv(place / "rows.csv", index=False)
    test = split.test.assign(said=model.predict(split.test), more="x")
    test.to_csv(place / "answers.csv", index=False)
    return place


def test_the_trainer_describes_rows_to_learn_from_and_answers_to_others(packed: Path) -> None:
    profile = verify(packed / "model", LoadPolicy()).profile
    assert profile is not None
    split = load(RAW)
    assert [one.name for one in profile.columns] == list(split.train.columns)
    assert (profile.rows, profile.answered) == (len(split.train), len(split.test))
    assert profile.answers is not None
    assert set(profile.answers.categories) == {"setosa", "versicolor", "virginica"}


def test_the_command_makes_the_same_of_the_same_rows(packed: Path) -> None:
    before = json.loads((packed / "model" / FILE).read_text())
    result = run(packed / "model", packed / "rows.csv")
    assert result.exit_code == 0, result.output
    assert "Register the folder now" in result.output
    after = json.loads((packed / "model" / FILE).read_text())
    assert after["columns"] == before["columns"]
    assert after["answers"] is None
    assert run(packed / "model", packed / "answers.csv", "--answers", "said").exit_code == 0
    after = json.loads((packed / "model" / FILE).read_text())
    assert after["answers"] == before["answers"]
    (packed / "model" / FILE).write_text(json.dumps(before))


BIRDS = pd.DataFrame(
    {"mass": [1.5, 2.5, 3.5, None] * 10, "island": ["a", "b", "a", None] * 10, "eggs": [1] * 40}
)
ANSWERS = {
    "a regression": ([float(n) + 0.5 for n in range(40)], "number"),
    "whole classes": ([n % 3 for n in range(40)], "category"),
    "names": ([f"c{n % 3}" for n in range(40)], "category"),
}


@pytest.mark.parametrize(("answers", "kind"), ANSWERS.values(), ids=ANSWERS.keys())
def test_a_model_that_another_trainer_made(answers: list[Any], kind: str, tmp_path: Path) -> None:
    """With mixed columns and gaps; whether answers are numbers is told by its signature."""
    rows, labels = BIRDS[["eggs"]], [n % 3 for n in range(40)]
    model = LinearRegression() if kind == "number" else LogisticRegression()
    mlflow.sklearn.save_model(
        model.fit(rows, labels),
        str(tmp_path / "model"),
        signature=infer_signature(BIRDS, pd.DataFrame({"said": answers})),
        pip_requirements=["scikit-learn"],
        serialization_format="skops",
    )
    BIRDS.assign(said=answers).to_csv(tmp_path / "rows.csv", index=False)
    result = run(tmp_path / "model", tmp_path / "rows.csv", "--answers", "said")
    assert result.exit_code == 0, result.output
    profile = verify(tmp_path / "model", LoadPolicy()).profile
    assert profile is not None
    assert [one.shares[-1] for one in profile.columns] == [0.25, 0.25, 0.0]
    assert profile.answers is not None
    assert profile.answers.kind == kind


SAID: dict[str, tuple[Any, list[Any], str, list[str] | None]] = {
    "truth values": (LogisticRegression(), [False, True] * 20, "category", ["false", "true"]),
    "classes as fractions": (LogisticRegression(), [0.0, 1.0] * 20, "category", ["0", "1"]),
    "classes as whole numbers": (LogisticRegression(), [0, 1] * 20, "category", ["0", "1"]),
    "texts of numbers": (LogisticRegression(), ["1.0", "2.0"] * 20, "category", ["1.0", "2.0"]),
    "a regression": (LinearRegression(), [float(n) for n in range(40)], "number", None),
}


@pytest.mark.parametrize(("model", "said", "kind", "classes"), SAID.values(), ids=SAID.keys())
@pytest.mark.parametrize("output", [np.array, pd.Series], ids=["an array", "a series"])
def test_answers_have_the_names_that_the_server_gives_them(
    model: Any, said: list[Any], kind: str, classes: list[str] | None, output: Any, tmp_path: Path
) -> None:
    """CSV has True, 0.0 and 1.0 where the server says true, 0 and 1."""
    rows = pd.DataFrame({"a": [float(n) for n in range(40)]})
    mlflow.sklearn.save_model(
        model.fit(rows, said),
        str(tmp_path / "model"),
        signature=infer_signature(rows, output(said)),
        pip_requirements=["scikit-learn"],
        serialization_format="skops",
    )
    rows.assign(said=said).to_csv(tmp_path / "rows.csv", index=False)
    result = run(tmp_path / "model", tmp_path / "rows.csv", "--answers", "said")
    assert result.exit_code == 0, result.output
    profile = verify(tmp_path / "model", LoadPolicy()).profile
    assert profile is not None
    assert profile.answers is not None
    assert profile.answers.kind == kind
    assert (profile.answers.categories or None) == classes


def test_infinite_cells_and_rows_without_an_answer(tmp_path: Path) -> None:
    """The model server takes no infinity, and the rest of the column is a profile."""
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0, float("inf")]})
    mlflow.sklearn.save_model(
        LinearRegression().fit([[1], [2]], [1, 2]),
        str(tmp_path / "model"),
        signature=infer_signature(frame, frame["a"].to_numpy()),
        pip_requirements=["scikit-learn"],
        serialization_format="skops",
    )
    frame.assign(said=[1.5, math.nan, 2.5, 3.0]).to_csv(tmp_path / "rows.csv", index=False)
    result = run(tmp_path / "model", tmp_path / "rows.csv", "--answers", "said")
    assert result.exit_code == 0, result.output
    profile = verify(tmp_path / "model", LoadPolicy()).profile
    assert profile is not None
    assert profile.columns[0].edges == [1.0, 2.0, 3.0]
    assert profile.columns[0].shares == [0.25, 0.25, 0.25, 0.25, 0.0]
    assert profile.answers is not None
    assert (profile.answers.kind, profile.answered) == ("number", 3)


def test_what_is_wrong_is_said(packed: Path, tmp_path: Path) -> None:
    rows = packed / "rows.csv"
    (tmp_path / "empty").mkdir()
    lacking, spoilt = tmp_path / "lacking.csv", tmp_path / "spoilt.csv"
    lacking.write_text("sepal_length\n1\n")
    spoilt.write_text(rows.read_text().replace("5.1", "five", 1))
    (tmp_path / "nothing.csv").write_text("")
    (tmp_path / "more.csv").write_text("sepal_length\n1,000\n")
    (tmp_path / "less.csv").write_text("sepal_length,sepal_width\n1\n")
    for place, described in (("listed", "[1]"), ("odd", "signature: {inputs: '[3]'}")):
        (tmp_path / place).mkdir()
        (tmp_path / place / "MLmodel").write_text(described)
    for words, sentence in (
        ((tmp_path / "empty", rows), "There is nothing to make a profile of"),
        ((packed / "model", lacking), "lacks the column 'sepal_width': it has sepal_length"),
        ((packed / "model", rows, "--answers", "said"), "lacks the column 'said'"),
        ((packed / "model", tmp_path / "nothing.csv"), "it has no row"),
        ((packed / "model", spoilt), "other rows than the model takes"),
        ((packed / "model", tmp_path / "more.csv"), "row 0 has other cells than the header"),
        ((packed / "model", tmp_path / "less.csv"), "row 0 has other cells than the header"),
        ((tmp_path / "listed", rows), "MLmodel is none of MLflow's"),
        ((tmp_path / "odd", rows), "MLmodel is none of MLflow's"),
    ):
        result = run(*words)
        assert result.exit_code == 1
        assert sentence in result.output
