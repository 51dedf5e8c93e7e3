"""Predict requests through the Ingress, at a fixed rate whatever the answers do,
each one recorded.
"""

import asyncio
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx

FLOWERS = ([5.1, 3.5, 1.4, 0.2], [6.0, 2.7, 4.2, 1.3], [6.5, 3.0, 5.5, 2.0])
"""A typical setosa, versicolor and virginica: sepal length and width, petal length and width in cm.
"""
TIMEOUT = 30.0
MAX_REQUESTS = 100_000
"""No client of this kind runs away: it stops here, and the demo says so."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One request: when it was sent and ended (monotonic seconds), who answered, and what was wrong
    ('' for nothing).
    """

    sent: float
    ended: float
    version: str
    revision: str
    failure: str

    @property
    def ok(self) -> bool:
        return not self.failure


class Traffic:
    """Sends `rate` requests a second to `host` at `url` from entering until leaving the context;
    never retries.
    """

    def __init__(self, url: str, host: str, rate: float = 40.0) -> None:
        self.url, self.host, self.rate = f"{url.rstrip('/')}/predict/", host, rate
        self.answers: list[Answer] = []
        self.sent = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._run()), name="traffic", daemon=True
        )

    @property
    def failed(self) -> list[Answer]:
        return [a for a in list(self.answers) if not a.ok]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(TIMEOUT + 5)

    async def _run(self) -> None:
        """Open loop: the next request is due by the clock, not by the last answer."""
        limits = httpx.Limits(
            max_connections=100, max_keepalive_connections=20, keepalive_expiry=30
        )
        async with (
            httpx.AsyncClient(timeout=TIMEOUT, limits=limits, trust_env=False) as http,
            asyncio.TaskGroup() as tasks,
        ):
            start = time.monotonic()
            while not self._stop.is_set() and self.sent < MAX_REQUESTS:
                tasks.create_task(self._one(http, FLOWERS[self.sent % len(FLOWERS)]))
                self.sent += 1
                # After a stall of this process the missed requests are left out: a burst would
                # measure ourselves.
                late = time.monotonic() - (start + self.sent / self.rate)
                if late > 1:
                    start += late
                await asyncio.sleep(max(0.0, -late))

    async def _one(self, http: httpx.AsyncClient, flower: list[float]) -> None:
        sent = time.monotonic()
        version = revision = failure = ""
        try:
            reply = await http.post(
                self.url, json={"instances": [flower]}, headers={"Host": self.host}
            )
            version, revision = (
                reply.headers.get("X-Model-Version", ""),
                reply.headers.get("X-Model-Revision", ""),
            )
            if reply.status_code != 200:
                failure = f"HTTP {reply.status_code} {reply.text[:100]}"
            elif not version or len(reply.json()["predictions"]) != 1:
                failure = f"no prediction of a named version in {reply.text[:100]}"
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as trouble:
            failure = f"{type(trouble).__name__} {trouble}".strip()
        self.answers.append(Answer(sent, time.monotonic(), version, revision, failure))


def answers_on(url: str, host: str) -> bool:
    """Whether the host answers one predict request."""
    try:
        with httpx.Client(timeout=TIMEOUT, trust_env=False) as http:
            reply = http.post(
                f"{url.rstrip('/')}/predict/",
                json={"instances": [FLOWERS[0]]},
                headers={"Host": host},
            )
        return reply.status_code == 200
    except httpx.HTTPError:
        return False
