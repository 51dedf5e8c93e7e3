"""Open-loop load from a process of its own: `python -m tests.bench.load URL HOST RATE [ROWS]`
prints one line for each answer.

The demo's traffic shares its process with much else, and on a busy machine it measures itself; this
one does nothing else.
"""

import asyncio
import json
import subprocess
import sys
import threading
import time
from types import TracebackType
from typing import Self

import aiohttp

from scripts.demo.traffic import FLOWERS, TIMEOUT, Answer

CONNECTIONS = 200
JSON = {"Content-Type": "application/json"}


class Load:
    """Sends `rate` requests a second, of so many rows, to `host` at `url`, from entering until
    leaving the context; never retries.
    """

    def __init__(self, url: str, host: str, rate: float, rows: int = 1) -> None:
        self.url, self.host, self.rate = f"{url.rstrip('/')}/predict/", host, rate
        self.rows = rows
        self.answers: list[Answer] = []
        self._process: subprocess.Popen[str] | None = None
        self._reader = threading.Thread(target=self._read, name="load", daemon=True)

    @property
    def failed(self) -> list[Answer]:
        return [a for a in list(self.answers) if not a.ok]

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.bench.load", self.url, self.host, str(self.rate)]
        command.append(str(self.rows))
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._reader.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None and self._process.stdin is not None:
            # tells it to send no more, and to wait for what is under way
            self._process.stdin.close()
            self._process.wait(TIMEOUT + 10)
            self._reader.join(10)

    def _read(self) -> None:
        if self._process is not None and self._process.stdout is not None:
            for line in self._process.stdout:
                self.answers.append(Answer(*json.loads(line)))


async def send(url: str, host: str, rate: float, rows: int, stop: asyncio.Event) -> None:
    """Send until told to stop; the next request is due by the clock, not by the last answer."""
    connector = aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=30)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT)
    async with (
        aiohttp.ClientSession(connector=connector, timeout=timeout, headers={"Host": host}) as http,
        asyncio.TaskGroup() as tasks,
    ):
        bodies = [json.dumps({"instances": [flower] * rows}).encode() for flower in FLOWERS]
        start, sent = time.monotonic(), 0
        while not stop.is_set():
            tasks.create_task(_one(http, url, bodies[sent % len(bodies)], rows))
            sent += 1
            late = time.monotonic() - (start + sent / rate)
            if late > 1:  # after a stall of this process a burst would measure ourselves
                start += late
            await asyncio.sleep(max(0.0, -late))


async def _one(http: aiohttp.ClientSession, url: str, sent_body: bytes, rows: int) -> None:
    sent = time.monotonic()
    version = revision = failure = ""
    try:
        async with http.post(url, data=sent_body, headers=JSON) as reply:
            # First of all, so that an answer that ends too early says who began it.
            version, revision = (
                reply.headers.get("X-Model-Version", ""),
                reply.headers.get("X-Model-Revision", ""),
            )
            body = await reply.read()
            if reply.status != 200:
                failure = f"HTTP {reply.status} {body[:100].decode(errors='replace')}"
            elif not version or len(json.loads(body)["predictions"]) != rows:
                failure = (
                    f"no prediction of a named version in {body[:100].decode(errors='replace')}"
                )
    except (TimeoutError, OSError, aiohttp.ClientError, ValueError, KeyError, TypeError) as trouble:
        failure = f"{type(trouble).__name__} {trouble}".strip()
    print(json.dumps([sent, time.monotonic(), version, revision, failure]))


async def main(url: str, host: str, rate: float, rows: int) -> None:
    stop = asyncio.Event()

    async def told() -> None:
        await asyncio.to_thread(sys.stdin.read)
        stop.set()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(told())
        tasks.create_task(send(url, host, rate, rows, stop))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3]), int((*sys.argv[4:], "1")[0])))
