"""A real server on a free port, in a thread, as a pod runs it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from rollout_inference.app import create_app
from rollout_inference.loading.loader import LoadedModel
from rollout_inference.server.uvicorn_config import configuration
from rollout_inference.settings import Settings


@contextmanager
def serving(settings: Settings, model: LoadedModel) -> Iterator[tuple[str, int]]:
    """Host and port of a server that lives as long as the context."""
    mine = settings.model_copy(update={"host": "127.0.0.1", "port": 0})
    server = uvicorn.Server(configuration(create_app(mine, model), mine))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()
    server.should_exit = True
    thread.join(10)
