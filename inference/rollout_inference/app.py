"""The application: listens at once, is ready when the model is. Requests to the model go past
FastAPI, everything else through it.
"""

import asyncio
import gc
import logging
import os
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi_offline import FastAPIOffline

from rollout_inference.api.endpoint import Endpoint, Receive, Send
from rollout_inference.api.openapi import OVERVIEW, TITLE, with_store
from rollout_inference.api.prefix import prefixes
from rollout_inference.api.protocol import Scope, header
from rollout_inference.api.protocols.feedback import Feedback
from rollout_inference.api.protocols.mlflow import Mlflow
from rollout_inference.api.protocols.native import Native
from rollout_inference.api.protocols.open_inference_v2 import OpenInference
from rollout_inference.api.routers import health, metrics, model, shadow
from rollout_inference.api.row_schema import for_model
from rollout_inference.live_comparison.sampling import watch
from rollout_inference.loading.loader import LoadedModel, load
from rollout_inference.metrics import OTHER, PREDICTION
from rollout_inference.pace import measured
from rollout_inference.settings import Settings
from rollout_inference.state import State
from rollout_inference.tracing import tracing
from rollout_model.errors import CannotServe, LoadFailed

log = logging.getLogger(__name__)
ROUTERS = (model.router, health.router, metrics.router, shadow.router)
UNROUTED = frozenset({404, 405})
"""Answers to requests that found no route, or none for their method; 404 also where the Open
Inference Protocol names another model.
"""
BODIES = frozenset({b"application/json", b"text/csv", b"application/octet-stream"})
WORDS = frozenset({"predict", "invocations", "infer", "feedback"})


class Application:
    """ASGI. `api` is what documents and serves every route; `endpoints` are the ones that requests
    to the model take directly.
    """

    def __init__(self, settings: Settings) -> None:
        self.state = State.of(settings)
        protocols = {
            "predict": Native(),
            "feedback": Feedback(waits=self.state.book is not None),
            "invocations": Mlflow(),
            "infer": OpenInference(),
        }
        self.endpoints = {
            name: Endpoint(self.state, protocol) for name, protocol in protocols.items()
        }
        self.api = _api(self.state, self.endpoints)
        self._prefix_of = prefixes(
            [*self.api.routes, *(route for router in ROUTERS for route in router.routes)]
        )
        base = f"/v2/models/{settings.name}"
        short = {
            "predict": ("/predict/", "/predict"),
            "feedback": ("/feedback/", "/feedback"),
            "invocations": ("/invocations",),
            "infer": (f"{base}/infer", f"{base}/versions/{settings.version}/infer"),
        }
        self._short = {
            path: self.endpoints[name] for name, paths in short.items() for path in paths
        }
        self._fixed = self.endpoints["predict"].fixed

    def endpoint(self, path: str) -> Endpoint | None:
        """The endpoint for a POST to this path, under whatever prefix."""
        return self._short.get(path) or self._short.get(path[len(self._prefix_of(path)) :])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or live through the application's life."""
        if scope["type"] != "http":
            await self.api(scope, receive, send)
            return
        path = scope["path"]
        endpoint, prefix = self.endpoint(path), self._prefix_of(path)
        if prefix:
            scope["root_path"] = scope.get("root_path", "") + prefix
        if endpoint is not None and scope["method"] == "POST":
            await endpoint(scope, receive, send)
            return
        head, unrouted = scope["method"] == "HEAD", kind(scope)

        async def say_who_answered(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                known = {name for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *(one for one in self._fixed if one[0] not in known),
                ]
                if message["status"] in UNROUTED:
                    self.state.metrics.unrouted(unrouted)
                    log.debug(
                        "no route",
                        extra={"path": path, "status": message["status"], "kind": unrouted},
                    )
            elif head:
                message["body"] = b""
            await send(message)

        # What answers GET answers HEAD, as RFC 9110 (9.1) wants and load balancers ask.
        await self.api({**scope, "method": "GET"} if head else scope, receive, say_who_answered)


def kind(scope: Scope) -> str:
    """What a request looks like that finds no route: a prediction that went astray, or anything
    else, such as a browser or a scanner.

    A POST is a prediction where its body is of a kind that a protocol reads, or its path names one
    of the protocols' routes.
    """
    if scope["method"] != "POST":
        return OTHER
    body = header(scope, b"content-type").partition(b";")[0].strip().lower()
    return PREDICTION if body in BODIES or WORDS.intersection(scope["path"].split("/")) else OTHER


def create_app(settings: Settings, model: LoadedModel | None = None) -> Application:
    """The application for one model; a `model` that is given is served at once, otherwise it is
    loaded by `settings` at start.
    """
    made = Application(settings)
    if model is not None:
        made.state.serve(model, measured(made.state, model))
    return made


def _api(state: State, endpoints: dict[str, Endpoint]) -> FastAPI:
    settings = state.settings

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        state.tracing = tracing(
            os.environ, settings.name, settings.version, settings.model_revision
        )
        loading = asyncio.create_task(_load(state)) if state.model is None else None
        yield
        if loading is not None:
            loading.cancel()
            await asyncio.wait([loading])
        await state.copies.end()
        await asyncio.to_thread(state.tracing.close)
        if state.book is not None:
            await asyncio.to_thread(state.book.close)

    # Its pages come from the image itself: a cluster need not reach the network that FastAPI's own
    # pages are fetched from.
    about: dict[str, Any] = {"title": TITLE, "description": OVERVIEW, "version": "2"}
    api: FastAPI = FastAPIOffline(
        redoc_url=None, lifespan=lifespan, redirect_slashes=False, **about
    )
    api.state.served, api.state.endpoints = state, endpoints
    for router in ROUTERS:
        api.include_router(router)

    def document() -> dict[str, Any]:
        """Not cached: it is seldom asked for, and another one once the model is loaded."""
        made = get_openapi(title=TITLE, version="2", description=OVERVIEW, routes=api.routes)
        if state.book is not None:
            made = with_store(made)
        return for_model(made, state.model, state.settings.max_rows)

    api.openapi = document  # type: ignore[method-assign]
    return api


async def _load(state: State) -> None:
    """A model that cannot be loaded ends the process, with the reason where Kubernetes shows it."""
    try:
        found = await load(state.settings)
        pace = await asyncio.to_thread(measured, state, found)
    except LoadFailed as failure:
        state.why, state.cannot_serve = str(failure), isinstance(failure, CannotServe)
        await asyncio.to_thread(_last_words, state)
        return
    state.serve(found, pace)
    # What stays for the life of the process need not be looked at by every collection.
    gc.collect()
    gc.freeze()
    what = {
        "digest": found.digest,
        "runtime": found.runtime.name,
        "reason": found.plan.reason,
        "rows_at_once": pace.rows,
    }
    log.info(
        "serving %s version %s by %s",
        state.settings.name,
        state.settings.version,
        found.runtime.name,
        extra=what,
    )
    await watch(state)


def _last_words(state: State) -> None:
    log.error("%s", state.why)
    try:
        state.settings.termination_log.write_text(state.why)
    except OSError:
        log.warning("%s cannot be written", state.settings.termination_log)
    state.stop()
