"""Messages of real operator processes, at a real HTTP receiver and a real mail server: killed at
every write around a verdict and when a destination has answered, two at once, destinations down.
"""

import asyncio
import contextlib
import itertools
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rollout_operator.domain.messages import message_id
from tests.faults.coverage import ALL
from tests.faults.processes import Scene, Show, show
from tests.faults.proxy import KILLS, Fault
from tests.faults.stories import STORIES
from tests.support.message_receivers import (
    HttpReceiver,
    MailReceiver,
    http_receiver,
    mail_receiver,
    secret_folder,
)

HOLD = 15
"""Seconds for which a message is one process's; another takes it over 5 s later."""
AT_ONCE = 4
"""Operators that are started, and killed, at once."""
WRITES = range(1, 25) if ALL else (8, 11, 14, 17)
"""At which write of its second part a story's operator is killed."""
DOWN = 180.0 if ALL else 12.0
"""Seconds for which destinations refuse."""
PROMOTION, ROLLBACK = (
    next(s for s in STORIES if s.name == name) for name in ("promotion", "rollback on low accuracy")
)
ENDS = {PROMOTION.name: "Promoted", ROLLBACK.name: "RolledBack"}
Figure = Callable[..., None]


@dataclass
class Post:
    """The two destinations, which are up or down together."""

    http: HttpReceiver = field(default_factory=http_receiver)
    mail: MailReceiver = field(default_factory=mail_receiver)

    def settings(self, folder: Path) -> dict[str, str]:
        """The operator's."""
        given = [
            {
                "name": "program",
                "format": "CloudEvents",
                "folder": secret_folder(folder / "program", url=self.http.url),
            },
            {"name": "people", "folder": secret_folder(folder / "people", url=self.mail.url)},
        ]
        return {"MESSAGES": json.dumps(given), "MESSAGES_HOLD_SECONDS": str(HOLD)}

    @contextlib.asynccontextmanager
    async def served(self) -> AsyncIterator["Post"]:
        """Both take messages."""
        async with self.http.served():
            with self.mail.served():
                yield self

    def came(self) -> tuple[Counter[str], Counter[str]]:
        """How often each message came, by HTTP and by mail."""
        return self.http.ids(), self.mail.ids()


async def told(on: Show, scenes: Sequence[Scene], seconds: float = 400) -> dict[str, str]:
    """What every rollout owes once nothing is left to be sent: namespace and kind by id."""
    owed: dict[str, str] = {}
    end = time.monotonic() + seconds
    tending = asyncio.create_task(on.tend([one.namespace for one in scenes]))
    try:
        for one in scenes:
            while True:
                (rollout,) = (await on.api.list("ModelRollout", one.namespace))[0]
                left = [m for m in rollout["status"]["messages"] if m["to"]]
                if not left:
                    break
                assert time.monotonic() < end, f"{one.namespace} still owes {left}"
                await asyncio.sleep(0.2)
            uid = rollout["metadata"]["uid"]
            ends = ENDS[one.story.name]
            owed |= {
                message_id(uid, (attempt, kind)): f"{one.namespace} {kind}"
                for attempt, kind in ((1, "Promoted"), (2, ends))
            }
    finally:
        tending.cancel()
        await asyncio.wait([tending])
    return owed


def scenes_of(count: int, also: str, fault: Fault | None = None) -> list[Scene]:
    stories = itertools.islice(itertools.cycle((ROLLBACK, PROMOTION)), count)
    return [Scene(story, f"messages-{also}-{n}", 0, fault) for n, story in enumerate(stories)]


def held(came: Counter[str], owed: dict[str, str], most: int) -> int:
    """Every message came, at most so often, and nothing else did; how many came twice."""
    assert set(came) == set(owed), {owed.get(one, one) for one in set(came) ^ set(owed)}
    assert max(came.values()) <= most, {owed[one]: n for one, n in came.items() if n > most}
    return sum(n > 1 for n in came.values())


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "operators"
    made.mkdir()
    return made


