"""What is read of skops files and pickles: all that only holds data, nothing that could do more,
and a sentence for everything else.
"""

import importlib
import inspect
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
import yaml
from scipy.stats import loguniform
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    StackingClassifier,
)
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - gives IterativeImputer
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfVectorizer,
)
from sklearn.feature_selection import SelectKBest, mutual_info_classif
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern, WhiteKernel
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, TweedieRegressor
from sklearn.metrics import fbeta_score, make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    RandomizedSearchCV,
    StratifiedKFold,
    TunedThresholdClassifierCV,
)
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor, LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    OneHotEncoder,
    OrdinalEncoder,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.tree import DecisionTreeClassifier

from rollout_inference.loading.loader import load_folder
from rollout_inference.settings import Settings, SettingsError
from rollout_model import estimator
from rollout_model.artifact import verify
from rollout_model.errors import LoadFailed
from rollout_model.trusted_types import TRUSTED_TYPES
from tests.support.malicious import replace_flavor
from tests.unit.inference.conftest import Save
from tests.unit.inference.mixed import birds, pipeline, species

ROWS, SPECIES = load_iris(return_X_y=True)
LINEAR = LogisticRegression(max_iter=1_000)
HELD: dict[str, BaseEstimator] = {
    "SimpleImputer": make_pipeline(SimpleImputer(), LINEAR),
    "KNNImputer": make_pipeline(KNNImputer(), LINEAR),
    "IterativeImputer, which is experimental": make_pipeline(IterativeImputer(), LINEAR),
    "neighbours, KD tree": KNeighborsClassifier(),
    "neighbours, ball tree": KNeighborsClassifier(
        algorithm="ball_tree", metric="manhattan", weights="distance"
    ),
    "neighbours, a metric with an exponent": KNeighborsRegressor(p=3),
    "neighbours, a metric with a matrix": KNeighborsClassifier(
        algorithm="ball_tree", metric="mahalanobis", metric_params={"V": np.cov(ROWS.T)}
    ),
    "GridSearchCV": GridSearchCV(LINEAR, {"C": [0.5, 1.0]}),
    "RandomizedSearchCV of a distribution": RandomizedSearchCV(
        LINEAR, {"C": loguniform(0.1, 10)}, n_iter=2, random_state=0
    ),
    "a search within a pipeline": make_pipeline(
        StandardScaler(), GridSearchCV(LINEAR, {"C": [0.5, 1.0]}, scoring="f1_macro")
    ),
    "a search of a pipeline": GridSearchCV(
        make_pipeline(StandardScaler(), LINEAR), {"logisticregression__C": [0.5, 1.0]}
    ),
    "SelectKBest": make_pipeline(SelectKBest(k=2), LINEAR),
    "SelectKBest, another measure": make_pipeline(SelectKBest(mutual_info_classif, k=2), LINEAR),
    "Tweedie": TweedieRegressor(power=1.5),
    "Tweedie, identity": TweedieRegressor(),
    "a Gaussian process": GaussianProcessClassifier(ConstantKernel() * RBF() + WhiteKernel()),
    "a Gaussian process, regression": GaussianProcessRegressor(Matern() + WhiteKernel()),
    "HistGradientBoosting with categories": HistGradientBoostingClassifier(
        max_iter=3, categorical_features=[3]
    ),
    "Huber's loss": GradientBoostingRegressor(loss="huber", n_estimators=3),
    "splines": make_pipeline(SplineTransformer(), LINEAR),
    "bins": make_pipeline(KBinsDiscretizer(quantile_method="averaged_inverted_cdf"), LINEAR),
    "LocalOutlierFactor": LocalOutlierFactor(novelty=True),
    "stacking with folds": StackingClassifier(
        [("tree", DecisionTreeClassifier())], LINEAR, cv=StratifiedKFold(3)
    ),
    "calibration by temperature": CalibratedClassifierCV(LINEAR, method="temperature"),
}


