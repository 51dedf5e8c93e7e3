#!/usr/bin/env bash
# One would guess: a TunedThresholdClassifierCV converts with its threshold, which is what it
# adds.
# What happens: it converts without a word to the classifier inside, and labels are those of the
# threshold 0.5. Its neighbour FixedThresholdClassifier is refused by the converter.
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
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV

for name in ("skl2onnx", "onnx", "onnxruntime", "scikit-learn"):
    print(name, version(name))
X, y = make_classification(600, weights=[0.9], random_state=0)
rows = X.astype(np.float32)
tuned = TunedThresholdClassifierCV(LogisticRegression(), scoring="balanced_accuracy").fit(rows, y)
session = onnxruntime.InferenceSession(to_onnx(tuned, rows[:1]).SerializeToString())
labels = session.run(None, {"X": rows})[0]
differ = int((labels != tuned.predict(rows)).sum())
inner = int((labels != tuned.estimator_.predict(rows)).sum())
print(f"threshold {tuned.best_threshold_:.3f}: {differ} of {len(rows)} labels differ")
print(f"from the classifier inside, at 0.5: {inner}")
try:
    to_onnx(FixedThresholdClassifier(LogisticRegression(), threshold=0.1).fit(rows, y), rows[:1])
    fixed = "converts"
except Exception as failure:
    fixed = type(failure).__name__
print("FixedThresholdClassifier:", fixed)
if not differ or inner:
    sys.exit("changed: the labels are no longer those of the classifier inside")
if fixed == "converts":
    sys.exit("changed: FixedThresholdClassifier converts")
PYTHON
