#!/usr/bin/env bash
# One would guess: a model that was trained on named columns refuses a DataFrame whose columns come
# in another order, or finds them by name.
# What happens: LightGBM has the names in its model and takes columns by their places, silently; so
# does MLflow, where the signature has another order than the training rows. scikit-learn and
# XGBoost refuse such rows, CatBoost finds the columns by name. validate_features=True makes
# LightGBM refuse too; it is off by default.
# Versions: LightGBM 4.7.0, XGBoost 3.2.0, CatBoost 1.2.10, scikit-learn 1.9.1, MLflow 3.17.2.
# 2026-12-01.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export MLFLOW_DISABLE_TELEMETRY=true OMP_NUM_THREADS=1
uv venv --quiet --python 3.11 venv
uv pip install --quiet --python venv/bin/python lightgbm==4.7.0 xgboost-cpu==3.2.0 \
  catboost==1.2.10 scikit-learn==1.9.1 mlflow==3.17.2 numpy==2.4.6 scipy==1.17.1 pandas==3.1.1
venv/bin/python -W ignore - <<'PYTHON' 2>/dev/null
import sys
from functools import partial
from importlib.metadata import version

import mlflow.lightgbm
import mlflow.pyfunc
import numpy as np
import pandas as pd
from catboost import CatBoostClassifier
from lightgbm import LGBMClassifier
from mlflow.models import infer_signature
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier

for name in ("lightgbm", "xgboost-cpu", "catboost", "scikit-learn", "mlflow"):
    print(name, version(name))
draw = np.random.default_rng(0)
rows = pd.DataFrame({"age": draw.uniform(18, 80, 400), "visits": draw.uniform(0, 100, 400)})
labels = (rows.age > 50).astype(int)
turned = rows[["visits", "age"]]


def answered(predict):
    """The share of right answers to the same rows, with their columns the other way round."""
    try:
        said = np.ravel(predict(turned))
    except Exception as refusal:
        return f"refuses: {type(refusal).__name__}"
    share = np.mean((said > 0.5) == labels)
    return "right" if share > 0.98 else "wrong" if share < 0.7 else f"{share:.2f}"


light = LGBMClassifier(n_estimators=9, verbose=-1).fit(rows, labels)
mlflow.lightgbm.save_model(
    light.booster_, "model", signature=infer_signature(turned), pip_requirements=[]
)
silent = {"verbose": 0, "allow_writing_files": False}
seen = {
    "scikit-learn": answered(DecisionTreeClassifier().fit(rows, labels).predict),
    "XGBoost": answered(XGBClassifier(n_estimators=9).fit(rows, labels).predict),
    "CatBoost": answered(CatBoostClassifier(iterations=9, **silent).fit(rows, labels).predict),
    "LightGBM": answered(light.predict),
    "LightGBM's Booster": answered(light.booster_.predict),
    "LightGBM, validate_features": answered(partial(light.predict, validate_features=True)),
    "LightGBM by MLflow": answered(mlflow.pyfunc.load_model("model").predict),
}
print("LightGBM knows", light.booster_.feature_name())
for name, said in seen.items():
    print(f"{name}: {said}")
stated = {
    "scikit-learn": "refuses: ValueError",
    "XGBoost": "refuses: ValueError",
    "CatBoost": "right",
    "LightGBM": "wrong",
    "LightGBM's Booster": "wrong",
    "LightGBM, validate_features": "refuses: LightGBMError",
    "LightGBM by MLflow": "wrong",
}
if seen != stated:
    print(f"changed: stated was {stated}")
    sys.exit(1)
PYTHON
