#!/usr/bin/env bash
# One would guess: a model that mlflow.sklearn has logged says the same of the same DataFrame,
# loaded by mlflow.pyfunc, as before.
# What happens: pandas 3 reads dates in microseconds, MLflow makes nanoseconds of them by the
# signature, and steps of scikit-learn that take dates for numbers, such as StandardScaler, see
# numbers that are 1,000 times as large. A linear model of a date is 1,000 times off, silently.
# Versions: MLflow 3.17.2, scikit-learn 1.9.1, pandas 3.1.1, numpy 2.4.6. 2026-11-29.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export MLFLOW_DISABLE_TELEMETRY=true
uv venv --quiet --python 3.11 venv
uv pip install --quiet --python venv/bin/python mlflow==3.17.2 scikit-learn==1.9.1 \
  skops==0.16.0 numpy==2.4.6 scipy==1.17.1 pandas==3.1.1
venv/bin/python -W ignore - <<'PYTHON' 2>/dev/null
import sys
from importlib.metadata import version

import mlflow.pyfunc
import mlflow.sklearn
import pandas as pd
from mlflow.models import infer_signature
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

rows = pd.DataFrame({"seen": pd.to_datetime(["1970-01-11", "1970-01-21", "1970-02-10"] * 5)})
days = [10.0, 20.0, 40.0] * 5
scaled = make_column_transformer((StandardScaler(), ["seen"]))
model = make_pipeline(scaled, LinearRegression()).fit(rows, days)
mlflow.sklearn.save_model(
    model, "model", signature=infer_signature(rows, days), pip_requirements=[]
)
for name in ("mlflow", "scikit-learn", "pandas"):
    print(name, version(name))
own = model.predict(rows[:3]).round(6).tolist()
loaded = mlflow.pyfunc.load_model("model").predict(rows[:3]).round(6).tolist()
print(f"{rows['seen'].dtype}: scikit-learn says {own}, MLflow's pyfunc {loaded}")
if (own, loaded) != ([10.0, 20.0, 40.0], [10_000.0, 20_000.0, 40_000.0]):
    print("changed: stated was 10, 20, 40 days, and 1,000 times as many")
    sys.exit(1)
PYTHON
