"""Every wrong recipe is a sentence that says what to write, never a traceback."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from rollout_trainer.__main__ import main
from rollout_trainer.data import Split, load
from rollout_trainer.draft import draft
from rollout_trainer.errors import TrainerError
from rollout_trainer.evaluate import judge
from rollout_trainer.recipe import Recipe
from rollout_trainer.scores import fallen_short
from rollout_trainer.splitting import SplitBy
from rollout_trainer.train import fit
from tests.unit.trainer.mixed import bird_split
from tests.unit.trainer.samples import RAW, birds

SVC = "sklearn.svm.SVC"
LOGISTIC = "sklearn.linear_model.LogisticRegression"
VOTE = "sklearn.ensemble.VotingClassifier"
SCALER = "sklearn.preprocessing.StandardScaler"
ONE_HOT = "sklearn.preprocessing.OneHotEncoder"
IN_FILE: list[Any] = [
    pytest.param("estimators: 3", "estimators: Unexpected keyword argument", id="misspelt"),
    pytest.param("name: ../x", "name: String should match", id="a path for a name"),
    pytest.param("shuffled: 2", "shuffled: Input should be less", id="more than all"),
    pytest.param("- 1", "no mapping", id="a list"),
    pytest.param("a: [", "cannot be read", id="no YAML"),
    pytest.param("estimator: 3", "estimator: Input should be a valid string", id="a number"),
    pytest.param("estimator: [a, b]", "estimator: Input should be a valid string", id="two"),
    pytest.param("parameters: 3", "parameters: Input should be a valid dict", id="no mapping"),
    pytest.param("preprocessing: 3", "preprocessing", id="a number of steps"),
    pytest.param("seed: -1", "seed: Input should be greater", id="a seed below zero"),
    pytest.param("seed: x", "seed: Input should be a valid integer", id="a word for a seed"),
    pytest.param("features: 0", "features: Input should be greater", id="no features"),
    pytest.param("search: {}", "search.parameters: Field required", id="an empty search"),
    pytest.param("search: {C: [1]}", "search.C: Unexpected", id="a search without `parameters`"),
    pytest.param("search: {parameters: {C: 1}}", "C is no list of values", id="one value to try"),
    pytest.param("search: {parameters: {C: []}}", "C is no list of values", id="none to try"),
    pytest.param(
        "search: {parameters: {C: {min: 1}}}", "C is no range: write {min", id="half a range"
    ),
    pytest.param("search: {parameters: {C: [1]}, tries: 0}", "tries", id="no tries"),
    pytest.param("split: patient", "split: Input should be a dictionary", id="a split in one word"),
    pytest.param("split: {held_out: 1}", "split.held_out", id="everything held out"),
    pytest.param("split: {groups: a}", "split.groups: Unexpected", id="a split misspelt"),
    pytest.param("split: {group: a, time: b}", "by group or by time", id="two ways to split"),
    pytest.param("class_weight: heavy", "class_weight", id="a word for weights"),
    pytest.param("class_weight: {auk: many}", "class_weight", id="a word for a weight"),
    pytest.param("least: {accuracy: high}", "least.accuracy", id="a word for the least"),
    pytest.param("least: 0.9", "least: Input should be a valid dict", id="the least of what"),
]
ON_IRIS: list[Any] = [
    pytest.param({"estimator": "os.system"}, "no import path of scikit-learn", id="to be run"),
    pytest.param({"estimator": "Forest"}, "no import path of scikit-learn", id="no module"),
    pytest.param({"estimator": ""}, "no import path of scikit-learn", id="nothing"),
    pytest.param({"estimator": "sklearn.ensemble.Forest"}, "has no sklearn.ens", id="no class"),
    pytest.param({"estimator": "sklearn.no.Forest"}, "has no sklearn.no.F", id="not there"),
    pytest.param({"estimator": "sklearn.svm"}, "no estimator class|has no", id="a module"),
    pytest.param(
        {"estimator": "sklearn.metrics.accuracy_score"}, "no estimator class", id="a function"
    ),
    pytest.param(
        {"estimator": "sklearn.linear_model.LinearRegression"},
        "is no classifier, and the contract has classes: name one, for example sklearn.ens",
        id="a regressor for classes",
    ),
    pytest.param(
        {"estimator": "sklearn.cluster.KMeans"}, "no classifier and no regressor", id="a clusterer"
    ),
    pytest.param({"estimator": SCALER}, "no classifier and no regressor", id="a transformer"),
    pytest.param({"parameters": {"trees": 3}}, "no parameter trees: it has boots", id="unknown"),
    pytest.param({"parameters": {"n_estimators": -3}}, "could not be fitted", id="out of range"),
    pytest.param({"parameters": {"n_estimators": "x"}}, "could not be fitted", id="another type"),
    pytest.param({"preprocessing": [SVC]}, "transforms nothing", id="no transformer"),
    pytest.param({"preprocessing": [3]}, "is '3', which is no estimator", id="a number as a step"),
    pytest.param(
        {"preprocessing": [{SCALER: 3}]}, "which is no estimator", id="a number as parameters"
    ),
    pytest.param(
        {"preprocessing": [{SCALER: {"mean": 0}}]}, "has no parameter mean", id="a step's parameter"
    ),
    pytest.param(
        {"preprocessing": [{SCALER: {}, SVC: {}}]}, "which is no estimator", id="two in one step"
    ),
    pytest.param(
        {"preprocessing": ["sklearn.feature_selection.RFE"]},
        r"RFE is made of another estimator \(estimator\): write {sklearn",
        id="an estimator that a step lacks",
    ),
    pytest.param(
        {"preprocessing": ["sklearn.compose.ColumnTransformer"]},
        "made of transformers, which a recipe has otherwise: write the columns in `preproc",
        id="columns by scikit-learn's name",
    ),
    pytest.param(
        {"estimator": "sklearn.pipeline.Pipeline", "parameters": {"steps": [["a", SVC]]}},
        "made of steps, which a recipe has otherwise",
        id="a pipeline by scikit-learn's name",
    ),
    pytest.param(
        {"preprocessing": {"colour": SCALER}}, "names 'colour', and there is no", id="no column"
    ),
    pytest.param(
        {"preprocessing": {"sepal_length": SCALER}},
        "says nothing of sepal_width, petal_length, petal_width",
        id="columns that are forgotten",
    ),
    pytest.param(
        {"preprocessing": {"sepal_length": SCALER, "sepal_length, sepal_width": SCALER}},
        "names sepal_length twice",
        id="a column twice",
    ),
    pytest.param(
        {"preprocessing": {"numbers": SCALER, "strings": ONE_HOT}},
        "has strings, and no column is left",
        id="a kind that no column is of",
    ),
    pytest.param({"preprocessing": {"numbers": "drop"}}, "drops every column", id="all dropped"),
    pytest.param(
        {"preprocessing": {"numbers": []}}, "no step for numbers: write one", id="no step"
    ),
    pytest.param(
        {"preprocessing": {"numbers": "sklearn.feature_extraction.text.TfidfVectorizer"}},
        "could not be fitted",
        id="numbers as text",
    ),
    pytest.param(
        {"estimator": VOTE, "parameters": {"estimators": [SVC]}},
        "takes estimators with names: write {forest",
        id="members without names",
    ),
    pytest.param({"estimator": VOTE}, r"another estimator \(estimators\): write", id="no member"),
    pytest.param(
        {"estimator": VOTE, "parameters": {"estimators": {}}}, "with names", id="members: none"
    ),
    pytest.param(
        {"estimator": VOTE, "parameters": {"estimators": {"a": "SVC"}}},
        "'SVC' is no import path",
        id="a member without a module",
    ),
    pytest.param(
        {"estimator": VOTE, "parameters": {"estimators": {"a": "sklearn.linear_model.Ridge"}}},
        "could not be fitted",
        id="a regressor as a member",
    ),
    pytest.param(
        {
            "estimator": "sklearn.calibration.CalibratedClassifierCV",
            "parameters": {"estimator": {SVC: {"c": 1}}},
        },
        "sklearn.svm.SVC has no parameter c",
        id="a parameter within",
    ),
    pytest.param(
        {
            "estimator": "sklearn.calibration.CalibratedClassifierCV",
            "parameters": {"estimator": 3},
        },
        "estimator of sklearn.calibration.CalibratedClassifierCV is '3'",
        id="a number for an estimator",
    ),
    pytest.param(
        {"estimator": "sklearn.multiclass.OneVsRestClassifier"},
        "is made of another estimator",
        id="an estimator that is not given",
    ),
    pytest.param(
        {
            "estimator": "sklearn.model_selection.GridSearchCV",
            "parameters": {"estimator": SVC, "param_grid": {"C": [1, 2]}},
        },
        "is a search: write `search:",
        id="a search by scikit-learn's name",
    ),
    pytest.param(
        {"search": {"parameters": {"C": [1]}}}, "tries C, which .* does not have", id="no such"
    ),
    pytest.param(
        {"search": {"parameters": {"max_depth": [-1]}}}, "could not be fitted", id="a wrong value"
    ),
    pytest.param(
        {"search": {"parameters": {"max_depth": {"min": 1, "max": 3}}}},
        "write `tries: 20`",
        id="a range, and all of it",
    ),
    pytest.param(
        {"search": {"parameters": {"max_depth": {"min": 3, "max": 1}}, "tries": 2}},
        "from a number to a greater one",
        id="a range the wrong way round",
    ),
    pytest.param(
        {"search": {"parameters": {"max_depth": {"min": 0, "max": 1, "log": True}}, "tries": 2}},
        "min has to be above 0",
        id="the logarithm of zero",
    ),
    pytest.param(
        {
            "search": {
                "parameters": {"max_depth": [*range(1, 200)], "min_samples_leaf": [*range(1, 200)]}
            }
        },
        "39601 combinations, and 10000 are the most",
        id="a search without end",
    ),
    pytest.param({"metric": "auc"}, "no metric auc of classes: there are acc", id="no such metric"),
    pytest.param({"metric": "r2"}, "no metric r2 of classes", id="a metric of numbers"),
    pytest.param(
        {"metric": "roc_auc", "estimator": SVC}, "has no roc_auc: it needs", id="no probabilities"
    ),
    pytest.param({"class_weight": {"tulip": 2}}, "has tulip, which is no class", id="no class"),
    pytest.param(
        {"estimator": "sklearn.neighbors.KNeighborsClassifier", "class_weight": "balanced"},
        "takes no class_weight",
        id="weights for what takes none",
    ),
    pytest.param(
        {"estimator": "xgboost.XGBClassifier"}, "classes 0, 1, 2 only: number", id="words for XGB"
    ),
    pytest.param(
        {"estimator": "lightgbm.LGBMClassifier", "parameters": {"trees": 3}},
        "lightgbm.LGBMClassifier has no parameter trees",
        id="a parameter of LightGBM",
    ),
    pytest.param(
        {"preprocessing": {"numbers": {"DateParts": {"year": True}}}},
        "DateParts takes {trend: true} or nothing",
        id="a parameter of our own step",
    ),
    pytest.param({"features": 5}, "4 features and the recipe asks for 5", id="more than there are"),
    pytest.param(
        {"estimator": LOGISTIC, "parameters": {"max_iter": 1}}, "did not converge", id="too few"
    ),
    pytest.param(
        {"least": {"r2": 1}}, "no metric r2 that could be asked for", id="the least of r2"
    ),
    pytest.param(
        {"most": {"accuracy": 1}}, "asked for by `most`: there are log_loss", id="the most of good"
    ),
]
ON_BIRDS: list[Any] = [
    pytest.param(
        {"preprocessing": [SCALER]}, "could not be fitted: .*could not convert", id="text, scaled"
    ),
    pytest.param(
        {"preprocessing": {"numbers": SCALER}},
        "says nothing of island, ringed, seen, note",
        id="text, forgotten",
    ),
    pytest.param(
        {
            "preprocessing": {
                "strings": "passthrough",
                "numbers": SCALER,
                "booleans": "drop",
                "datetimes": "drop",
            }
        },
        "lets island pass, which is no column of numbers",
        id="text, passed",
    ),
    pytest.param(
        {"preprocessing": {"mass, beak, wing, strings": "passthrough"}},
        "names 'strings', and there is no such",
        id="a kind among columns",
    ),
]


@pytest.fixture(scope="module")
def iris() -> Split:
    return load(RAW)


@pytest.fixture(scope="module")
def mixed() -> Split:
    return bird_split()


def trained(split: Split, said: dict[str, Any]) -> None:
    recipe = Recipe(**said)
    evaluation = judge(fit(split, recipe), split, recipe)
    fallen_short(evaluation.metrics, recipe.least, recipe.most)


@pytest.mark.parametrize(("text", "sentence"), IN_FILE)
def test_a_recipe_file_that_is_not_valid_is_a_sentence(
    tmp_path: Path, text: str, sentence: str
) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(TrainerError, match=sentence) as refused:
        Recipe.read(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value) or "cannot be read" in str(refused.value)


@pytest.mark.parametrize(("said", "sentence"), ON_IRIS)
def test_what_cannot_be_trained_is_a_sentence(
    iris: Split, said: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(TrainerError, match=sentence) as refused:
        trained(iris, said)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("said", "sentence"), ON_BIRDS)
def test_what_cannot_be_trained_on_a_mixed_table_is_a_sentence(
    mixed: Split, said: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(TrainerError, match=sentence) as refused:
        trained(mixed, said)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        pytest.param({}, "is no regressor, and the contract has a range", id="a classifier"),
        pytest.param(
            {"estimator": "sklearn.linear_model.Ridge", "class_weight": "balanced"},
            "class_weight is for classes",
            id="weights of classes",
        ),
        pytest.param(
            {"estimator": "sklearn.linear_model.Ridge", "metric": "accuracy"},
            "no metric accuracy of numbers: there are mean_absolute_error",
            id="a metric of classes",
        ),
    ],
)
def test_what_cannot_estimate_a_number_is_a_sentence(said: dict[str, Any], sentence: str) -> None:
    with pytest.raises(TrainerError, match=sentence):
        trained(bird_split("wing"), said)


@pytest.mark.parametrize(
    ("by", "sentence"),
    [
        pytest.param(SplitBy(group="nest"), "splits by nest, which the contract", id="no column"),
        pytest.param(
            SplitBy(group="ringed", held_out=0.2),
            "ringed has .* groups or more",
            id="too few groups",
        ),
        pytest.param(SplitBy(time="island"), "has to be a column of dates or numbers", id="text"),
        pytest.param(SplitBy(time="mass"), "without gaps", id="a time that is missing"),
        pytest.param(SplitBy(held_out=0.001), "cannot be split", id="next to nothing held out"),
    ],
)
def test_what_cannot_be_split_is_a_sentence(by: SplitBy, sentence: str) -> None:
    with pytest.raises(TrainerError, match=sentence):
        bird_split(by=SplitBy(by.group, None, by.held_out)) if not by.time else timed(by)


def timed(by: SplitBy) -> Split:
    """As `bird_split`, with the column among the features."""
    from rollout_trainer.checks import examine
    from rollout_trainer.contract import Contract
    from rollout_trainer.data import split_of

    contract = Contract.model_validate(yaml.safe_load(draft(birds(), "kind").text))
    clean = examine(birds(), contract).clean
    assert clean is not None
    return split_of(clean, contract, by)


def test_the_command_says_the_sentence_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("recipe.yaml").write_text(f"data: {RAW}\nestimator: sklearn.ensemble.VotingClassifier\n")
    result = CliRunner().invoke(main, ["train", "--config", "recipe.yaml"])
    assert result.exit_code == 1
    assert result.output.startswith("Error: sklearn.ensemble.VotingClassifier is made of another")
    assert len(result.output.splitlines()) == 1
