#!/usr/bin/env bash
# One would guess: a model of XGBoost or LightGBM that was trained on pandas' categories, logged by
# MLflow with the signature that it infers, answers the rows that it was trained on.
# What happens: the signature says long or string for such a column. Categories are refused by
# it, and what fits it is refused by the library: no row is answered, in any form. The library
# itself answers the same numbers as an array, and takes them for the categories' codes: a third is wrong.
# Versions: MLflow 3.17.2, XGBoost 3.2.0, LightGBM 4.7.0, pandas 3.1.1. 2026-12-01.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export MLFLOW_DISABLE_TELEMETRY=true OMP_NUM_THREADS=1
uv venv --quiet --python 3.11 venv
uv pip install --quiet --python venv/bin/python mlflow==3.17.2 xgboost-cpu==3.2.0 lightgbm==4.7.0 \
  scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1 pandas==3.1.1
venv/bin/python -W ignore - <<'PYTHON' 2>/dev/null
import sys
from importlib.metadata import version

import lightgbm
import mlflow.lightgbm
import mlflow.pyfunc
import mlflow.xgboost
import numpy as np
import pandas as pd
import xgboost
from mlflow.models import infer_signature

for name in ("mlflow", "xgboost-cpu", "lightgbm", "pandas"):
    print(name, version(name))
zones = np.random.default_rng(0).choice([10, 20, 30], 300)
labels = (zones == 20).astype(int)


def answered(predict, rows):
    """The share of right answers; or who refuses, in which error."""
    try:
        said = np.ravel(predict(rows))
    except Exception as refusal:
        return type(refusal).__name__
    return f"{np.mean((said > 0.5) == labels):.2f}"


def tried(library, values):
    rows = pd.DataFrame({"zone": pd.Categorical(values)})
    if library is mlflow.xgboost:
        model = xgboost.XGBClassifier(n_estimators=9, enable_categorical=True).fit(rows, labels)
        logged = model
    else:
        model = lightgbm.LGBMClassifier(n_estimators=9, verbose=-1).fit(rows, labels)
        logged = model.booster_
    signature = infer_signature(rows)
    folder = f"{library.__name__}-{values.dtype}"
    library.save_model(logged, folder, signature=signature, pip_requirements=[])
    loaded = mlflow.pyfunc.load_model(folder)
    fitting = pd.DataFrame({"zone": values})
    seen = {
        "column": signature.inputs.input_types()[0].name,
        "library, categories": answered(model.predict, rows),
        "MLflow, categories": answered(loaded.predict, rows),
        "MLflow, as the signature says": answered(loaded.predict, fitting),
    }
    if values.dtype.kind == "i":
        seen["library, an array"] = answered(model.predict, fitting.to_numpy())
    print(library.__name__, seen)
    return list(seen.values())


words = zones.astype(str).astype(object)
seen = [tried(*one) for library in (mlflow.xgboost, mlflow.lightgbm)
        for one in ((library, zones), (library, words))]
stated = [
    ["long", "1.00", "MlflowException", "XGBoostError", "0.68"],
    ["string", "1.00", "MlflowException", "ValueError"],
    ["long", "1.00", "MlflowException", "ValueError", "0.68"],
    ["string", "1.00", "MlflowException", "ValueError"],
]
if seen != stated:
    print(f"changed: stated was {stated}")
    sys.exit(1)
PYTHON
