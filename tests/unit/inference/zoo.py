"""Estimators and pipelines of every kind, and data near zero and far from it, to hold what is
served against scikit-learn.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.feature_selection import RFE, SelectKBest
from sklearn.linear_model import (
    ElasticNet,
    HuberRegressor,
    Lasso,
    LinearRegression,
    LogisticRegression,
    Perceptron,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.naive_bayes import BernoulliNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
)
from sklearn.svm import SVC, SVR, LinearSVC, NuSVC, OneClassSVM
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from rollout_model import onnx_conversion, proof_rows
from rollout_model.artifact import Artifact
from rollout_model.flavors import Flavor
from rollout_model.parity import CLOSE, Proof, far
from rollout_model.runtimes import onnx_runtime
from rollout_model.serving_plan import Plan
from rollout_model.signature import Rows, Signature
from rollout_model.table_proof import halves

WIDTH = 4
SMALL = {"n_estimators": 20, "random_state": 0}
NAMES = np.array(["high", "low", "middle"])


@dataclass(frozen=True)
class Data:
    """rows: (n, WIDTH) to learn from; fresh: rows like them that nobody learnt from; labels,
    numbers: what is learnt.
    """

    rows: Rows
    fresh: Rows
    labels: Any
    numbers: Any


def _data(offset: list[float], spread: list[float], decimals: int, kind: str = "normal") -> Data:
    random = np.random.default_rng(5)
    drawn = (
        random.normal(size=(1_400, WIDTH))
        if kind == "normal"
        else np.exp(random.normal(size=(1_400, WIDTH)))
    )
    whole = np.abs(np.round(np.array(offset) + drawn * np.array(spread), decimals))
    score = (
        drawn @ np.array([1.0, -1.0, 0.5, 0.7])
        + 0.5 * drawn[:, 0] * drawn[:, 1]
        + random.normal(size=1_400) * 0.3
    )
    labels = NAMES[np.digitize(score, np.quantile(score, [0.3, 0.7]))]
    return Data(whole[:400], whole[400:], labels[:400], (100 * score)[:400])


DATA: dict[str, Data] = {
    "ordinary": _data([5, 3, 4, 2], [0.8, 0.4, 1.7, 0.7], 2),
    "Unix seconds": _data([1.79e9, 50, 3, 1], [4_000, 20, 1, 0.5], 0),
    "Unix milliseconds": _data([1.79e12, 50, 3, 1], [4_000_000, 20, 1, 0.5], 3),
    "metres of a map grid": _data([450_000, 5_400_000, 300, 7], [300, 300, 40, 2], 2),
    "prices": _data([0, 0, 0, 0], [900, 12_000, 45, 7], 2, "prices"),
}


def codes(data: Data) -> Data:
    """The same with a first column of ten codes, from 2000 on."""

    def coded(rows: Rows) -> Rows:
        edges = np.quantile(data.rows[:, 0], np.linspace(0.1, 0.9, 9))
        return np.column_stack([2000 + np.digitize(rows[:, 0], edges), rows[:, 1:]])

    return Data(coded(data.rows), coded(data.fresh), data.labels, data.numbers)


def _forest() -> Any:
    return RandomForestClassifier(**SMALL)


def _logistic() -> Any:
    return LogisticRegression(max_iter=200)


def _two() -> list[tuple[str, Any]]:
    return [("linear", _logistic()), ("forest", _forest())]


def _coded(encoder: Any, last: Any) -> Any:
    return make_pipeline(
        ColumnTransformer([("codes", encoder, [0])], remainder="passthrough"), last
    )


CLASSIFIERS: dict[str, Callable[[], Any]] = {
    "tree": lambda: DecisionTreeClassifier(random_state=0),
    "forest": _forest,
    "extra trees": lambda: ExtraTreesClassifier(**SMALL),
    "gradient boosting": lambda: GradientBoostingClassifier(**SMALL),
    "histogram boosting": lambda: HistGradientBoostingClassifier(max_iter=20, random_state=0),
    "AdaBoost": lambda: AdaBoostClassifier(**SMALL),
    "bagged trees": lambda: BaggingClassifier(random_state=0),
    "bagged trees of some columns": lambda: BaggingClassifier(max_features=0.5, random_state=0),
    "logistic regression": _logistic,
    "SGD, log loss": lambda: SGDClassifier(loss="log_loss", random_state=0),
    "SGD, modified Huber": lambda: SGDClassifier(loss="modified_huber", random_state=0),
    "perceptron": lambda: Perceptron(random_state=0),
    "ridge": RidgeClassifier,
    "linear SVC": lambda: LinearSVC(random_state=0),
    "SVC": SVC,
    "nu-SVC": lambda: NuSVC(nu=0.2),
    "Gaussian naive Bayes": GaussianNB,
    "multinomial naive Bayes": MultinomialNB,
    "complement naive Bayes": ComplementNB,
    "Bernoulli naive Bayes": BernoulliNB,
    "neighbours": lambda: KNeighborsClassifier(algorithm="brute"),
    "neighbours by distance": lambda: KNeighborsClassifier(weights="distance", algorithm="brute"),
    "network": lambda: MLPClassifier((8,), max_iter=60, random_state=0),
    "linear discriminant": LinearDiscriminantAnalysis,
    "quadratic discriminant": QuadraticDiscriminantAnalysis,
    "voting, soft": lambda: VotingClassifier(_two(), voting="soft"),
    "voting, hard": lambda: VotingClassifier(_two(), voting="hard"),
    "stacking": lambda: StackingClassifier(_two(), cv=2),
    "stacking, a forest last": lambda: StackingClassifier(_two(), _forest(), cv=2),
    "calibrated naive Bayes": lambda: CalibratedClassifierCV(GaussianNB(), cv=2),
    "calibrated forest, isotonic": lambda: CalibratedClassifierCV(
        _forest(), method="isotonic", cv=2
    ),
    "calibrated linear SVC": lambda: CalibratedClassifierCV(LinearSVC(random_state=0), cv=2),
    "one against the rest": lambda: OneVsRestClassifier(_logistic()),
    "one against one": lambda: OneVsOneClassifier(_logistic()),
    "grid search": lambda: GridSearchCV(
        make_pipeline(StandardScaler(), _logistic()), {"logisticregression__C": [0.1, 1]}, cv=2
    ),
    "grid search, scaled forest": lambda: GridSearchCV(
        make_pipeline(StandardScaler(), _forest()),
        {"randomforestclassifier__max_depth": [3, 9]},
        cv=2,
    ),
    "scaled logistic regression": lambda: make_pipeline(StandardScaler(), _logistic()),
    "scaled tree": lambda: make_pipeline(StandardScaler(), DecisionTreeClassifier(random_state=0)),
    "scaled forest": lambda: make_pipeline(MinMaxScaler(), _forest()),
    "scaled gradient boosting": lambda: make_pipeline(
        RobustScaler(), GradientBoostingClassifier(**SMALL)
    ),
    "scaled histogram boosting": lambda: make_pipeline(
        StandardScaler(), HistGradientBoostingClassifier(max_iter=20, random_state=0)
    ),
    "scaled SVC": lambda: make_pipeline(StandardScaler(), SVC()),
    "scaled linear SVC": lambda: make_pipeline(StandardScaler(), LinearSVC(random_state=0)),
    "scaled SGD, log loss": lambda: make_pipeline(
        StandardScaler(), SGDClassifier(loss="log_loss", random_state=0)
    ),
    "scaled SGD, modified Huber": lambda: make_pipeline(
        StandardScaler(), SGDClassifier(loss="modified_huber", random_state=0)
    ),
    "scaled network": lambda: make_pipeline(
        StandardScaler(), MLPClassifier((8,), max_iter=200, random_state=0)
    ),
    "scaled neighbours": lambda: make_pipeline(
        StandardScaler(), KNeighborsClassifier(algorithm="brute")
    ),
    "principal components, logistic regression": lambda: make_pipeline(
        StandardScaler(), PCA(2), _logistic()
    ),
    "principal components, forest": lambda: make_pipeline(StandardScaler(), PCA(3), _forest()),
    "polynomial, logistic regression": lambda: make_pipeline(
        StandardScaler(), PolynomialFeatures(), _logistic()
    ),
    "polynomial, tree": lambda: make_pipeline(
        PolynomialFeatures(), DecisionTreeClassifier(random_state=0)
    ),
    "logarithm, logistic regression": lambda: make_pipeline(
        FunctionTransformer(np.log1p), StandardScaler(), _logistic()
    ),
    "Box-Cox": lambda: make_pipeline(PowerTransformer("box-cox"), _logistic()),
    "power, forest": lambda: make_pipeline(PowerTransformer(), _forest()),
    "quantiles, logistic regression": lambda: make_pipeline(
        QuantileTransformer(n_quantiles=50), _logistic()
    ),
    "bins, logistic regression": lambda: make_pipeline(
        KBinsDiscretizer(5, quantile_method="averaged_inverted_cdf"), _logistic()
    ),
    "splines, ridge": lambda: make_pipeline(
        StandardScaler(), SplineTransformer(), RidgeClassifier()
    ),
    "chosen columns, forest": lambda: make_pipeline(
        ColumnTransformer([("scaled", StandardScaler(), [0, 2])], remainder="passthrough"),
        _forest(),
    ),
    "best columns": lambda: make_pipeline(SelectKBest(k=2), StandardScaler(), _logistic()),
    "elimination, forest": lambda: RFE(_forest(), n_features_to_select=2),
    "voting of scaled members": lambda: VotingClassifier(
        [
            ("a", make_pipeline(StandardScaler(), _logistic())),
            ("b", make_pipeline(StandardScaler(), _forest())),
        ],
        voting="soft",
    ),
    "stacking of scaled members": lambda: StackingClassifier(
        [
            ("a", make_pipeline(StandardScaler(), _logistic())),
            ("b", make_pipeline(MinMaxScaler(), _forest())),
        ],
        cv=2,
    ),
    "bagged scaled trees": lambda: BaggingClassifier(
        make_pipeline(StandardScaler(), DecisionTreeClassifier(random_state=0)), 5, random_state=0
    ),
    "calibrated scaled forest": lambda: CalibratedClassifierCV(
        make_pipeline(StandardScaler(), _forest()), cv=2
    ),
}
THRESHOLDS: dict[str, Callable[[], Any]] = {
    "fixed threshold": lambda: FixedThresholdClassifier(
        make_pipeline(StandardScaler(), _logistic()), threshold=0.8
    ),
    "fixed threshold, forest": lambda: FixedThresholdClassifier(_forest(), threshold=0.8),
    "tuned threshold": lambda: TunedThresholdClassifierCV(
        make_pipeline(StandardScaler(), _logistic()), cv=2
    ),
}
"""Of two classes."""
CODES: dict[str, Callable[[], Any]] = {
    "one hot, logistic regression": lambda: _coded(OneHotEncoder(), _logistic()),
    "one hot, forest": lambda: _coded(OneHotEncoder(sparse_output=False), _forest()),
    "ordinal, forest": lambda: _coded(OrdinalEncoder(), _forest()),
    "ordinal, scaled logistic regression": lambda: _coded(
        OrdinalEncoder(), make_pipeline(StandardScaler(), _logistic())
    ),
}
"""Of rows with a column of codes."""
REGRESSORS: dict[str, Callable[[], Any]] = {
    "tree": lambda: DecisionTreeRegressor(random_state=0),
    "forest": lambda: RandomForestRegressor(**SMALL),
    "gradient boosting": lambda: GradientBoostingRegressor(**SMALL),
    "histogram boosting": lambda: HistGradientBoostingRegressor(max_iter=20, random_state=0),
    "histogram boosting, Poisson": lambda: TransformedTargetRegressor(
        HistGradientBoostingRegressor(loss="poisson", max_iter=20, random_state=0),
        func=np.abs,
        inverse_func=np.asarray,
        check_inverse=False,
    ),
    "AdaBoost": lambda: AdaBoostRegressor(**SMALL),
    "bagged trees": lambda: BaggingRegressor(random_state=0),
    "linear": LinearRegression,
    "ridge": Ridge,
    "lasso": Lasso,
    "elastic net": ElasticNet,
    "Huber": HuberRegressor,
    "SVR": SVR,
    "neighbours": lambda: KNeighborsRegressor(algorithm="brute"),
    "network": lambda: MLPRegressor(hidden_layer_sizes=(8,), max_iter=60, random_state=0),
    "scaled ridge": lambda: make_pipeline(StandardScaler(), Ridge()),
    "scaled tree": lambda: make_pipeline(StandardScaler(), DecisionTreeRegressor(random_state=0)),
    "scaled network": lambda: make_pipeline(
        StandardScaler(), MLPRegressor(hidden_layer_sizes=(8,), max_iter=100, random_state=0)
    ),
    "polynomial": lambda: make_pipeline(StandardScaler(), PolynomialFeatures(), Ridge()),
    "voting": lambda: VotingRegressor([("a", Ridge()), ("b", RandomForestRegressor(**SMALL))]),
    "stacking": lambda: StackingRegressor(
        [("a", Ridge()), ("b", RandomForestRegressor(**SMALL))], cv=2
    ),
}
OTHERS: dict[str, Callable[[], Any]] = {
    "k means": lambda: KMeans(3, random_state=0, n_init=1),
    "k means, scaled": lambda: make_pipeline(
        StandardScaler(), MiniBatchKMeans(3, random_state=0, n_init=1)
    ),
    "Gaussian mixture": lambda: make_pipeline(StandardScaler(), GaussianMixture(3, random_state=0)),
    "isolation forest": lambda: IsolationForest(**SMALL),
    "one-class SVM": lambda: make_pipeline(StandardScaler(), OneClassSVM(nu=0.1)),
}
PAIRS: dict[str, Callable[[Data], Any]] = {
    "two numbers, linear": lambda data: make_pipeline(StandardScaler(), LinearRegression()).fit(
        data.rows, np.column_stack([data.numbers, -data.numbers])
    ),
    "two labels, forest": lambda data: _forest().fit(
        data.rows,
        np.column_stack(
            [data.labels == "low", data.rows[:, 1] > np.median(data.rows[:, 1])]
        ).astype(int),
    ),
    "truths, forest": lambda data: _forest().fit(data.rows, data.labels == "low"),
    "labels of 0.0 and 1.0": lambda data: make_pipeline(StandardScaler(), _logistic()).fit(
        data.rows, (data.labels == "low").astype(float)
    ),
}
"""Of other labels than words, and of several outputs."""
KINDS: dict[str, Mapping[str, Callable[..., Any]]] = {
    "": CLASSIFIERS,
    ", two classes": THRESHOLDS,
    ", codes": CODES,
    ", numbers": REGRESSORS,
    ", unlabelled": OTHERS,
    ", other labels": PAIRS,
}
UNFIT = {
    ("nu-SVC", "Unix seconds"),
    ("nu-SVC", "Unix milliseconds"),
    ("Box-Cox", "Unix milliseconds"),
}
"""What scikit-learn itself cannot fit to these data."""
MODELS = [name + kind for kind, some in KINDS.items() for name in some]


def fitted(model: str, data: Data) -> tuple[Any, Data]:
    """The estimator of that name, fitted, and the data that it was fitted to. Raises ValueError
    where it takes no such data.
    """
    name, comma, kind = model.rpartition(", ")
    some: Mapping[str, Callable[..., Any]] = (
        KINDS.get(comma + kind, CLASSIFIERS) if comma else CLASSIFIERS
    )
    name = name if comma and comma + kind in KINDS else model
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if some is PAIRS:
            return PAIRS[name](data), data
        estimator = some[name]()
        if some is CODES:
            data = codes(data)
        target = (
            data.numbers
            if some is REGRESSORS
            else data.labels == "low"
            if some is THRESHOLDS
            else data.labels
        )
        target = np.where(target, "yes", "no") if some is THRESHOLDS else target
        return (
            estimator.fit(data.rows) if some is OTHERS else estimator.fit(data.rows, target)
        ), data


@dataclass(frozen=True)
class Outcome:
    """plan: how it is served; rows: compared; ties: of them; labels: other ones, or numbers that
    are too far away; chances: rows with a probability that is.
    """

    plan: Plan
    rows: int
    ties: int
    labels: int
    chances: int

    @property
    def differs(self) -> bool:
        """Whether anything does."""
        return bool(self.labels or self.chances)


def counted(plan: Plan, shown: Proof, said: list[Any]) -> Outcome:
    """What ONNX Runtime said beside what scikit-learn did."""
    expected, tied = shown.expected, shown.tied
    labels = np.asarray(said[0]).reshape(expected.shape)
    if plan.task == "regressor":
        other = far(labels, expected)
    else:
        other = (labels != expected) & (True if tied is None else ~tied)
    chances = 0
    if shown.probable is not None and len(said) > 1:
        chances = int((~(np.abs(said[1] - shown.probable) <= CLOSE)).any(axis=1).sum())
    ties = 0 if tied is None else int(tied.sum())
    return Outcome(plan, len(shown.points), ties, int(other.sum()), chances)


def artifact(example: Rows) -> Artifact:
    """A model's folder that is not there, with this example."""
    signature = Signature(tuple(f"c{n}" for n in range(WIDTH)), named=False)
    return Artifact(
        Path(), Path(), Flavor("sklearn", {}, "", "skops"), signature, "", example.tolist()
    )


def compared(estimator: Any, data: Data, count: int, known: bool) -> Outcome:
    """What is served beside scikit-learn: on other rows than those of the proof; known: whether
    training rows are among the proof's.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plan, content = onnx_conversion.plan(
            estimator, artifact(data.rows[:2]), data.rows if known else None
        )
        if plan.onnx_input is None:
            return Outcome(plan, 0, 0, 0, 0)
        other = artifact(data.fresh)
        shown = (
            halves(estimator, other, data.rows, seed=11, count=count).over
            if plan.onnx_input.features
            else proof_rows.proof(estimator, other, data.rows, seed=11, count=count)
        )
        said = onnx_runtime(content, plan.onnx_input).answers(shown.points)
    return counted(plan, shown, said)
