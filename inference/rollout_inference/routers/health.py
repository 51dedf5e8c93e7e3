"""Readiness with the last metrics, and liveness."""

import msgspec
from fastapi import APIRouter, Request, Response

from rollout_inference.state import state_of

router = APIRouter(tags=["health"])


@router.get("/health/", summary="Ready: the model is loaded, verified and warmed up")
@router.get("/health", include_in_schema=False)
async def health(request: Request) -> Response:
    """200 with what is served, or 503 with what is waited for."""
    state = state_of(request)
    settings, model = state.settings, state.model
    said: dict[str, object] = {"model": settings.name, "version": settings.version, "revision": settings.model_revision}
    if model is None:
        return _json({"status": "starting", "reason": state.why, **said}, 503)
    return _json({"status": "ready", **said, "digest": model.digest, "accuracy": model.accuracy, "samples": model.samples})


@router.get("/health/live", summary="Live: the process answers")
async def live() -> Response:
    """Always 200."""
    return _json({"status": "live"})


def _json(body: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")
