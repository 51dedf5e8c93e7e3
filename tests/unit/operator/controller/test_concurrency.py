"""How many rollouts are reconciled at once."""

import asyncio

from rollout_operator.controller.concurrency import Turns


async def test_turns_are_few_and_who_waits_outside_holds_none() -> None:
    turns, inside, most = Turns(at_once=2), 0, 0
    hanging = asyncio.Event()

    async def look(waits: bool) -> None:
        nonlocal inside, most
        await turns.acquire()
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
