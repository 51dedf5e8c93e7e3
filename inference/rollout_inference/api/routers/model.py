"""Routes to the model, as FastAPI documents them. The endpoints themselves are bare ASGI: see
endpoint.py.
"""

from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from rollout_inference.api.openapi import DESCRIPTIONS, problems

router = APIRouter()


class Handed(Response):
    """The request as it came, handed to an ASGI application."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__()
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


def _route(path: str, endpoint: str, tag: str, *hidden: str) -> None:
    async def handed(request: Request) -> Response:
        return Handed(request.app.state.endpoints[endpoint])

    text = DESCRIPTIONS[endpoint]
    said: dict[str, Any] = {
        "summary": text.summary,
        "description": text.description,
        "tags": [tag],
        "operation_id": endpoint,
    }
    router.add_api_route(
        path, handed, methods=["POST"], responses=problems(text), openapi_extra=text.extra(), **said
    )
    for other in hidden:
        router.add_api_route(other, handed, methods=["POST"], include_in_schema=False)


_route("/predict/", "predict", "predictions", "/predict")
_route("/feedback/", "feedback", "labels", "/feedback")
_route("/invocations", "invocations", "MLflow")
