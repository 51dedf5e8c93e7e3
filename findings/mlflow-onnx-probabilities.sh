#!/usr/bin/env bash
# One would guess: MLflow serves any ONNX model that it has logged; a classifier that was converted
# with zipmap=False, as skl2onnx advises, has labels and a matrix of probabilities.
# What happens: it is logged without a word, and every request for rows with column names fails:
# the pyfunc flattens each output and makes columns of one frame of them, and 3 x n probabilities
# are no column beside n labels. With the converter's default, a map for each row, it answers.
# Versions: MLflow 3.17.2, skl2onnx 1.20.0, onnx 1.23.2, onnxruntime 1.32.0. 2026-11-29.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
uv venv --quiet --python 3.11 "$work/venv"
uv pip install --quiet --python "$work/venv/bin/python" mlflow==3.17.2 skl2onnx==1.20.0 \
  onnx==1.23.2 onnxruntime==1.32.0 scikit-learn==1.9.1 numpy==2.4.6 protobuf==7.36.2
cd "$work"

"$work/venv/bin/python" -W ignore - <<'PYTHON'
import logging
import sys
from importlib.metadata import version

import mlflow.onnx
import mlflow.pyfunc
import numpy as np
from mlflow.models import infer_signature
from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

logging.disable(logging.WARNING)
for name in ("mlflow", "skl2onnx", "onnxruntime"):
    print(name, version(name))
rows, labels = load_iris(return_X_y=True, as_frame=True)
model = LogisticRegression(max_iter=1_000).fit(rows.to_numpy(), labels)
failed = []
for zipmap in (True, False):
    graph = to_onnx(model, rows.to_numpy(np.float32)[:1], options={"zipmap": zipmap})
    signature = infer_signature(rows)
    mlflow.onnx.save_model(graph, f"zipmap-{zipmap}", signature=signature, pip_requirements=[])
    try:
        said = mlflow.pyfunc.load_model(f"zipmap-{zipmap}").predict(rows)
        print(f"zipmap={zipmap}: {len(said)} rows, columns {list(said.columns)}")
    except ValueError as failure:
        failed.append(zipmap)
        print(f"zipmap={zipmap}: {type(failure).__name__}: {failure}")
if failed != [False]:
    sys.exit("changed: MLflow answers a matrix of probabilities, too, or neither")
PYTHON
