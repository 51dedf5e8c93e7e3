"""What this process is to send it sends once, in spite of destinations that are down."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from prometheus_client import REGISTRY

from rollout_operator.adapters.cloud_event_sender import CloudEventSender
from rollout_operator.controller import messenger as module
from rollout_operator.controller.messenger import Messenger, Timing
from rollout_operator.domain.api.status import Notification, Status
from rollout_operator.domain.messages import message_id, notifications
from rollout_operator.domain.outbox import Destination, Format
from tests.support.builders import on_trial, revision
from tests.support.message_receivers import HttpReceiver, http_receiver, secret_folder

KEY = ("ml-team", "iris")
TRIAL, HALTED = on_trial(), on_trial(halted=True)
WAITS = "WaitingForDecision"


@dataclass
class World:
    """Several processes that write one status each, as the API server would fence it."""

    messenger: Messenger
    status: dict[str, Status] = field(default_factory=dict)
    writes: int = 0
    wakes: int = 0

    def now(self) -> datetime:
        return datetime.now(UTC)

    def halt(self, uid: str, messenger: Messenger | None = None) -> None:
        """A verdict says Pause."""
        self.status[uid] = TRIAL
        self.look(uid, HALTED, messenger)

    def look(
        self, uid: str, after: Status | None = None, messenger: Messenger | None = None
    ) -> None:
        """One look at a rollout: what it decides is written, and then followed."""
        messenger = messenger or self.messenger
        before = self.status[uid]
        after = after or before
        owed, _ = notifications(before, after, messenger.outbox(uid, KEY[0]), self.now())
        decided = after.model_copy(update={"messages": owed})
        self.writes += decided != before
        self.status[uid] = decided
        messenger.follow((KEY[0], uid), uid, decided)

    def owed(self, uid: str) -> tuple[str, ...]:
        """To whom the status says that its message is still to be sent."""
        return self.status[uid].messages[0].to


@contextlib.asynccontextmanager
async def world(
    tmp_path: Path, *receivers: HttpReceiver, timing: Timing | None = None
) -> AsyncIterator[World]:
    """A messenger that runs, with a destination for each receiver: `to-0`, `to-1` …"""
    async with aiohttp.ClientSession() as session:
        given = []
        for n, receiver in enumerate(receivers):
            folder = secret_folder(tmp_path / str(n), url=receiver.url)
            one = Destination(name=f"to-{n}", folder=folder, format=Format.CLOUD_EVENTS)
            given.append((one, CloudEventSender(folder, session, 2)))

        def wake(key: tuple[str, str]) -> None:
            made.wakes += 1
            asyncio.get_running_loop().call_soon(made.look, key[1])

        messenger = Messenger(given, timing or Timing(timedelta(seconds=4)), wake=wake)
        made = World(messenger)
        running = asyncio.create_task(messenger.run())
        try:
            yield made
        finally:
            running.cancel()
            await asyncio.wait([running])


async def until(true: Callable[[], object], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 - others' sockets and tasks
            await asyncio.sleep(0.02)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow each other sooner."""
    monkeypatch.setattr(module, "FIRST_RETRY", 0.05)
    monkeypatch.setattr(module, "LONGEST_RETRY", 0.2)
    monkeypatch.setattr(module, "ASK_AGAIN", 0.2)


async def test_each_destination_gets_it_once_and_status_says_so(tmp_path: Path) -> None:
    one, two = http_receiver(), http_receiver()
    async with one.served(), two.served(), world(tmp_path, one, two) as made:
        made.halt("u")
        assert made.owed("u") == ("to-0", "to-1")
        await until(lambda: made.owed("u") == ())
        made.look("u")
        assert one.ids() == two.ids() == {message_id("u", (2, WAITS)): 1}
        # The claim is in the write of the decision; what comes on top says that it is sent.
        assert made.writes <= 3


async def test_one_that_is_down_delays_no_other_and_gets_it_when_it_is_up(tmp_path: Path) -> None:
    down, up = http_receiver(), http_receiver()
    async with up.served(), world(tmp_path, down, up) as made:
        for uid in ("a", "b", "c"):
            made.halt(uid)
        await until(lambda: len(up.posted) == 3)
        await until(lambda: all(made.owed(uid) == ("to-0",) for uid in "abc"))
        async with down.served():
            await until(lambda: all(made.owed(uid) == () for uid in "abc"))
        assert down.ids() == up.ids() == {message_id(uid, (2, WAITS)): 1 for uid in "abc"}


