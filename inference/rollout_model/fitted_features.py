"""From fitted scikit-learn to Features, and what is left of an estimator for ONNX to compute."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.feature_selection import RFE, SelectorMixin
from sklearn.impute import SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline
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

from rollout_model.date_parts import DateParts
from rollout_model.feature_steps import Fill, Part, Step, Union
from rollout_model.learnt_categories import Heavy, learnt, plain
from rollout_model.number_steps import FUNCTIONS, Arithmetic, Bins, Dates, Products
from rollout_model.signature import AnyRows
from rollout_model.table_features import Features, Featurizer
from rollout_model.text_terms import Terms

MOST = 50_000
"""Features, beyond which scikit-learn's sparse arrays are the better way."""
INSIDE = ("regressor_", "estimator_", "best_estimator_")
"""Where an estimator keeps the one that it asks with its own rows."""


@dataclass(frozen=True, slots=True)
class Split:
    """An estimator in two halves."""

    features: Features
    """What is done to its rows."""
    rest: Any
    """What is asked with the features: a fitted estimator."""
    transform: Callable[[Any], Any]
    """The first half as scikit-learn computes it, of what the estimator is given."""


def split(estimator: Any, known: AnyRows, names: list[str], gap: float | None) -> Split:
    """As far behind the start of a pipeline as can be computed without scikit-learn.

    known: rows that it takes; names: of their columns; gap: as in TableForm. Raises Heavy where
    rows cannot be made numbers without scikit-learn.
    """
    if isinstance(estimator, Pipeline):
        return _of_pipeline(estimator, known, names, gap)
    if isinstance(estimator, RFE):  # it predicts by its estimator, of the columns that it chose
        steps = [("chosen", estimator), ("last", estimator.estimator_)]
        return _of_pipeline(Pipeline(steps), known, names, gap)
    for inner in INSIDE:
        if isinstance(asked := vars(estimator).get(inner), BaseEstimator):
            found = split(asked, known, names, gap)
            return replace(found, rest=_around(estimator, inner, found))
    return Split(_sized([], known), estimator, np.asarray)


def _around(estimator: Any, name: str, inner: Split) -> Any:
    """The estimator, to be asked with features."""
    made = copy.copy(estimator)
    setattr(made, name, inner.rest)
    vars(made).pop("feature_names_in_", None)
    if "n_features_in_" in vars(made):
        made.n_features_in_ = inner.features.width
    return made


def _of_pipeline(pipeline: Pipeline, known: AnyRows, names: list[str], gap: float | None) -> Split:
    reader, done = _Reader(names, gap), 0
    heavy: Heavy | None = None
    for _, transformer in pipeline.steps[:-1]:
        try:
            reader.add(transformer)
        except Heavy as why:
            heavy = why
            break
        done += 1
    try:
        features = _sized(reader.steps, known)
    except Heavy as why:
        raise heavy or why from None
    left = pipeline.steps[done:]
    rest = left[0][1] if len(left) == 1 else Pipeline(left)
    return Split(features, rest, Pipeline(pipeline.steps[:done]).transform if done else np.asarray)


def _sized(steps: list[Step], known: AnyRows) -> Features:
    try:
        width = Featurizer(Features(steps, 1))(known).shape[1]
    except (ValueError, TypeError) as failure:
        raise Heavy(f"its rows are not made numbers: {failure}") from failure
    if width > MOST:
        raise Heavy(f"{width} features are more than {MOST}")
    return Features(steps, width)


class _Reader:
    """Steps of a pipeline, one after the other."""

    def __init__(self, names: list[str], gap: float | None, sparse: bool = False) -> None:
        self.steps: list[Step] = []
        self._names, self._gap = names, gap
        self._sparse = sparse
        """Whether scikit-learn has a sparse array here, which it scales in another way."""

    def add(self, one: Any) -> None:
        """One more transformer; raises Heavy."""
        match one:
            case None | "passthrough":
                return
            case Pipeline():
                for _, inner in one.steps:
                    self.add(inner)
                return
            case ColumnTransformer():
                self._union(self._parts(one))
                self._sparse = bool(one.sparse_output_)
            case FeatureUnion():
                every = list(range(len(self._names)))
                self._union([(inner, every) for _, inner in one.transformer_list])
            case SimpleImputer():
                self.steps.append(_fill(one, self._gap))
            case OneHotEncoder() | OrdinalEncoder() | TargetEncoder():
                self.steps.append(learnt(one, self._gap))
                self._sparse = bool(getattr(one, "sparse_output", False))
            case CountVectorizer():
                self.steps.append(_terms(one))
                self._sparse = True
            case TfidfTransformer() if self.steps and isinstance(last := self.steps[-1], Terms):
                self.steps[-1] = _weighed(last, one)
            case _:
                self.steps += _arithmetic(one, self._sparse)
        self._names = []

    def _union(self, parts: list[tuple[Any, list[int]]]) -> None:
        made, sparse = [], self._sparse
        for inner, columns in parts:
            if (isinstance(inner, str) and inner == "drop") or not columns:
                continue
            names = [self._names[one] for one in columns] if self._names else []
            reader = _Reader(names, self._gap, self._sparse)
            reader.add(inner)
            made.append(Part(columns, reader.steps))
            sparse |= reader._sparse
        self._sparse = sparse
        self.steps.append(Union(made))

    def _parts(self, union: ColumnTransformer) -> list[tuple[Any, list[int]]]:
        """Each transformer with its columns' positions among those that are given here."""
        own = [str(one) for one in getattr(union, "feature_names_in_", [])]
        by_name = bool(own) and set(own) <= set(self._names)  # in whatever order they come
        indices = union._transformer_to_input_indices
        return [
            (inner, [self._names.index(own[one]) if by_name else int(one) for one in indices[name]])
            for name, inner, _ in union.transformers_
        ]


