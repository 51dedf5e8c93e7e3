"""What a skops file may be made of beside skops' own defaults: a rule, and ours alone.

What a model says of types to be trusted counts for nothing. skops builds an object of every type
that is named here, sets whatever state the file has, and calls every function with whatever
arguments. So a type is trusted where it does nothing but keep what it is given and count with it,
and a function where it does nothing but count: then they may be put together in any way. Nothing
here reads or writes files, opens connections, imports, or takes text for code. What is in them is
not looked at: a tree whose nodes point nowhere ends the process that asks it.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import skops.io  # noqa: F401 - imports every module of scikit-learn that has estimators, so that subclasses are known
from scipy.interpolate import BSpline
from sklearn import feature_selection, metrics
from sklearn._loss.link import BaseLink, Interval
from sklearn._loss.loss import BaseLoss
from sklearn.base import BaseEstimator
from sklearn.calibration import _CalibratedClassifier
from sklearn.cluster._bisect_k_means import _BisectingTree
from sklearn.cluster._kmeans import _kmeans_single_elkan, _kmeans_single_lloyd
from sklearn.compose import make_column_selector
from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
from sklearn.gaussian_process.kernels import Kernel
from sklearn.impute._iterative import _ImputerTriplet
from sklearn.metrics import DistanceMetric
from sklearn.metrics._scorer import _BaseScorer
from sklearn.model_selection import BaseCrossValidator, BaseShuffleSplit
from sklearn.neighbors import BallTree, KDTree
from sklearn.neural_network._stochastic_optimizers import BaseOptimizer
from sklearn.tree._tree import Tree
from sklearn.utils import Bunch
from sklearn.utils._metadata_requests import MetadataRequest, MethodMetadataRequest
from sklearn.utils.validation import check_array

from rollout_model.date_parts import DateParts

KINDS = (
    BaseEstimator,
    BaseLink,
    BaseLoss,
    BaseOptimizer,
    Kernel,
    DistanceMetric,
    _BaseScorer,
    BaseCrossValidator,
    BaseShuffleSplit,
)
"""Classes of which all of scikit-learn's own subclasses are trusted."""
EXCEPT = ("PyFuncDistance", "CheckingClassifier", "Mock")
"""How subclasses begin that call a function which is given to them for any purpose."""
HOLDERS = (
    BSpline,
    BallTree,
    Bunch,
    DateParts,
    Interval,
    KDTree,
    MetadataRequest,
    MethodMetadataRequest,
    Tree,
    TreePredictor,
    _BisectingTree,
    _CalibratedClassifier,
    _ImputerTriplet,
    make_column_selector,
    np.dtype,
    np.floating,
    np.integer,
    np.number,
)
"""Single types that hold data, or name a kind of it, as selectors of columns do."""
SELECTING = (
    "chi2",
    "f_classif",
    "f_regression",
    "mutual_info_classif",
    "mutual_info_regression",
    "r_regression",
)
SCORING = ("cohen_kappa_score", "fbeta_score", "hamming_loss", "mean_pinball_loss", "zero_one_loss")
"""Measures beside those of scikit-learn's named scorers."""
POOLING = ("amax", "amin", "max", "mean", "median", "min", "sum")
BOOSTED = (
    "collections.OrderedDict",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "lightgbm.sklearn.LGBMRanker",
    "lightgbm.sklearn.LGBMRegressor",
    "xgboost.core.Booster",
    "xgboost.sklearn.XGBClassifier",
    "xgboost.sklearn.XGBRFClassifier",
    "xgboost.sklearn.XGBRFRegressor",
    "xgboost.sklearn.XGBRanker",
    "xgboost.sklearn.XGBRegressor",
    "catboost.core.CatBoostClassifier",
    "catboost.core.CatBoostRanker",
    "catboost.core.CatBoostRegressor",
)
"""Estimators of other packages, as steps of a pipeline: parameters, and a booster that reads its
trees from text or bytes. By name, because nothing of them is imported where no model has them.
"""
ARRAYS = "scipy._lib.array_api_compat.numpy._aliases.asarray"
"""How a BSpline names its `asarray`."""


def _below(kind: Any) -> Iterator[Any]:
    for one in kind.__subclasses__():
        yield one
        yield from _below(one)


def _name(one: Any) -> str:
    return f"{one.__module__}.{one.__qualname__}"


def _functions() -> Iterator[Callable[..., Any]]:
    yield from (getattr(feature_selection, name) for name in SELECTING)
    yield from (metrics.get_scorer(name)._score_func for name in metrics.get_scorer_names())
    yield from (getattr(metrics, name) for name in SCORING)
    yield from (getattr(np, name) for name in POOLING)
    yield from (check_array, _kmeans_single_elkan, _kmeans_single_lloyd)


def _trusted() -> Iterator[str]:
    for kind in KINDS:
        for one in (kind, *_below(kind)):
            if one.__module__.startswith("sklearn.") and not one.__name__.startswith(EXCEPT):
                yield _name(one)
    yield from map(_name, HOLDERS)
    yield from map(_name, _functions())
    yield _name(functools.partial)  # of functions that are trusted themselves
    yield ARRAYS
    yield from BOOSTED


TRUSTED_TYPES = frozenset(_trusted())