async def test_what_is_stable_is_told_as_it_is_when_it_is_sent(tmp_path: Path) -> None:
    """Hours later the version that was rolled back may have been tried again."""
    down = http_receiver()
    async with world(tmp_path, down) as made:
        made.halt("u")
        before = made.status["u"]
        after = before.model_copy(update={"stable": revision(7, promoted=True)})
        made.look("u", after)
        async with down.served():
            await until(lambda: made.owed("u") == ())
        (event,) = down.events()
        assert event["data"]["stable"] == revision(7).uri
        assert event["data"]["uri"] != revision(7).uri


async def test_a_claim_that_runs_out_is_asked_for_before_the_next_try(tmp_path: Path) -> None:
    down = http_receiver()
    timing = Timing(timedelta(seconds=0.4))
    async with world(tmp_path, down, timing=timing) as made:
        made.halt("u")
        first = made.status["u"].messages[0].until
        await until(lambda: made.status["u"].messages[0].until != first)
        async with down.served():
            await until(lambda: made.owed("u") == ())
        assert down.ids() == {message_id("u", (2, WAITS)): 1}


async def test_what_another_process_has_taken_over_is_let_go(tmp_path: Path) -> None:
    down = http_receiver()
    async with world(tmp_path, down) as made:
        made.halt("u")
        entry = made.status["u"].messages[0].model_copy(update={"holder": "another"})
        made.status["u"] = made.status["u"].model_copy(update={"messages": (entry,)})
        made.look("u")
        async with down.served():
            made.halt("v")
            await until(lambda: made.owed("v") == ())
        assert down.ids() == {message_id("v", (2, WAITS)): 1}


async def test_the_next_process_sends_what_the_one_before_left(tmp_path: Path) -> None:
    receiver = http_receiver()
    async with world(tmp_path, receiver) as made:
        made.halt("u")
        left = made.status["u"]
        async with receiver.served(), world(tmp_path, receiver) as after:
            late = left.messages[0].model_copy(update={"until": made.now() - timedelta(seconds=6)})
            after.status["u"] = left.model_copy(update={"messages": (late,)})
            after.look("u")
            await until(lambda: after.owed("u") == ())
            assert receiver.ids()[message_id("u", (2, WAITS))] >= 1


async def test_a_rollout_that_is_deleted_is_told_of_nevertheless(tmp_path: Path) -> None:
    down = http_receiver()
    async with world(tmp_path, down) as made:
        made.halt("u")
        made.messenger.forget("u")
        await asyncio.sleep(0.1)
        async with down.served():
            await until(lambda: down.posted)
        assert made.wakes == 0


async def test_what_has_no_room_in_status_is_counted_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    entry = Notification(kind=WAITS, attempt=7, at=datetime(2026, 11, 23, tzinfo=UTC), to=("gone",))
    async with world(tmp_path, http_receiver()) as made:
        made.messenger.drop(KEY, (entry, entry.model_copy(update={"attempt": 8})))
    sample = {"destination": "gone", "outcome": "dropped"}
    assert REGISTRY.get_sample_value("modelrollout_messages_total", sample) == 2
    said = [r.getMessage() for r in caplog.records if r.levelname == "ERROR"]
    assert f"the message {WAITS} of attempt 7 is not sent to gone" in said[0]


async def test_what_is_too_old_is_given_up(tmp_path: Path) -> None:
    down = http_receiver()
    timing = Timing(timedelta(seconds=4), give_up=timedelta(seconds=0.3))
    async with world(tmp_path, down, timing=timing) as made:
        made.halt("u")
        await until(lambda: made.owed("u") == ())
        assert made.status["u"].messages[0].kind == WAITS


async def test_memory_is_bounded_and_the_rest_waits_in_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    down = http_receiver()
    async with world(tmp_path, down) as made:
        uids = [f"u{n}" for n in range(9)]
        for uid in uids:
            made.halt(uid)
        assert not made.messenger.outbox("x", "ml-team").room
        async with down.served():
            for _ in range(400):
                for uid in uids:
                    made.look(uid)
                if not any(made.owed(uid) for uid in uids):
                    break
                await asyncio.sleep(0.02)
        assert down.ids() == {message_id(uid, (2, WAITS)): 1 for uid in uids}


def test_destinations_are_of_a_namespace_by_its_labels() -> None:
    destination = Destination.model_validate(
        {"name": "a", "folder": "/f", "namespaceSelector": {"matchLabels": {"team": "ml"}}}
    )
    sender = CloudEventSender("/f", None)  # type: ignore[arg-type]
    labels = {"ml-team": {"team": "ml"}, "web": {"team": "web"}}
    messenger = Messenger([(destination, sender)], labels=labels.__getitem__)
    told = {name: messenger.outbox("u", name).recipients for name in labels}
    assert told == {"ml-team": (destination,), "web": ()}
