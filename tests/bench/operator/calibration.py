"""A fixed loop by which CPU time here is compared with the reference machine's: JSON, dicts and
strings, as an operator spends it.
"""

import asyncio
import contextlib
import json
import statistics
import time
from collections.abc import AsyncIterator

REFERENCE = 0.035
"""Seconds of CPU that `loop` takes on the reference machine (2-core AMD EPYC, Python 3.11) when
nothing runs beside it.
"""
ROUNDS = 4000
_OBJECT = {
    "metadata": {"name": "iris", "labels": {f"label-{n}": f"value-{n}" for n in range(8)}},
    "spec": {"steps": [10, 50, 100]},
}


def loop() -> float:
    """CPU seconds of one round of fixed work, of this thread."""
    began = time.thread_time()
    for n in range(ROUNDS):
        one = json.loads(json.dumps({**_OBJECT, "n": n}))
        sorted(f"{k}={v}" for k, v in one["metadata"]["labels"].items())
    return time.thread_time() - began


@contextlib.asynccontextmanager
async def beside() -> AsyncIterator[list[float]]:
    """Run the loop every few seconds beside what is measured; the list fills with this machine's
    time by the reference machine's.
    """
    ratios: list[float] = []

    async def go() -> None:
        while True:
            ratios.append(await asyncio.to_thread(loop) / REFERENCE)
            await asyncio.sleep(3)

    task = asyncio.create_task(go())
    try:
        yield ratios
    finally:
        task.cancel()
        await asyncio.wait([task])


def typical(ratios: list[float]) -> float:
    """The median; 1 of none."""
    return statistics.median(ratios) if ratios else 1.0