async def test_killed_at_every_write_around_a_verdict(
    kubeconfig: Path, directory: Path, figure: Figure
) -> None:
    spoiled, twice = 0, 0
    each = [*zip(WRITES, itertools.cycle(KILLS), strict=False)]
    tried = [*itertools.product(WRITES, KILLS)] if ALL else each
    for start in range(0, len(tried), AT_ONCE):
        batch = tried[start : start + AT_ONCE]
        scenes = scenes_of(len(batch), f"killed-{start}")
        for one, (number, fault) in zip(scenes, batch, strict=True):
            one.number, one.fault = number, fault
        names = [one.namespace for one in scenes]
        folder = directory / str(start)
        folder.mkdir()
        async with (
            Post().served() as post,
            show(
                kubeconfig, folder, len(batch), names, apart=True, environment=post.settings(folder)
            ) as on,
        ):
            on.proxy.kill = lambda name, on=on, names=names: on.operators[  # type: ignore[misc]
                names.index(name)
            ].kill()
            await on.play(scenes)
            owed = await told(on, scenes)
            # Whoever has nothing left to send sends nothing any more.
            await asyncio.sleep(2)
            for came in post.came():
                twice += held(came, owed, 2)
        spoiled += sum(one.spoiled for one in scenes)
    assert spoiled >= len(tried) / 2
    assert twice <= 2 * spoiled
    figure("SIGKILLs around a verdict, every message told", spoiled, "kills", len(tried) / 2)


async def test_killed_when_a_destination_has_answered(
    kubeconfig: Path, directory: Path, figure: Figure
) -> None:
    post, (one,) = Post(), scenes_of(1, "answered")
    async with (
        post.served(),
        show(kubeconfig, directory, 1, [one.namespace], environment=post.settings(directory)) as on,
    ):

        def kill(event: dict[str, Any]) -> None:
            if event["data"]["kind"] == "RolledBack" and on.operators[0].kills == 0:
                on.operators[0].kill()

        post.http.taken = kill
        await on.play([one])
        owed = await told(on, [one])
        by_http, by_mail = post.came()
        assert (held(by_http, owed, 2), on.operators[0].kills) == (1, 1)
        held(by_mail, owed, 2)
    figure("messages whose answer nobody heard, twice under one id", 1, "messages", 1)


async def test_two_operators_tell_each_message_once(
    kubeconfig: Path, directory: Path, figure: Figure
) -> None:
    scenes = scenes_of(8, "by-two")
    names = [one.namespace for one in scenes]
    async with (
        Post().served() as post,
        show(kubeconfig, directory, 2, names, environment=post.settings(directory)) as on,
    ):
        await on.play(scenes)
        owed = await told(on, scenes)
        await asyncio.sleep(2)
        for came in post.came():
            assert held(came, owed, 1) == 0
        senders = [operator.messages("delivered") for operator in on.operators]
        assert sum(senders) == 2 * len(owed)
    figure("messages of two operators at once, each told once", len(owed), "messages", 16)


async def test_destinations_that_are_down_delay_nothing_and_get_everything(
    kubeconfig: Path, directory: Path, figure: Figure
) -> None:
    scenes, post = scenes_of(4, "down"), Post()
    names = [one.namespace for one in scenes]
    async with show(kubeconfig, directory, 1, names, environment=post.settings(directory)) as on:
        began = time.monotonic()
        await on.play(scenes)
        assert on.operators[0].messages("failed") > 0
        # Another process goes on where this one stops.
        on.operators[0].kill()
        tending = asyncio.create_task(on.tend(names))
        await asyncio.sleep(max(0.0, began + DOWN - time.monotonic()))
        tending.cancel()
        await asyncio.wait([tending])
        assert post.came() == (Counter(), Counter())
        async with post.served():
            owed = await told(on, scenes, 400)
            await asyncio.sleep(2)
            for came in post.came():
                assert held(came, owed, 1) == 0
    figure("seconds that destinations were down", time.monotonic() - began, "s", DOWN)
