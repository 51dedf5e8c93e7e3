"""Models of XGBoost, LightGBM and CatBoost, read from the libraries' own files, with scikit-learn's
interface: `predict` answers what MLflow's does, and quickly, for few rows by one thread.

Source of what is asked: mlflow.xgboost._XGBModelWrapper, mlflow.lightgbm._LGBModelWrapper,
mlflow.catboost._CatboostModelWrapper. Their files are trees and numbers, and hold no code.
"""

import ctypes
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from rollout_model.errors import LoadFailed
from rollout_model.flavors import BOOSTERS, CATBOOST, XGBOOST, Flavor
from rollout_model.signature import Signature

Ask = Callable[[Any], Any]
"""From rows, an array or a frame, to an array: (rows,) or (rows, outputs)."""
XGBOOST_CLASSES = (
    "XGBClassifier",
    "XGBRegressor",
    "XGBRanker",
    "XGBRFClassifier",
    "XGBRFRegressor",
)
CATBOOST_CLASSES = ("CatBoost", "CatBoostClassifier", "CatBoostRegressor", "CatBoostRanker")
SEVERAL_LABELS = ("MultiLogloss", "MultiCrossEntropy")
"""CatBoost's losses of models that say several labels for a row."""
ONE = {"nthread": 1}


class Answers(BaseEstimator):  # type: ignore[misc]
    """Whatever a model says that is neither one number nor one label."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask

    def predict(self, rows: Any) -> Any:
        """As the model does."""
        return self.ask(rows)


class Numbers(RegressorMixin, Answers):  # type: ignore[misc]
    """What answers with numbers: of a Booster the objective's own, such as probabilities."""


class Labels(ClassifierMixin, Answers):  # type: ignore[misc]
    """What answers with a label for each row."""

    def __init__(self, ask: Ask, chances: Ask, classes: Any) -> None:
        super().__init__(ask)
        self.chances = chances
        self.classes_ = np.asarray(classes)

    def predict_proba(self, rows: Any) -> Any:
        """(rows, classes)."""
        return self.chances(rows)


def read(path: Path, flavor: Flavor, signature: Signature) -> Any:
    """The model in the library's own file; raises LoadFailed, or what the library raises."""
    if flavor.name == XGBOOST:
        return _xgboost(path, flavor, signature)
    if flavor.name == CATBOOST:
        return _catboost(path, flavor, signature)
    # Each of the three is imported where it serves, and only there.
    import lightgbm  # noqa: PLC0415

    booster = lightgbm.Booster(model_file=str(path))
    _by_codes(booster.pandas_categorical)
    _by_position(booster, signature)
    return Numbers(partial(booster.predict, num_threads=1))


def quick(model: Any, signature: Signature) -> Any:
    """LightGBM's own estimators, as scikit-learn's interface has them, without what that costs: it
    looks at each request for half a millisecond. Others as they are. Raises LoadFailed.
    """
    if type(model).__module__ != "lightgbm.sklearn":
        return model
    _by_codes(model.booster_.pandas_categorical)
    if callable(getattr(model, "objective_", None)):
        return model
    _by_position(model.booster_, signature)
    given = {name: value for name, value in model.get_params().items() if name.startswith("pred")}
    ask = partial(model.booster_.predict, num_threads=1, **given)
    if not hasattr(model, "classes_"):
        return Numbers(ask)

    return Labels(*_by_chances(ask, model.classes_))


def _xgboost(path: Path, flavor: Flavor, signature: Signature) -> Any:
    import xgboost  # noqa: PLC0415

    if flavor.model_class == BOOSTERS[XGBOOST]:
        booster = xgboost.Booster(ONE, model_file=str(path))
        booster.set_param(ONE)
        _by_codes(_categories(booster))
        _in_order(booster.feature_names, signature, booster.num_features())
        return Numbers(_of_arrays(booster, 0, partial(_by_matrix, booster)))
    model = getattr(xgboost, _known(flavor, "xgboost.sklearn", XGBOOST_CLASSES))(n_jobs=1)
    model.load_model(str(path))
    booster = model.get_booster()
    booster.set_param(ONE)
    _by_codes(_categories(booster))
    _in_order(booster.feature_names, signature, booster.num_features())
    # A frame's columns were put in order already; looking at their names takes its time.
    ask = partial(model.predict, validate_features=False)
    numbers = _of_arrays(booster, _trees(model), ask)
    if not hasattr(model, "n_classes_"):
        return Numbers(numbers)
    if int(_learner(booster)["learner_model_param"].get("num_target", 1)) > 1:
        return Answers(ask)
    chances: Ask = partial(model.predict_proba, validate_features=False)
    if model.objective == "multi:softmax":  # its booster says no probabilities
        return Labels(ask, chances, range(model.n_classes_))
    chances = _of_arrays(booster, _trees(model), chances)
    return Labels(*_by_chances(chances, range(model.n_classes_)))


def _categories(booster: Any) -> bool:
    """Whether an XGBoost model was trained on pandas' categories; linear ones take none, and fail
    where they are asked.
    """
    return not _linear(booster) and not booster.get_categories().empty()


def _linear(booster: Any) -> bool:
    return bool(_learner(booster)["gradient_booster"]["name"] == "gblinear")


def _learner(booster: Any) -> Any:
    return json.loads(booster.save_config())["learner"]


def _trees(model: Any) -> int:
    """Rounds that count, where training stopped early; 0 for all."""
    try:
        return int(model.best_iteration) + 1
    except AttributeError:
        return 0


