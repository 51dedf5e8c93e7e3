#!/usr/bin/env bash
# One would guess: a model of another scikit-learn loads with InconsistentVersionWarning, or the
# refusal says that versions differ.
# What happens: of a gradient boosting saved by scikit-learn 1.6 skops under 1.9 says that it
# holds an untrusted type of a module _loss, which is scikit-learn's own of then and reads like
# foreign code. Once it is trusted, loading ends in No module named _loss. A random forest loads,
# with the warning.
# Versions: scikit-learn 1.6.1 and 1.9.1, skops 0.16.0, numpy 2.4.6. 2026-11-29.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
for sklearn in 1.6.1 1.9.1; do
  uv venv --quiet --python 3.11 "$sklearn"
  uv pip install --quiet --python "$sklearn/bin/python" scikit-learn==$sklearn skops==0.16.0 \
    numpy==2.4.6 scipy==1.17.1
done
1.6.1/bin/python -W ignore - <<'PYTHON'
import skops.io
from sklearn.datasets import load_iris
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier

for kind in (GradientBoostingClassifier, RandomForestClassifier):
    model = kind(n_estimators=3, random_state=0).fit(*load_iris(return_X_y=True))
    skops.io.dump(model, kind.__name__)
PYTHON
1.9.1/bin/python - <<'PYTHON'
import sys
import warnings
from importlib.metadata import version

import skops.io

print("scikit-learn 1.6.1, read by", version("scikit-learn"), "with skops", version("skops"))


def loaded(name):
    untrusted = skops.io.get_untrusted_types(file=name)
    print(f"{name}: untrusted types: {', '.join(untrusted)}")
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            skops.io.load(name, trusted=untrusted)
            said = "loaded"
        except Exception as failure:
            said = f"{type(failure).__name__}: {failure}"
    kinds = sorted({one.category.__name__ for one in warned})
    print(f"  trusted: {said}; warnings: {', '.join(kinds) or 'none'}")
    return untrusted, said, kinds


types, said, _ = loaded("GradientBoostingClassifier")
if not any(one.startswith("_loss.") for one in types) or "No module named '_loss'" not in said:
    sys.exit("changed: boosting is read, or refused in other words")
_, said, kinds = loaded("RandomForestClassifier")
if said != "loaded" or "InconsistentVersionWarning" not in kinds:
    sys.exit("changed: the forest does not load, or without the warning")
PYTHON
