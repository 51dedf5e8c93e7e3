#!/usr/bin/env bash
# One would guess: what skops dumps without an error, skops of the same version can load, once the
# types it names have been trusted.
# What happens: a vectoriser whose tokenizer is str.split is dumped, its only untrusted type is
# said to be builtins.method_descriptor, and with that trusted loading ends in an AttributeError:
# Python has no such name in builtins. So the model is lost only when it is read. pickle takes the
# same model there and back.
# Versions: skops 0.16.0, scikit-learn 1.9.1. 2026-11-29.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
uv venv --quiet --python 3.11 "$work/venv"
uv pip install --quiet --python "$work/venv/bin/python" skops==0.16.0 scikit-learn==1.9.1 \
  numpy==2.4.6 scipy==1.17.1

"$work/venv/bin/python" -W ignore - <<'PYTHON'
import pickle
import sys
from importlib.metadata import version

import skops.io
from sklearn.feature_extraction.text import CountVectorizer

for name in ("skops", "scikit-learn"):
    print(name, version(name))
texts = ["a good film", "a bad film"]
words = CountVectorizer(tokenizer=str.split, token_pattern=None).fit(texts)
copy = pickle.loads(pickle.dumps(words))
print("pickle:", copy.transform(texts).toarray().tolist())
dumped = skops.io.dumps(words)
untrusted = skops.io.get_untrusted_types(data=dumped)
print("skops, untrusted types:", untrusted)
try:
    skops.io.loads(dumped, trusted=untrusted)
except Exception as failure:
    said = f"{type(failure).__name__}: {failure}"
else:
    sys.exit("changed: it loads")
print("skops, loading:", said)
if "builtins.method_descriptor" not in untrusted or "AttributeError" not in said:
    sys.exit("changed: it fails in another way")
PYTHON
