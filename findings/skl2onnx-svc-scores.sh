#!/usr/bin/env bash
# One would guess: the output called probabilities holds probabilities, and its largest column is
# the label that stands beside it.
# What happens: of an SVC without probabilities it holds decision values, and for two classes they
# have the wrong sign: the largest column is always the class that was not predicted. With three
# classes the columns are in order, and the scores are those of one against the rest.
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
from sklearn.svm import SVC

for name in ("skl2onnx", "onnx", "onnxruntime", "scikit-learn"):
    print(name, version(name))
X, y = load_iris(return_X_y=True)
rows = X.astype(np.float32)
for classes in (2, 3):
    target = np.minimum(y, classes - 1)
    model = SVC().fit(X, target)
    converted = to_onnx(model, rows[:1], options={"zipmap": False})
    session = onnxruntime.InferenceSession(converted.SerializeToString())
    name = session.get_outputs()[1].name
    labels, scores = session.run(None, {"X": rows})
    agree = int((scores.argmax(axis=1) == labels).sum())
    print(f"{classes} classes: output {name!r}, first row {scores[0].round(3).tolist()}, label")
    print(f"  {labels[0]}; the largest column is the label in {agree} of {len(rows)} rows")
    if (labels != model.predict(rows)).any():
        sys.exit("changed: labels differ from scikit-learn's")
    if name != "probabilities" or not (scores < 0).any():
        sys.exit("changed: the second output has another name, or holds no scores")
    if classes == 2 and agree:
        sys.exit("changed: the two columns are no longer the wrong way round")
PYTHON
