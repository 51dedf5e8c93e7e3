"""What answers: ONNX Runtime, inline where little is asked; or scikit-learn in one thread, which
takes at once all that came meanwhile.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import msgspec
import numpy as np
import onnxruntime

from rollout_model.batching import Batcher, Run, predict_each
from rollout_model.outcome import BESIDE, PLAIN, PREDICT, PROBABILITIES, Outcome, Question
from rollout_model.serving_plan import OnnxInput
from rollout_model.signature import AnyRows, Rows, Signature, cut
from rollout_model.table_features import METADATA, Features, Featurizer
from rollout_model.table_form import TableForm


class Runtime(Protocol):
    """Predicts checked rows, Rows or a Table; raises whatever the model raises."""

    name: str
    """What metrics call it: "onnx", or the name of the model's flavor."""
    inline: bool
    """Whether few rows may be predicted on the event loop, without a thread."""
    takes_params: bool
    """Whether it hands MLflow's parameters to the model: as MLflow, which keeps them from
    scikit-learn.
    """

    @property
    def also(self) -> tuple[str, ...]:
        """What it can be asked for beside predictions, of outcome.BESIDE."""

    async def predict(self, rows: Any, question: Question = PLAIN) -> Outcome:
        """One outcome for all rows."""

    def run(self, rows: Any, question: Question = PLAIN) -> Outcome:
        """The same in this thread."""


def session(content: bytes) -> Any:
    """An ONNX Runtime session in one thread: requests are what is parallel, by replicas."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def feed(rows: Rows, onnx_input: OnnxInput, inputs: Sequence[str]) -> dict[str, Any]:
    """The inputs of a run; by their order, because a converter may have changed their names."""
    typed = rows.astype(onnx_input.kind)
    if not onnx_input.columns:
        return {inputs[0]: typed}
    return {name: typed[:, n : n + 1] for n, name in enumerate(inputs)}


class OnnxRuntime:
    """One row takes some 10 µs, less than handing it to a thread would."""

    name = "onnx"
    inline = True
    takes_params = False

    def __init__(self, content: bytes, onnx_input: OnnxInput) -> None:
        self._session = session(content)
        self._input = onnx_input
        self._inputs = [one.name for one in self._session.get_inputs()]
        self._outputs = [one.name for one in self._session.get_outputs()]
        self._labels, self._served = self._outputs[:1], self._outputs[:2]
        self._thread = ThreadPoolExecutor(1, "onnx")

    @property
    def probable(self) -> bool:
        """Whether it says probabilities beside labels."""
        return len(self._served) > 1

    @property
    def also(self) -> tuple[str, ...]:
        """Probabilities, where the conversion gives and the proof compared them."""
        return (PROBABILITIES,) if self.probable else ()

    def answers(self, rows: Any) -> list[Any]:
        """All outputs as they are: labels, and probabilities where it has them. Raises whatever
        ONNX Runtime does.
        """
        if len(self._inputs) != (rows.shape[1] if self._input.columns else 1):
            raise ValueError(f"it takes {len(self._inputs)} inputs")
        said: list[Any] = self._session.run(self._outputs, feed(rows, self._input, self._inputs))
        return [self._typed(said[0]), *said[1:]]

    async def predict(self, rows: Any, question: Question = PLAIN) -> Outcome:
        """In a thread, which leaves Python to the event loop meanwhile."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self.run, rows, question)

    def run(self, rows: Any, question: Question = PLAIN) -> Outcome:
        """Predict in this thread."""
        wanted = self._served if question.also else self._labels
        said = self._session.run(wanted, feed(rows, self._input, self._inputs))
        labels = self._typed(said[0].ravel() if self._input.flat else said[0])
        more = {PROBABILITIES: np.clip(said[1], 0, 1)} if len(said) > 1 else {}
        return Outcome(labels.tolist(), more)

    def _typed(self, labels: Any) -> Any:
        return labels.astype(self._input.labels) if self._input.labels else labels


class FeaturesRuntime(OnnxRuntime):
    """The same of a model that is asked with features: they are computed here, of rows of any
    kind.
    """

    def __init__(self, content: bytes, onnx_input: OnnxInput) -> None:
        super().__init__(content, onnx_input)
        said = self._session.get_modelmeta().custom_metadata_map[METADATA]
        self._featurizer = Featurizer(msgspec.json.decode(said, type=Features))

    def answers(self, rows: AnyRows) -> list[Any]:
        """All outputs as they are. Raises whatever ONNX Runtime does, and ValueError where the
        model refuses a row.
        """
        said = [super(FeaturesRuntime, self).answers(one) for one in self._features(rows)]
        return [np.concatenate(parts) for parts in zip(*said, strict=True)]

    def run(self, rows: AnyRows, question: Question = PLAIN) -> Outcome:
        """Predict in this thread. Raises ValueError where the model refuses a row."""
        said = [super(FeaturesRuntime, self).run(one, question) for one in self._features(rows)]
        if len(said) == 1:
            return said[0]
        more = {name: np.concatenate([one.more[name] for one in said]) for name in said[0].more}
        return Outcome([label for one in said for label in one.labels], more)

    def _features(self, rows: AnyRows) -> Iterator[Rows]:
        """Of as many rows as are held at once."""
        most = self._featurizer.most
        if len(rows) <= most:
            yield self._featurizer(rows)
            return
        for start in range(0, len(rows), most):
            yield self._featurizer(cut(rows, start, start + most))


