"""Requests that came in one turn of the event loop are predicted by one run of the model, and their
responses leave one after the other.

Nobody waits for it: the model runs when all that has arrived is read. With sixteen clients a run
serves several of them, and one response in several has to wake a client that sleeps; each is a
fifth of what a request costs by itself. A turn takes what fits into BUDGET and leaves the rest to
the next one, so that whoever asks for something else, such as a probe, is heard in between.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from rollout_inference.api.endpoint import Endpoint
from rollout_inference.api.protocol import Decoded, Headers, Response, Scope, header
from rollout_inference.loading.loader import LoadedModel
from rollout_inference.state import BUDGET
from rollout_model.batching import Batcher, predict_each

log = logging.getLogger(__name__)

OnResponse = Callable[[tuple[Response, Headers] | None], None]


@dataclass(slots=True)
class PendingRequest:
    """A request that is there whole."""

    endpoint: Endpoint
    """The route that it came to."""
    scope: Scope
    """Its `path` and `headers`."""
    body: bytes
    """As it was sent: it may be compressed."""
    on_response: OnResponse
    """Called with its response, or with None where it has to be answered in the usual way."""
    begun: float = field(default_factory=time.perf_counter)
    """When it was there whole, by time.perf_counter."""

    def done(self, response: Response) -> None:
        """It has its response."""
        self._call((response, self.endpoint.finish(self.scope, response, self.begun)))

    def fallback(self) -> None:
        """It has to be answered in the usual way."""
        self._call(None)

    def _call(self, response: tuple[Response, Headers] | None) -> None:
        try:
            self.on_response(response)
        # The others of the same batch have to be answered, whatever this connection is in.
        except Exception:
            log.exception("a response could not be sent", extra={"path": self.scope["path"]})


class EndOfTurn:
    """The policy of a model that answers within microseconds: on the event loop itself, as much at
    once as fits into BUDGET.
    """

    most = BUDGET
    pause = True

    def weight(self, pending: PendingRequest) -> float:
        """Seconds that it is expected to take."""
        return pending.endpoint.state.pace.expected(len(pending.body))

    def answer(self, batch: Sequence[PendingRequest], answered: Callable[[], None]) -> None:
        """Those that are for the model by one run of it, where they are not too many rows."""
        state = batch[0].endpoint.state
        model = state.model
        if model is None or not model.runtime.inline:
            for pending in batch:
                pending.fallback()
        else:
            asked = list(_decoded(batch, model))
            parts = [decoded.rows for _, decoded in asked]
            questions = [decoded.question for _, decoded in asked]
            outcomes = predict_each(model.runtime.run, parts, state.pace.rows, questions)
            for (pending, decoded), outcome in zip(asked, outcomes, strict=True):
                pending.done(pending.endpoint.encode(decoded, outcome))
        answered()


def request_batcher() -> Batcher[PendingRequest]:
    """What the fast path of one server hands its requests to."""
    return Batcher(EndOfTurn())


def _decoded(
    batch: Sequence[PendingRequest], model: LoadedModel
) -> Iterator[tuple[PendingRequest, Decoded]]:
    """What the model is asked; what does without it is answered, and what is too much for the event
    loop left.
    """
    for pending in batch:
        pace, encoding = pending.endpoint.state.pace, header(pending.scope, b"content-encoding")
        if len(pending.body) > pace.size or encoding:
            pending.fallback()
            continue
        decoded = pending.endpoint.decode(pending.scope, pending.body, encoding, model)
        if isinstance(decoded, Response):
            pending.done(decoded)
        elif len(decoded.rows) > pace.rows or pending.endpoint.named(decoded):
            pending.fallback()
        else:
            yield pending, decoded
