"""Real operator processes through the fault proxy: killed, stopped, refused, left without replies
and without events.
"""

import asyncio
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from scripts.cluster.apiserver import apiserver
from tests.faults.audit import differences
from tests.faults.coverage import (
    ALL,
    BY_TWO,
    EVENT_FAULTS,
    EVENTS_APART,
    IDLE,
    KILLED,
    PLAYED,
    STOPPED,
    WRITES_APART,
)
from tests.faults.processes import Scene, Show, show
from tests.faults.proxy import KILLS, REFUSALS, Fault
from tests.faults.stories import Story
from tests.support.api_client import ApiClient

AT_ONCE = 40
"""Rollouts under one operator."""
MOST_WRITES, MOST_EVENTS = 26, 90
"""More than any story's second part has."""

Figure = Callable[[str, float, str, float], None]


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Iterator[Path]:
    """An API server of its own: these operators watch all namespaces."""
    with apiserver(tmp_path / "apiserver") as path:
        ApiClient(path).install_crd()
        yield path


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "operators"
    made.mkdir()
    return made


def scene(story: Story, number: int = 0, fault: Fault | None = None, also: str = "") -> Scene:
    said = re.sub(
        "[^a-z0-9]+",
        "-",
        f"{story.name} {fault.name if fault else 'clean'} {number} {also}".lower(),
    )
    return Scene(story, said.strip("-")[:63], number, fault)


async def endings(on: Show, clean: dict[str, Scene]) -> dict[str, Any]:
    """The end states of stories without faults, by story, after a look whether they are what the
    stories say.
    """
    wanted = {}
    for name, one in clean.items():
        state, broken = await on.ending(one)
        assert not broken, name
        rollout = state.get("ModelRollout iris")
        assert (
            rollout and (rollout["status"]["phase"], rollout["status"]["stable"]["version"])
        ) == one.story.ends
        wanted[name] = state
    return wanted


async def compared(on: Show, scenes: Sequence[Scene], wanted: dict[str, Any]) -> None:
    """Every scene ended as its story does without faults, and broke nothing on the way."""
    for one in scenes:
        state, broken = await on.ending(one)
        assert not broken, f"{one.namespace}: {one.fault}"
        assert not differences(state, wanted[one.story.name]), f"{one.namespace}: {one.fault}"


async def played(kubeconfig: Path, directory: Path, scenes: Sequence[Scene]) -> int:
    """Play the scenes, some at a time, beside one clean one of each story; returns how many were
    spoiled.
    """
    async with show(kubeconfig, directory) as on:
        clean = {story.name: scene(story) for story in PLAYED}
        await on.play(list(clean.values()))
        wanted = await endings(on, clean)
        batches = list(_batched(scenes))
        for batch in batches:
            await on.play(batch)
            await compared(on, batch, wanted)
            print(f"{batch[-1].namespace}: {sum(s.spoiled for s in scenes)} spoiled", flush=True)
            if batch is not batches[-1]:
                await on.strike(batch)
        assert not await on.idle(IDLE)
        return sum(s.spoiled for s in scenes)


def _batched(scenes: Sequence[Scene]) -> Iterator[Sequence[Scene]]:
    for start in range(0, len(scenes), AT_ONCE):
        yield scenes[start : start + AT_ONCE]


async def test_every_kind_of_refusal_and_silence(
    kubeconfig: Path, directory: Path, figure: Figure
) -> None:
    faults = itertools.cycle((Fault.HANG, *REFUSALS, Fault.LOST))
    numbers = range(1, MOST_WRITES + 1, WRITES_APART)
    scenes = [scene(story, number, next(faults)) for story in PLAYED for number in numbers]
    spoiled = await played(kubeconfig, directory, scenes)
    assert spoiled >= len(scenes) / 4
    figure("writes refused, hanging or without reply, under a real process", spoiled, "runs", 60)


@pytest.mark.parametrize("fault", EVENT_FAULTS, ids=lambda f: f.name.lower())
async def test_every_event_lost_or_late(
    fault: Fault, kubeconfig: Path, directory: Path, figure: Figure
) -> None:
    numbers = range(1, MOST_EVENTS + 1, EVENTS_APART)
    scenes = [scene(story, number, fault) for story in PLAYED for number in numbers]
    spoiled = await played(kubeconfig, directory, scenes)
    assert spoiled >= len(scenes) / 4
    figure(f"watch events under a real process: {fault}", spoiled, "runs", 60)


async def test_killed_again_and_again(kubeconfig: Path, directory: Path, figure: Figure) -> None:
    async with show(kubeconfig, directory) as on:
        clean = {story.name: scene(story) for story in PLAYED}
        await on.play(list(clean.values()))
        wanted = await endings(on, clean)
        modes, written = itertools.cycle(KILLS), itertools.count(1)
        every, rounds = KILLED

        def of_write(*_: object) -> Fault | None:
            return next(modes) if next(written) % every == 0 else None

        on.proxy.of_write = of_write
        on.proxy.kill = lambda _: on.operators[0].kill()
        scenes = [scene(story, also=f"killed {n}") for n in range(rounds) for story in PLAYED]
        for batch in itertools.groupby(scenes, key=lambda s: s.namespace[-1]):
            await on.play(list(batch[1]))
        await compared(on, scenes, wanted)
        assert not await on.idle(IDLE)
        kills = on.operators[0].kills
    assert kills >= (60 if ALL else 6)
    figure("SIGKILLs of the real operator", kills, "kills", 60)


async def test_two_operators_one_of_them_stopped(
    kubeconfig: Path, directory: Path, figure: Figure
) -> None:
    async with show(kubeconfig, directory, operators=2) as on:
        clean = {story.name: scene(story, also="also by two") for story in PLAYED}
        stories = itertools.islice(itertools.cycle(PLAYED), BY_TWO)
        scenes = [scene(story, n, also="by two") for n, story in enumerate(stories)]

        async def stop() -> None:
            """Each in turn stands still for longer than any lease, in the middle of it, and goes
            on.
            """
            for operator, seconds in zip(on.operators, STOPPED, strict=True):
                await asyncio.sleep(6)
                operator.pause()
                await asyncio.sleep(seconds)
                operator.resume()

        stopping = asyncio.create_task(stop())
        await on.play([*clean.values(), *scenes])
        await stopping
        await compared(on, scenes, await endings(on, clean))
        assert not await on.idle(IDLE)
        figure(
            "rollouts under two operators, each stopped for a while", len(scenes), "rollouts", 50
        )
