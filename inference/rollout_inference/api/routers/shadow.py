"""What the operator says of copies; nobody else is listened to."""

import asyncio

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from rollout_inference.api.routers.health import state_of
from rollout_inference.shadow.orders import PATH, SIGNATURE, order
from rollout_model.errors import Refused

router = APIRouter()
LONGEST = 8192
"""Bytes of an order."""
SECONDS = 5.0
"""In which an order has to be there: users reach this route as well."""


@router.post(PATH, include_in_schema=False)
async def shadow(request: Request) -> JSONResponse:
    """Copy this share of requests, or none any more."""
    state = state_of(request)
    signature = request.headers.get(SIGNATURE.decode(), "").encode()
    try:
        said = order(await _body(request), signature, state.settings.feedback_key)
        columns = state.model.signature.names if state.model is not None else ()
        await state.copies.told(said, columns)
    except Refused as refused:
        # The rest of the body may be on its way.
        ends = {"connection": "close"} if refused.status in {408, 413} else None
        return JSONResponse({"error": str(refused)}, refused.status, headers=ends)
    # What was kept of requests is told to whom the order is from, and to nobody else.
    differences = [msgspec.to_builtins(one) for one in state.copies.sample.of(said.candidate)]
    done = {"candidate": said.candidate, "percent": said.percent, "differences": differences}
    return JSONResponse(done)


async def _body(request: Request) -> bytes:
    """Raises Refused where it is none of the operator's, by length or time."""
    body = b""
    try:
        async with asyncio.timeout(SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > LONGEST:
                    raise Refused(f"an order has at most {LONGEST} bytes", 413)
    except TimeoutError:
        raise Refused(f"the order did not arrive within {SECONDS:g} s", 408) from None
    except ClientDisconnect:
        raise Refused("the order has no end", 400) from None
    return body
