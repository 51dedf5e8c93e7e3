"""What a new process knows before it decides anything."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, cast

from rollout_operator.adapters.kubernetes_api import Cluster
from rollout_operator.controller.ports import Ports
from rollout_operator.controller.raw_objects import Key
from rollout_operator.controller.workqueue import WorkQueue
from rollout_operator.errors import CallFailed
from rollout_operator.process import Shell
from rollout_operator.settings import Settings
from tests.unit.operator.raw_objects import ports_with, rollout


class Listed:
    """An API server's ModelRollouts in pages; the first try to list them fails."""

    def __init__(self, *pages: list[dict[str, Any]]) -> None:
        self.pages_of, self.failed = pages, False

    async def pages(
        self, kind: str, namespace: str
    ) -> AsyncIterator[tuple[list[dict[str, Any]], str]]:
        if not self.failed:
            self.failed = True
            raise CallFailed("GET modelrollouts: TimeoutError")
        for page in self.pages_of:
            yield page, "9"
            # The next page takes its time.
            await asyncio.sleep(0.05)


def test_at_the_start_no_rollout_is_looked_at_before_all_are_known() -> None:
    """Of two with one host and path it is the older's, whichever page of the list has it."""

    def claiming(name: str, created: str) -> dict[str, Any]:
        made = rollout(5, name, uid=name)
        return {
            "metadata": {**made["metadata"], "creationTimestamp": created},
            "spec": {"traffic": {"host": "iris.example.com"}},
        }

    shell = Shell(Settings("image", "http://prometheus", "http://mlflow"))
    looked: dict[str, Key | None] = {}
    both = asyncio.Event()

    async def look(key: Key, ports: Ports, now: datetime) -> None:
        looked[key[1]] = shell.store.taken_by(key)
        if len(looked) == 2:
            both.set()

    async def started() -> None:
        shell.queue = WorkQueue(ports_with(shell.store), look)
        task = asyncio.create_task(shell.queue.run())
        first, second = claiming("a", "2026-11-02T00:00:00Z"), claiming("b", "2026-11-01T00:00:00Z")
        await shell.learn(cast("Cluster", Listed([first], [second])), "")
        await asyncio.wait_for(both.wait(), 10)
        task.cancel()

    asyncio.run(started())
    assert looked == {"a": ("models", "b"), "b": None}
