"""The series for Prometheus."""

from typing import Any

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from rollout_inference.api.routers.health import state_of

router = APIRouter(tags=["metrics"])
_TEXT: dict[int | str, dict[str, Any]] = {
    200: {"description": "Series", "content": {"text/plain": {"schema": {"type": "string"}}}}
}


@router.get("/metrics/", summary="Series in Prometheus' text format", responses=_TEXT)
@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """Every series of this model."""
    found = state_of(request).metrics
    await found.refresh()
    return Response(generate_latest(found.registry), media_type=CONTENT_TYPE_LATEST)
