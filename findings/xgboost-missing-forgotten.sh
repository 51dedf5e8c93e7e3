#!/usr/bin/env bash
# One would guess: an estimator of XGBoost that was told which value is a missing one, such as
# -999, still knows it once it was saved and loaded; of LightGBM's zero_as_missing that holds.
# What happens: neither the file nor MLflow, which writes it, has `missing`: loaded, -999 is a
# number like any other, and answers differ, silently. Who loads the file into
# XGBClassifier(missing=-999) has them right again; MLflow has no way to say so.
# Versions: XGBoost 3.2.0, MLflow 3.17.2, LightGBM 4.7.0, scikit-learn 1.9.1. 2026-12-01.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export MLFLOW_DISABLE_TELEMETRY=true OMP_NUM_THREADS=1
uv venv --quiet --python 3.11 venv
uv pip install --quiet --python venv/bin/python xgboost-cpu==3.2.0 mlflow==3.17.2 \
  lightgbm==4.7.0 scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1 pandas==3.1.1
venv/bin/python -W ignore - <<'PYTHON' 2>/dev/null
import sys
from importlib.metadata import version

import lightgbm
import mlflow.pyfunc
import mlflow.xgboost
import numpy as np
from xgboost import XGBClassifier

for name in ("xgboost-cpu", "mlflow", "lightgbm", "scikit-learn"):
    print(name, version(name))
rows = np.random.default_rng(0).uniform(0, 100, (300, 1))
rows[::3] = -999
labels = ((rows == -999) | (rows > 70)).astype(int).ravel()


def right(model, rows=rows):
    return round(float(np.mean((model.predict(rows) > 0.5) == labels)), 2)


trained = XGBClassifier(n_estimators=9, missing=-999).fit(rows, labels)
trained.save_model("model.ubj")
mlflow.xgboost.save_model(trained, "model", pip_requirements=[])
loaded, told = XGBClassifier(), XGBClassifier(missing=-999)
loaded.load_model("model.ubj")
told.load_model("model.ubj")

zeros = np.where(rows == -999, 0.0, rows)
light = lightgbm.LGBMClassifier(n_estimators=9, zero_as_missing=True, verbose=-1)
light.fit(zeros, labels).booster_.save_model("model.txt")
read = lightgbm.Booster(model_file="model.txt")

seen = {
    "XGBoost, as trained": right(trained),
    "loaded": right(loaded),
    "loaded by MLflow": right(mlflow.pyfunc.load_model("model")),
    "loaded into one that was told": right(told),
    "LightGBM, zero_as_missing, as trained": right(light, zeros),
    "LightGBM, loaded": right(read, zeros),
}
print(f"loaded, XGBoost takes {loaded.missing} for missing; shares of right answers:")
for name, share in seen.items():
    print(f"{name}: {share}")
if list(seen.values()) != [1.0, 0.67, 0.67, 1.0, 1.0, 1.0]:
    print("changed: stated was 1.0 as trained, 0.67 once XGBoost's was loaded")
    sys.exit(1)
PYTHON
