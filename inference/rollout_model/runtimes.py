"""What answers: ONNX Runtime, inline where little is asked; or scikit-learn in one thread, which
takes at once all that came meanwhile.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import onnxruntime

from rollout_model.serving_plan import Shape
from rollout_model.signature import Rows, Signature, frame


@dataclass(frozen=True, slots=True)
class Outcome:
    """Predictions, one for each row, as Python values; probabilities: (rows, classes), None where
    the model has none.
    """

    labels: list[Any]
    probabilities: Any = None


class Runtime(Protocol):
    """Predicts checked rows; raises whatever the model raises. inline: whether few rows may be
    predicted without a thread.
    """

    name: str
    inline: bool

    @property
    def probable(self) -> bool:
        """Whether it says probabilities beside labels."""

    async def predict(self, rows: Rows) -> Outcome:
        """One outcome for all rows."""

    def run(self, rows: Rows) -> Outcome:
        """The same in this thread."""


def session(content: bytes) -> Any:
    """An ONNX Runtime session in one thread: requests are what is parallel, by replicas."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def feed(rows: Rows, shape: Shape, inputs: Sequence[str]) -> dict[str, Any]:
    """The inputs of a run; by their order, because a converter may have changed their names."""
    typed = rows.astype(shape.kind)
    if not shape.columns:
        return {inputs[0]: typed}
    return {name: typed[:, n : n + 1] for n, name in enumerate(inputs)}


class OnnxRuntime:
    """One row takes some 10 µs, less than handing it to a thread would."""

    name = "onnx"
    inline = True

    def __init__(self, content: bytes, shape: Shape) -> None:
        self._session = session(content)
        self._shape = shape
        self._inputs = [one.name for one in self._session.get_inputs()]
        self._outputs = [one.name for one in self._session.get_outputs()]
        self._served = self._outputs[:2]
        self._thread = ThreadPoolExecutor(1, "onnx")

    @property
    def probable(self) -> bool:
        """Whether it says probabilities beside labels."""
        return len(self._served) > 1

    def answers(self, rows: Rows) -> list[Any]:
        """All outputs as they are: labels, and probabilities where it has them. Raises whatever
        ONNX Runtime does.
        """
        if len(self._inputs) != (rows.shape[1] if self._shape.columns else 1):
            raise ValueError(f"it takes {len(self._inputs)} inputs")
        said: list[Any] = self._session.run(self._outputs, feed(rows, self._shape, self._inputs))
        return [self._typed(said[0]), *said[1:]]

    async def predict(self, rows: Rows) -> Outcome:
        """In a thread, which leaves Python to the event loop meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self.run, rows)

    def run(self, rows: Rows) -> Outcome:
        """Predict in this thread."""
        said = self._session.run(self._served, feed(rows, self._shape, self._inputs))
        labels = self._typed(said[0].ravel() if self._shape.flat else said[0])
        return Outcome(labels.tolist(), np.clip(said[1], 0, 1) if len(said) > 1 else None)

    def _typed(self, labels: Any) -> Any:
        return labels.astype(self._shape.labels) if self._shape.labels else labels


@dataclass(slots=True)
class _Waiting:
    rows: Rows
    answer: asyncio.Future[Outcome]


@dataclass(slots=True)
class SklearnRuntime:
    """Asks `method` of the estimator in adaptive micro-batches: an idle model answers at once, a
    busy one then takes all that wait, up to `most` rows.

    A call of scikit-learn costs milliseconds for one row and little more for a hundred.
    """

    estimator: Any
    signature: Signature
    most: int = 4_096
    method: str = "predict"
    name: str = "sklearn"
    inline: bool = False
    probable: bool = False
    _queue: list[_Waiting] = field(default_factory=list)
    _busy: bool = False
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "sklearn"))

    async def predict(self, rows: Rows) -> Outcome:
        """Wait for the batch that these rows are part of."""
        loop = asyncio.get_running_loop()
        mine = _Waiting(rows, loop.create_future())
        self._queue.append(mine)
        if not self._busy:
            self._busy = True
            loop.create_task(self._drain(loop))  # noqa: RUF006 - it ends with the queue, and the queue's futures hold on to it
        return await mine.answer

    async def _drain(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            while self._queue:
                batch = self._take()
                outcomes = await loop.run_in_executor(
                    self._thread, self._answers, [one.rows for one in batch]
                )
                for one, outcome in zip(batch, outcomes, strict=True):
                    if one.answer.done():
                        continue
                    if isinstance(outcome, Exception):
                        one.answer.set_exception(outcome)
                    else:
                        one.answer.set_result(outcome)
        finally:
            self._busy = False

    def _take(self) -> list[_Waiting]:
        taken, rows = 0, 0
        while taken < len(self._queue) and (
            taken == 0 or rows + len(self._queue[taken].rows) <= self.most
        ):
            rows += len(self._queue[taken].rows)
            taken += 1
        batch, self._queue[:taken] = self._queue[:taken], []
        return batch

    def _answers(self, asked: list[Rows]) -> list[Outcome | Exception]:
        """One answer for each request; where the batch fails, each is tried alone, so that none
        fails for another's rows.
        """
        try:
            together = self.run(np.vstack(asked))
        except Exception as failure:
            return [failure] if len(asked) == 1 else [self._answers([one])[0] for one in asked]
        ends = np.cumsum([len(one) for one in asked]).tolist()
        starts = [0, *ends[:-1]]
        return [Outcome(together.labels[a:b]) for a, b in zip(starts, ends, strict=True)]

    def run(self, rows: Rows) -> Outcome:
        """Predict in this thread; without probabilities, which would be a second pass over the
        model.
        """
        return Outcome(
            np.asarray(getattr(self.estimator, self.method)(frame(self.signature, rows))).tolist()
        )
