"""Pipelines of every kind on tables of text, categories, truth values, dates, numbers and gaps, to
hold what is served against scikit-learn.
"""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    ElasticNet,
    LogisticRegression,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.naive_bayes import BernoulliNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import SVC, SVR, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from rollout_model import onnx_conversion
from rollout_model.artifact import Artifact
from rollout_model.flavors import Flavor
from rollout_model.runtimes import onnx_runtime
from rollout_model.table_proof import halves
from rollout_model.table_signature import rows_of_frame, signature_of
from tests.unit.inference.zoo import SMALL, Outcome, counted

WORDS = ["late", "again", "the", "parcel", "broken", "box", "kind", "help", "quick", "answer"]
WORDS += ["refund", "never", "price", "fair", "good", "bad", "wrong", "colour", "size", "small"]
WORDS += ["large", "größe", "straße", "2nd", "don't", "again!", "and"]
CITIES = ["Bern", "Köln", "Lyon", "Oslo", "Porto", "Graz", "Brno", "Gent", "Turin", "Łódź"]
TEXT, KNOWN = "review", ["city", "plan"]
NUMBERS, GAPS = ["age", "spent"], ["visits", "score"]
TRUTHS, DAYS = ["active", "asked"], ["since"]
COUNT, LEARNT = 1_400, 400


def customers() -> pd.DataFrame:
    """The same every time: COUNT rows, of which the first LEARNT are learnt from."""
    random = np.random.default_rng(1)
    share = 1 / np.arange(1, len(CITIES) + 1)
    texts = [" ".join(random.choice(WORDS, n)) for n in random.integers(0, 14, COUNT)]
    rows = pd.DataFrame(
        {
            "review": texts,
            "city": random.choice(CITIES, COUNT, p=share / share.sum()).astype(object),
            "plan": random.choice(["free", "basic", "pro"], COUNT).astype(object),
            "age": random.integers(18, 90, COUNT),
            "spent": np.exp(random.normal(4, 1.5, COUNT)).round(2),
            "visits": random.integers(0, 40, COUNT).astype(float),
            "score": random.normal(0, 1, COUNT).round(3),
            "active": random.choice([True, False], COUNT),
            "asked": random.choice([True, False], COUNT).astype(object),
            "since": pd.Timestamp("2024-02-01")
            + pd.to_timedelta(random.integers(0, 9, COUNT), "D"),
        }
    )
    for column, share_ in {
        "city": 0.1,
        "plan": 0.05,
        "visits": 0.2,
        "score": 0.1,
        "asked": 0.15,
    }.items():
        rows.loc[random.random(COUNT) < share_, column] = np.nan
    return rows


ROWS = customers()
_SCORE = (
    ROWS["spent"].rank(pct=True)
    + 0.6 * ROWS["review"].str.contains("broken|never|wrong")
    + 0.3 * ROWS["active"]
    + 0.4 * ROWS["city"].isin(CITIES[:2])
    - 0.01 * ROWS["visits"].fillna(10)
    + 0.2 * np.random.default_rng(2).normal(size=COUNT)
)
LABELS = np.array(["goes", "may go", "stays"])[np.digitize(_SCORE, _SCORE.quantile([0.35, 0.7]))]
AMOUNTS = (100 * _SCORE).to_numpy()


def _often(encoder: Any) -> Any:
    return make_pipeline(SimpleImputer(strategy="most_frequent"), encoder)


def _ignoring(**more: Any) -> Any:
    return OneHotEncoder(handle_unknown="ignore", **more)


def _codes(**more: Any) -> Any:
    return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, **more)


def everything(scaler: Any = None, words: Any = None) -> Any:
    """All columns, each by the step that is usual for its kind."""
    return make_column_transformer(
        (_often(_ignoring()), KNOWN),
        (_often(_ignoring()), ["asked"]),
        (_ignoring(), DAYS),
        (OrdinalEncoder(), ["active"]),
        (make_pipeline(SimpleImputer(add_indicator=True), scaler or StandardScaler()), GAPS),
        (scaler or StandardScaler(), NUMBERS),
        (words or TfidfVectorizer(), TEXT),
    )


def known_and_numbers(**more: Any) -> Any:
    """Categories and numbers without text."""
    return make_column_transformer(
        (_ignoring(**more), [*KNOWN, "asked"]),
        (SimpleImputer(strategy="median"), [*NUMBERS, *GAPS]),
    )


