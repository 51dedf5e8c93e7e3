"""What reaches each destination of messages, and the command that tries them."""

import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from uuid import uuid4

from rollout_operator.adapters.apprise_sender import AppriseSender
from rollout_operator.adapters.cloud_event_sender import CloudEventSender
from rollout_operator.adapters.http_session import http_session
from rollout_operator.adapters.secret_files import URL, SecretFileError, secret
from rollout_operator.controller.messenger import Labels, Messenger, Sender, Timing
from rollout_operator.controller.raw_objects import Key
from rollout_operator.domain.message_text import Message, Rollout
from rollout_operator.domain.outbox import Destination, Format

log = logging.getLogger(__name__)

Senders = list[tuple[Destination, Sender]]


async def message_senders(
    destinations: Sequence[Destination], until: contextlib.AsyncExitStack, seconds: float
) -> Senders:
    """A sender for each destination, which goes with the stack; seconds: for one try."""
    made: Senders = []
    for one in destinations:
        if one.format is Format.TEXT:
            made.append((one, AppriseSender(one.folder, seconds)))
        else:
            # Of its own: a receiver that hangs holds no other's connections.
            session = await until.enter_async_context(http_session())
            made.append((one, CloudEventSender(one.folder, session, seconds)))
    return made


async def make_messenger(  # noqa: PLR0917
    destinations: Sequence[Destination],
    timing: Timing,
    dashboard: str,
    labels: Labels,
    wake: Callable[[Key], None],
    until: contextlib.AsyncExitStack,
) -> Messenger | None:
    """What sends messages, with connections that go with the stack; None without destinations."""
    if not destinations:
        return None
    for one in destinations:
        try:
            secret(one.folder, URL)
        except SecretFileError as failure:
            # Its messages wait, and are sent once the Secret is right.
            log.error("Messages to %s cannot be sent: %s.", one.name, failure)
    senders = await message_senders(destinations, until, timing.hold.total_seconds() / 2)
    return Messenger(senders, timing, dashboard, labels, wake)


async def try_out(
    destinations: Sequence[Destination], seconds: float
) -> AsyncIterator[tuple[str, str]]:
    """Send a test message to each; yields its name, and what went wrong, "" for nothing."""
    async with contextlib.AsyncExitStack() as stack:
        for one, sender in await message_senders(destinations, stack, seconds):
            yield one.name, await sender.send(_test_message())


def _test_message() -> Message:
    return Message(
        id=uuid4().hex,
        rollout=Rollout("default", "test", str(uuid4())),
        attempt=0,
        kind="Test",
        at=datetime.now(UTC),
        said="Messages of the rollout operator reach this destination.",
    )
