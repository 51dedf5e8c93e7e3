"""One model of every kind, logged by MLflow and loaded by the server: what serves it, and whether
it answers what MLflow answers.

`python -m tests.unit.inference.served_models` writes what docs/reference/models.md is made of.
"""

import json
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
from skl2onnx import to_onnx
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import TransformedTargetRegressor
from sklearn.covariance import EllipticEnvelope
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    SGDClassifier,
    TweedieRegressor,
)
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, LocalOutlierFactor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.svm import SVC, SVR
from sklearn.tree import DecisionTreeClassifier

from rollout_inference.loading.loader import LoadedModel, load_folder
from rollout_inference.settings import Settings
from rollout_model.errors import LoadFailed
from tests.unit.inference import code_models
from tests.unit.inference.code_models import Tall
from tests.unit.inference.code_models import saved as saved_code
from tests.unit.inference.conftest import written
from tests.unit.inference.flavored import (
    MODELS,
    NUMBERS,
    ROWS,
    SPECIES,
    WORDS,
    by_mlflow,
    saved,
    saved_onnx,
)
from tests.unit.inference.mixed import birds, pipeline, species

DATA = Path(__file__).parents[3] / "scripts" / "docs" / "served_models.json"
BEFORE = Path(__file__).parent / "logged_before"
PACKAGES = ("mlflow", "scikit-learn", "xgboost-cpu", "lightgbm", "catboost", "onnxruntime")
PLAIN, ALLOWED, CODE = "as it comes", "with `MODEL_ALLOW_PICKLE`", "with `models.allowCode`"
TREES = {"n_estimators": 5, "random_state": 0}
LINEAR = LogisticRegression(max_iter=1_000)


@dataclass(frozen=True)
class Served:
    """A row of the table."""

    group: str
    """Which table it is in."""
    model: str
    """What it is called there."""
    runtime: str = ""
    """What serves it; "" where nothing does."""
    answers: str = ""
    """What its predictions are: classifier, regressor or other."""
    also: str = ""
    """What may be asked for by name beside them."""
    differ: int = 0
    """Rows that are answered otherwise than by MLflow."""
    rows: int = 0
    """Rows that both were asked."""
    note: str = ""
    """How it is configured, or why it is not served."""


@dataclass(frozen=True)
class Case:
    """A model, and how to log it."""

    group: str
    make: Callable[[Path], Settings]
    rows: Any
    note: str = PLAIN


def _sklearn(estimator: Any, labels: Any) -> Callable[[Path], Settings]:
    return lambda folder: written(folder, estimator.fit(ROWS, labels), ROWS)[1]


SKLEARN: dict[str, tuple[Any, Any]] = {
    "LogisticRegression": (LINEAR, SPECIES),
    "LogisticRegression, words": (LINEAR, WORDS),
    "SGDClassifier": (SGDClassifier(loss="log_loss", random_state=0), SPECIES),
    "GaussianNB": (GaussianNB(), SPECIES),
    "QuadraticDiscriminantAnalysis": (QuadraticDiscriminantAnalysis(), SPECIES),
    "KNeighborsClassifier": (KNeighborsClassifier(), SPECIES),
    "SVC": (make_pipeline(StandardScaler(), SVC()), SPECIES),
    "MLPClassifier": (MLPClassifier((8,), max_iter=300, random_state=0), SPECIES),
    "DecisionTreeClassifier": (DecisionTreeClassifier(random_state=0), SPECIES),
    "RandomForestClassifier": (RandomForestClassifier(**TREES), SPECIES),
    "GradientBoostingClassifier": (GradientBoostingClassifier(**TREES), SPECIES),
    "AdaBoostClassifier": (AdaBoostClassifier(**TREES), SPECIES),
    "VotingClassifier": (
        VotingClassifier([("a", LINEAR), ("b", GaussianNB())], voting="soft"),
        SPECIES,
    ),
    "StackingClassifier": (StackingClassifier([("a", GaussianNB())], LINEAR, cv=2), SPECIES),
    "CalibratedClassifierCV": (CalibratedClassifierCV(GaussianNB(), cv=2), SPECIES),
    "GridSearchCV": (GridSearchCV(LINEAR, {"C": [0.1, 1.0]}, cv=2), SPECIES),
    "LinearRegression": (LinearRegression(), NUMBERS),
    "Pipeline with PolynomialFeatures": (
        make_pipeline(PolynomialFeatures(), LinearRegression()),
        NUMBERS,
    ),
    "TransformedTargetRegressor": (
        TransformedTargetRegressor(LinearRegression(), func=np.log1p, inverse_func=np.expm1),
        NUMBERS,
    ),
    "TweedieRegressor": (TweedieRegressor(power=1.5), NUMBERS),
    "SVR": (SVR(), NUMBERS),
    "GaussianProcessRegressor": (GaussianProcessRegressor(), NUMBERS),
    "RandomForestRegressor": (RandomForestRegressor(**TREES), NUMBERS),
    "RandomForestRegressor, two numbers": (
        RandomForestRegressor(**TREES),
        np.column_stack([NUMBERS, -NUMBERS]),
    ),
    "ExtraTreesRegressor": (ExtraTreesRegressor(**TREES), NUMBERS),
    "HistGradientBoostingRegressor": (HistGradientBoostingRegressor(max_iter=5), NUMBERS),
    "KMeans": (KMeans(3, n_init=1, random_state=0), None),
    "GaussianMixture": (GaussianMixture(3, random_state=0), None),
    "IsolationForest": (IsolationForest(**TREES), None),
    "LocalOutlierFactor": (LocalOutlierFactor(novelty=True), None),
    "EllipticEnvelope": (EllipticEnvelope(random_state=0), None),
}
BIRDS = birds()


