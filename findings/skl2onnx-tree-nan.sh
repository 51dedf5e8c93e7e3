#!/usr/bin/env bash
# One would guess: a tree that scikit-learn trained on rows with missing values (possible since
# 1.3) takes them after conversion the same way, or is not converted.
# What happens: it converts without a word, which way the tree learnt to send NaN is lost, and
# labels of training rows differ. Rows without a missing value are answered as before.
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
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

for name in ("skl2onnx", "onnx", "onnxruntime", "scikit-learn"):
    print(name, version(name))
X, y = load_iris(return_X_y=True)
rows = X.astype(np.float32)
rows[np.random.default_rng(0).random(rows.shape) < 0.2] = np.nan
holes = np.isnan(rows).any(axis=1)
for model in (DecisionTreeClassifier(random_state=0), RandomForestClassifier(random_state=0)):
    model.fit(rows, y)
    session = onnxruntime.InferenceSession(to_onnx(model, rows[:1]).SerializeToString())
    differ = session.run(None, {"X": rows})[0] != model.predict(rows)
    print(f"{type(model).__name__}: labels that differ: {int(differ[holes].sum())} of")
    print(
        f"  {holes.sum()} rows with a hole, {int(differ[~holes].sum())} of {(~holes).sum()} without"
    )
    if differ[~holes].any():
        sys.exit("changed: rows without a hole differ, too")
    if not differ.any():
        sys.exit("changed: missing values are taken as scikit-learn takes them")
PYTHON