def coded() -> Any:
    """Categories as whole numbers, gaps left as they are."""
    return make_column_transformer(
        (_codes(encoded_missing_value=-2), [*KNOWN, "asked", "since"]),
        ("passthrough", [*NUMBERS, *GAPS, "active"]),
    )


def _logistic() -> Any:
    return LogisticRegression(max_iter=300)


CLASSIFIERS: dict[str, Callable[[], Any]] = {
    "all, logistic regression": lambda: make_pipeline(everything(), _logistic()),
    "all, forest": lambda: make_pipeline(everything(), RandomForestClassifier(**SMALL)),
    "all, extra trees": lambda: make_pipeline(everything(), ExtraTreesClassifier(**SMALL)),
    "all, gradient boosting": lambda: make_pipeline(
        everything(), GradientBoostingClassifier(**SMALL)
    ),
    "all, tree": lambda: make_pipeline(everything(), DecisionTreeClassifier(random_state=0)),
    "all, ridge": lambda: make_pipeline(everything(), RidgeClassifier()),
    "all, SGD": lambda: make_pipeline(everything(), SGDClassifier(loss="log_loss", random_state=0)),
    "all, linear SVC": lambda: make_pipeline(everything(), LinearSVC(random_state=0)),
    "all, SVC": lambda: make_pipeline(everything(), SVC()),
    "all, network": lambda: make_pipeline(
        everything(), MLPClassifier((8,), max_iter=60, random_state=0)
    ),
    "all, robust scaler": lambda: make_pipeline(everything(RobustScaler()), _logistic()),
    "all, from 0 to 1, naive Bayes": lambda: make_pipeline(
        everything(MinMaxScaler(clip=True), CountVectorizer()), MultinomialNB()
    ),
    "all, best features": lambda: make_pipeline(everything(), SelectKBest(k=12), _logistic()),
    "all, scaled again": lambda: make_pipeline(everything(), MaxAbsScaler(), _logistic()),
    "all, few dimensions": lambda: make_pipeline(
        everything(), TruncatedSVD(8, random_state=0), _logistic()
    ),
    "one hot and numbers, forest": lambda: make_pipeline(
        known_and_numbers(), RandomForestClassifier(**SMALL)
    ),
    "one hot, rare together, boosting": lambda: make_pipeline(
        known_and_numbers(min_frequency=40, sparse_output=False),
        HistGradientBoostingClassifier(max_iter=20, random_state=0),
    ),
    "codes and gaps, boosting": lambda: make_pipeline(
        coded(), HistGradientBoostingClassifier(max_iter=20, random_state=0)
    ),
    "codes and gaps, forest": lambda: make_pipeline(coded(), RandomForestClassifier(**SMALL)),
    "target encoder, logistic regression": lambda: make_pipeline(
        make_column_transformer(
            (TargetEncoder(random_state=0), KNOWN), (StandardScaler(), NUMBERS)
        ),
        _logistic(),
    ),
    "logarithm of amounts": lambda: make_pipeline(
        make_column_transformer(
            (make_pipeline(FunctionTransformer(np.log1p), StandardScaler()), ["spent"]),
            (_ignoring(), KNOWN),
        ),
        _logistic(),
    ),
    "truth values and dates": lambda: make_pipeline(
        make_column_transformer((_ignoring(), [*TRUTHS, *DAYS])), BernoulliNB()
    ),
    "a threshold of its own left to the inside": lambda: Pipeline(
        [("prepared", Pipeline([("all", everything())])), ("last", _logistic())]
    ),
}
TEXTS: dict[str, Callable[[], Any]] = {
    "TF-IDF, logistic regression": lambda: make_pipeline(TfidfVectorizer(), _logistic()),
    "TF-IDF of pairs, linear SVC": lambda: make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LinearSVC(random_state=0)
    ),
    "TF-IDF of characters, SGD": lambda: make_pipeline(
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4)),
        SGDClassifier(loss="log_loss", random_state=0),
    ),
    "counts, naive Bayes": lambda: make_pipeline(CountVectorizer(), MultinomialNB()),
    "counts without stop words, complement naive Bayes": lambda: make_pipeline(
        CountVectorizer(stop_words="english", strip_accents="unicode"), ComplementNB()
    ),
    "TF-IDF, forest": lambda: make_pipeline(TfidfVectorizer(), RandomForestClassifier(**SMALL)),
}
"""Of the texts alone."""
GAPPED: dict[str, Callable[[], Any]] = {
    "filled, logistic regression": lambda: make_pipeline(
        SimpleImputer(), StandardScaler(), _logistic()
    ),
    "filled and told, forest": lambda: make_pipeline(
        SimpleImputer(add_indicator=True), RandomForestClassifier(**SMALL)
    ),
    "gaps, forest": lambda: RandomForestClassifier(**SMALL),
    "gaps, boosting": lambda: HistGradientBoostingClassifier(max_iter=20, random_state=0),
    "filled, Gaussian naive Bayes": lambda: make_pipeline(SimpleImputer(), GaussianNB()),
}
"""Of numbers that may be missing."""
REGRESSORS: dict[str, Callable[[], Any]] = {
    "all, ridge": lambda: make_pipeline(everything(), Ridge()),
    "all, forest": lambda: make_pipeline(everything(), RandomForestRegressor(**SMALL)),
    "all, tree": lambda: make_pipeline(everything(), DecisionTreeRegressor(random_state=0)),
    "all, gradient boosting": lambda: make_pipeline(
        everything(), GradientBoostingRegressor(**SMALL)
    ),
    "codes and gaps, boosting": lambda: make_pipeline(
        coded(), HistGradientBoostingRegressor(max_iter=20, random_state=0)
    ),
    "all, elastic net": lambda: make_pipeline(everything(), ElasticNet()),
    "all, SVR": lambda: make_pipeline(everything(), SVR()),
    "all, ridge of a logarithm": lambda: TransformedTargetRegressor(
        make_pipeline(everything(), Ridge()), func=np.abs, inverse_func=np.abs, check_inverse=False
    ),
}
OTHERS: dict[str, Callable[[], Any]] = {
    "one hot and numbers, isolation forest": lambda: make_pipeline(
        known_and_numbers(), IsolationForest(**SMALL)
    ),
}
KINDS = {
    "classes": CLASSIFIERS,
    "texts": TEXTS,
    "gaps": GAPPED,
    "numbers": REGRESSORS,
    "unlabelled": OTHERS,
}
TABLES = [f"{name} ({kind})" for kind, some in KINDS.items() for name in some]
BY_SKLEARN = {"all, ridge of a logarithm (numbers)", "all, SVR (numbers)"}
"""Those that may be; all others must be served by ONNX."""


