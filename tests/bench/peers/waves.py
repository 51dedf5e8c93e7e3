"""What is measured of each contender: waves of promotions, and how soon a bad value is answered."""

import asyncio
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.operator.process import memory
from tests.bench.operator.waves import names
from tests.bench.peers.contenders import Contender
from tests.bench.peers.stand import Stand

PATIENCE = 1200.0
"""Seconds after which something that is waited for counts as lost; no figure."""
CLEANING = 40.0
"""Seconds after a wave in which what was replaced is taken away."""


@dataclass(frozen=True)
class Wave:
    """What one wave of a contender took; costs are for each promotion."""

    rollouts: int
    seconds: float
    """From asking until the last promotion."""
    first_weight: float
    """Seconds from asking to a first weight, median, and of the last one."""
    last_first_weight: float
    requests: float
    requests_with_cleaning: float
    kinds: dict[str, int]
    """Requests of all rollouts, with cleaning."""
    cpu: float
    """Milliseconds of the program, with cleaning as the requests have it."""
    cpu_with_cleaning: float
    server_cpu: float
    queries: float
    memory: float
    """MiB at its peak."""


async def first(on: Stand, contender: Contender, of: Sequence[str]) -> None:
    """The first versions of these rollouts, to their end."""
    seen = on.seen[contender.name]
    async with on.turn(contender):
        await on.prepare(contender, of)
        await on.until("first versions", of, lambda: seen.promoted, PATIENCE)
        await asyncio.sleep(CLEANING / 2)


async def wave(on: Stand, contender: Contender, count: int, version: int) -> Wave:
    """All ask for another version at once, and are promoted."""
    of, seen = names(count), on.seen[contender.name]
    async with on.turn(contender) as pid:
        before = on.costs(contender, pid)
        began = await on.change(contender, of, version)
        await on.until("promotions", of, lambda: seen.promoted, PATIENCE)
        taken = on.costs(contender, pid).since(before)
        weights = [seen.weight_since(name, began, zero=False) or began for name in of]
        lags = [at - began for at in weights]
        seconds = max(seen.promoted[name] for name in of) - began
        await asyncio.sleep(CLEANING)
        whole = on.costs(contender, pid).since(before)
        return Wave(
            rollouts=count,
            seconds=seconds,
            first_weight=statistics.median(lags),
            last_first_weight=max(lags),
            requests=taken.requests.total() / count,
            requests_with_cleaning=whole.requests.total() / count,
            kinds=dict(whole.requests),
            cpu=1000 * taken.cpu / count,
            cpu_with_cleaning=1000 * whole.cpu / count,
            server_cpu=1000 * whole.server_cpu / count,
            queries=taken.queries / count,
            memory=memory(pid),
        )


async def turned_bad(on: Stand, contender: Contender, count: int, version: int) -> Sequence[float]:
    """All are in a trial, and turn bad at moments that are spread over an interval; seconds from
    each one's moment to its weight 0.
    """
    of, seen, interval = names(count), on.seen[contender.name], contender.pace.interval
    moments: dict[str, float] = {}
    chance = random.Random(version)

    async def turn_bad(name: str) -> None:
        await asyncio.sleep(chance.uniform(0, interval))
        moments[name] = time.time()
        on.world.turn_bad(contender.name, name, version)

    async with on.turn(contender):
        began = await on.change(contender, of, version)
        await on.until(
            "first weights",
            of,
            lambda: [n for n in of if seen.weight_since(n, began, zero=False)],
            PATIENCE,
        )
        await asyncio.gather(*map(turn_bad, of))
        await on.until(
            "weights of 0",
            of,
            lambda: [n for n in of if seen.weight_since(n, moments[n], zero=True)],
            PATIENCE,
        )
        on.world.recover(contender.name)
        return [(seen.weight_since(n, moments[n], zero=True) or 0.0) - moments[n] for n in of]
