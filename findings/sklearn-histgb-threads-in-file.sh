#!/usr/bin/env bash
# One would guess: same data, same random_state, same versions: the same model file, so a digest
# of the file tells whether a model is another one.
# What happens: a fitted HistGradientBoosting keeps the number of threads it was trained with,
# which follows the machine's cores; the file differs while every probability is equal, bit by
# bit. A random forest's file does not differ.
# Versions: scikit-learn 1.9.1, numpy 2.4.6, scipy 1.17.1. 2026-11-29.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
uv venv --quiet --python 3.11 "$work/venv"
uv pip install --quiet --python "$work/venv/bin/python" scikit-learn==1.9.1 numpy==2.4.6 \
  scipy==1.17.1

"$work/venv/bin/python" -W ignore - <<'PYTHON'
import os
import subprocess
import sys
from importlib.metadata import version

SCRIPT = """
import hashlib, pickle
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
X, y = load_iris(return_X_y=True)
for kind in (HistGradientBoostingClassifier, RandomForestClassifier):
    model = kind(random_state=0).fit(X, y)
    for said in (pickle.dumps(model), model.predict_proba(X).tobytes()):
        print(hashlib.sha256(said).hexdigest()[:16])
"""


def digests(threads):
    """Of boosting and forest: of the pickled model, and of its probabilities."""
    its = os.environ | {"OMP_NUM_THREADS": str(threads)}
    said = subprocess.run([sys.executable, "-c", SCRIPT], env=its, capture_output=True, check=True)
    return said.stdout.decode().split()


print("scikit-learn", version("scikit-learn"))
one, again, two = digests(1), digests(1), digests(2)
for threads, said in ((1, one), (1, again), (2, two)):
    print(f"OMP_NUM_THREADS={threads}: boosting {said[0]}, its answers {said[1]}, forest {said[2]}")
if one != again:
    sys.exit("changed: the same number of threads gives another file")
if one[1:] != two[1:]:
    sys.exit("changed: answers, or the forest's file, depend on threads, too")
if one[0] == two[0]:
    sys.exit("changed: the file no longer depends on the number of threads")
PYTHON
