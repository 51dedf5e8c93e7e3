"""What the routers share: settings, metrics, and the model once it is ready."""

from dataclasses import dataclass

from fastapi import Request

from rollout_inference.loading import LoadedModel
from rollout_inference.metrics import Metrics
from rollout_inference.settings import Settings


@dataclass
class State:
    """`model` is None until it is loaded, verified and warmed up; `why` says what it waits for."""

    settings: Settings
    metrics: Metrics
    model: LoadedModel | None = None
    why: str = "the model is being loaded"


def state_of(request: Request) -> State:
    """The state of the app that the request came to."""
    found: State = request.app.state.served
    return found
