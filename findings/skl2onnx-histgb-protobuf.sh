#!/usr/bin/env bash
# One would guess: whether an estimator can be converted depends on skl2onnx and onnx, which name
# the operators; the protobuf beneath is a detail, as long as onnx admits its version.
# What happens: with protobuf 7 no HistGradientBoosting converts: skl2onnx writes Python bools
# into a list of integers, which protobuf 6 took and protobuf 7 refuses. The message shows the
# node and its attributes, and not the reason. With protobuf 6.33 the same versions convert it,
# and the labels are equal. GradientBoosting converts with both.
# Versions: skl2onnx 1.20.0, onnx 1.23.2 (which admits protobuf 6.31.1 and later), protobuf 6.33.6
# and 7.36.2, onnxruntime 1.32.0, scikit-learn 1.9.1. 2026-11-29.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
uv venv --quiet --python 3.11 "$work/venv"
cat >"$work/convert.py" <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import onnxruntime
from onnx import AttributeProto
from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier

print(*(f"{name} {version(name)}" for name in ("protobuf", "skl2onnx", "onnx", "onnxruntime")))
try:
    AttributeProto().ints.append(False)
    print("False in a list of integers: taken")
except TypeError as failure:
    print("False in a list of integers:", failure)
X, y = load_iris(return_X_y=True)
rows = X.astype(np.float32)
outcome = {}
for kind in (HistGradientBoostingClassifier, GradientBoostingClassifier):
    model = kind(random_state=0, max_iter=5) if "Hist" in kind.__name__ else kind(random_state=0)
    model.fit(rows, y)
    try:
        converted = to_onnx(model, rows[:1])
    except Exception as failure:
        outcome[kind.__name__] = "not converted"
        print(f"{kind.__name__}: {type(failure).__name__}: {str(failure)[:70]}...")
        continue
    session = onnxruntime.InferenceSession(converted.SerializeToString())
    differ = int((session.run(None, {"X": rows})[0] != model.predict(rows)).sum())
    outcome[kind.__name__] = f"labels that differ: {differ}"
    print(f"{kind.__name__}: converted, {outcome[kind.__name__]}")
equal = "labels that differ: 0"
stated = "not converted" if version("protobuf").startswith("7.") else equal
if outcome["HistGradientBoostingClassifier"] != stated:
    sys.exit(f"changed: HistGradientBoosting: {stated!r} was stated")
if outcome["GradientBoostingClassifier"] != equal:
    sys.exit("changed: GradientBoosting does not convert, or labels differ")
PYTHON
for protobuf in 6.33.6 7.36.2; do
  uv pip install --quiet --python "$work/venv/bin/python" protobuf==$protobuf skl2onnx==1.20.0 \
    onnx==1.23.2 onnxruntime==1.32.0 scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1
  "$work/venv/bin/python" -W ignore "$work/convert.py"
done
