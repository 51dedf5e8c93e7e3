"""Models that were logged as ONNX: asked by their own inputs, with nothing to be proved, because
nothing is converted.

Source of how columns become inputs: mlflow.onnx._OnnxModelWrapper, which gives one input all
columns, and several inputs a column each, by name.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rollout_model.errors import LoadFailed, first_line
from rollout_model.outcome import PLAIN, PROBABILITIES, Outcome, Question
from rollout_model.runtimes import session
from rollout_model.serving_plan import Plan
from rollout_model.signature import AnyRows, Signature
from rollout_model.table import Table

KINDS: dict[str, type] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(int16)": np.int16,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.object_,
}
"""ONNX Runtime's words for types, and NumPy's types."""
LABELLED = ("classlabels_int64s", "classlabels_ints", "classlabels_strings")
"""Attributes of nodes that answer with a class."""
CHOOSING = "ArrayFeatureExtractor"
"""The node that takes an answer from a list of classes."""


@dataclass(frozen=True, slots=True)
class _Input:
    name: str
    """As the graph has it."""
    kind: type
    """NumPy's."""
    rank: int
    """1 or 2."""


class OwnOnnxRuntime:
    """Its first output are predictions; a second one with numbers for each row, probabilities."""

    name = "onnx"
    inline = True
    takes_params = False

    def __init__(self, content: bytes, signature: Signature) -> None:
        """Raises LoadFailed where its inputs are not the signature's columns."""
        self._session = session(content)
        self._inputs = [_input(one) for one in self._session.get_inputs()]
        self._order = _order(self._inputs, signature)
        sizes = {_rows(one.shape) for one in self._session.get_inputs()}
        if sizes - {0, 1}:
            raise LoadFailed(
                f"The ONNX model takes {max(sizes)} rows at a time and no others: export it with a"
                " dynamic first dimension."
            )
        self._singly = 1 in sizes
        outputs = [one.name for one in self._session.get_outputs()]
        self._labels, self._served = outputs[:1], outputs[:2]
        self._chances = len(outputs) > 1 and _probable(self._session.get_outputs()[1])
        self._thread = ThreadPoolExecutor(1, "onnx")

    @property
    def also(self) -> tuple[str, ...]:
        """Probabilities, where the graph has them."""
        return (PROBABILITIES,) if self._chances else ()

    @property
    def task(self) -> str:
        """As in Plan: words are classes, and so is what comes with probabilities."""
        kind = self._session.get_outputs()[0].type
        if kind == "tensor(string)" or (self._chances and "int" in kind):
            return "classifier"
        return "regressor" if kind in {"tensor(float)", "tensor(double)"} else "other"

    async def predict(self, rows: AnyRows, question: Question = PLAIN) -> Outcome:
        """In a thread, which leaves Python to the event loop meanwhile."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self.run, rows, question)

    def run(self, rows: AnyRows, question: Question = PLAIN) -> Outcome:
        """Predict in this thread."""
        wanted = self._served if self._chances and question.also else self._labels
        feed = self._feed(rows)
        if self._singly and len(rows) > 1:
            each = [
                self._session.run(wanted, {name: one[n : n + 1] for name, one in feed.items()})
                for n in range(len(rows))
            ]
            said = [_joined(parts) for parts in zip(*each, strict=True)]
        else:
            said = self._session.run(wanted, feed)
        labels = np.asarray(said[0])
        if labels.ndim == 2 and labels.shape[1] == 1:
            labels = labels[:, 0]
        return Outcome(labels.tolist(), {PROBABILITIES: _matrix(said[1])} if said[1:] else {})

    def _feed(self, rows: AnyRows) -> dict[str, Any]:
        if len(self._inputs) == 1:
            only = self._inputs[0]
            matrix = np.column_stack(rows.values) if isinstance(rows, Table) else rows
            typed = _typed(matrix, only.kind)
            return {only.name: typed[:, 0] if only.rank == 1 else typed}
        columns = rows.values if isinstance(rows, Table) else rows.T
        shape = {1: (-1,), 2: (-1, 1)}
        return {
            one.name: _typed(columns[n], one.kind).reshape(shape[one.rank])
            for one, n in zip(self._inputs, self._order, strict=True)
        }


def plan(content: bytes, signature: Signature, example: AnyRows, made_up: bool) -> Plan:
    """How the model is served; raises LoadFailed where it does not answer its own example."""
    try:
        runtime = OwnOnnxRuntime(content, signature)
    except LoadFailed:
        raise
    except Exception as failure:
        raise LoadFailed(f"ONNX Runtime cannot read the model: {first_line(failure)}") from failure
    classes: list[Any] = []
    try:
        said = runtime.run(example, Question(frozenset(runtime.also)))
    except Exception as failure:
        if not made_up:
            raise LoadFailed(
                f"The model fails on rows that its signature allows: {first_line(failure)}"
            ) from failure
    else:
        if len(said.labels) != len(example):
            raise LoadFailed(
                f"The ONNX model gives {len(said.labels)} answers to {len(example)} rows: its first"
                " output has to be its predictions."
            )
        if PROBABILITIES in said.more:
            classes = named(content, said)
    return Plan("onnx", runtime.task, classes if runtime.task == "classifier" else [])


def whole(path: Path) -> bytes:
    """The ONNX file with all its weights, which MLflow puts into files beside it; raises LoadFailed
    where one is elsewhere.
    """
    # What reads a model needs it, and not what serves it.
    import onnx  # noqa: PLC0415

    try:
        # It refuses paths that lead out of the folder, and links.
        return bytes(onnx.load(str(path)).SerializeToString())
    except Exception as failure:
        raise LoadFailed(f"The ONNX file cannot be read: {first_line(failure)}") from failure


def named(content: bytes, said: Outcome) -> list[Any]:
    """The classes that the graph names, in the order of its probabilities; empty where it names
    none, or others than it answers with.
    """
    import onnx  # noqa: PLC0415

    graph = onnx.load_from_string(content).graph
    constants = {one.name: one for one in graph.initializer}
    found = [
        list(attribute.ints) or [one.decode() for one in attribute.strings]
        for node in graph.node
        for attribute in node.attribute
        if attribute.name in LABELLED
    ] + [
        [
            _text(one)
            for one in onnx.numpy_helper.to_array(constants[node.input[0]]).ravel().tolist()
        ]
        for node in graph.node
        if node.op_type == CHOOSING and node.input[0] in constants
    ]
    width = said.more[PROBABILITIES].shape[1]
    fitting = [one for one in found if len(one) == width and set(said.labels) <= set(one)]
    return fitting[-1] if fitting else []


def _text(one: Any) -> Any:
    return one.decode() if isinstance(one, bytes) else one


def _typed(values: Any, kind: type) -> Any:
    """Raises ValueError for a value that the type cannot hold, of which NumPy makes another."""
    if kind is np.object_:
        return values.astype(kind)
    floating = issubclass(kind, np.floating)
    if not floating:
        cells = values.ravel().tolist()
        if any(one is None or one != one for one in cells):  # noqa: PLR0124 - NaN
            raise ValueError(f"a value is missing, and {kind.__name__} has no gaps")
    with np.errstate(over="ignore", invalid="ignore"):
        typed = values.astype(kind)
    lost = np.isinf(typed) if floating else typed != values
    if lost.any():
        raise ValueError(f"{kind.__name__} cannot hold {values[lost].tolist()[0]}")
    return typed


def _input(given: Any) -> _Input:
    rank = len(given.shape)
    if given.type not in KINDS or rank not in {1, 2}:
        raise LoadFailed(
            f"The ONNX model's input {given.name!r} is {given.type} of {rank} dimensions: rows of"
            " numbers or text can be served, in one or two."
        )
    return _Input(given.name, KINDS[given.type], rank)


def _order(inputs: Sequence[_Input], signature: Signature) -> list[int]:
    """The column of each input, where there are several."""
    if len(inputs) == 1:
        return []
    names = list(signature.names)
    if sorted(names) != sorted(one.name for one in inputs):
        raise LoadFailed(
            f"The ONNX model has the inputs {', '.join(one.name for one in inputs)[:200]}, and its"
            f" signature the columns {', '.join(names)[:200]}: log it with a signature that has"
            " them by these names."
        )
    return [names.index(one.name) for one in inputs]


def _rows(shape: Sequence[Any]) -> int:
    return shape[0] if isinstance(shape[0], int) else 0


def _probable(output: Any) -> bool:
    """Whether it has numbers for each row and class: a matrix, or a map for each row."""
    return str(output.type).startswith("seq(map(") or (
        output.type in {"tensor(float)", "tensor(double)"} and len(output.shape) == 2
    )


def _matrix(said: Any) -> Any:
    if isinstance(said, list):  # a map for each row, its classes in one order
        return np.array([list(one.values()) for one in said])
    return said


def _joined(parts: Sequence[Any]) -> Any:
    if isinstance(parts[0], list):
        return [one for part in parts for one in part]
    return np.concatenate(parts)