@pytest.mark.parametrize("name", HELD)
def test_what_only_holds_data_is_read(save: Save, name: str) -> None:
    model = HELD[name].fit(ROWS, SPECIES)
    folder, settings = save(model, ROWS)
    assert np.allclose(
        estimator.load(verify(folder, settings.load_policy), settings.load_policy).predict(ROWS),
        model.predict(ROWS),
    )


TABLE = birds()
TEXTS: dict[str, BaseEstimator] = {
    "all steps of a table": pipeline(),
    "columns by their type": make_pipeline(
        make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number")),
            (SimpleImputer(), make_column_selector(dtype_include=np.number)),
        ),
        LINEAR,
    ),
    "columns by a pattern": make_pipeline(
        make_column_transformer(
            (OneHotEncoder(min_frequency=3), make_column_selector("isl.*|note")),
        ),
        LINEAR,
    ),
    "words without stop words, in two dimensions": make_pipeline(
        make_column_transformer(
            (TfidfVectorizer(stop_words="english", ngram_range=(1, 2)), "note"),
        ),
        TruncatedSVD(2),
        LINEAR,
    ),
    "counted characters": make_pipeline(
        make_column_transformer((CountVectorizer(analyzer="char_wb"), "note")), LINEAR
    ),
    "hashed words": make_pipeline(
        make_column_transformer((HashingVectorizer(n_features=64), "note")), LINEAR
    ),
    "the target's mean for a word": make_pipeline(
        make_column_transformer((TargetEncoder(), ["island", "note"])), LINEAR
    ),
    "words in their order, for boosting": make_pipeline(
        make_column_transformer(
            (
                OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
                ["island", "note"],
            ),
            ("passthrough", ["mass", "rings"]),
        ),
        HistGradientBoostingClassifier(max_iter=3, categorical_features=[0, 1]),
    ),
    "gaps as a word, with a mark": make_pipeline(
        make_column_transformer(
            (
                make_pipeline(
                    SimpleImputer(strategy="constant", fill_value="none", add_indicator=True),
                    OneHotEncoder(handle_unknown="ignore"),
                ),
                ["island"],
            )
        ),
        LINEAR,
    ),
}


@pytest.mark.parametrize("name", TEXTS)
def test_what_prepares_text_only_holds_data_and_is_read(save: Save, name: str) -> None:
    model = TEXTS[name].fit(TABLE, species(TABLE))
    loaded = load_folder(*save(model, TABLE))
    cells = TABLE.assign(seen=TABLE["seen"].astype(str)).astype(object)
    rows = cells.where(cells.notna(), None).to_numpy().tolist()
    asked = loaded.signature.rows(rows, len(rows))
    assert loaded.runtime.run(asked).labels == model.predict(TABLE).tolist()


@pytest.mark.parametrize(
    "scoring",
    [None, "f1", make_scorer(fbeta_score, beta=2)],
    ids=["balanced accuracy", "a named scorer", "a measure with a parameter"],
)
def test_a_tuned_threshold_is_read(save: Save, scoring: Any) -> None:
    given = {} if scoring is None else {"scoring": scoring}
    model = TunedThresholdClassifierCV(LINEAR, **given).fit(ROWS, SPECIES == 2)
    folder, settings = save(model, ROWS)
    assert (
        estimator.load(verify(folder, settings.load_policy), settings.load_policy)
        .predict(ROWS)
        .tolist()
        == model.predict(ROWS).tolist()
    )


@pytest.mark.parametrize("name", [one for one in HELD if "earch" in one and "within" not in one])
def test_of_a_search_its_best_estimator_is_read(save: Save, name: str) -> None:
    model = HELD[name].fit(ROWS, SPECIES)
    folder, settings = save(model, ROWS)
    assert type(estimator.load(verify(folder, settings.load_policy), settings.load_policy)) is type(
        model.best_estimator_
    )


DANGEROUS = (
    "open",
    "exec",
    "eval",
    "compile",
    "__import__",
    "import_module",
    "system",
    "Popen",
    "urlopen",
    "load",
    "loads",
    "joblib",
)


OURS = {
    *("sklearn", "numpy", "scipy", "functools", "collections"),
    *("lightgbm", "xgboost", "catboost"),
    "rollout_model",
}


