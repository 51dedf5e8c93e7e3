"""The health endpoint of the process."""

import contextlib
from collections.abc import AsyncIterator, Callable

from aiohttp import web


@contextlib.asynccontextmanager
async def serve_health(
    port: int, trouble: Callable[[], str], rollouts: Callable[[], int]
) -> AsyncIterator[None]:
    """Serve GET /healthz on all addresses: 200 where `trouble` says nothing, else 503; in JSON,
    with the number of rollouts known.
    """

    async def health(_: web.Request) -> web.Response:
        wrong = trouble()
        reply = {"healthy": not wrong, "trouble": wrong, "rollouts": rollouts()}
        return web.json_response(reply, status=503 if wrong else 200)

    app = web.Application()
    app.add_routes([web.get("/healthz", health)])
    runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=1.0, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, port=port).start()
        yield
    finally:
        await runner.cleanup()
