"""Who receives messages: an HTTP server and a mail server, on free loopback ports."""

import asyncio
import contextlib
import email
import email.policy
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from scripts.cluster.apiserver import free_port


@dataclass(frozen=True)
class Posted:
    """One request."""

    headers: dict[str, str]
    """By lower-case name."""
    body: bytes


@dataclass
class HttpReceiver:
    """Takes what is posted, and answers as it is told."""

    port: int
    status: int = 204
    posted: list[Posted] = field(default_factory=list)
    """What was answered with a 2xx."""
    refused: int = 0
    """How many were answered otherwise."""
    delay: float = 0.0
    """Seconds until the answer."""
    taken: Callable[[dict[str, Any]], None] = lambda _: None
    """Called with each event that is taken, before the answer."""

    @property
    def url(self) -> str:
        """Where it takes them; the path is as secret as a token."""
        return f"http://127.0.0.1:{self.port}/hooks/s3cr3t-path"

    def ids(self) -> Counter[str]:
        """How often each message was taken, by its id."""
        return Counter(event["id"] for event in self.events())

    def events(self) -> list[dict[str, Any]]:
        """What was taken, in order."""
        return [json.loads(one.body) for one in self.posted]

    def app(self) -> web.Application:
        """It as an application."""
        app = web.Application()
        app.router.add_post("/hooks/s3cr3t-path", self._take)
        return app

    @contextlib.asynccontextmanager
    async def served(self) -> AsyncIterator["HttpReceiver"]:
        """Listen."""
        runner = web.AppRunner(self.app(), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        await asyncio.sleep(self.delay)
        if self.status >= 300:
            self.refused += 1
            return web.Response(status=self.status, headers={"Location": self.url})
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.posted.append(Posted(headers, body))
        self.taken(json.loads(body))
        return web.Response(status=self.status)


@dataclass
class MailReceiver:
    """Takes mail by SMTP, and keeps it."""

    port: int
    mails: list[email.message.EmailMessage] = field(default_factory=list)

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:  # noqa: N802
        """As aiosmtpd calls it."""
        content = envelope.content
        assert isinstance(content, bytes)
        self.mails.append(email.message_from_bytes(content, policy=email.policy.default))
        return "250 OK"

    @property
    def url(self) -> str:
        """As Apprise writes it."""
        return f"mailto://127.0.0.1:{self.port}?from=ops@example.com&to=team@example.com"

    @contextlib.contextmanager
    def served(self) -> Iterator["MailReceiver"]:
        """Listen, in a thread of its own."""
        controller = Controller(self, hostname="127.0.0.1", port=self.port)
        controller.start()
        try:
            yield self
        finally:
            controller.stop()

    def texts(self) -> list[str]:
        """The text of each mail."""
        bodies = [mail.get_body(("plain", "html")) for mail in self.mails]
        return [body.get_content() for body in bodies if body is not None]

    def ids(self) -> Counter[str]:
        """How often each message came, by its id."""
        return Counter(
            found[1]
            for text in self.texts()
            if (found := re.search(r"Message ([0-9a-f]{32})", text))
        )


def secret_folder(path: Path, **files: str) -> str:
    """A folder as a mounted Secret is; returns its path."""
    path.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (path / name).write_text(text)
    return str(path)


def http_receiver() -> HttpReceiver:
    """One that does not listen yet."""
    return HttpReceiver(free_port())


def mail_receiver() -> MailReceiver:
    """One that does not listen yet."""
    return MailReceiver(free_port())
