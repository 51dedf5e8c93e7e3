"""What the routes share: settings, metrics, signed ids, and the model once it is ready."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from rollout_inference.feedback.ledger import Ledger
from rollout_inference.feedback.prediction_id import Signer
from rollout_inference.live_comparison.sampling import Live
from rollout_inference.loading.loader import LoadedModel
from rollout_inference.metrics import Metrics
from rollout_inference.settings import Settings
from rollout_inference.tracing import NO_TRACING, Tracing

BUDGET = 0.002
"""Seconds for which the event loop may stand still: what is expected to take longer leaves it."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What the event loop may do itself, as pace.py measures it. request, byte: seconds that the
    smallest request takes, and each byte of

    a larger one; rows, size: the largest request, in rows and in bytes, that keeps within BUDGET.
    By default it may do nothing.
    """

    request: float = BUDGET
    byte: float = BUDGET
    rows: int = 0
    size: int = 0

    def expected(self, size: int) -> float:
        """Seconds that a body of so many bytes is expected to take."""
        return self.request + self.byte * size


@dataclass
class State:
    """`model` is None until it is loaded, verified and warmed up; `why` says what it waits for.

    live: what is noted of live requests to be compared with scikit-learn, None where nothing is;
    aside: the thread that reads and writes what is too much for the event loop; one, because Python
    runs one at a time.
    """

    settings: Settings
    metrics: Metrics
    signer: Signer
    ledger: Ledger
    model: LoadedModel | None = None
    why: str = "the model is being loaded"
    tracing: Tracing = field(default=NO_TRACING)
    pace: Pace = field(default_factory=Pace)
    live: Live | None = None
    aside: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "aside"))

    @classmethod
    def of(cls, settings: Settings) -> "State":
        """Nothing is loaded yet."""
        signer = Signer(
            settings.feedback_key, settings.name, settings.version, settings.model_revision
        )
        return cls(settings, Metrics(settings), signer, Ledger(settings.feedback_seconds))

    def serve(self, model: LoadedModel, pace: Pace) -> None:
        """From now on this model answers."""
        self.metrics.loaded(model)
        self.signer.task(model.plan.task)
        self.pace, self.model = pace, model

    def fall_back(self, model: LoadedModel) -> None:
        """The same model by scikit-learn, which has a thread of its own: what was measured for ONNX
        Runtime stays a bound for the rest.
        """
        self.metrics.serves(model)
        self.live, self.model = None, model
