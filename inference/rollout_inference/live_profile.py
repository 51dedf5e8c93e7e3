"""Live rows and answers, counted in the bins of the model's training profile: what drifts is seen
before any label comes.

What a request costs is to be kept in a list; the list is counted at once, when it is long or
somebody asks for the series. Nobody's value is kept for longer, and none becomes a label: a text is
a category of the training rows, or one of the others.
"""

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from rollout_model.bins import MISSING, Bins, known_classes, said, shortened
from rollout_model.signature import AnyRows, Signature
from rollout_model.table import Table
from rollout_model.training_profile import TrainingProfile, placed

log = logging.getLogger(__name__)
MOST_CELLS = 8_192
"""Numbers that wait to be counted: 64 KiB of them."""
MOST_WAITING = 512
"""Requests whose rows wait."""
INPUT, INPUT_TRAINED = "ml_input", "ml_input_trained"
PREDICTED, TRAINED = "ml_predicted", "ml_predicted_trained"
SERIES = {
    INPUT: "Values of live rows, by bin",
    INPUT_TRAINED: "Share of training rows, by bin",
    PREDICTED: "Answers of the model, by class or bin",
    TRAINED: "Share of the answers to held-out rows, by class or bin",
}
"""What is exported, and its help; of inputs with the labels `column` and `bin`, of answers with
`bin`.
"""
LONGEST_COLUMN = 100
"""Characters of a column's name in series."""
_Kept = npt.NDArray[np.float64] | list[float]
"""Plain values of a request's rows, (rows, columns), or of its only row."""


class LiveProfile(Collector):
    """Counters of one server, for as long as it runs; nothing before a model is served."""

    def __init__(self, names: Sequence[str], labels: Sequence[str]) -> None:
        """names, labels: of the labels that each series has, and their values."""
        self._names, self._labels = tuple(names), tuple(labels)
        self._lock = threading.Lock()
        self._waiting: deque[tuple[_Kept, Sequence[Any]]] = deque()
        self._cells = 0
        self._columns: list[_Column] = []
        self._readers: list[tuple[int, Callable[[npt.NDArray[Any]], float]]] = []
        self._positions: npt.NDArray[np.intp] | None = None
        self._answers: _Answers | None = None

    def serves(
        self,
        signature: Signature,
        profile: TrainingProfile | None,
        classes: Sequence[Any],
        task: str,
    ) -> None:
        """From now on rows of this model are counted; of one without a profile, the classes that it
        names alone.
        """
        taken = set[str]()
        for position, bins in [] if profile is None else placed(profile, signature):
            name = shortened(bins.name, LONGEST_COLUMN)
            if name not in taken:
                taken.add(name)
                self._columns.append(_Column(name, position, bins))
        self._readers = [(column.position, column.counting.one) for column in self._columns]
        positions = [column.position for column in self._columns]
        if positions != list(range(signature.width)):
            self._positions = np.array(positions, dtype=np.intp)
        answers = None if profile is None else profile.answers
        fits = answers is not None and (answers.kind == "number") == (task == "regressor")
        if fits and answers is not None:
            self._answers = _Answers(answers, known=True)
        elif classes and task != "regressor":
            self._answers = _Answers(known_classes(classes), known=False)

    def note(self, rows: AnyRows, answers: list[Any]) -> None:
        """A request was answered. Called by threads and the event loop alike; never raises, because
        an answer that cannot be counted is an answer all the same.
        """
        if not self._columns and self._answers is None:
            return
        try:
            self._keep(rows, answers)
        except Exception:
            self._give_up()

    def _give_up(self) -> None:
        log.exception("live rows are not counted any more")
        self._columns, self._answers = [], None

    def _keep(self, rows: AnyRows, answers: list[Any]) -> None:
        kept: _Kept
        if not isinstance(rows, Table):
            kept = rows if self._positions is None else rows[:, self._positions]
        elif len(rows) == 1:
            values = rows.values
            kept = [one(values[position]) for position, one in self._readers]
        else:
            plain = [one.counting.plain(rows.values[one.position]) for one in self._columns]
            kept = np.column_stack(plain) if plain else np.empty((len(rows), 0))
        self._waiting.append((kept, answers if self._answers is not None else ()))
        # Threads may lose each other's sum: the list is looked at as well.
        self._cells += len(answers) * (1 + len(self._columns))
        if self._cells > MOST_CELLS or len(self._waiting) >= MOST_WAITING:
            self.count()

    def count(self) -> None:
        """Count what waits."""
        with self._lock:
            self._cells, taken = 0, []
            while self._waiting:
                taken.append(self._waiting.popleft())
            if not taken:
                return
            if self._columns:
                matrices = [kept for kept, _ in taken if not isinstance(kept, list)]
                if single := [kept for kept, _ in taken if isinstance(kept, list)]:
                    matrices.append(np.array(single, dtype=np.float64))
                matrix = np.concatenate(matrices)
                for number, column in enumerate(self._columns):
                    column.counts += column.counting.counts(matrix[:, number])
            if self._answers is not None:
                self._answers.add(chain.from_iterable(answers for _, answers in taken))

    def collect(self) -> Iterator[Metric]:
        """The series, with all that was answered so far. Never raises: the server's other series
        are read at the same time.
        """
        try:
            self.count()
        except Exception:
            self._give_up()
        if self._columns:
            yield from self._inputs()
        if self._answers is not None:
            yield from self._answers.collect(self._names, self._labels)

    def _inputs(self) -> Iterator[Metric]:
        labels = [*self._names, "column", "bin"]
        live = CounterMetricFamily(INPUT, SERIES[INPUT], labels=labels)
        trained = GaugeMetricFamily(INPUT_TRAINED, SERIES[INPUT_TRAINED], labels=labels)
        for column in self._columns:
            counts = column.counts.tolist()
            for name, count, share in zip(column.bins, counts, column.shares, strict=True):
                live.add_metric([*self._labels, column.name, name], count)
                trained.add_metric([*self._labels, column.name, name], share)
        yield live
        yield trained