def _of_arrays(booster: Any, rounds: int, otherwise: Ask) -> Ask:
    """`Booster.inplace_predict` for arrays, by the call of XGBoost's C API that it makes itself: in
    70 µs for a row, of which Python takes 200 more.

    otherwise: what is asked for frames, and of a linear model, which answers no arrays.
    """
    import xgboost  # noqa: PLC0415

    library = getattr(xgboost.core, "_LIB", None)
    if library is None or _linear(booster):
        return otherwise
    asked = {"type": 0, "training": False, "iteration_begin": 0, "iteration_end": rounds}
    given = {**asked, "missing": math.nan, "strict_shape": False, "cache_id": 0}
    config = json.dumps(given).encode()

    def ask(rows: Any) -> Any:
        if not isinstance(rows, np.ndarray):
            return otherwise(rows)
        rows = np.ascontiguousarray(rows, np.float64)
        place = {"data": (rows.ctypes.data, True), "shape": rows.shape, "typestr": "<f8"}
        shape, said = ctypes.POINTER(ctypes.c_uint64)(), ctypes.POINTER(ctypes.c_float)()
        dimensions = ctypes.c_uint64()
        if library.XGBoosterPredictFromDense(
            booster.handle,
            json.dumps({**place, "version": 3}).encode(),
            config,
            None,
            ctypes.byref(shape),
            ctypes.byref(dimensions),
            ctypes.byref(said),
        ):
            raise ValueError(library.XGBGetLastError().decode())
        # The memory is the library's, and its next answer's.
        return np.ctypeslib.as_array(said, tuple(shape[: dimensions.value])).copy()

    return ask


def _by_chances(said: Ask, classes: Any) -> tuple[Ask, Ask, Any]:
    """What a classifier is made of that says probabilities: of two classes those of the second."""
    known = np.asarray(classes)

    def chances(rows: Any) -> Any:
        found = said(rows)
        return found if found.ndim > 1 else np.column_stack([1 - found, found])

    return lambda rows: known[chances(rows).argmax(axis=1)], chances, known


def _by_matrix(booster: Any, rows: Any) -> Any:
    import xgboost  # noqa: PLC0415

    return booster.predict(xgboost.DMatrix(rows, nthread=1), validate_features=False)


def _catboost(path: Path, flavor: Flavor, signature: Signature) -> Any:
    import catboost  # noqa: PLC0415

    model = getattr(catboost, _known(flavor, "", CATBOOST_CLASSES))()
    model.load_model(str(path), format=str(flavor.settings.get("save_format") or "cbm"))
    _in_order(model.feature_names_, signature, len(model.feature_names_))
    words = model.get_cat_feature_indices() or model.get_text_feature_indices()
    given = partial(_typed, signature) if words else _as_it_is

    def asked(predict: Ask, rows: Any) -> Any:
        said = np.asarray(predict(given(rows), thread_count=1))  # type: ignore[call-arg]
        return said[:, 0] if said.ndim == 2 and said.shape[1] == 1 else said

    ask = partial(asked, model.predict)
    if flavor.model_class != "CatBoostClassifier":
        return Numbers(ask)
    if model.get_all_params().get("loss_function") in SEVERAL_LABELS:
        return Answers(ask)
    return Labels(ask, partial(asked, model.predict_proba), model.classes_)


def _typed(signature: Signature, rows: Any) -> Any:
    """Numbers as CatBoost takes them for categories: as whole ones, by name."""
    import pandas as pd  # noqa: PLC0415 - for models with categories alone

    names = signature.names
    named = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(rows, columns=list(names))
    return named.astype({names[n]: np.int64 for n in signature.whole})


def _as_it_is(rows: Any) -> Any:
    return rows


def _known(flavor: Flavor, module: str, classes: Sequence[str]) -> str:
    """The name of the flavor's class, where it is one of these; raises LoadFailed."""
    prefix, _, name = flavor.model_class.rpartition(".")
    if prefix != module or name not in classes:
        raise LoadFailed(
            f"The model is of the class {flavor.model_class!r}, and of this flavor"
            f" {', '.join(classes)} are served: log it as one of them."
        )
    return name


def _by_codes(categories: object) -> None:
    """Raises LoadFailed where the model knows categories of pandas by their codes: MLflow's rows
    have none, and an array's values, such as 10, 20, 30, would be taken for codes.
    """
    if categories:
        raise LoadFailed(
            "The model was trained on columns of pandas' type category. A signature has no such"
            " type, and MLflow's own server fails on every row: encode them as whole numbers before"
            " training, or train with CatBoost, which takes words."
        )


def _by_position(booster: Any, signature: Signature) -> None:
    """Raises LoadFailed where LightGBM would take one column for another: it goes by their places,
    also where they have names, in which it has written `_` for blanks.
    """
    names = booster.feature_name()
    known = ["_".join(name.split()) for name in signature.names]
    if booster.num_feature() != signature.width or sorted(names) == sorted(known):
        _in_order(names, replace(signature, names=tuple(known)), booster.num_feature())


def _in_order(names: Sequence[str] | None, signature: Signature, width: int) -> None:
    """Raises LoadFailed where the signature has more or fewer columns than the model, or those that
    it knows by name in another order: XGBoost would refuse each row, LightGBM take it for another.
    """
    if width != signature.width:
        raise LoadFailed(
            f"The model was trained on {width} columns, and its signature has {signature.width}:"
            " log it with a signature of its training rows."
        )
    own = list(names or [])
    if not signature.named or own == [str(n) for n in range(len(own))]:
        return
    if own != list(signature.names):
        raise LoadFailed(
            f"The model was trained on the columns {', '.join(own)[:200]}, and its signature has"
            f" {', '.join(signature.names)[:200]}: log it with a signature of its training rows."
        )
