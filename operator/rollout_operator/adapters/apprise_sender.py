"""Messages for people, by whatever Apprise knows: Slack, Teams, Discord, e-mail, PagerDuty …

It is imported with the first message: it is 40 MiB of memory, with all its services. It blocks, so
each destination has a thread of its own.
"""

import asyncio
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rollout_operator.adapters.secret_files import URL, SecretFileError, secret
from rollout_operator.domain.message_text import Message

if TYPE_CHECKING:
    from apprise import Apprise

_STATUS = re.compile(r"error=([1-5][0-9]{2})\b")


_STATUSES: ContextVar[list[str] | None] = ContextVar("statuses", default=None)
"""HTTP statuses that were heard of during one try; Apprise passes its context on to its threads."""


class _Heard(logging.Handler):
    """Of what Apprise logs, the HTTP status: all else may hold what is secret."""

    def emit(self, record: logging.LogRecord) -> None:
        found, heard = _STATUS.search(record.getMessage()), _STATUSES.get()
        if found and heard is not None:
            heard.append(found[1])


_HEARD = _Heard()


@dataclass
class AppriseSender:
    """Sends by the URL of a folder, one message at a time."""

    folder: str
    """Holds `url`."""
    timeout: float = 30.0
    """Seconds for one try."""
    _thread: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, "messages"), init=False, repr=False
    )
    _late: tuple[str, asyncio.Future[str]] | None = field(default=None, init=False, repr=False)
    """The message, by its id, whose try took too long: it may yet end well."""
    _came_late: set[str] = field(default_factory=set, init=False, repr=False)
    """Messages whose try has ended well after it was given up; each is asked for once more."""
    _made: "tuple[str, Apprise] | None" = field(default=None, init=False, repr=False)
    """For the URL that it was made of."""

    async def send(self, message: Message) -> str:
        """Send it; "" where the destination took it, else what went wrong."""
        if self._late is not None:
            late_id, late = self._late
            if not late.done():
                return "the try before has not ended yet"
            self._late = None
            if not late.result():
                self._came_late.add(late_id)
        if message.id in self._came_late:
            self._came_late.discard(message.id)
            return ""
        trying = asyncio.get_running_loop().run_in_executor(self._thread, self._send, message)
        done, _ = await asyncio.wait({trying}, timeout=self.timeout)
        self._late = None if done else (message.id, trying)
        return trying.result() if done else f"no answer within {self.timeout:.0f} s"

    def _send(self, message: Message) -> str:
        import apprise  # noqa: PLC0415 - it is large, and most operators send nothing

        quiet(logging.getLogger("apprise"))
        try:
            url = secret(self.folder, URL)
        except SecretFileError as failure:
            return str(failure)
        if self._made is None or self._made[0] != url:
            made = apprise.Apprise(asset=apprise.AppriseAsset(app_id="rollout-operator"))
            if not made.add(url):
                return f"{self.folder}/{URL} is no URL that Apprise knows: see messages.md"
            self._made = url, made
        statuses: list[str] = []
        _STATUSES.set(statuses)
        if self._made[1].notify(
            title=message.title, body=message.text, body_format=apprise.NotifyFormat.TEXT
        ):
            return ""
        return f"HTTP {statuses[-1]}" if statuses else "it was not taken, or not reached"


def quiet(logger: logging.Logger) -> None:
    """Keep what Apprise logs out of the operator's log: it may hold tokens."""
    logger.propagate = False
    if _HEARD not in logger.handlers:
        logger.addHandler(_HEARD)
        logger.setLevel(logging.WARNING)