def onnx_runtime(content: bytes, onnx_input: OnnxInput) -> OnnxRuntime:
    """The runtime for the model. Raises whatever ONNX Runtime does where it is none."""
    return (FeaturesRuntime if onnx_input.features else OnnxRuntime)(content, onnx_input)


@dataclass(slots=True)
class Pending:
    """Rows that wait for a batch."""

    rows: AnyRows
    """Of one request."""
    question: Question
    """What it asks beside predictions."""
    outcome: asyncio.Future[Outcome]
    """Cancelled where nobody waits for it any more."""


class WhileBusy:
    """The policy of a slow model: a thread answers, and what comes meanwhile is the next batch."""

    pause = False
    """The thread is to work while the event loop sends what was answered."""

    def __init__(self, run: Run, most: int) -> None:
        self.most: float = most
        self._run, self._thread = run, ThreadPoolExecutor(1, "sklearn")

    def weight(self, pending: Pending) -> float:
        """Its rows."""
        return len(pending.rows)

    def answer(self, batch: Sequence[Pending], answered: Callable[[], None]) -> None:
        """In the thread; its outcomes are handed out by the event loop."""
        parts = [pending.rows for pending in batch]
        questions = [pending.question for pending in batch]
        running = asyncio.get_running_loop().run_in_executor(
            self._thread, predict_each, self._run, parts, self.most, questions
        )
        running.add_done_callback(partial(self._hand_out, batch, answered))

    def _hand_out(
        self,
        batch: Sequence[Pending],
        answered: Callable[[], None],
        running: asyncio.Future[list[Outcome | Exception]],
    ) -> None:
        try:
            for pending, outcome in zip(batch, running.result(), strict=True):
                if pending.outcome.done():  # nobody waits for it any more
                    continue
                if isinstance(outcome, Exception):
                    pending.outcome.set_exception(outcome)
                else:
                    pending.outcome.set_result(outcome)
        finally:
            answered()


@dataclass(slots=True)
class SklearnRuntime:
    """Asks the estimator in adaptive micro-batches: an idle model answers at once, a busy one then
    takes all that wait.

    A call of scikit-learn costs milliseconds for one row and little more for a hundred.
    """

    estimator: Any
    """Scikit-learn's own, or one with its interface."""
    signature: Signature
    """Of the rows that it takes."""
    most: int = 4_096
    """Rows of one batch."""
    method: str = "predict"
    """Of the estimator, which answers."""
    form: TableForm = field(default_factory=TableForm)
    """How it is given a Table."""
    name: str = "sklearn"
    """What metrics call it."""
    inline: bool = False
    """Whether a call takes microseconds; one of scikit-learn takes milliseconds."""
    takes_params: bool = False
    """Never, as with MLflow."""
    _batcher: Batcher[Pending] = field(init=False)

    def __post_init__(self) -> None:
        self._batcher = Batcher(WhileBusy(self.run, self.most))

    @property
    def also(self) -> tuple[str, ...]:
        """What the estimator has; nothing where something else than its predictions answers."""
        if self.method != PREDICT:
            return ()
        return tuple(name for name in BESIDE if hasattr(self.estimator, name))

    async def predict(self, rows: AnyRows, question: Question = PLAIN) -> Outcome:
        """Wait for the batch that these rows are part of."""
        pending = Pending(rows, question, asyncio.get_running_loop().create_future())
        self._batcher.add(pending)
        return await pending.outcome

    def run(self, rows: AnyRows, question: Question = PLAIN) -> Outcome:
        """Predict in this thread. What else is asked for is a second pass over the model."""
        asked = self.form.given(self.signature, rows)
        labels = np.asarray(getattr(self.estimator, self.method)(asked)).tolist()
        more = {name: self._said(name, asked) for name in BESIDE if name in question.also}
        return Outcome(labels, more)

    def _said(self, name: str, asked: Any) -> Any:
        said = getattr(self.estimator, name)(asked)
        return [np.asarray(one) for one in said] if isinstance(said, list) else np.asarray(said)
