#!/usr/bin/env bash
# One would guess: a TfidfVectorizer at its defaults, converted, loads wherever ONNX Runtime does.
# What happens: its StringNormalizer names no locale, ONNX Runtime then wants en_US.UTF-8, and
# where the system has none, as in slim container images, the session is refused. With the
# converter's option locale="C" it loads. (LOCPATH, an empty folder, leaves glibc on any machine
# the few locales of such an image.)
# Versions: skl2onnx 1.20.0, onnx 1.23.2, onnxruntime 1.32.0, scikit-learn 1.9.1. 2026-11-29.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
uv venv --quiet --python 3.11 "$work/venv"
uv pip install --quiet --python "$work/venv/bin/python" skl2onnx==1.20.0 onnx==1.23.2 \
  onnxruntime==1.32.0 scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1 protobuf==7.36.2

mkdir "$work/none"
LOCPATH="$work/none" "$work/venv/bin/python" -W ignore - <<'PYTHON'
import sys
from importlib.metadata import version

import onnxruntime
from skl2onnx import to_onnx
from skl2onnx.common.data_types import StringTensorType
from sklearn.feature_extraction.text import TfidfVectorizer

for name in ("skl2onnx", "onnx", "onnxruntime", "scikit-learn"):
    print(name, version(name))
texts = TfidfVectorizer().fit(["a good film", "a bad film", "a long day"])
kind = [("text", StringTensorType([None, 1]))]


def outcome(**options):
    converted = to_onnx(texts, initial_types=kind, options={TfidfVectorizer: options})
    try:
        onnxruntime.InferenceSession(converted.SerializeToString())
    except Exception as failure:
        return str(failure).partition("Failed to ")[2] or str(failure)
    return "loads"


plain, named = outcome(), outcome(locale="C")
print("defaults:", plain)
print('locale="C":', named)
if "locale with name:en_US.UTF-8" not in plain:
    sys.exit("changed: a default TfidfVectorizer is no longer refused for its locale")
if named != "loads":
    sys.exit('changed: with locale="C" it does not load')
PYTHON
