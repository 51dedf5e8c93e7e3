#!/usr/bin/env bash
# One would guess: a converted classifier that converts, loads and runs gives a label for each
# row.
# What happens: a BaggingClassifier of members without predict_proba (SVC, LinearSVC) gives one
# label for each *member*, however many rows are asked. With trees inside it gives one for each
# row.
# Versions: skl2onnx 1.20.0, onnx 1.23.2, onnxruntime 1.32.0, scikit-learn 1.9.1. 2026-11-29.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
uv venv --quiet --python 3.11 "$work/venv"
uv pip install --quiet --python "$work/venv/bin/python" skl2onnx==1.20.0 onnx==1.23.2 \
  onnxruntime==1.32.0 scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1 protobuf==7.36.2

"$work/venv/bin/python" -W ignore - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.ensemble import BaggingClassifier
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

for name in ("skl2onnx", "onnx", "onnxruntime", "scikit-learn"):
    print(name, version(name))
X, y = load_iris(return_X_y=True)
rows = X.astype(np.float32)
for member, members, stated in (
    (SVC(), 10, 10),
    (SVC(), 3, 3),
    (LinearSVC(), 3, 3),
    (DecisionTreeClassifier(), 3, 150),
):
    model = BaggingClassifier(member, n_estimators=members, random_state=0).fit(rows, y)
    session = onnxruntime.InferenceSession(to_onnx(model, rows[:1]).SerializeToString())
    labels = session.run(None, {"X": rows})[0]
    print(f"{members} of {type(member).__name__}: {len(labels)} labels for {len(rows)} rows")
    if len(labels) != stated:
        sys.exit(f"changed: {stated} labels were stated")
PYTHON
