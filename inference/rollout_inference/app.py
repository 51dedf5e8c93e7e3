"""The FastAPI app: listens at once, is ready when the model is."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response

from rollout_inference.loading import LoadedModel, LoadFailed, load, warm_up
from rollout_inference.metrics import Metrics
from rollout_inference.routers import health, metrics, predict
from rollout_inference.settings import Settings
from rollout_inference.state import State

log = logging.getLogger(__name__)


def create_app(settings: Settings, model: LoadedModel | None = None) -> FastAPI:
    """The app for one model; a `model` that is given is served at once, otherwise it is loaded by `settings` at start."""
    state = State(settings, Metrics(settings))
    if model is not None:
        _serve(state, model)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        loading = asyncio.create_task(_load(state)) if state.model is None else None
        yield
        if loading is not None:
            loading.cancel()

    app = FastAPI(title="Model server", version="0.1.0", lifespan=lifespan, redirect_slashes=False)
    app.state.served = state
    for router in (predict.router, health.router, metrics.router):
        app.include_router(router)

    @app.middleware("http")
    async def say_who_answered(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        response.headers["X-Model-Version"] = settings.version
        response.headers["X-Model-Revision"] = settings.model_revision
        return response

    return app


def _serve(state: State, model: LoadedModel) -> None:
    state.metrics.loaded(model)
    state.model = model


async def _load(state: State) -> None:
    """Load in a thread; a model that cannot be loaded ends the process, with the reason where Kubernetes shows it."""
    try:
        model = await asyncio.to_thread(_load_and_warm_up, state.settings)
    except LoadFailed as failure:
        state.why = str(failure)
        await asyncio.to_thread(_last_words, state)
        return
    _serve(state, model)
    log.info("serving %s version %s, %s", state.settings.name, state.settings.version, model.digest)


def _load_and_warm_up(settings: Settings) -> LoadedModel:
    model = load(settings)
    warm_up(model)
    return model


def _last_words(state: State) -> None:
    log.error("%s", state.why)
    try:
        state.settings.termination_log.write_text(state.why)
    except OSError:
        log.warning("%s cannot be written", state.settings.termination_log)
    os.kill(os.getpid(), signal.SIGTERM)
