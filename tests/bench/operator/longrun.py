"""What grows, and what one rollout does to the others: a soak, idleness, and rollouts whose
metrics, image or registry hang.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.operator.process import cpu_seconds, descriptors, memory, metric
from tests.bench.operator.record import kinds, transgressions
from tests.bench.operator.stage import HANGS, Stage
from tests.bench.operator.waves import Lags, Pace, cross, first_deploys, spec
from tests.support.operator_process import OperatorProcess


@dataclass(frozen=True)
class Soak:
    """Growth from the end of the warm-up to the end: MiB, asyncio tasks, file descriptors. ticks:
    looks at the metrics, of all rollouts.
    """

    ticks: int
    seconds: float
    memory: float
    tasks: float
    descriptors: int
    queries: int
    writes: int
    wrong: Sequence[str]


async def soak(stage: Stage, operator: OperatorProcess, of: Sequence[str], ticks: int) -> Soak:
    """All are on trial for an hour and measured every second; values wander, and nothing follows
    from it.
    """
    pace = Pace(interval=1, hold=3600)
    await stage.apply(of, lambda n: spec(n, 5, pace))
    await stage.until("trials", lambda: stage.phases(of) == {"Trial": len(of)}, 60 + len(of))

    async def wander() -> None:
        while True:
            stage.world.wobble = random.uniform(-0.05, 0.04)
            await asyncio.sleep(1)

    wandering = asyncio.create_task(wander())
    warm = ticks // 5
    await _looked(stage, operator, warm)
    before = await _size(operator)
    stage.catch_up()
    place, asked, began, looks = (
        len(stage.requests),
        len(stage.world.queries),
        time.monotonic(),
        await _looks(operator),
    )
    await _looked(stage, operator, ticks - warm)
    wandering.cancel()
    after, stopped = await _size(operator), await _looks(operator)
    stage.catch_up()
    return Soak(
        ticks=warm + int(stopped - looks),
        seconds=time.monotonic() - began,
        memory=after[0] - before[0],
        tasks=after[1] - before[1],
        descriptors=int(after[2] - before[2]),
        queries=len(stage.world.queries) - asked,
        writes=sum(kinds(stage.requests[place:]).values()),
        wrong=transgressions(stage.requests),
    )


async def _looks(operator: OperatorProcess) -> float:
    return await metric(operator, "modelrollout_reconcile_seconds_count")


async def _looked(stage: Stage, operator: OperatorProcess, ticks: int) -> None:
    """Until there were so many more looks."""
    begun, end, told = await _looks(operator), time.monotonic() + 60 + ticks / 20, time.monotonic()
    while (done := await _looks(operator) - begun) < ticks:
        assert time.monotonic() < end, f"{done:.0f} looks of {ticks}"
        if time.monotonic() - told > 15:
            told = time.monotonic()
            stage.say(f"  {done:.0f} of {ticks} looks, {memory(operator.pid, 'VmRSS'):.0f} MiB")
        await asyncio.sleep(1)


async def _size(operator: OperatorProcess) -> tuple[float, float, float]:
    """Resident MiB, asyncio tasks, file descriptors: the least of a few, because whatever is under
    way only adds.
    """
    found = []
    for _ in range(5):
        found.append(
            (
                memory(operator.pid, "VmRSS"),
                await metric(operator, "modelrollout_tasks"),
                float(descriptors(operator.pid)),
            )
        )
        await asyncio.sleep(0.7)
    return min(f[0] for f in found), min(f[1] for f in found), min(f[2] for f in found)


@dataclass(frozen=True)
class Idle:
    """What a minute costs in which nothing happens."""

    rollouts: int
    seconds: float
    requests: int
    """Every one, watches that were begun anew included."""
    queries: int
    cpu: float


async def idle(stage: Stage, operator: OperatorProcess, rollouts: int, seconds: float) -> Idle:
    """Wait, and count; what is still under way, such as the deletion of what a status has retired,
    ends first.
    """
    for _ in range(30):
        await asyncio.sleep(2)
        if not stage.catch_up():
            break
    place, asked, cpu, began = (
        len(stage.requests),
        len(stage.world.queries),
        cpu_seconds(operator.pid),
        time.monotonic(),
    )
    await asyncio.sleep(seconds)
    stage.catch_up()
    took = time.monotonic() - began
    return Idle(
        rollouts,
        took,
        len(stage.requests) - place,
        len(stage.world.queries) - asked,
        cpu_seconds(operator.pid) - cpu,
    )


@dataclass(frozen=True)
class Fairness:
    """Lags of the rollouts with which nothing is wrong: without the others that hang, and beside
    them.
    """

    healthy: int
    hanging: int
    before: Lags
    beside: Lags


async def fairness(stage: Stage, of: Sequence[str], hanging: int, pace: Pace) -> Fairness:
    """Measure lags of most; then the rest hang, a third each by metrics, image and registry, and
    lags of most are measured again.
    """
    ill = of[:: max(1, len(of) // hanging)][:hanging]
    well = [n for n in of if n not in set(ill)]
    await first_deploys(stage, of, pace)
    before = await cross(stage, of, 2, pace, waiting=well)
    by_metrics, by_image, by_registry = ill[0::3], ill[1::3], ill[2::3]
    stage.world.hanging_query = "ml_request_latency"
    stage.kubelet.stuck |= set(by_image)
    gates = {
        "gates": [{"metric": "accuracy", "min": 0.7}, {"metric": "latencyP95Seconds", "max": 0.5}]
    }
    await stage.apply(by_metrics, lambda n: spec(n, 5, pace, analysis={**gates, "maxHold": "1h"}))
    await stage.apply(by_image, lambda n: spec(n, 5, pace))
    await stage.apply(by_registry, lambda n: spec(n, 5, pace, model=HANGS))
    stage.say(
        f"  {len(ill)} rollouts hang: {len(by_metrics)} by metrics, {len(by_image)} by image,"
        f" {len(by_registry)} by registry"
    )
    beside = await cross(stage, of, 3, pace, waiting=well)
    return Fairness(len(well), len(ill), before, beside)
