#!/usr/bin/env bash
# One would guess: a parameter that the signature of a scikit-learn model names reaches the model's
# predict, which has it; or that somebody says that it does not.
# What happens: it is held against the signature (another type is refused), and then dropped: the
# wrapper of mlflow.sklearn takes params and asks predict without them. The warning for models
# that take no parameters does not come, because the wrapper takes them.
# Versions: MLflow 3.17.2, scikit-learn 1.9.1, skops 0.16.0, numpy 2.4.6. 2026-11-29.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
uv venv --quiet --python 3.11 "$work/venv"
uv pip install --quiet --python "$work/venv/bin/python" mlflow==3.17.2 scikit-learn==1.9.1 \
  skops==0.16.0 numpy==2.4.6 scipy==1.17.1 pandas==3.1.1

"$work/venv/bin/python" -W ignore - "$work/model" <<'PYTHON'
import logging
import os
import sys
from importlib.metadata import version

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
import mlflow
import numpy as np
from mlflow.models import infer_signature
from sklearn.linear_model import BayesianRidge


class Kept(logging.Handler):
    """What MLflow warns of."""

    said = []

    def emit(self, record):
        self.said.append(record.getMessage())


print(*(f"{name} {version(name)}" for name in ("mlflow", "scikit-learn")))
rows = np.arange(20.0).reshape(-1, 1)
model = BayesianRidge().fit(rows, rows[:, 0])
signature = infer_signature(rows, model.predict(rows), params={"return_std": False})
mlflow.sklearn.save_model(
    model,
    sys.argv[1],
    signature=signature,
    serialization_format="skops",
    pip_requirements=[],
)
loaded = mlflow.pyfunc.load_model(sys.argv[1])
logger = logging.getLogger("mlflow")
logger.addHandler(Kept())
direct, served = model.predict(rows, return_std=True), loaded.predict(
    rows, params={"return_std": True}
)
try:
    loaded.predict(rows, params={"return_std": "yes"})
    refused = False
except mlflow.MlflowException:
    refused = True
stated = {
    "scikit-learn's predict with return_std gives a pair": (isinstance(direct, tuple), True),
    "MLflow's gives a pair": (isinstance(served, tuple), False),
    "MLflow refuses text for return_std": (refused, True),
    "MLflow warns": (bool(Kept.said), False),
}
for what, (seen, said) in stated.items():
    print(f"{what}: {seen}")
    if seen != said:
        sys.exit(f"changed: {what}: {said} was stated")
PYTHON
