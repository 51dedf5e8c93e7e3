"""What the routes share: settings, metrics, signed ids, and the model once it is ready."""

from dataclasses import dataclass, field

from rollout_inference.feedback import Ledger
from rollout_inference.identity import Signer
from rollout_inference.loading import LoadedModel
from rollout_inference.metrics import Metrics
from rollout_inference.settings import Settings
from rollout_inference.tracing import NO_TRACING, Tracing


@dataclass
class State:
    """`model` is None until it is loaded, verified and warmed up; `why` says what it waits for."""

    settings: Settings
    metrics: Metrics
    signer: Signer
    ledger: Ledger
    model: LoadedModel | None = None
    why: str = "the model is being loaded"
    tracing: Tracing = field(default=NO_TRACING)

    @classmethod
    def of(cls, settings: Settings) -> "State":
        """Nothing is loaded yet."""
        signer = Signer(settings.feedback_key, settings.name, settings.version, settings.model_revision)
        return cls(settings, Metrics(settings), signer, Ledger(settings.feedback_seconds))

    def serve(self, model: LoadedModel) -> None:
        """From now on this model answers."""
        self.metrics.loaded(model)
        self.signer.task(model.plan.task)
        self.model = model
