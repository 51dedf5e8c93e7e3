"""What the operator says of copies; nobody else is listened to."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from rollout_inference.api.routers.health import state_of
from rollout_inference.shadow.orders import PATH, SIGNATURE, order
from rollout_model.errors import Refused

router = APIRouter()
LONGEST = 4096
"""Bytes of an order."""


@router.post(PATH, include_in_schema=False)
async def shadow(request: Request) -> JSONResponse:
    """Copy this share of requests, or none any more."""
    state = state_of(request)
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST:
            return JSONResponse({"error": f"an order has at most {LONGEST} bytes"}, 413)
    signature = request.headers.get(SIGNATURE.decode(), "").encode()
    try:
        said = order(body, signature, state.settings.feedback_key)
        await state.copies.told(said)
    except Refused as refused:
        return JSONResponse({"error": str(refused)}, refused.status)
    return JSONResponse({"candidate": said.candidate, "percent": said.percent})
