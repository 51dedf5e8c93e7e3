"""The dashboard without a browser: who logs in and reads what it says, HTML and events."""

import contextlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Self

import httpx

from tests.support.api_client import wait_for


class BoardClient:
    """One browser's session, as HTTP has it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx.Client(base_url=url, trust_env=False, timeout=30)

    def log_in(self, token: str) -> httpx.Response:
        """Paste a token; cookies are kept."""
        return self.post("/login", token=token)

    def answers(self) -> bool:
        """Whether there is a dashboard."""
        try:
            return self.http.get("/healthz").status_code == 200
        except httpx.TransportError:
            return False

    @classmethod
    def of(cls, url: str, token: str) -> Self:
        """Somebody who is logged in."""
        made = cls(url)
        reply = made.log_in(token)
        assert reply.status_code == 303, reply.text
        return made

    def post(
        self, path: str, headers: Mapping[str, str] = MappingProxyType({}), **fields: str
    ) -> httpx.Response:
        """A form of one of the dashboard's own pages."""
        ours = {"Origin": self.url, "Sec-Fetch-Site": "same-origin"}
        return self.http.post(path, data=fields, headers={**ours, **headers})

    def csrf(self, path: str = "/") -> str:
        """The token that the forms of a page carry."""
        found = re.search(r'name="csrf" value="([^"]+)"', self.http.get(path).text)
        assert found, f"no form of {path} has a CSRF token"
        return found[1]


@dataclass(frozen=True)
class ServerSentEvent:
    """One event of a stream, with when it came."""

    kind: str
    data: Any
    at: float
    """Unix time."""


def parse(lines: Iterable[str]) -> Iterator[ServerSentEvent]:
    """Events as the HTML standard has them, of what the dashboard sends: each in one data line."""
    kind = ""
    for line in lines:
        name, _, value = line.partition(": ")
        if name == "event":
            kind = value
        elif name == "data":
            yield ServerSentEvent(kind, json.loads(value), time.time())


@dataclass
class Listener:
    """Follows the events of a page from a thread, as a browser does."""

    client: BoardClient
    path: str = "/events"
    heard: list[ServerSentEvent] = field(default_factory=list)
    trouble: str = ""
    """Why it has ended; "" where it goes on."""
    _ended: threading.Event = field(default_factory=threading.Event)
    _opened: threading.Event = field(default_factory=threading.Event)

    def _follow(self) -> None:
        forever = httpx.Timeout(10, read=60)
        try:
            with self.client.http.stream("GET", self.path, timeout=forever) as reply:
                if reply.status_code != 200:
                    self.trouble = f"HTTP {reply.status_code}"
                    self._opened.set()
                    return
                self._opened.set()
                for event in parse(self._lines(reply)):
                    self.heard.append(event)
        except httpx.HTTPError as failure:
            self.trouble = type(failure).__name__

    def _lines(self, reply: httpx.Response) -> Iterator[str]:
        for line in reply.iter_lines():
            if self._ended.is_set():
                return
            yield line

    @contextlib.contextmanager
    def listening(self) -> Iterator[Self]:
        """Follow as long as the context lasts."""
        thread = threading.Thread(target=self._follow, daemon=True)
        thread.start()
        assert self._opened.wait(30), "the stream of events did not open"
        try:
            yield self
        finally:
            self._ended.set()
            thread.join(30)

    def wait(self, what: str, test: Callable[[ServerSentEvent], bool]) -> ServerSentEvent:
        """Wait for an event."""
        return wait_for(lambda: next(filter(test, list(self.heard)), None), what)
