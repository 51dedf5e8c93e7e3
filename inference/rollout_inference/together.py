"""Requests that came in one turn of the event loop are predicted by one run of the model, and their answers leave one after the other.

Nobody waits for it: the model runs when all that has arrived is read. With sixteen clients a run serves several of them, and one answer
in several has to wake a client that sleeps; each is a fifth of what a request costs by itself.
"""

import asyncio
import logging
import time
import types
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rollout_inference import runtimes
from rollout_inference.endpoint import Endpoint, Headers, Reply, Scope
from rollout_inference.runtimes import Outcome, Runtime
from rollout_inference.signature import Rows

log = logging.getLogger(__name__)

Tell = Callable[[tuple[Reply, Headers] | None], None]


@dataclass(slots=True)
class Asked:
    """A request that is there whole. tell: called with its answer, or None where it has to be answered in the usual way."""

    endpoint: Endpoint
    scope: Scope
    body: bytes
    tell: Tell
    begun: float = field(default_factory=time.perf_counter)

    def told(self, reply: Reply) -> None:
        """It has its answer."""
        self._tell((reply, self.endpoint.told(self.scope, reply, self.begun)))

    def left(self) -> None:
        """It has to be answered in the usual way."""
        self._tell(None)

    def _tell(self, answer: tuple[Reply, Headers] | None) -> None:
        try:
            self.tell(answer)
        except Exception:  # the others of the same turn have to be answered, whatever this connection is in
            log.exception("an answer could not be sent", extra={"path": self.scope["path"]})


@dataclass(slots=True)
class _Waiting:
    """A request whose coroutine waits for the predictions of its rows."""

    asked: Asked
    answering: Generator[Any, Any, Reply]
    rows: Rows

    def goes_on(self, outcome: Outcome) -> None:
        try:
            self.answering.send(outcome)
        except StopIteration as done:
            self.asked.told(done.value)

    def fails(self, failure: Exception) -> None:
        try:
            self.answering.throw(failure)
        except StopIteration as done:
            self.asked.told(done.value)


class Together:
    """What has come since the last answers."""

    def __init__(self) -> None:
        self._asked: list[Asked] = []

    def add(self, asked: Asked) -> None:
        """Answer it at the end of this turn of the event loop."""
        if not self._asked:
            asyncio.get_running_loop().call_soon(self.answer)
        self._asked.append(asked)

    def answer(self) -> None:
        """Answer all that has come."""
        asked, self._asked = self._asked, []
        _predict(list(_begun(asked)))


def _begun(asked: Iterable[Asked]) -> Generator[_Waiting, None, None]:
    """Take each as far as it comes without the model; those that go on from there."""
    for one in asked:
        if len(one.body) > one.endpoint.state.settings.max_body:
            one.left()
            continue
        answering: Any = one.endpoint.answer(one.scope, one.body, _asks)
        try:
            rows = answering.send(None)
        except StopIteration as done:
            one.told(done.value)
            continue
        if len(rows) > runtimes.INLINE:
            answering.close()
            one.left()
        else:
            yield _Waiting(one, answering, rows)


@types.coroutine
def _asks(rows: Rows) -> Generator[Rows, Outcome, Outcome]:
    return (yield rows)


def _predict(waiting: Sequence[_Waiting]) -> None:
    """Give each its outcome; by one run where they are not too many, and one by one where that fails."""
    if not waiting:
        return
    model = waiting[0].asked.endpoint.state.model
    assert model is not None
    if len(waiting) > 1 and sum(len(one.rows) for one in waiting) <= runtimes.INLINE:
        try:
            outcomes = _outcomes(model.runtime, [one.rows for one in waiting])
        except Exception:
            outcomes = []
        for one, outcome in zip(waiting, outcomes, strict=False):
            one.goes_on(outcome)
        if outcomes:
            return
    for one in waiting:
        try:
            outcome = model.runtime.run(one.rows)
        except Exception as failure:
            one.fails(failure)
        else:
            one.goes_on(outcome)


def _outcomes(runtime: Runtime, parts: Sequence[Rows]) -> list[Outcome]:
    """An outcome for each part, of one run."""
    whole, found, end = runtime.run(np.concatenate(parts)), [], 0
    for part in parts:
        start, end = end, end + len(part)
        some = None if whole.probabilities is None else whole.probabilities[start:end]
        found.append(Outcome(whole.labels[start:end], some))
    return found