def _fill(imputer: SimpleImputer, gap: float | None) -> Fill:
    missing = imputer.missing_values
    nan = isinstance(missing, float) and math.isnan(missing)
    if not (nan or missing is None or isinstance(missing, int | float | str)):
        raise Heavy(f"SimpleImputer looks for {missing!r}")
    if imputer._fit_dtype.kind == "O" and (nan or missing is None) and nan == (gap is None):
        raise Heavy("SimpleImputer looks for another missing value than rows have")
    said = imputer.indicator_.features_.tolist() if imputer.add_indicator else []
    filled = [plain(one) for one in imputer.statistics_.tolist()]
    return Fill(filled, None if nan else missing, said, strict=not (nan or missing is None))


def _terms(vectorizer: CountVectorizer) -> Terms:
    own = vectorizer.preprocessor or vectorizer.tokenizer or vectorizer.input != "content"
    if own or not isinstance(vectorizer.analyzer, str) or callable(vectorizer.strip_accents):
        raise Heavy("a vectorizer has functions of its own")
    if np.dtype(vectorizer.dtype) == np.float32:
        raise Heavy("a vectorizer counts in single precision")
    words = sorted(vectorizer.vocabulary_, key=vectorizer.vocabulary_.get)
    made = Terms(
        words,
        vectorizer.analyzer,
        vectorizer.lowercase,
        vectorizer.strip_accents or "",
        vectorizer.token_pattern,
        sorted(vectorizer.get_stop_words() or ()),
        vectorizer.ngram_range[0],
        vectorizer.ngram_range[1],
        vectorizer.binary,
    )
    return _weighed(made, vectorizer._tfidf) if isinstance(vectorizer, TfidfVectorizer) else made


def _weighed(terms: Terms, given: TfidfTransformer) -> Terms:
    if terms.weights or terms.norm or terms.logarithm:
        raise Heavy("terms are weighed twice")
    weights = given.idf_.tolist() if hasattr(given, "idf_") else []
    return msgspec.structs.replace(
        terms, logarithm=given.sublinear_tf, weights=weights, norm=given.norm or ""
    )


def _arithmetic(one: Any, sparse: bool) -> list[Step]:
    """Raises Heavy for what is none of these transformers."""
    match one:
        case DateParts():
            return [Dates(one.trend)]
        case PolynomialFeatures() if not sparse:
            return [Products([np.repeat(range(len(p)), p).tolist() for p in one.powers_])]
        case KBinsDiscretizer() if np.dtype(one.dtype or np.float64) == np.float64:
            edges = [np.asarray(some)[1:-1].tolist() for some in one.bin_edges_]
            return [Bins(edges, places=one.encode != "ordinal")]
        case SelectorMixin():
            return [Union([Part(np.flatnonzero(one.get_support()).tolist(), [])])]
        case FunctionTransformer():
            return _function(one)
    return _scaler(one, sparse)


def _function(one: FunctionTransformer) -> list[Step]:
    name = getattr(one.func, "__name__", "")
    if not (one.kw_args or one.validate) and (one.func is None or FUNCTIONS.get(name) is one.func):
        return [] if one.func is None else [Arithmetic(name)]
    raise Heavy("FunctionTransformer applies a function of its own")


def _scaler(one: Any, sparse: bool) -> list[Step]:
    match one:
        case StandardScaler():
            centre, scale = one.mean_ if one.with_mean else None, one.scale_
            return _scaled(centre, scale if one.with_std else None, sparse, rounds=True)
        case RobustScaler():
            centre = one.center_ if one.with_centering else None
            return _scaled(centre, one.scale_ if one.with_scaling else None, sparse)
        case MaxAbsScaler():
            return [*_scaled(None, one.scale_, sparse), *_clipped(one, (-1.0, 1.0))]
        case MinMaxScaler():
            steps = [Arithmetic("multiply", one.scale_.tolist())]
            steps += [Arithmetic("add", one.min_.tolist())]
            return [*steps, *_clipped(one, one.feature_range)]
    raise Heavy(f"{type(one).__name__} is computed by scikit-learn alone")


def _scaled(centre: Any, scale: Any, sparse: bool, rounds: bool = False) -> list[Step]:
    steps: list[Step] = []
    if centre is not None:
        steps.append(Arithmetic("subtract", centre.tolist(), rounds))
    if scale is not None and sparse:  # scikit-learn multiplies sparse arrays by the reciprocal
        steps.append(Arithmetic("multiply", (1 / scale).tolist()))
    elif scale is not None:
        steps.append(Arithmetic("divide", scale.tolist(), rounds))
    return steps


def _clipped(scaler: Any, bounds: tuple[float, float]) -> list[Step]:
    return [Arithmetic("clip", [float(one) for one in bounds])] if scaler.clip else []
