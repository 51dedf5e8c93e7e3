"""Whether this process still hears the API server: what it writes must come back through its watch.

A process whose watch is deaf looks healthy from outside (kopf #1276): it answers probes and decides from what it once knew.
Own writes prove the watch without a request of their own; where nothing is written, nothing was decided either, and kopf
begins silent streams anew.
"""

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from aiohttp import web

from rollout_operator.store import Key

LONGEST_ECHO = 120.0
"""Seconds after which a write that has not come back means that the watch is deaf; kopf begins a silent one anew after 70 s."""


@dataclass
class Echoes:
    """Own writes that have not come back yet."""

    clock: Callable[[], float] = time.monotonic
    _waiting: dict[Key, tuple[int, float]] = field(default_factory=dict)

    def wrote(self, key: Key, version: int) -> None:
        """A status was written, and has this resourceVersion now."""
        _, since = self._waiting.get(key, (0, self.clock()))
        self._waiting[key] = (version, since)

    def heard(self, key: Key, version: int) -> None:
        """The watch brought this version."""
        if (waiting := self._waiting.get(key)) is not None and version >= waiting[0]:
            del self._waiting[key]
        elif waiting is not None:
            # An older write came back: the watch lives, and the newer write has its own time.
            self._waiting[key] = (waiting[0], self.clock())

    def forget(self, key: Key) -> None:
        """The rollout is gone."""
        self._waiting.pop(key, None)

    def trouble(self) -> str:
        """What is wrong, "" if nothing."""
        oldest = min(((since, key) for key, (_, since) in self._waiting.items()), default=None)
        if oldest is None or (age := self.clock() - oldest[0]) <= LONGEST_ECHO:
            return ""
        return f"The status of {'/'.join(oldest[1])} was written {age:.0f} s ago and has not come back through the watch."


@contextlib.asynccontextmanager
async def served(port: int, trouble: Callable[[], str], rollouts: Callable[[], int]) -> AsyncIterator[None]:
    """Serve GET /healthz on all addresses: 200 where `trouble` says nothing, else 503; in JSON, with the number of rollouts known."""

    async def health(_: web.Request) -> web.Response:
        said = trouble()
        return web.json_response({"healthy": not said, "trouble": said, "rollouts": rollouts()}, status=503 if said else 200)

    app = web.Application()
    app.add_routes([web.get("/healthz", health)])
    runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=1.0, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, port=port).start()
        yield
    finally:
        await runner.cleanup()
