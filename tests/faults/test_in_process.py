"""Every write of every story, spoiled in every way, with the operator's own parts under a clock that the test turns."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from rollout_operator import converge
from tests.faults.audit import differences
from tests.faults.extent import STRIDE
from tests.faults.in_process import Ending, Stage, Telling
from tests.faults.proxy import KILLS, REFUSALS, STALE, Fault
from tests.faults.stages import stage
from tests.faults.stories import STORIES, Story

FAULTS = (*KILLS, *REFUSALS, Fault.LOST, *STALE, Fault.STOPPED)
FIRST = {Fault.STOPPED: 5}
"""Where a sample begins, if not anywhere: the fifth write creates the canary Ingress, which no resourceVersion guards."""
AT_ONCE = 8


def namespace(story: Story, fault: Fault | None, number: int) -> str:
    said = re.sub("[^a-z0-9]+", "-", f"{story.name} {fault.name if fault else 'clean'} {number}".lower())
    return said.strip("-")[:63]


async def told(on: Stage, story: Story, fault: Fault | None = None, number: int = 0, again: str = "") -> Ending:
    return await Telling(on, story, namespace(story, fault, number) + again, number, fault).tell()


async def reference(on: Stage, story: Story, known: dict[str, Ending]) -> Ending:
    """The story without faults, told twice: what differs between the two would be chance, and no measure."""
    if story.name not in known:
        known[story.name], again = await asyncio.gather(told(on, story), told(on, story, again="-again"))
        assert known[story.name] == again
    return known[story.name]


@pytest.mark.parametrize("story", STORIES, ids=lambda s: s.name.replace(" ", "-"))
async def test_story_without_faults(story: Story, kubeconfig: Path, references: dict[str, Ending]) -> None:
    async with stage(kubeconfig) as on:
        ending = await reference(on, story, references)
    assert not ending.broken
    assert not ending.idle, "writes while nothing is to be done"
    rollout = ending.state.get("ModelRollout iris")
    if story.ends is None:
        assert set(ending.state) == {"registry"}, "orphans"
    else:
        assert rollout is not None
        assert (rollout["status"]["phase"], rollout["status"]["stable"]["version"]) == story.ends


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.name.lower())
@pytest.mark.parametrize("story", STORIES, ids=lambda s: s.name.replace(" ", "-"))
async def test_every_write_spoiled(
    story: Story,
    fault: Fault,
    kubeconfig: Path,
    references: dict[str, Ending],
    figure: Callable[[str, float, str, float], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if fault is Fault.STOPPED:
        # Standing still takes no time here.
        monkeypatch.setattr(converge, "PROVEN", 0.0)
    async with stage(kubeconfig) as on:
        clean = await reference(on, story, references)
        first = 1 if STRIDE == 1 else FIRST.get(fault, 1 + FAULTS.index(fault) % STRIDE)
        numbers = range(first, clean.writes + 1, STRIDE)
        width = asyncio.Semaphore(AT_ONCE)

        async def one(number: int) -> tuple[int, Ending]:
            async with width:
                return number, await told(on, story, fault, number)

        for number, ending in await asyncio.gather(*map(one, numbers)):
            place = f"write {number} of {clean.writes}: {fault}"
            # What comes last may be an Event, which no operator stops before.
            assert ending.spoiled or (fault is Fault.STOPPED and number > clean.writes - 2), place
            assert not ending.broken, place
            assert not differences(ending.state, clean.state), place
            assert not ending.idle, place
    figure(f"writes in process: {fault}", len(numbers), "runs", clean.writes)