def fitted(model: str) -> tuple[Any, pd.DataFrame]:
    """The estimator of that name, fitted to the first rows, and all rows that it takes."""
    name, kind = model.removesuffix(")").rsplit(" (", 1)
    rows = ROWS[[TEXT]] if kind == "texts" else ROWS[[*NUMBERS, *GAPS]] if kind == "gaps" else ROWS
    target = AMOUNTS if kind == "numbers" else LABELS
    estimator = KINDS[kind][name]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given: Any = rows[:LEARNT]
        estimator.fit(given[TEXT] if kind == "texts" else given, target[:LEARNT])
    return estimator, rows


def artifact(estimator: Any, rows: pd.DataFrame, example: pd.DataFrame) -> Artifact:
    """A model's folder that is not there, with this example."""
    signature = signature_of(infer_signature(rows, [0]).to_dict())
    known = rows_of_frame(signature, example)
    cells = known.tolist() if isinstance(known, np.ndarray) else known.cells()
    cells = [[None if one != one else one for one in row] for row in cells]  # noqa: PLR0124
    return Artifact(Path(), Path(), Flavor("sklearn", {}, "", "skops"), signature, "", cells)


def compared(model: str, count: int) -> Outcome:
    """What is served beside scikit-learn: on other rows than those of the proof."""
    estimator, rows = fitted(model)
    learnt, fresh = rows[:LEARNT], rows[LEARNT:]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        asked = artifact(estimator, rows, learnt[:5])
        known = rows_of_frame(asked.signature, learnt)
        plan, content = onnx_conversion.plan(estimator, asked, known)
        if plan.onnx_input is None:
            return Outcome(plan, 0, 0, 0, 0)
        other = artifact(estimator, rows, fresh)
        shown = halves(estimator, other, known, seed=11, count=count).over
        said = onnx_runtime(content, plan.onnx_input).answers(shown.points)
    return counted(plan, shown, said)
