"""The process that sends copies: it asks the candidate what stable has answered, compares, and
tells the server how many were alike.

`python -m rollout_inference.shadow.copier FD` reads packets from a socket that it inherits. It is a
process of its own, with the lowest priority, so that what it does is never in the way of a request.
"""

import asyncio
import contextlib
import os
import random
import socket
import sys
import time
from collections import Counter, deque
from collections.abc import AsyncIterator
from urllib.parse import quote

import httptools
import msgspec
import uvloop

from rollout_inference.shadow.asked import as_json, asked, clip
from rollout_inference.shadow.compare import Unreadable, alike, rows
from rollout_inference.shadow.messages import (
    ALIKE,
    DIFFERENT,
    DROPPED,
    FAILED,
    SLOWER,
    UNREACHED,
    Came,
    Copy,
    Difference,
    Target,
    received,
)

CONNECTIONS = 4
"""How many copies are on their way at once: a candidate that is slow gets no more of them."""
WAITING = 64
"""Copies that wait; what comes beyond that is dropped."""
CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 5.0
"""How long an answer may take, and three times as long as stable's."""
RENEWED = 10.0
"""Seconds after which a connection is made anew, so that all pods of the candidate get copies."""
LARGEST = 4 * 1024 * 1024
"""Bytes of an answer."""
TIMES, ALLOWED = 2.0, 0.1
"""An answer is slower where it took more than so many times as long, and so many seconds."""
LONGEST_ANSWER = 300
"""Characters that are kept of an answer that differs."""
TICK = 0.1
"""Seconds between two reports. Answers are late by the count of them, not by the clock: a process
of the lowest priority may itself be held up, and then there are none.
"""


class Unreached(Exception):
    """There is no connection to a pod of the candidate."""


class Broken(Exception):
    """A pod was reached, and did not answer."""


