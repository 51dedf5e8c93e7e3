"""What the server computes of rows without scikit-learn is what scikit-learn makes of them, bit by
bit.
"""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.feature_selection import SelectKBest, VarianceThreshold
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)
from sklearn.tree import DecisionTreeClassifier

from rollout_model.date_parts import DateParts
from rollout_model.fitted_features import split
from rollout_model.learnt_categories import Heavy
from rollout_model.table import Table
from rollout_model.table_features import Featurizer
from rollout_model.table_form import TableForm
from rollout_model.table_proof import tabled
from rollout_model.table_signature import rows_of_frame, signature_of
from rollout_model.table_trial_rows import pools, table_rows
from tests.unit.inference.mixed import birds, species

BIRDS = birds()
SPECIES = species(BIRDS)
OFTEN = SimpleImputer(strategy="most_frequent")
NUMBERS = ["mass", "eggs", "rings"]
FILLED = ("passthrough", ["mass"])
UNKNOWN = {"handle_unknown": "use_encoded_value", "unknown_value": -1}
LIGHT: dict[str, Any] = {
    "one hot": (OneHotEncoder(), ["island", "tagged", "ringed", "seen", "eggs"]),
    "one hot, unknown ignored": (
        OneHotEncoder(handle_unknown="ignore"),
        ["island", "note", "eggs"],
    ),
    "one hot, first dropped": (
        OneHotEncoder(drop="first", sparse_output=False),
        ["island", "eggs"],
    ),
    "one hot, of two dropped": (OneHotEncoder(drop="if_binary"), ["tagged", "island", "eggs"]),
    "one hot, rare together": (
        OneHotEncoder(min_frequency=30, handle_unknown="infrequent_if_exist"),
        ["island", "eggs", "note"],
    ),
    "one hot, at most two": (
        OneHotEncoder(max_categories=2, handle_unknown="infrequent_if_exist"),
        ["island", "eggs", "note"],
    ),
    "one hot of numbers with gaps": (OneHotEncoder(handle_unknown="ignore"), ["rings"]),
    "ordinal": (OrdinalEncoder(), ["island", "tagged", "seen"]),
    "ordinal, unknown": (OrdinalEncoder(**UNKNOWN), ["island", "note", "eggs"]),
    "ordinal, unknown and missing": (
        OrdinalEncoder(**{**UNKNOWN, "unknown_value": np.nan}, encoded_missing_value=-2),
        ["island", "ringed", "rings"],
    ),
    "ordinal, rare together": (OrdinalEncoder(**UNKNOWN, min_frequency=30), ["island", "note"]),
    "target": (TargetEncoder(random_state=0), ["island", "note", "eggs"]),
    "filled, often": (make_pipeline(OFTEN, OneHotEncoder(handle_unknown="ignore")), ["island"]),
    "filled by a word": (
        make_pipeline(
            SimpleImputer(strategy="constant", fill_value="none"),
            OneHotEncoder(handle_unknown="ignore"),
        ),
        ["island", "note"],
    ),
    "filled, and told": (
        make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()),
        NUMBERS,
    ),
    "filled by the median": (
        make_pipeline(SimpleImputer(strategy="median"), RobustScaler()),
        NUMBERS,
    ),
    "filled where it is 0": (SimpleImputer(missing_values=0), ["mass", "eggs"]),
    "standard": (StandardScaler(), NUMBERS),
    "standard, not centred": (StandardScaler(with_mean=False), NUMBERS),
    "from 0 to 1": (MinMaxScaler(clip=True), NUMBERS),
    "by the greatest": (MaxAbsScaler(), NUMBERS),
    "a logarithm": (FunctionTransformer(np.log1p), ["eggs", "rings"]),
    "counts": (CountVectorizer(), "note"),
    "whether words are there": (CountVectorizer(binary=True, stop_words=["and"]), "note"),
    "TF-IDF": (TfidfVectorizer(), "note"),
    "TF-IDF, English": (
        TfidfVectorizer(stop_words="english", sublinear_tf=True, norm="l1"),
        "note",
    ),
    "TF-IDF of pairs": (TfidfVectorizer(ngram_range=(1, 3), use_idf=False), "note"),
    "TF-IDF of pairs alone": (TfidfVectorizer(ngram_range=(2, 2), norm=None), "note"),
    "TF-IDF of characters": (TfidfVectorizer(analyzer="char", ngram_range=(1, 3)), "note"),
    "TF-IDF within words": (TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 9)), "note"),
    "without accents": (TfidfVectorizer(strip_accents="unicode", lowercase=False), "note"),
    "in ASCII": (TfidfVectorizer(strip_accents="ascii", token_pattern=r"[a-z]+"), "note"),
    "counted, then weighed": (make_pipeline(CountVectorizer(), TfidfTransformer()), "note"),
    "counted, then scaled": (
        make_pipeline(CountVectorizer(), StandardScaler(with_mean=False)),
        "note",
    ),
    "the best words": (make_pipeline(TfidfVectorizer(), SelectKBest(k=4)), "note"),
    "what varies": (make_pipeline(SimpleImputer(), VarianceThreshold(1.0)), NUMBERS),
    "products": (PolynomialFeatures(3), ["mass", "eggs"]),
    "products of different ones": (
        PolynomialFeatures(3, interaction_only=True, include_bias=False),
        NUMBERS[:2],
    ),
    "bins": (KBinsDiscretizer(4, quantile_method="averaged_inverted_cdf"), ["mass", "eggs"]),
    "numbers of bins": (KBinsDiscretizer(3, encode="ordinal", strategy="uniform"), ["mass"]),
    "parts of dates": (DateParts(), ["seen"]),
    "parts of dates with their trend": (DateParts(trend=True), ["seen"]),
    "side by side": (make_union(StandardScaler(), MinMaxScaler()), ["mass", "eggs"]),
}