def test_nothing_trusted_names_what_could_do_more_than_count() -> None:
    """The rule of trusted.py, held against the code itself: functions, and what the types do when
    they are built and get their state.
    """
    for path in TRUSTED_TYPES:
        module, _, name = path.rpartition(".")
        found = getattr(importlib.import_module(module), name)
        assert path.split(".")[0] in OURS
        built = (
            (vars(found).get(method) for method in ("__init__", "__new__", "__setstate__"))
            if inspect.isclass(found)
            else (found,)
        )
        codes = (getattr(inspect.unwrap(one), "__code__", None) for one in built if callable(one))
        assert not any(set(code.co_names) & set(DANGEROUS) for code in codes if code), path


@pytest.mark.parametrize(
    "held",
    [
        pytest.param(FunctionTransformer(func=importlib.import_module), id="imports"),
        pytest.param(FunctionTransformer(func=np.load), id="reads files"),
        pytest.param(FunctionTransformer(func=eval), id="takes text for code"),
        pytest.param(
            KNeighborsClassifier(algorithm="ball_tree", metric=importlib.import_module),
            id="a metric that is any function",
        ),
    ],
)
def test_what_does_more_is_refused(held: BaseEstimator, save: Save) -> None:
    folder, settings = save(make_pipeline(FunctionTransformer(), LINEAR).fit(ROWS, SPECIES), ROWS)
    skops.io.dump(held, folder / "model.skops")
    with pytest.raises(LoadFailed, match="not trusted"):
        load_folder(folder, settings)


def test_the_configuration_may_trust_more(save: Save) -> None:
    """By full names, and no more than these."""
    model = make_pipeline(FunctionTransformer(np.fft.fftshift), LINEAR).fit(ROWS, SPECIES)
    folder, settings = save(model, ROWS)
    with pytest.raises(LoadFailed, match=r"not trusted: numpy\.fft\.fftshift"):
        load_folder(folder, settings)
    trusting = {"MODEL_PATH": str(folder), "MODEL_TRUSTED_TYPES": "numpy.fft.fftshift, a.b.C"}
    loaded = load_folder(folder, Settings.from_environment(trusting))
    assert loaded.runtime.run(ROWS).labels == model.predict(ROWS).tolist()
    with pytest.raises(SettingsError, match="'fftshift', which is no full name"):
        Settings.from_environment({**trusting, "MODEL_TRUSTED_TYPES": "fftshift"})


def test_a_model_of_an_older_scikit_learn_is_called_old(save: Save) -> None:
    """Its types are unknown to this one; as are those of the hostile,
    whatever version they claim.
    """
    folder, settings = save(LINEAR.fit(ROWS, SPECIES), ROWS)
    replace_flavor(folder, sklearn_version="1.6.1")
    path = folder / "model.skops"
    skops.io.dump(make_pipeline(FunctionTransformer(func=np.fft.fft), LINEAR), path)
    with pytest.raises(
        LoadFailed,
        match=(
            r"is of scikit-learn 1\.6\.1, and the model server has .*train it again with"
            r" .*numpy\.fft\.fft"
        ),
    ):
        load_folder(folder, settings)
    skops.io.dump(make_pipeline(FunctionTransformer(func=yaml.load), LINEAR), path)
    with pytest.raises(
        LoadFailed, match=r"^The model holds types that are not trusted: yaml\.load"
    ):
        load_folder(folder, settings)


def test_an_old_model_that_fails_when_it_is_asked_is_called_old(save: Save) -> None:
    model = make_pipeline(SimpleImputer(), LINEAR).fit(ROWS, SPECIES)
    folder, settings = save(model, ROWS)
    replace_flavor(folder, sklearn_version="1.6.1")
    del model.steps[0][1]._fill_dtype  # as 1.6 wrote it
    skops.io.dump(model, folder / "model.skops")
    with pytest.raises(
        LoadFailed, match=r"scikit-learn 1\.6\.1, .* has no attribute '_fill_dtype'"
    ):
        load_folder(folder, settings)


