#!/usr/bin/env bash
# One would guess: what skl2onnx converts without an error, ONNX Runtime loads; and a classifier
# trained on float64, which numpy and pandas give by default, is the common case.
# What happens: to_onnx returns, and ONNX Runtime refuses the file, because the ZipMap at its end
# is given doubles: a linear model, a tree, a pipeline of double columns. With zipmap=False, or
# from float32, they load, with equal labels.
# Versions: skl2onnx 1.20.0, onnx 1.23.2, onnxruntime 1.32.0, scikit-learn 1.9.1. 2026-11-29.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
uv venv --quiet --python 3.11 "$work/venv"
uv pip install --quiet --python "$work/venv/bin/python" skl2onnx==1.20.0 onnx==1.23.2 \
  onnxruntime==1.32.0 scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1 protobuf==7.36.2 \
  pandas==3.1.1

"$work/venv/bin/python" -W ignore - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import onnxruntime
import pandas as pd
from skl2onnx import to_onnx
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

for name in ("skl2onnx", "onnx", "onnxruntime", "scikit-learn"):
    print(name, version(name))


def outcome(model, sample, **options):
    """The conversion must succeed; what ONNX Runtime says of it, or how many labels differ."""
    converted = to_onnx(model, sample, options=options or None)
    try:
        session = onnxruntime.InferenceSession(converted.SerializeToString())
    except Exception as failure:
        return str(failure)
    if isinstance(sample, pd.DataFrame):
        rows = {name: sample[[name]].to_numpy() for name in sample}
    else:
        rows = {"X": sample}
    labels = session.run(None, rows)[0]
    return f"loads, labels that differ: {int((labels != model.predict(sample)).sum())}"


X, y = load_iris(return_X_y=True)
table = pd.DataFrame(X, columns=["a", "b", "c", "d"])
table["colour"] = np.where(np.arange(len(y)) % 2, "red", "blue")
columns = make_column_transformer(
    (StandardScaler(), ["a", "b", "c", "d"]), (OneHotEncoder(), ["colour"])
)
linear = LogisticRegression(max_iter=1000).fit(X, y)
tree = DecisionTreeClassifier(random_state=0).fit(X, y)
pipeline = make_pipeline(columns, LogisticRegression()).fit(table, y)
single = X.astype(np.float32)
narrow = table.astype({name: np.float32 for name in "abcd"})

seen = {
    "linear, float64": outcome(linear, X),
    "linear, float64, zipmap=False": outcome(linear, X, zipmap=False),
    "linear, float32": outcome(linear, single),
    "tree, float64": outcome(tree, X),
    "tree, float32": outcome(tree, single),
    "columns, float64": outcome(pipeline, table),
    "columns, float64, zipmap=False": outcome(pipeline, table, zipmap=False),
    "columns, float32": outcome(pipeline, narrow),
}
for name, answer in seen.items():
    print(f"{name}: {answer}")
equal = "loads, labels that differ: 0"
stated = {name: equal for name in seen} | {
    "linear, float64": "(ZipMap)",
    "tree, float64": "(ZipMap)",
    "columns, float64": "(ZipMap)",
}
for name, part in stated.items():
    if part not in seen[name]:
        sys.exit(f"changed: {name}: no {part!r} in the answer")
PYTHON