def steps(name: str) -> Any:
    """A pipeline of the transformer beside one column of numbers, and a tree."""
    return make_pipeline(make_column_transformer(LIGHT[name], FILLED), DecisionTreeClassifier())


def rows_for(known: Table, given: Any, rounds: int = 300) -> list[Table]:
    columns = known.columns
    pool = pools(columns, given.steps, [known])
    return list(table_rows(columns, [known], pool, np.random.default_rng(3), rounds))


def signature(rows: pd.DataFrame) -> Any:
    return signature_of(infer_signature(rows, [0]).to_dict())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", LIGHT)
def test_features_are_scikit_learns_own(name: str) -> None:
    """Rows with unknown words and categories, with gaps, and beside those that were seen."""
    model = steps(name).fit(BIRDS, SPECIES)
    own = signature(BIRDS)
    known = rows_of_frame(own, BIRDS)
    found = split(model, known, list(own.names), float("nan"))
    ours, form = Featurizer(found.features), TableForm()
    compared = refused = 0
    for table in rows_for(tabled(own, known), found.features):
        for part in (table, *(table.part(n, n + 1) for n in range(min(20, len(table))))):
            try:
                theirs = found.transform(form(part))
            except (ValueError, AttributeError):  # a vectorizer takes NaN for a text
                with pytest.raises(ValueError, match=r"."):
                    ours(part)
                refused += len(part)
                continue
            theirs = np.asarray(theirs.toarray() if hasattr(theirs, "toarray") else theirs)
            np.testing.assert_array_equal(ours(part), theirs.astype(np.float64))
            compared += len(part)
    assert compared > 200
    assert type(found.rest) is DecisionTreeClassifier


class Own(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A step that nobody else has."""

    def fit(self, rows: Any, labels: Any = None) -> "Own":
        return self

    def transform(self, rows: Any) -> Any:
        return rows.to_numpy() == "Dream"


HEAVY: dict[str, tuple[Any, Any, str]] = {
    "a step of one's own": (Own(), ["island"], "Own is computed by scikit-learn alone"),
    "hashed words": (HashingVectorizer(n_features=16), "note", "HashingVectorizer is computed by"),
    "words by a function": (TfidfVectorizer(tokenizer=str.split), "note", "functions of its own"),
    "a function": (FunctionTransformer(lambda rows: rows * 2), ["mass"], "a function of its own"),
    "neighbours of gaps": (KNNImputer(), NUMBERS, "KNNImputer is computed by scikit-learn alone"),
    "too many words": (
        CountVectorizer(vocabulary=[f"word{n}" for n in range(60_000)]),
        "note",
        "60005 features are more than 50000",
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("step", "where", "said"), HEAVY.values(), ids=HEAVY.keys())
def test_what_is_left_to_scikit_learn_is_named(step: Any, where: Any, said: str) -> None:
    one_hot = (OneHotEncoder(handle_unknown="ignore"), ["island"])
    union = make_column_transformer((step, where), one_hot, FILLED)
    model = make_pipeline(union, DecisionTreeClassifier()).fit(BIRDS, SPECIES)
    own = signature(BIRDS)
    with pytest.raises(Heavy, match=said):
        split(model, rows_of_frame(own, BIRDS), list(own.names), float("nan"))


COLUMNS: dict[str, Any] = {
    "by position, from the end too": [0, -1],
    "a slice": slice(0, 2),
    "a slice of names": slice("mass", "eggs"),
    "a mask": [True, False, True],
    "names": ["rings", "mass"],
    "by type": make_column_selector(dtype_include=float),
}


@pytest.mark.parametrize("where", COLUMNS.values(), ids=COLUMNS.keys())
def test_columns_are_found_however_they_are_named(where: Any) -> None:
    numbers = BIRDS[NUMBERS].assign(rings=1.0)
    union = make_column_transformer((StandardScaler(), where), remainder="passthrough")
    model = make_pipeline(union, DecisionTreeClassifier()).fit(numbers, SPECIES)
    known = np.asarray(numbers.to_numpy(dtype=np.float64))
    found = split(model, known, list(numbers.columns), float("nan"))
    np.testing.assert_array_equal(Featurizer(found.features)(known), model[0].transform(numbers))


def test_what_is_behind_the_features_is_left_for_onnx() -> None:
    union = make_column_transformer((OneHotEncoder(sparse_output=False), ["tagged"]), FILLED)
    model = make_pipeline(union, PCA(2), DecisionTreeClassifier()).fit(BIRDS, SPECIES)
    own = signature(BIRDS)
    found = split(model, rows_of_frame(own, BIRDS), list(own.names), float("nan"))
    assert [type(one).__name__ for _, one in found.rest.steps] == ["PCA", "DecisionTreeClassifier"]
    assert found.features.width == 3