class _Column:
    """A column that is counted."""

    def __init__(self, name: str, position: int, bins: Bins) -> None:
        self.name, self.position = name, position
        self.bins, self.shares = bins.names, bins.shares
        self.counting = bins.counter()
        self.counts = np.zeros(self.counting.size, dtype=np.int64)


class _Answers:
    """What the model says, by class, or by bin of its numbers."""

    def __init__(self, bins: Bins, *, known: bool) -> None:
        """known: whether the shares are those of training."""
        self._bins, self._known = bins, known
        self._counting = bins.counter()
        self._counts = np.zeros(self._counting.size, dtype=np.int64)

    def add(self, answers: Iterable[Any]) -> None:
        """Count them; an answer of several values is none."""
        if self._bins.kind == "number":
            numbers = np.array([a for a in answers if isinstance(a, int | float)], dtype=np.float64)
            self._counts += self._counting.counts(numbers)
            return
        plain = (a if isinstance(a, str | int | float) else None for a in answers)
        # Few are different: each of those is looked up once.
        for answer, count in Counter(plain).items():
            if answer is not None:
                self._counts[int(self._counting.one(np.array([said(answer)], dtype=object)))] += (
                    count
                )

    def collect(self, names: Sequence[str], labels: Sequence[str]) -> Iterator[Metric]:
        """The counts, and what they were on rows that the model had not seen in training."""
        live = CounterMetricFamily(PREDICTED, SERIES[PREDICTED], labels=[*names, "bin"])
        trained = GaugeMetricFamily(TRAINED, SERIES[TRAINED], labels=[*names, "bin"])
        counts = self._counts.tolist()
        for name, count, share in zip(self._bins.names, counts, self._bins.shares, strict=True):
            if name != MISSING:
                live.add_metric([*labels, name], count)
                trained.add_metric([*labels, name], share)
        yield live
        if self._known:
            yield trained
