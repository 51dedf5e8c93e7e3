"""The command line of training: what is refused, and how."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from rollout_trainer.__main__ import main
from tests.unit.trainer.samples import CONTRACT, RAW


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        pytest.param(["--n-estimators", "0"], "0 is not in the range", id="no trees"),
        pytest.param(["--max-depth", "0"], "0 is not in the range", id="no depth"),
        pytest.param(["--features", "0"], "0 is not in the range", id="no feature"),
        pytest.param(["--set", "max_depth"], "write KEY=VALUE", id="a parameter without a value"),
        pytest.param(["--seed", "-1"], "-1 is not in the range", id="a negative seed"),
        pytest.param(
            ["--shuffle-labels", "1.5"], "1.5 is not in the range", id="more than all labels"
        ),
        pytest.param(["--shuffle-labels", "many"], "not a valid float", id="a word for a share"),
        pytest.param(["--name", "../x"], "write letters, digits", id="a path for a name"),
        pytest.param(["--name", ""], "write letters, digits", id="an empty name"),
    ],
)
def test_a_bad_option_is_refused_with_a_sentence(options: list[str], sentence: str) -> None:
    result = CliRunner().invoke(main, ["train", *options])
    assert result.exit_code == 2
    assert sentence in result.output


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        pytest.param(
            ["--data", "none.csv", "--contract", str(CONTRACT)], "cannot be read", id="no such data"
        ),
        pytest.param(["--data", "none.csv"], "has no contract", id="no contract"),
        pytest.param(
            ["--data", "bad.csv", "--contract", str(CONTRACT)],
            "35.0 in row 2",
            id="data that breaks its contract",
        ),
        pytest.param(
            ["--data", str(RAW), "--features", "5"],
            "4 features and the recipe asks for 5",
            id="more features than there are",
        ),
        pytest.param(
            ["--data", str(RAW), "--estimator", "os.system"],
            "no import path of scikit-learn",
            id="no estimator",
        ),
        pytest.param(
            ["--data", str(RAW), "--set", "trees=3"],
            "has no parameter trees",
            id="no such parameter",
        ),
        pytest.param(["--config", "none.yaml"], "cannot be read", id="no such recipe"),
    ],
)
def test_what_cannot_be_trained_is_refused_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = RAW.read_text().splitlines(keepends=True)
    Path("bad.csv").write_text(lines[0] + "5.1,35,1.4,0.2,setosa\n" + "".join(lines[2:]))
    Path("uri").write_text("models:/iris/1\n")
    result = CliRunner().invoke(main, ["train", *options, "--output", "uri"])
    assert result.exit_code == 1, result.output
    assert sentence in result.output
    assert not Path("mlflow.db").exists(), "nothing is registered"
    assert not Path("uri").exists(), "the MODEL_URI of an earlier run is gone"


def test_a_model_of_one_class_is_warned_of_and_not_registered_where_the_recipe_asks_for_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("recipe.yaml").write_text(
        f"estimator: sklearn.dummy.DummyClassifier\ndata: {RAW}\nleast: {{balanced_accuracy:"
        " 5e-1}\n"
    )
    result = CliRunner().invoke(main, ["train", "--config", "recipe.yaml"])
    assert result.exit_code == 1, result.output
    assert (
        "of every held-out row, and its accuracy is the share of that class; balanced_accuracy is"
        " 0.3333" in result.output
    )
    assert (
        "balanced_accuracy is 0.3333, and the recipe asks for 0.5: nothing is registered"
        in result.output
    )
    assert not Path("mlflow.db").exists()


@pytest.mark.parametrize(
    "words",
    [["--help"], *([c, "--help"] for c in ("train", "validate", "prepare", "draft", "profile"))],
    ids=" ".join,
)
def test_help(words: list[str]) -> None:
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0
    assert "Usage" in result.output