def _mixed(folder: Path) -> Settings:
    return written(folder, pipeline().fit(BIRDS, species(BIRDS)), BIRDS)[1]


def _flavored(name: str) -> Callable[[Path], Settings]:
    flavor, model = MODELS[name]
    return lambda folder: saved(folder, flavor, model())


def _onnx(folder: Path) -> Settings:
    model = LINEAR.fit(ROWS.to_numpy(), SPECIES)
    return saved_onnx(folder, to_onnx(model, ROWS.to_numpy(dtype=np.float32)[:1]), ROWS)


def _heights(folder: Path) -> Settings:
    cloudpickle.register_pickle_by_value(code_models)
    return saved_code(folder, Tall(), HEIGHTS)


HEIGHTS = pd.DataFrame({"height": np.linspace(0, 2, 50)})


def _before(folder: Path, **changes: Any) -> Callable[[Path], Settings]:
    return lambda _: Settings(model_path=folder, **changes)


def _cases() -> dict[str, Case]:
    found = {
        name: Case("scikit-learn", _sklearn(estimator, labels), ROWS)
        for name, (estimator, labels) in SKLEARN.items()
    }
    found["Pipeline of text, categories, dates and gaps"] = Case("scikit-learn", _mixed, BIRDS)
    groups = {"xgboost": "XGBoost", "lightgbm": "LightGBM", "catboost": "CatBoost"}
    for name, (flavor, _) in MODELS.items():
        found[name] = Case(groups[flavor], _flavored(name), ROWS)
    found["LogisticRegression, logged as ONNX"] = Case("ONNX and code", _onnx, ROWS)
    found["PythonModel"] = Case("ONNX and code", _heights, HEIGHTS, CODE)
    for folder in sorted(BEFORE.iterdir()):
        group = "Logged with scikit-learn 1.6 and MLflow 2.22"
        pickled = any(folder.glob("*.pkl"))
        given = {"allow_pickle": True} if pickled else {}
        note = ALLOWED if pickled else PLAIN
        made = Case(group, _before(folder, **given), ROWS[::5], note)
        found[f"{folder.name.replace('-', ' ')}, of MLflow 2"] = made
    return found


CASES = _cases()


def served(name: str, folder: Path) -> Served:
    """Log, load and ask the model."""
    case = CASES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        settings = case.make(folder)
        assert settings.model_path is not None
        try:
            loaded = load_folder(settings.model_path, settings)
        except LoadFailed as failure:
            why = str(failure).split(": train it")[0]
            return Served(case.group, _shown(name), note=why)
        try:
            return _asked(name, case, loaded, settings.model_path)
        finally:
            getattr(loaded.runtime, "close", lambda: None)()


def _asked(name: str, case: Case, loaded: LoadedModel, folder: Path) -> Served:
    answers = folder / "answers.json"
    if answers.exists():
        expected = np.asarray(json.loads(answers.read_text()))
    else:
        expected = by_mlflow(folder, case.rows)
    cells = case.rows.astype(object)
    cells = cells.where(cells.notna(), None).map(
        lambda one: str(one) if isinstance(one, pd.Timestamp) else one
    )
    asked = loaded.signature.rows(cells.to_numpy().tolist(), len(cells))
    said = np.asarray(loaded.runtime.run(asked).labels)
    if expected.dtype.kind == "O" and expected.size > said.size:  # MLflow's frame of all outputs
        expected = expected[:, 0]
    expected = expected.reshape(said.shape)
    if said.dtype.kind == "f":
        equal = np.isclose(said, expected.astype(float), rtol=1e-5, atol=1e-6)
    else:
        equal = said == expected
    differ = int((~np.asarray(equal).reshape(len(said), -1).all(axis=1)).sum())
    return Served(
        case.group,
        _shown(name),
        loaded.runtime.name,
        loaded.plan.task,
        ", ".join(sorted(loaded.offers)),
        differ,
        len(said),
        case.note,
    )


def _shown(name: str) -> str:
    return name.removesuffix(", of MLflow 2")


def versions() -> dict[str, str]:
    return {name: version(name) for name in PACKAGES}


def main() -> None:
    """Write the rows of all."""
    rows = []
    for name in CASES:
        with tempfile.TemporaryDirectory() as folder:
            row = served(name, Path(folder) / "model")
        print(row)
        rows.append(asdict(row))
    said = {"versions": versions(), "models": rows}
    DATA.write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
