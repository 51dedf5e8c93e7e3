"""How the app is served: uvicorn with uvloop and httptools, and limits that suit a pod behind a
router.
"""

import uvicorn

from rollout_inference.app import Application
from rollout_inference.server.fast_path import FastPath
from rollout_inference.server.request_batching import request_batcher
from rollout_inference.settings import Settings

KEEP_ALIVE = 120
"""Seconds that an idle connection is kept. Routers keep theirs for up to 90 s (Traefik; nginx 60 s)
and must be the ones to close: a request that meets a connection just closed by the server is
answered 502 by the router. uvicorn's own default is 5 s.
"""
GRACE = 20
"""Seconds that requests under way have to end after SIGTERM; with the preStop sleep of 5 s it fits
into the pod's 30 s.
"""

SWITCH = 0.0005
"""Seconds after which a thread that runs Python lets another one run: what reads and writes long
bodies beside the event loop must not keep it waiting. Python's own value is 5 ms, and the loop
waits for it several times in one request.
"""


def configuration(app: Application, settings: Settings) -> uvicorn.Config:
    """The configuration that the pod runs with."""
    who = (
        (b"x-model-version", settings.version.encode()),
        (b"x-model-revision", settings.model_revision.encode()),
    )

    class Configured(FastPath):
        seconds = settings.header_seconds
        headers_of = who
        endpoint_for = app.endpoint
        batcher = request_batcher()

    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=Configured,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
    )
