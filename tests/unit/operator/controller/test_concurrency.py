"""How many rollouts are reconciled at once."""

import asyncio
from collections.abc import Sequence

import pytest

from rollout_operator.controller.concurrency import Turns
from tests.support.builders import START, at


async def test_turns_are_few_and_who_waits_outside_holds_none() -> None:
    turns, inside, most = Turns(at_once=2), 0, 0
    hanging = asyncio.Event()

    async def look(waits: bool) -> None:
        nonlocal inside, most
        await turns.acquire(lambda: START)
        try:
            if waits:
                async with turns.released():
                    await hanging.wait()
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.001)
            inside -= 1
        finally:
            turns.release()

    waiting = [asyncio.create_task(look(waits=True)) for _ in range(5)]
    await asyncio.sleep(0)
    await asyncio.wait_for(asyncio.gather(*(look(waits=False) for _ in range(5))), 5)
    hanging.set()
    await asyncio.gather(*waiting)
    assert most == 2
    cancelled = asyncio.create_task(look(waits=True))
    hanging.clear()
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.wait([cancelled])
    await asyncio.wait_for(asyncio.gather(*(look(waits=False) for _ in range(3))), 5)
    assert most == 2


ORDERS: dict[str, tuple[Sequence[int], int, list[str]]] = {
    "those that had an answer go on by rank": ([3, 1, 2], 9, ["1", "2", "3", "new"]),
    "of one rank by who had it first": ([2, 1, 1], 9, ["1", "1", "2", "new"]),
    "what is to begin comes first by its rank": ([3, 1, 2], 0, ["new", "1", "2", "3"]),
    "or between them": ([3, 1, 2], 2, ["1", "2", "new", "3"]),
    "nobody else waits": ([], 5, ["new"]),
}


@pytest.mark.parametrize(("back", "new", "order"), ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize("gone", [False, True], ids=["", "one that was cancelled comes before"])
async def test_turns_are_given_by_rank(
    back: Sequence[int], new: int, order: list[str], gone: bool
) -> None:
    turns, answered, went, now = Turns(at_once=1), asyncio.Event(), list[str](), 99

    async def outside(rank: int) -> None:
        await turns.acquire(lambda: START)
        turns.ranks(at(rank))
        async with turns.released():
            await answered.wait()
        went.append(str(rank))
        turns.release()

    async def begin(name: str) -> None:
        await turns.acquire(lambda: at(now))
        went.append(name)
        turns.release()

    waiting = [asyncio.create_task(outside(rank)) for rank in back]
    await asyncio.sleep(0)
    await turns.acquire(lambda: START)
    answered.set()
    if gone:
        cancelled = asyncio.create_task(begin("gone"))
        await asyncio.sleep(0)
        cancelled.cancel()
    waiting.append(asyncio.create_task(begin("new")))
    await asyncio.sleep(0.01)
    # Its rank is that of whoever would begin now.
    now = new
    turns.release()
    await asyncio.wait_for(asyncio.gather(*waiting), 5)
    assert went == order
    await asyncio.wait_for(turns.acquire(lambda: START), 5)
