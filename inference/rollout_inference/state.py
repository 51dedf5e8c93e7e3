"""What the routes share: settings, metrics, signed ids, and the model once it is ready."""

import os
import re
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from rollout_inference.feedback.book import Book
from rollout_inference.feedback.databases import database
from rollout_inference.feedback.ledger import Ledger
from rollout_inference.feedback.prediction_id import Signer
from rollout_inference.feedback.store import Limits, Store
from rollout_inference.live_comparison.sampling import Live
from rollout_inference.loading.loader import LoadedModel
from rollout_inference.metrics import Metrics
from rollout_inference.settings import Settings
from rollout_inference.shadow.copies import Copies
from rollout_inference.shadow.orders import copy_token
from rollout_inference.tracing import NO_TRACING, Tracing

BUDGET = 0.002
"""Seconds for which the event loop may stand still: what is expected to take longer leaves it."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What the event loop may do itself, as pace.py measures it. By default that is nothing."""

    request: float = BUDGET
    """Seconds that the smallest request takes."""
    byte: float = BUDGET
    """Seconds that each byte of a larger one takes."""
    rows: int = 0
    """Of the largest request that keeps within BUDGET."""
    size: int = 0
    """Bytes of the body of the largest request that keeps within BUDGET."""

    def expected(self, size: int) -> float:
        """Seconds that a body of so many bytes is expected to take."""
        return self.request + self.byte * size


@dataclass
class State:
    """What one server knows while it runs."""

    settings: Settings
    """As the environment had them at start."""
    metrics: Metrics
    """What /metrics shows."""
    signer: Signer
    """Makes and reads prediction ids."""
    ledger: Ledger
    """Which predictions have their label already."""
    values: Ledger
    """Which have their value: one does not keep the other out."""
    book: Book | None = None
    """What remembers predictions and labels beyond this process; None where nothing does."""
    model: LoadedModel | None = None
    """None until it is loaded, verified and warmed up."""
    answered: bool = False
    """Whether the model has answered any row: what it refuses then is the rows' fault."""
    why: str = "the model is being loaded"
    """What is waited for while there is no model."""
    cannot_serve: bool = False
    """Whether the model's own files are why there is none."""
    tracing: Tracing = field(default=NO_TRACING)
    """Spans of requests; NO_TRACING where none are made."""
    pace: Pace = field(default_factory=Pace)
    """What the event loop may do itself: nothing before a model is served."""
    copies: Copies = field(init=False)
    """What of its requests is copied to a candidate."""
    copy_token: bytes = field(init=False)
    """What copies for this revision carry; b"" where none can come."""
    live: Live | None = None
    """What is noted of live requests to be compared with scikit-learn; None where nothing is."""
    stop: Callable[[], object] = lambda: os.kill(os.getpid(), signal.SIGTERM)
    """Ends the server; by default as Kubernetes would, which leaves no exit code of one's own."""
    aside: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "aside"))
    """The thread that reads and writes what is too much for the event loop; one, because Python
    runs one at a time.
    """

    def __post_init__(self) -> None:
        self.copies = Copies(self.settings, self.metrics)
        self.copy_token = copy_token(self.settings.feedback_key, self.settings.model_revision)

    @classmethod
    def of(cls, settings: Settings) -> "State":
        """Nothing is loaded yet."""
        signer = Signer(
            settings.feedback_key, settings.name, settings.version, settings.model_revision
        )
        labels, values = (
            Ledger(settings.feedback_seconds, what=what) for what in ("label", "value")
        )
        book = _book(settings)
        return cls(settings, Metrics(settings, book), signer, labels, values, book)

    def serve(self, model: LoadedModel, pace: Pace) -> None:
        """From now on this model answers."""
        self.metrics.loaded(model)
        self.signer.task(model.plan.task)
        self.answered = model.answer is not None
        self.pace, self.model = pace, model

    def fall_back(self, model: LoadedModel) -> None:
        """The same model by scikit-learn, which has a thread of its own: what was measured for ONNX
        Runtime stays a bound for the rest.
        """
        self.metrics.serves(model)
        self.live, self.model = None, model


def _book(settings: Settings) -> Book | None:
    """What remembers labels, where the settings say so. It is opened when it is first asked."""
    if not settings.feedback_store:
        return None
    scope = settings.feedback_scope or re.sub(r"[^A-Za-z0-9_-]", "_", settings.name)[:200]
    limits = Limits(settings.feedback_seconds, settings.store_entries, settings.store_bytes)
    store = Store(database(settings.feedback_store, scope), scope, limits, settings.value_max)
    return Book(
        store, (settings.name, settings.version, settings.model_revision), settings.accuracy_window
    )
