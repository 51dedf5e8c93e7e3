#!/usr/bin/env bash
# One would guess: the label of a converted linear classifier is scikit-learn's, but for rounding.
# What happens: scikit-learn's SGDClassifier takes the class with the best decision value, and the
# converted one the class with the best probability. With loss modified_huber probabilities are
# cut to 0 and 1, with log_loss they saturate in single precision: they tie, the first class wins,
# and labels of training rows differ. Losses without probabilities give equal labels.
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
from sklearn.linear_model import SGDClassifier

for name in ("skl2onnx", "onnx", "onnxruntime", "scikit-learn"):
    print(name, version(name))
X, y = load_iris(return_X_y=True)
rows = X.astype(np.float32)
differ = {}
for loss in ("modified_huber", "log_loss", "hinge"):
    model = SGDClassifier(loss=loss, random_state=0).fit(X, y)
    plain = {} if loss == "hinge" else {"zipmap": False}
    converted = to_onnx(model, rows[:1], options=plain or None)
    session = onnxruntime.InferenceSession(converted.SerializeToString())
    labels, shares = session.run(None, {"X": rows})
    wrong = labels != model.predict(rows)
    differ[loss] = int(wrong.sum())
    print(f"{loss}: {differ[loss]} of {len(rows)} labels differ")
    if plain:
        best = np.sort(shares[wrong], axis=1)
        tied = int((best[:, -1] == best[:, -2]).sum())
        print(f"  the two best probabilities are equal in {tied} of these")
        if tied != differ[loss]:
            sys.exit("changed: labels differ where probabilities do not tie")
if differ["hinge"]:
    sys.exit("changed: labels differ with hinge, too")
if not (differ["modified_huber"] and differ["log_loss"]):
    sys.exit("changed: labels no longer differ")
PYTHON
