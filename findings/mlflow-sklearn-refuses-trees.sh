#!/usr/bin/env bash
# One would guess: mlflow.sklearn.save_model at its defaults saves what scikit-learn itself has.
# What happens: it writes skops, holds the file against skops's own list of trusted types, and
# raises: every tree, forest and boosting, k-neighbours, a pipeline with SimpleImputer and a
# fitted GridSearchCV are refused. LogisticRegression and SVC are saved. Naming the type in
# skops_trusted_types saves them, and loading then needs nothing more.
# Versions: MLflow 3.17.2, skops 0.16.0, scikit-learn 1.9.1. 2026-11-29.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
uv venv --quiet --python 3.11 "$work/venv"
uv pip install --quiet --python "$work/venv/bin/python" mlflow==3.17.2 scikit-learn==1.9.1 \
  skops==0.16.0 numpy==2.4.6 scipy==1.17.1 pandas==3.1.1

"$work/venv/bin/python" -W ignore - <<'PYTHON'
import logging
import re
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import mlflow.sklearn
from sklearn.datasets import load_iris
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

logging.disable(logging.WARNING)
for name in ("mlflow", "skops", "scikit-learn"):
    print(name, version(name))
X, y = load_iris(return_X_y=True)
TREE = "sklearn.tree._tree.Tree"
linear = LogisticRegression(max_iter=1000)


def refused(model, **options):
    """The types that MLflow names in its refusal; none where it saved the model."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model")
        try:
            mlflow.sklearn.save_model(model, path, pip_requirements=[], **options)
        except mlflow.MlflowException as failure:
            found = re.search(r"Untrusted types found in the file: \[(.*?)\]", str(failure))
            return found[1].replace("'", "").split(", ") if found else [str(failure)]
        if (mlflow.sklearn.load_model(path).predict(X) != model.predict(X)).any():
            return ["loaded, and answers otherwise"]
        return []


stated = (
    (linear, []),
    (SVC(), []),
    (DecisionTreeClassifier(), [TREE]),
    (RandomForestClassifier(), [TREE]),
    (GradientBoostingClassifier(), [TREE]),
    (
        HistGradientBoostingClassifier(),
        ["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"],
    ),
    (
        KNeighborsClassifier(),
        ["sklearn.metrics._dist_metrics.EuclideanDistance64", "sklearn.neighbors._kd_tree.KDTree"],
    ),
    (make_pipeline(SimpleImputer(), linear), ["numpy.dtype"]),
    (
        GridSearchCV(linear, {"C": [1, 2]}),
        [
            "sklearn.metrics._scorer._PassthroughScorer",
            "sklearn.model_selection._split.StratifiedKFold",
        ],
    ),
)
for model, types in stated:
    seen = refused(model.fit(X, y))
    print(f"{type(model).__name__}: {'refused: ' + ', '.join(seen) if seen else 'saved'}")
    if seen != types:
        sys.exit(f"changed: stated was {types or 'saved'}")
seen = refused(RandomForestClassifier().fit(X, y), skops_trusted_types=[TREE])
print(f"RandomForestClassifier, {TREE} trusted: {seen or 'saved, and loads'}")
if seen:
    sys.exit("changed: the named type does not suffice")
PYTHON
