"""Readiness with the last metrics, and liveness: our own, MLflow's, and the Open Inference
Protocol's.
"""

from importlib.metadata import version
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response

from rollout_inference.api.openapi import DESCRIPTIONS, problems
from rollout_inference.api.protocols.open_inference_v2 import metadata
from rollout_inference.api.routers.model import Handed
from rollout_inference.state import State

router = APIRouter()
MLFLOW = version("mlflow-skinny")

_OBJECT: dict[str, Any] = {"content": {"application/json": {"schema": {"type": "object"}}}}
_TEXT: dict[str, Any] = {"content": {"text/plain": {"schema": {"type": "string"}}}}
_WAITS: dict[int | str, dict[str, Any]] = {
    200: {"description": "Ready", **_OBJECT},
    503: {"description": "Not yet", **_OBJECT},
}
_UNKNOWN: dict[int | str, dict[str, Any]] = {
    404: {"description": "Another model, or another version", **_OBJECT}
}
_BASE = "/v2/models/{name}"


def state_of(request: Request) -> State:
    """The state of the app that the request came to."""
    found: State = request.app.state.served
    return found


@router.get(
    "/health/",
    tags=["health"],
    summary="Ready: the model is loaded, verified and warmed up",
    responses=_WAITS,
)
@router.get("/health", include_in_schema=False)
async def health(request: Request) -> Response:
    """What is served and by which runtime, with the last accuracy and what it rests on; or what is
    waited for.
    """
    state = state_of(request)
    settings, model = state.settings, state.model
    said: dict[str, object] = {
        "model": settings.name,
        "version": settings.version,
        "revision": settings.model_revision,
    }
    if model is None:
        return _json({"status": "starting", "reason": state.why, **said}, 503)
    measured = state.metrics.error if model.plan.task == "regressor" else state.metrics.accuracy
    kind = "absolute_error" if model.plan.task == "regressor" else "accuracy"
    runtime = {
        "runtime": model.runtime.name,
        "runtime_reason": model.plan.reason,
        "task": model.plan.task,
    }
    figures = {kind: measured.value, "samples": measured.samples, "source": measured.source}
    return _json({"status": "ready", **said, "digest": model.digest, **runtime, **figures})


@router.get(
    "/health/live",
    tags=["health"],
    summary="Live: the process answers",
    responses={200: {"description": "Live", **_OBJECT}},
)
async def live() -> Response:
    """Always 200."""
    return _json({"status": "live"})


@router.get(
    "/ping",
    tags=["MLflow"],
    summary="Ready",
    responses={200: {"description": "Ready", **_TEXT}, 503: {"description": "Not yet", **_TEXT}},
)
async def ping(request: Request) -> Response:
    """An empty line."""
    return Response(
        b"\n", 200 if state_of(request).model is not None else 503, media_type="text/plain"
    )


@router.get(
    "/version",
    tags=["MLflow"],
    summary="MLflow's version",
    responses={200: {"description": "A version", **_TEXT}},
)
async def mlflow_version() -> Response:
    """The version of MLflow whose protocol is spoken."""
    return Response(MLFLOW, media_type="text/plain")


@router.get(
    "/v2",
    tags=["Open Inference Protocol"],
    summary="The server",
    responses={200: {"description": "The server", **_OBJECT}},
)
@router.get("/v2/", include_in_schema=False)
async def server() -> Response:
    """Name, version and extensions."""
    return _json(
        {
            "name": "model-rollouts",
            "version": version("model-rollouts"),
            "extensions": ["binary_tensor_data"],
        }
    )


@router.get(
    "/v2/health/live",
    tags=["Open Inference Protocol"],
    summary="Live",
    responses={200: {"description": "Live", **_OBJECT}},
)
async def v2_live() -> Response:
    """Always 200."""
    return _json({"live": True})


@router.get("/v2/health/ready", tags=["Open Inference Protocol"], summary="Ready", responses=_WAITS)
async def v2_ready(request: Request) -> Response:
    """Whether the model answers."""
    ready = state_of(request).model is not None
    return _json({"ready": ready}, 200 if ready else 503)


@router.get(
    f"{_BASE}/ready",
    tags=["Open Inference Protocol"],
    summary="The model is ready",
    responses={**_WAITS, **_UNKNOWN},
)
@router.get(f"{_BASE}/versions/{{version}}/ready", include_in_schema=False)
async def model_ready(request: Request, name: str) -> Response:
    """Whether this model answers."""
    if (unknown := _unknown(request, name)) is not None:
        return unknown
    ready = state_of(request).model is not None
    return _json({"name": name, "ready": ready}, 200 if ready else 503)


@router.get(
    _BASE,
    tags=["Open Inference Protocol"],
    summary="What the model takes and gives",
    responses={**_WAITS, **_UNKNOWN},
)
@router.get(f"{_BASE}/versions/{{version}}", include_in_schema=False)
async def model_metadata(request: Request, name: str) -> Response:
    """Inputs, outputs, and which runtime serves."""
    if (unknown := _unknown(request, name)) is not None:
        return unknown
    state = state_of(request)
    if state.model is None:
        return _json({"error": f"not ready: {state.why}"}, 503)
    return _json(metadata(state.settings, state.model))


_INFER = DESCRIPTIONS["infer"]


@router.post(
    f"{_BASE}/infer",
    tags=["Open Inference Protocol"],
    summary=_INFER.summary,
    description=_INFER.description,
    responses=problems(_INFER),
    openapi_extra=_INFER.extra(),
)
@router.post(f"{_BASE}/versions/{{version}}/infer", include_in_schema=False)
async def infer(request: Request, name: str) -> Response:
    """Of this model only."""
    unknown = _unknown(request, name)
    return Handed(request.app.state.endpoints["infer"]) if unknown is None else unknown


def _unknown(request: Request, name: str) -> Response | None:
    settings = state_of(request).settings
    asked = request.path_params.get("version", settings.version)
    if (name, asked) == (settings.name, settings.version):
        return None
    return _json(
        {
            "error": (
                f"there is no model {name!r} version {asked!r} here: this is {settings.name!r}"
                f" version {settings.version!r}"
            )
        },
        404,
    )


def _json(body: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")
