"""Requests that came in one turn of the event loop are predicted by one run of the model, and their
answers leave one after the other.

Nobody waits for it: the model runs when all that has arrived is read. With sixteen clients a run
serves several of them, and one answer in several has to wake a client that sleeps; each is a fifth
of what a request costs by itself. A turn takes what fits into BUDGET and leaves the rest to the
next one, so that whoever asks for something else, such as a probe, is heard in between.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from rollout_inference.api.endpoint import Endpoint, Headers, Question, Reply, Scope, header
from rollout_inference.loading.loader import LoadedModel
from rollout_inference.state import BUDGET
from rollout_model.runtimes import Outcome, Runtime
from rollout_model.signature import Rows

log = logging.getLogger(__name__)

Tell = Callable[[tuple[Reply, Headers] | None], None]


@dataclass(slots=True)
class Asked:
    """A request that is there whole. tell: called with its answer, or None where it has to be
    answered in the usual way.
    """

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
        except (
            Exception
        ):  # the others of the same turn have to be answered, whatever this connection is in
            log.exception("an answer could not be sent", extra={"path": self.scope["path"]})


class Together:
    """What has come since the last answers."""

    def __init__(self) -> None:
        self._asked: list[Asked] = []

    def add(self, asked: Asked) -> None:
        """Answer it at the end of this turn of the event loop, or of one of the next."""
        if not self._asked:
            asyncio.get_running_loop().call_soon(self.answer)
        self._asked.append(asked)

    def answer(self) -> None:
        """Answer what has come, as much as one turn may take."""
        _answer(self._taken())
        if self._asked:
            asyncio.get_running_loop().call_soon(self.answer)

    def settle(self) -> None:
        """Answer all that has come."""
        while self._asked:
            _answer(self._taken())

    def _taken(self) -> list[Asked]:
        """The first that wait, as many as are expected to fit into BUDGET; one at least."""
        expected, count = 0.0, 0
        for one in self._asked:
            expected += one.endpoint.state.pace.expected(len(one.body))
            if count and expected > BUDGET:
                break
            count += 1
        taken, self._asked = self._asked[:count], self._asked[count:]
        return taken


def _answer(asked: list[Asked]) -> None:
    """Answer each, those that are for the model by one run of it."""
    model = asked[0].endpoint.state.model if asked else None
    if model is not None and model.runtime.inline:
        _predict(model, list(_read(asked, model)))
        return
    for one in asked:
        one.left()


def _read(asked: list[Asked], model: LoadedModel) -> Iterator[tuple[Asked, Question]]:
    """What the model is asked; what does without it is answered, and what is too much for the event
    loop left.
    """
    for one in asked:
        pace, encoding = one.endpoint.state.pace, header(one.scope, b"content-encoding")
        if len(one.body) > pace.size or encoding:
            one.left()
            continue
        found = one.endpoint.read(one.scope, one.body, encoding, model)
        if isinstance(found, Reply):
            one.told(found)
        elif len(found.rows) > pace.rows:
            one.left()
        else:
            yield one, found


def _predict(model: LoadedModel, asked: Sequence[tuple[Asked, Question]]) -> None:
    """Give each its outcome; by one run where they are not too many, and one by one where that
    fails.
    """
    if (
        len(asked) > 1
        and sum(len(question.rows) for _, question in asked) <= asked[0][0].endpoint.state.pace.rows
    ):
        try:
            outcomes = _outcomes(model.runtime, [question.rows for _, question in asked])
        except Exception:
            outcomes = []
        for (one, question), outcome in zip(asked, outcomes, strict=False):
            one.told(one.endpoint.write(one.scope, question, outcome))
        if outcomes:
            return
    for one, question in asked:
        try:
            outcome = model.runtime.run(question.rows)
        except Exception:
            one.told(one.endpoint.failed(one.scope))
        else:
            one.told(one.endpoint.write(one.scope, question, outcome))


def _outcomes(runtime: Runtime, parts: Sequence[Rows]) -> list[Outcome]:
    """An outcome for each part, of one run."""
    whole, found, end = runtime.run(np.concatenate(parts)), [], 0
    for part in parts:
        start, end = end, end + len(part)
        some = None if whole.probabilities is None else whole.probabilities[start:end]
        found.append(Outcome(whole.labels[start:end], some))
    return found
