"""Predictions."""

import logging
import time

import msgspec
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from rollout_inference.signature import BadInput
from rollout_inference.state import State, state_of

log = logging.getLogger(__name__)
router = APIRouter(tags=["predict"])


class PredictRequest(BaseModel):
    """Rows to predict: lists of numbers in the order of the model's columns, or objects by column name."""

    instances: list[list[float] | dict[str, float]]


class PredictResponse(BaseModel):
    """One prediction for each row, and which model made them."""

    predictions: list[str | float]
    model: str
    version: str
    revision: str


class Problem(BaseModel):
    """What is wrong, as a sentence."""

    error: str


_ERRORS: dict[int | str, dict[str, object]] = {code: {"model": Problem} for code in (400, 413, 422, 500, 503)}
_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": PredictRequest.model_json_schema()}}}}


@router.post("/predict/", summary="Predict rows", response_model=PredictResponse, responses=_ERRORS, openapi_extra=_BODY)
@router.post("/predict", include_in_schema=False)
async def predict(request: Request) -> Response:
    """`curl -X POST localhost:8080/predict/ -d '{"instances": [[5.1, 3.5, 1.4, 0.2]]}'`"""
    state, begun = state_of(request), time.perf_counter()
    response = await _answer(request, state)
    state.metrics.requests.inc()
    state.metrics.latency.observe(time.perf_counter() - begun)
    if response.status_code >= 500:
        state.metrics.errors.inc()
    return response


async def _answer(request: Request, state: State) -> Response:
    if state.model is None:
        return _problem(503, f"not ready: {state.why}")
    body = await _body(request, state.settings.max_body)
    if body is None:
        return _problem(413, f"the body is larger than {state.settings.max_body} bytes: send fewer rows")
    try:
        asked = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as failure:
        return _problem(400, f"the body is no JSON: {failure}")
    if not isinstance(asked, dict) or "instances" not in asked:
        return _problem(422, 'send a JSON object {"instances": [row, ...]}')
    model = state.model
    try:
        rows = model.signature.rows(asked["instances"], state.settings.max_rows)
    except BadInput as failure:
        return _problem(422, str(failure))
    try:
        predictions = model.estimator.predict(model.signature.frame(rows)).tolist()
    except Exception:
        log.exception("prediction failed")
        return _problem(500, "the model failed on this input; the server's log has the details")
    settings = state.settings
    answer = {"predictions": predictions, "model": settings.name, "version": settings.version, "revision": settings.model_revision}
    return Response(msgspec.json.encode(answer), media_type="application/json")


async def _body(request: Request, most: int) -> bytes | None:
    """The body, None where it is larger than `most` bytes; no more than that is ever kept."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def _problem(status: int, error: str) -> Response:
    return Response(msgspec.json.encode({"error": error}), status, media_type="application/json")
