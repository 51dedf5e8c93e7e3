"""Every write of every story, spoiled in every way, with the operator's own parts under a clock
that the test turns.
"""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from rollout_operator.controller import apply
from tests.faults.audit import differences
from tests.faults.coverage import STATUSES_APART, STRIDE
from tests.faults.in_process import DELETIONS, Ending, Order, Stage, Telling
from tests.faults.proxy import KILLS, REFUSALS, STALE, Fault
from tests.faults.stages import stage
from tests.faults.stories import STORIES, Story

FAULTS = (*KILLS, *REFUSALS, Fault.LOST, *STALE, Fault.STOPPED)
FIRST = {Fault.STOPPED: 5}
"""Where a sample begins, if not anywhere: the fifth write creates the canary Ingress, which no
resourceVersion guards.
"""
AT_ONCE = 8
CUT = {"first deploy", "promotion", "rollback on low accuracy"}
"""Stories that between them write every kind of status."""


def namespace(story: Story, fault: Fault | None, number: int) -> str:
    said = re.sub(
        "[^a-z0-9]+", "-", f"{story.name} {fault.name if fault else 'clean'} {number}".lower()
    )
    return said.strip("-")[:63]


async def told(
    on: Stage, story: Story, fault: Fault | None = None, number: int = 0, again: str = ""
) -> Ending:
    return await Telling(on, story, namespace(story, fault, number) + again, number, fault).tell()


async def reference(on: Stage, story: Story, known: dict[str, Ending]) -> Ending:
    """The story without faults, told twice: what differs between the two would be chance, and no
    measure.
    """
    if story.name not in known:
        known[story.name], again = await asyncio.gather(
            told(on, story), told(on, story, again="-again")
        )
        assert known[story.name] == again
    return known[story.name]


@pytest.mark.parametrize("story", STORIES, ids=lambda s: s.name.replace(" ", "-"))
async def test_story_without_faults(
    story: Story, kubeconfig: Path, references: dict[str, Ending]
) -> None:
    async with stage(kubeconfig) as on:
        ending = await reference(on, story, references)
    assert not ending.broken
    assert not ending.idle, "writes while nothing is to be done"
    assert not ending.trouble
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
        monkeypatch.setattr(apply, "PROVEN_FOR", 0.0)
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
            assert not ending.trouble, place
    figure(f"writes in process: {fault}", len(numbers), "runs", clean.writes)


@pytest.mark.parametrize(
    "order", [Order.EVENT_FIRST, Order.RELISTED, Order.SILENT], ids=lambda o: o.name.lower()
)
@pytest.mark.parametrize("story", STORIES, ids=lambda s: s.name.replace(" ", "-"))
async def test_every_write_comes_back_in_every_order(
    story: Story,
    order: Order,
    kubeconfig: Path,
    references: dict[str, Ending],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Only a watch that is deaf makes /healthz say 503, and it is logged once."""
    async with stage(kubeconfig) as on:
        clean = await reference(on, story, references)
        telling = Telling(
            on,
            story,
            namespace(story, None, 0) + f"-{order.name.lower().replace('_', '-')}",
            order=order,
        )
        ending = await telling.tell()
    assert ending.writes == clean.writes
    assert not differences(ending.state, clean.state)
    deaf = order is Order.SILENT and story.ends is not None
    assert bool(ending.trouble) is deaf
    telling.shell.health.trouble()
    assert [r.getMessage() for r in caplog.records if r.levelname == "ERROR"] == (
        [f"/healthz says 503: {ending.trouble}"] if deaf else []
    )


@pytest.mark.parametrize("order", sorted(DELETIONS), ids=lambda o: o.name.lower())
@pytest.mark.parametrize(
    "story", [s for s in STORIES if s.name in CUT], ids=lambda s: s.name.replace(" ", "-")
)
async def test_deleted_after_every_status(story: Story, order: Order, kubeconfig: Path) -> None:
    async with stage(kubeconfig) as on:
        said = order.name.lower().replace("_", "-")
        whole = Telling(on, story, namespace(story, None, 0) + f"-{said}")
        await whole.tell()
        numbers = range(
            1 + sorted(DELETIONS).index(order) % STATUSES_APART, whole.statuses + 1, STATUSES_APART
        )
        tellings = [
            Telling(on, story, namespace(story, None, number) + f"-{said}", number, order=order)
            for number in numbers
        ]
        await asyncio.gather(*(one.cut_short() for one in tellings))
    assert tellings
    for one in tellings:
        assert not one.trouble_later(), f"status {one.number}"
        assert not one.shell.store.count(), f"status {one.number}"
