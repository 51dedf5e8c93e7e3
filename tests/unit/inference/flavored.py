"""Models of the flavors that are served by their own libraries, and how MLflow writes them."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import catboost
import lightgbm
import mlflow.catboost
import mlflow.lightgbm
import mlflow.onnx
import mlflow.pyfunc
import mlflow.xgboost
import numpy as np
import pandas as pd
import xgboost
from mlflow.models import infer_signature
from sklearn.datasets import load_iris

from rollout_inference.settings import Settings

NAMES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
ROWS = pd.DataFrame(load_iris().data, columns=NAMES)
SPECIES = load_iris().target
WORDS = np.array(["setosa", "versicolor", "virginica"])[SPECIES]
LAST = (SPECIES == 2).astype(int)
NUMBERS = ROWS.to_numpy() @ np.array([3.0, -1.0, 0.5, 2.0])
SEVERAL = np.column_stack([LAST, 1 - LAST, SPECIES == 1])
FEW: dict[str, Any] = {"iterations": 5, "verbose": 0, "allow_writing_files": False}
SAVED = {
    "xgboost": mlflow.xgboost.save_model,
    "lightgbm": mlflow.lightgbm.save_model,
    "catboost": mlflow.catboost.save_model,
}


def xgboost_booster(labels: Any = LAST, **parameters: Any) -> Any:
    return xgboost.train(parameters, xgboost.DMatrix(ROWS, label=labels), 5)


def lightgbm_booster(labels: Any, **parameters: Any) -> Any:
    return lightgbm.train({"verbose": -1, **parameters}, lightgbm.Dataset(ROWS, label=labels), 5)


def _early() -> Any:
    made = xgboost.XGBClassifier(n_estimators=50, early_stopping_rounds=2)
    held = [(ROWS[1::2], SPECIES[1::2])]
    return made.fit(ROWS[::2], SPECIES[::2], eval_set=held, verbose=0)


def _xgboost(kind: str, labels: Any, rows: Any = ROWS, **fitting: Any) -> Any:
    return getattr(xgboost, kind)(n_estimators=5).fit(rows, labels, **fitting)


def _lightgbm(kind: str, labels: Any, **parameters: Any) -> Any:
    return getattr(lightgbm, kind)(n_estimators=5, verbose=-1, **parameters).fit(ROWS, labels)


def _catboost(kind: str, labels: Any, **parameters: Any) -> Any:
    made = getattr(catboost, kind)
    given = {**FEW, **parameters}
    return (made(given) if kind == "CatBoost" else made(**given)).fit(ROWS, labels)


MODELS: dict[str, tuple[str, Callable[[], Any]]] = {
    "Booster, probability": ("xgboost", lambda: xgboost_booster(objective="binary:logistic")),
    "Booster, probabilities": (
        "xgboost",
        lambda: xgboost_booster(SPECIES, objective="multi:softprob", num_class=3),
    ),
    "Booster, numbers of classes": (
        "xgboost",
        lambda: xgboost_booster(SPECIES, objective="multi:softmax", num_class=3),
    ),
    "Booster, linear": ("xgboost", lambda: xgboost_booster(NUMBERS, booster="gblinear")),
    "Booster, dropping trees": (
        "xgboost",
        lambda: xgboost_booster(NUMBERS, booster="dart", rate_drop=0.5),
    ),
    "XGBClassifier": ("xgboost", lambda: _xgboost("XGBClassifier", SPECIES)),
    "XGBClassifier, two classes": ("xgboost", lambda: _xgboost("XGBClassifier", LAST)),
    "XGBClassifier, stopped early": ("xgboost", _early),
    "XGBClassifier, several labels": ("xgboost", lambda: _xgboost("XGBClassifier", SEVERAL)),
    "XGBRFClassifier": ("xgboost", lambda: _xgboost("XGBRFClassifier", SPECIES)),
    "XGBRegressor": ("xgboost", lambda: _xgboost("XGBRegressor", NUMBERS)),
    "XGBRegressor, trained on arrays": (
        "xgboost",
        lambda: _xgboost("XGBRegressor", NUMBERS, ROWS.to_numpy()),
    ),
    "XGBRegressor, two numbers": (
        "xgboost",
        lambda: _xgboost("XGBRegressor", np.column_stack([NUMBERS, -NUMBERS])),
    ),
    "XGBRanker": (
        "xgboost",
        lambda: _xgboost("XGBRanker", SPECIES, qid=np.arange(len(ROWS)) // 10),
    ),
    "LightGBM's Booster, probability": (
        "lightgbm",
        lambda: lightgbm_booster(LAST, objective="binary"),
    ),
    "LightGBM's Booster, probabilities": (
        "lightgbm",
        lambda: lightgbm_booster(SPECIES, objective="multiclass", num_class=3),
    ),
    "LightGBM's Booster, a number": (
        "lightgbm",
        lambda: lightgbm_booster(NUMBERS, objective="regression"),
    ),
    "LGBMClassifier": ("lightgbm", lambda: _lightgbm("LGBMClassifier", SPECIES)),
    "LGBMClassifier, words": ("lightgbm", lambda: _lightgbm("LGBMClassifier", WORDS)),
    "LGBMClassifier, two classes": ("lightgbm", lambda: _lightgbm("LGBMClassifier", LAST)),
    "LGBMClassifier, stopping its sums early": (
        "lightgbm",
        lambda: _lightgbm("LGBMClassifier", LAST, pred_early_stop=True, pred_early_stop_freq=1),
    ),
    "LGBMRegressor": ("lightgbm", lambda: _lightgbm("LGBMRegressor", NUMBERS)),
    "CatBoostClassifier": ("catboost", lambda: _catboost("CatBoostClassifier", SPECIES)),
    "CatBoostClassifier, words": ("catboost", lambda: _catboost("CatBoostClassifier", WORDS)),
    "CatBoostClassifier, two classes": ("catboost", lambda: _catboost("CatBoostClassifier", LAST)),
    "CatBoostClassifier, several labels": (
        "catboost",
        lambda: _catboost("CatBoostClassifier", SEVERAL, loss_function="MultiLogloss"),
    ),
    "CatBoostRegressor": ("catboost", lambda: _catboost("CatBoostRegressor", NUMBERS)),
    "CatBoost": ("catboost", lambda: _catboost("CatBoost", LAST, loss_function="Logloss")),
}


def by_mlflow(folder: Path, rows: Any) -> Any:
    """What MLflow's own server would answer, for the rows of the model's signature."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(mlflow.pyfunc.load_model(str(folder)).predict(rows))


def saved(folder: Path, flavor: str, model: Any, rows: Any = ROWS, **given: Any) -> Settings:
    """Written by MLflow, as skops where there is a choice; settings that serve it."""
    if flavor == "lightgbm" and not isinstance(model, lightgbm.Booster):
        given = {"serialization_format": "skops", **given}
    SAVED[flavor](
        model,
        str(folder),
        signature=infer_signature(rows),
        input_example=rows.head(2),
        pip_requirements=[],
        **given,
    )
    return Settings(model_path=folder, model_revision="abc123", feedback_key="key")


def saved_onnx(folder: Path, model: Any, rows: Any = ROWS, **given: Any) -> Settings:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.onnx.save_model(
            model, str(folder), signature=infer_signature(rows), pip_requirements=[], **given
        )
    return Settings(model_path=folder, model_revision="abc123", feedback_key="key")
