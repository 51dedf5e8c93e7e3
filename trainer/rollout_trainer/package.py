"""A model as a folder that the model server loads: skops file, signature, metrics, card, profile of
its training data, and its conversion to ONNX, under one content digest. Nothing here knows of a
registry.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow.sklearn
import pandas as pd
import skops.io
import yaml
from mlflow.models import ModelSignature, infer_signature
from mlflow.types import ColSpec, Schema

from rollout_model.digest import tree_digest
from rollout_model.errors import LoadFailed
from rollout_model.onnx_conversion import add_bundle
from rollout_model.training_profile import FILE
from rollout_model.trusted_types import TRUSTED_TYPES
from rollout_trainer.canonical import canonicalise
from rollout_trainer.data import Split
from rollout_trainer.errors import TrainerError
from rollout_trainer.evaluate import Evaluation
from rollout_trainer.model_card import card
from rollout_trainer.plots import draw
from rollout_trainer.preprocessing import kind_of
from rollout_trainer.profile import profile_text
from rollout_trainer.recipe import Recipe

REQUIREMENTS = ("scikit-learn", "skops", "pandas", "numpy")
BOOSTERS = {"xgboost": "xgboost-cpu", "lightgbm": "lightgbm"}
"""Modules, and the distributions that have them."""
TYPES = {"number": "double", "string": "string", "boolean": "boolean", "datetime": "datetime"}
"""MLflow's words for the kinds of columns."""


@dataclass(frozen=True, slots=True)
class Package:
    """What is published of a trained model."""

    folder: Path
    """The model's files."""
    digest: str
    """Their content digest."""
    card: str
    """The model card, which is one of the files."""
    plots: Path
    """The folder with pictures of its evaluation, which are no part of the model."""


def make_package(
    target: Path,
    recipe: Recipe,
    model: Any,
    split: Split,
    evaluation: Evaluation,
    *,
    training_rows: bool = True,
) -> Package:
    """Write model and plots below `target`; the rest as in `write_package`."""
    text, folder, plots = card(recipe, split, evaluation), target / "model", target / "evaluation"
    digest = write_package(
        folder, model, split, evaluation.metrics, text, training_rows=training_rows
    )
    draw(evaluation, plots)
    return Package(folder, digest, text, plots)


def write_package(
    folder: Path,
    model: Any,
    split: Split,
    metrics: Mapping[str, float],
    text: str = "",
    *,
    training_rows: bool = True,
) -> str:
    """Write the model with signature, input example, metrics.json, its card, the profile of its
    training data and its conversion to ONNX; returns its content digest.

    training_rows: whether a sample of them travels with the conversion. The same data, recipe and
    library versions give the same digest. Raises TrainerError where the model server would not load
    it.
    """
    example = _example(split)
    held = set(skops.io.get_untrusted_types(data=skops.io.dumps(model)))
    if foreign := held - TRUSTED_TYPES:
        raise TrainerError(
            f"The model server does not load {', '.join(sorted(foreign))}, which this estimator is"
            " made of: train another one, such as a forest, gradient boosting, a linear model or a"
            " support vector machine."
        )
    mlflow.sklearn.save_model(
        model,
        str(folder),
        serialization_format="skops",
        skops_trusted_types=sorted(held),
        signature=_signature(model, split),
        input_example=example,
        pip_requirements=[f"{name}=={version(name)}" for name in _requirements(model)],
    )
    (folder / "metrics.json").write_text(json.dumps(dict(metrics), indent=2) + "\n", newline="\n")
    if text:
        (folder / "model_card.md").write_text(text, encoding="utf-8", newline="\n")
    canonicalise(folder)
    if profile := profile_text((folder / "MLmodel").read_text(encoding="utf-8"), model, split):
        (folder / FILE).write_text(profile, encoding="utf-8", newline="\n")
    try:
        add_bundle(model, folder, split.train if training_rows else None)
    except LoadFailed as refused:
        raise TrainerError(f"The model server would not serve this model: {refused}") from refused
    return tree_digest(folder)


def _signature(model: Any, split: Split) -> ModelSignature:
    """The columns with their types, and which of them may be missing by the contract."""
    kinds = {name: kind_of(split.train[name]) for name in split.train.columns}
    inputs = Schema(
        [
            ColSpec(TYPES[kind], name, required=name not in split.optional)
            for name, kind in kinds.items()
        ]
    )
    whole = split.test.head(2)
    return ModelSignature(inputs, infer_signature(whole, model.predict(whole)).outputs)


def _example(split: Split) -> pd.DataFrame:
    """Two rows, without gaps where there are such."""
    whole = split.test.dropna()
    return (whole if len(whole) > 1 else split.test).head(2)


def _requirements(model: Any) -> list[str]:
    """The packages that the model needs, by their distributions' names."""
    modules = {
        path.split(".")[0] for path in skops.io.get_untrusted_types(data=skops.io.dumps(model))
    }
    return [*REQUIREMENTS, *(dist for name, dist in BOOSTERS.items() if name in modules)]


def signature_of(folder: Path) -> str:
    """MLflow's signature of a stored model, as JSON: what the operator compares with stable's."""
    signature = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))["signature"]
    return json.dumps({key: value for key, value in signature.items() if value is not None})