@pytest.mark.parametrize("model", [PCA(), StandardScaler()], ids=["PCA", "a scaler"])
def test_what_predicts_nothing_has_a_sentence_of_its_own(save: Save, model: Any) -> None:
    folder, settings = save(LINEAR.fit(ROWS, SPECIES), ROWS)
    skops.io.dump(model.fit(ROWS), folder / "model.skops")
    with pytest.raises(
        LoadFailed, match=f"is a {type(model).__name__}, which has no predict: log what predicts"
    ):
        load_folder(folder, settings)


@pytest.mark.parametrize(
    ("flavors", "named"),
    [
        pytest.param({"python_function": {}, "pytorch": {}}, "flavor pytorch", id="pytorch"),
        pytest.param({"python_function": {}}, "flavor python_function", id="a PythonModel"),
        pytest.param({}, "flavor none", id="no flavor"),
    ],
)
def test_another_flavor_is_named_with_those_that_are_served(
    copy: Path, flavors: dict[str, Any], named: str
) -> None:
    path = copy / "MLmodel"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"flavors": flavors}))
    with pytest.raises(
        LoadFailed,
        match=(
            f"{named}.*, and sklearn, xgboost, lightgbm, catboost, onnx are served: log it with"
        ),
    ):
        load_folder(copy, Settings(model_path=copy))


STEPS = """from sklearn.base import BaseEstimator, TransformerMixin

class Doubled(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        import our_late_module
        return our_late_module.doubled(X)
"""


def test_a_pickle_finds_the_code_that_it_was_logged_with(
    copy: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As long as the process lives: modules are imported late, too. Without permission none of it
    is read.
    """
    monkeypatch.setattr(sys, "path", [*sys.path])
    (copy / "code").mkdir()
    (copy / "code" / "our_steps.py").write_text(STEPS)
    (copy / "code" / "our_late_module.py").write_text(
        "def doubled(values):\n    return 2 * values\n"
    )
    monkeypatch.syspath_prepend(str(copy / "code"))
    model = make_pipeline(importlib.import_module("our_steps").Doubled(), LINEAR).fit(ROWS, SPECIES)
    (copy / "model.pkl").write_bytes(pickle.dumps(model))
    replace_flavor(copy, pickled_model="model.pkl", serialization_format="cloudpickle", code="code")
    sys.path.remove(str(copy / "code"))
    for name in ("our_steps", "our_late_module"):
        monkeypatch.delitem(sys.modules, name)
    settings = Settings(model_path=copy, allow_pickle=True)
    read = estimator.load(verify(copy, settings.load_policy), settings.load_policy)
    (copy / "code" / "our_late_module.py").unlink()
    for name in ("our_steps", "our_late_module"):
        sys.modules.pop(name, None)
    assert read.predict(ROWS).tolist() == model.predict(ROWS).tolist()


def test_a_module_that_the_image_lacks_is_named_with_what_helps(
    copy: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "our_absent_module.py").write_text(STEPS)
    with monkeypatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        (copy / "model.pkl").write_bytes(
            pickle.dumps(importlib.import_module("our_absent_module").Doubled())
        )
    monkeypatch.delitem(sys.modules, "our_absent_module")
    replace_flavor(copy, pickled_model="model.pkl", serialization_format="cloudpickle")
    with pytest.raises(
        LoadFailed, match="module 'our_absent_module', which the model server's image lacks"
    ):
        load_folder(copy, Settings(model_path=copy, allow_pickle=True))


def test_a_model_that_refuses_rows_that_are_made_up_is_served(save: Save) -> None:
    """An encoder of years knows no zero, and this model brings no example."""
    years = pd.DataFrame({"year": np.arange(2000, 2010)})
    model = make_pipeline(OneHotEncoder(), LinearRegression()).fit(years, np.arange(10.0))
    folder, settings = save(model, years)
    described = yaml.safe_load((folder / "MLmodel").read_text())
    del described["saved_input_example_info"]
    (folder / "MLmodel").write_text(yaml.safe_dump(described))
    loaded = load_folder(folder, settings)
    assert np.allclose(loaded.runtime.run(years.to_numpy(dtype=float)).labels, model.predict(years))
