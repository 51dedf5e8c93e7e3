"""How many rollouts are looked at at once: enough to keep the API server busy, few enough to fit
into little memory.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

AT_ONCE = 48


class Turns:
    """Turns are given in the order in which they are asked for. Who waits for somebody outside
    gives the turn back meanwhile.
    """

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._free = asyncio.Semaphore(at_once)

    async def acquire(self) -> None:
        """Wait for a turn."""
        await self._free.acquire()

    def release(self) -> None:
        """Give the turn back."""
        self._free.release()

    @contextlib.asynccontextmanager
    async def released(self) -> AsyncIterator[None]:
        """Wait for a registry or for Prometheus, which may hang,
        without holding up anybody else.
        """
        self._free.release()
        try:
            yield
        finally:
            # Also where the wait was cancelled: whoever took the turn gives it back.
            await asyncio.shield(self._free.acquire())
