"""From a scikit-learn estimator to ONNX, and the proof that both say the same: see proof_rows.py
and table_proof.py for the rows, parity.py for the rule.

Imported where a model is stored and by the process that loads one, never by the server: what it
needs takes 150 MiB.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import is_classifier

from rollout_model import onnx_bundle, unconverted
from rollout_model.artifact import Artifact, verify
from rollout_model.errors import BadInput, first_line
from rollout_model.estimator_parts import asks_trees_only
from rollout_model.load_policy import LoadPolicy
from rollout_model.onnx_export import carrying, convert
from rollout_model.parity import Mismatch, Proof, mismatch
from rollout_model.proof_rows import proof
from rollout_model.runtimes import OnnxRuntime, onnx_runtime
from rollout_model.serving_plan import OnnxInput, Plan
from rollout_model.signature import AnyRows, Signature
from rollout_model.table_features import Features
from rollout_model.table_proof import halves
from rollout_model.table_signature import rows_of_frame

KEPT = 100
"""Rows of each kind that travel with a conversion, for pods to try it on again."""
NEVER = 2.0
"""Further from scikit-learn than any share of values that differ."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A way of conversion, and what it is held to."""

    estimator: Any
    """What is converted: the model, or its second half."""
    signature: Signature
    """Of what that is asked."""
    shown: Proof
    """What it says."""
    features: Features | None = None
    """The first half; None where the model is converted whole."""
    over: Proof | None = None
    """What the model says, where it has two halves."""

    @property
    def points(self) -> int:
        """Rows that both runtimes are compared on."""
        return len(self.shown.points) + (0 if self.over is None else len(self.over.points))


def plan(estimator: Any, artifact: Artifact, rows: AnyRows | None = None) -> tuple[Plan, bytes]:
    """The first way of conversion that agrees with the estimator, and its ONNX file (b"" with
    scikit-learn).

    rows: of training, where they are known. Raises LoadFailed.
    """
    method = artifact.method
    task = unconverted.task(estimator, method)
    classes = unconverted.classes(estimator, method)
    unconverted.answers_example(estimator, artifact)
    if method not in {"predict", "predict_proba"}:
        why = f"{method} is not converted"
        return unconverted.by_sklearn(estimator, artifact, why), b""
    nearest, reason, points = NEVER + 2, "", 0
    for way in _ways(artifact.signature):
        try:
            trial = way(estimator, artifact, rows)
        except Exception as failure:  # no failure of the check keeps scikit-learn from serving
            if nearest > NEVER + 1:
                nearest, reason = NEVER + 1, f"not compared: {first_line(failure)}"
            continue
        points = max(points, trial.points)
        for onnx_input in _onnx_inputs(trial):
            try:
                content, differs = _tried(trial, onnx_input, task, method)
            # What a converter or a runtime does not know, it says in many ways.
            except Exception as failure:
                if nearest > NEVER:
                    nearest, reason = NEVER, f"not converted: {first_line(failure)}"
                continue
            if differs is None:
                made = Plan("onnx", task, classes, onnx_input, points=trial.points, method=method)
                return made, content
            if differs.share < nearest:
                nearest, reason = differs.share, f"converted, but not alike: {differs.what}"
    return unconverted.by_sklearn(estimator, artifact, reason, points), b""


Way = Callable[[Any, Artifact, AnyRows | None], Trial]


def _ways(signature: Signature) -> Sequence[Way]:
    """Whole where rows are numbers that are always there; else, and where that fails, in halves."""
    return (_in_halves,) if signature.doubtful else (_whole, _in_halves)


def _whole(estimator: Any, artifact: Artifact, rows: AnyRows | None) -> Trial:
    given = rows if isinstance(rows, np.ndarray) else None
    return Trial(estimator, artifact.signature, proof(estimator, artifact, given))


def _in_halves(estimator: Any, artifact: Artifact, rows: AnyRows | None) -> Trial:
    made = halves(estimator, artifact, rows)
    return Trial(made.rest, made.artifact.signature, made.within, made.features, made.over)


def _tried(
    trial: Trial, onnx_input: OnnxInput, task: str, method: str
) -> tuple[bytes, Mismatch | None]:
    """A conversion, and what it differs in. Raises whatever converter and runtime do."""
    probable = trial.shown.probable is not None
    content = convert(trial.estimator, trial.signature, onnx_input, task, probable, method=method)
    said = OnnxRuntime(content, onnx_input).answers(trial.shown.points)
    differs = mismatch(task, trial.shown, said)
    if differs is not None or trial.features is None or trial.over is None:
        return content, differs
    content = carrying(content, trial.features)
    return content, mismatch(
        task, trial.over, onnx_runtime(content, onnx_input).answers(trial.over.points)
    )


def add_bundle(estimator: Any, folder: Path, rows: Any = None) -> Plan:
    """Put beside a stored model how it is to be served, with a conversion that agrees where there
    is one.

    rows: of training, float64 (n, width), a Table, or a DataFrame with the model's columns; a
    sample of them travels too. Raises LoadFailed.
    """
    artifact = verify(folder, LoadPolicy())
    known = _known(artifact.signature, rows)
    made, content = plan(estimator, artifact, known)
    kept = known
    if known is not None and len(known) > onnx_bundle.MOST_ROWS:
        random = np.random.default_rng(0)
        chosen = np.sort(random.choice(len(known), onnx_bundle.MOST_ROWS, replace=False))
        kept = known[chosen]
    shown = None
    if made.onnx_input is not None and made.onnx_input.features:
        shown = halves(estimator, artifact, kept, seed=1, count=KEPT).over
    elif made.onnx_input is not None:
        given = kept if isinstance(kept, np.ndarray) else None
        shown = proof(estimator, artifact, given, seed=1, count=KEPT)
    onnx_bundle.write(artifact, made, content, shown, kept)
    return made


def _known(signature: Signature, rows: Any) -> AnyRows | None:
    """Rows of training as those of a request; None where they would be none."""
    try:
        return rows_of_frame(signature, rows) if hasattr(rows, "columns") else rows
    except BadInput:
        return None


def _onnx_inputs(trial: Trial) -> Iterator[OnnxInput]:
    """Trees that see the request's numbers count in single precision, as in scikit-learn; all else
    in double precision only.

    Then column by column.
    """
    estimator, shown = trial.estimator, trial.shown
    kinds = ("float32", "float64") if asks_trees_only(estimator) else ("float64",)
    kind = shown.expected.dtype.kind
    labels = (
        "bool" if kind == "b" else "float64" if kind == "f" and is_classifier(estimator) else ""
    )
    featured = trial.features is not None
    for columns in (False, True) if trial.signature.named else (False,):
        for one in kinds:
            yield OnnxInput(one, columns, shown.expected.ndim == 1, labels, featured)