class Connection:
    """One connection to a pod of the candidate."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.made, self.used = time.monotonic(), False

    @classmethod
    async def to(cls, target: Target) -> "Connection":
        """Connect. Raises Unreached."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return cls(*await asyncio.open_connection(target.host, target.port))
        except (OSError, TimeoutError) as failure:
            raise Unreached from failure

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of the answer. Raises Broken."""
        answer = _Answer()
        try:
            self._writer.write(request)
            while not answer.whole:
                data = await self._reader.read(65536)
                if not data or answer.size > LARGEST:
                    raise Broken("the answer was cut, or is too long")
                answer.feed(data)
        except (OSError, httptools.HttpParserError) as failure:
            raise Broken(str(failure)) from failure
        self.used = answer.goes_on
        return answer.status, answer.body

    @property
    def fit(self) -> bool:
        """Whether another request may be sent on it."""
        return self.used and time.monotonic() - self.made < RENEWED

    def close(self) -> None:
        """Do not wait for the other side."""
        self._writer.transport.abort()


class _Answer:
    """One HTTP answer, as far as it has come."""

    def __init__(self) -> None:
        self.size, self.status, self.whole, self.goes_on = 0, 0, False, False
        self._parts: list[bytes] = []
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        self.size += len(data)
        self._parser.feed_data(data)

    def on_body(self, data: bytes) -> None:
        self._parts.append(data)

    def on_message_complete(self) -> None:
        self.status, self.whole = self._parser.get_status_code(), True
        self.goes_on = self._parser.should_keep_alive()

    @property
    def body(self) -> bytes:
        return b"".join(self._parts)


def request(copy: Copy, target: Target) -> bytes:
    """The copy as it is sent."""
    host = target.host if target.port == 80 else f"{target.host}:{target.port}"
    lines = [
        # Names of models have blanks.
        f"POST {quote(copy.path)} HTTP/1.1".encode(),
        f"host: {host}".encode(),
        b"content-length: %d" % len(copy.body),
        f"x-model-copy: {target.token}".encode(),
        *(name + b": " + value for name, value in copy.headers),
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + copy.body


def compared(
    copy: Copy, status: int, body: bytes, seconds: float, target: Target
) -> tuple[str, Difference | None]:
    """The outcome of a copy that was answered, and what may be kept of a difference."""
    if status != 200:
        return FAILED, failed(copy, target, f"HTTP {status}")
    try:
        ours = rows(copy.answer)
    except Unreadable:
        return DROPPED, None
    try:
        theirs = rows(body)
    except Unreadable as failure:
        return FAILED, failed(copy, target, str(failure))
    if len(ours) != len(theirs):
        return FAILED, failed(copy, target, f"{len(theirs)} rows for {len(ours)}")
    chosen = random.randrange(len(ours)) if ours else 0  # noqa: S311 - a sample, no secret
    if ours and not alike(ours[chosen], theirs[chosen], target.tolerance):
        stable, candidate = (clip(as_json(one[chosen]), LONGEST_ANSWER) for one in (ours, theirs))
        shown, masked = asked(copy, chosen, target.columns, target.shown)
        return DIFFERENT, Difference(DIFFERENT, stable, candidate, time.time(), shown, masked)
    return (SLOWER if seconds > TIMES * copy.seconds + ALLOWED else ALIKE), None


def failed(copy: Copy, target: Target, why: str) -> Difference:
    """What may be kept of a copy that has no answer; of its rows the first stands for all."""
    shown, masked = asked(copy, 0, target.columns, target.shown)
    return Difference(FAILED, "", clip(why, LONGEST_ANSWER), time.time(), shown, masked)


class Copier:
    """Sends copies on few connections, and tells what came of them."""

    def __init__(self, pipe: socket.socket) -> None:
        self._pipe = pipe
        self._target: Target | None = None
        self._waiting: deque[Copy] = deque()
        self._some = asyncio.Event()
        self._counts: Counter[str] = Counter()
        self._differences: dict[str, Difference] = {}
        """The newest, by outcome."""
        self._ticks = 0
        self._limits: dict[asyncio.Timeout, int] = {}
        """What ends at which tick."""

    async def run(self) -> None:
        """Until the server closes its end. Raises whatever one of the tasks does: the server begins
        this process anew, and a task that is missing would be missed by nobody.
        """
        loop = asyncio.get_running_loop()
        gone = loop.create_future()
        loop.add_reader(self._pipe.fileno(), self._read, gone)
        tasks = [asyncio.create_task(self._send()) for _ in range(CONNECTIONS)]
        tasks.append(asyncio.create_task(self._tell()))
        ended, _ = await asyncio.wait([gone, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        for one in ended:
            one.result()

    def _read(self, gone: "asyncio.Future[None]") -> None:
        packet = received(self._pipe)
        if packet is None:
            return
        if not packet:
            if not gone.done():
                gone.set_result(None)
            return
        if self._target is None:
            self._target = msgspec.msgpack.decode(packet, type=Target)
            return
        for copy in msgspec.msgpack.decode(packet, type=list[Copy]):
            if len(self._waiting) < WAITING:
                self._waiting.append(copy)
            else:
                self._counts[DROPPED] += 1
        self._some.set()

    async def _send(self) -> None:
        connection: Connection | None = None
        while True:
            while not self._waiting:
                self._some.clear()
                await self._some.wait()
            copy, target = self._waiting.popleft(), self._target
            if target is None:
                continue
            if connection is not None and not connection.fit:
                connection.close()
                connection = None
            began = time.monotonic()
            try:
                async with self._limited(ANSWER_SECONDS + 3 * copy.seconds):
                    connection, status, body = await _asked(connection, copy, target)
                outcome, difference = compared(copy, status, body, time.monotonic() - began, target)
            except Unreached:
                outcome, difference, connection = UNREACHED, None, None
                await asyncio.sleep(TICK)
            except (Broken, TimeoutError) as failure:
                why = str(failure) or "no answer in time"
                outcome, difference = FAILED, failed(copy, target, why)
                if connection is not None:
                    connection.close()
                connection = None
            self._counts[outcome] += 1
            if difference is not None:
                self._differences[outcome] = difference

    @contextlib.asynccontextmanager
    async def _limited(self, seconds: float) -> AsyncIterator[None]:
        """Raises TimeoutError after so much of this process's own time."""
        async with asyncio.timeout(None) as limit:
            self._limits[limit] = self._ticks + round(seconds / TICK)
            try:
                yield
            finally:
                del self._limits[limit]

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self._ticks += 1
            for limit, ends in self._limits.items():
                if self._ticks >= ends and limit.when() is None:
                    limit.reschedule(asyncio.get_running_loop().time())
            if self._counts:
                said = Came(dict(self._counts), list(self._differences.values()))
                # It has enough to do, or is gone.
                with contextlib.suppress(OSError):
                    self._pipe.send(msgspec.msgpack.encode(said))
                    self._counts.clear()
                    self._differences.clear()


async def _asked(
    connection: Connection | None, copy: Copy, target: Target
) -> tuple[Connection, int, bytes]:
    """Ask on the connection, or on a new one where that has ended meanwhile, as idle ones do.
    Raises Unreached and Broken.
    """
    what = request(copy, target)
    if connection is not None:
        try:
            return connection, *await connection.ask(what)
        except Broken:
            connection.close()
    made = await Connection.to(target)
    try:
        return made, *await made.ask(what)
    except BaseException:
        made.close()
        raise


def main() -> None:
    """Send copies until the server is gone."""
    os.nice(19)
    with socket.socket(fileno=int(sys.argv[1])) as pipe:
        pipe.setblocking(False)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:

            async def run() -> None:
                await Copier(pipe).run()

            runner.run(run())


if __name__ == "__main__":
    main()
