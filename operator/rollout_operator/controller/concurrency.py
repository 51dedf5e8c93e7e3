"""How many rollouts are looked at at once: enough to keep the API server busy, few enough to fit
into little memory.
"""

import asyncio
import contextlib
import heapq
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from itertools import count

AT_ONCE = 48

FIRST = datetime.min.replace(tzinfo=UTC)
_rank = ContextVar[datetime]("rank")


class Turns:
    """Turns are given by rank, a moment: the earliest first. Who waits for somebody outside gives
    the turn back meanwhile, and takes one again by the same rank.
    """

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._free = at_once
        self._begin = deque[tuple[Callable[[], datetime], asyncio.Future[None]]]()
        """What is to begin, with its rank, which may change as long as it waits."""
        self._goes_on: list[tuple[datetime, int, asyncio.Future[None]]] = []
        """What has had an answer from outside, as a heap; of one rank the first to have it."""
        self._numbers = count()

    async def acquire(self, rank: Callable[[], datetime]) -> None:
        """Wait for the turn of what is to begin; several begin in the order in which they ask."""
        if self._free:
            self._free -= 1
            return
        given = asyncio.get_running_loop().create_future()
        self._begin.append((rank, given))
        try:
            await given
        except asyncio.CancelledError:
            if not given.cancelled():
                # It was given meanwhile.
                self.release()
            raise

    @staticmethod
    def ranks(rank: datetime) -> None:
        """Have this task take its turns again by this rank from now on."""
        _rank.set(rank)

    def release(self) -> None:
        """Give the turn back: to whoever waits and comes first."""
        if (given := self._next()) is None:
            self._free += 1
        else:
            given.set_result(None)

    def _next(self) -> asyncio.Future[None] | None:
        """Who comes first of those that wait still; by the same rank what goes on comes before what
        is to begin.
        """
        while self._begin and self._begin[0][1].done():
            self._begin.popleft()
        while self._goes_on and self._goes_on[0][2].done():
            heapq.heappop(self._goes_on)
        if self._begin and not (self._goes_on and self._goes_on[0][0] <= self._begin[0][0]()):
            return self._begin.popleft()[1]
        return heapq.heappop(self._goes_on)[2] if self._goes_on else None

    @contextlib.asynccontextmanager
    async def released(self) -> AsyncIterator[None]:
        """Wait for a registry or for Prometheus, which may hang,
        without holding up anybody else.
        """
        self.release()
        try:
            yield
        finally:
            # Also where the wait was cancelled: whoever took the turn gives it back.
            await asyncio.shield(self._again())

    async def _again(self) -> None:
        if self._free:
            self._free -= 1
            return
        given = asyncio.get_running_loop().create_future()
        heapq.heappush(self._goes_on, (_rank.get(FIRST), next(self._numbers), given))
        await given
