"""The fake kubelet for hundreds of rollouts: driven by watches, so that nothing polls."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine
from typing import Any

from rollout_operator.domain.api.names import REVISION, ROLLOUT
from tests.support.api_client import AsyncApiClient, Request
from tests.support.fake_kubelet import (
    FakeKubelet,
    endpoints_of,
    place_of,
    pod_names,
    slice_name,
    workload_of,
)
from tests.support.kinds import Object
from tests.support.scripted_world import ScriptedWorld

AT_ONCE = 16
"""Writes under way."""
Place = tuple[str, str]
"""Namespace and name of a Service."""


class WatchingKubelet(FakeKubelet):
    """Plays the cluster for every namespace."""

    def __init__(self, api: AsyncApiClient, world: ScriptedWorld, idle: bool = False) -> None:
        """idle: only tell the world which revisions there are; others do the work."""
        super().__init__(world)
        self.api, self.idle = api, idle
        self._pods: dict[str, list[str]] = {}
        """Ready pods by revision."""
        self._services: dict[Place, Object] = {}
        self._by_revision: dict[str, set[Place]] = defaultdict(set)
        self._slices: dict[Place, Object] = {}
        """EndpointSlices as they were written last."""
        self._width = asyncio.Semaphore(AT_ONCE)
        self._locks: dict[Place, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "WatchingKubelet":
        watched = (("Deployment", self._deployment), ("Service", self._service))
        for kind, handle in watched[: 1 if self.idle else 2]:
            items, since = await self.api.list(kind)
            for item in items:
                handle("ADDED", item)
            self._start(self._follow(kind, since, handle))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self, kind: str, since: str, handle: Callable[[str, Object], None]) -> None:
        while True:
            async for event in self.api.watch(kind, since):
                since = event["object"]["metadata"]["resourceVersion"]
                handle(event["type"], event["object"])

    def _deployment(self, event: str, deployment: Object) -> None:
        revision, workload = workload_of(deployment)
        if event == "DELETED":
            self.world.revisions.pop(revision, None)
            self._pods.pop(revision, None)
            return
        self.world.revisions[revision] = workload
        if self.idle:
            return
        self._pods[revision] = pod_names(deployment)
        if (write := self.status_of(deployment)) is not None:
            self._start(self._send(write))
        else:
            for place in self._by_revision[revision]:
                self._start(self._slice(place))

    async def _send(self, write: Request) -> None:
        async with self._width:
            await self.api.send(write)

    def _service(self, event: str, service: Object) -> None:
        place = place_of(service)
        if place[1] != service["metadata"]["labels"][ROLLOUT]:
            # The candidate's own: no request comes by it here, and nobody looks at its endpoints.
            return
        if (old := self._services.pop(place, None)) is not None:
            self._by_revision[old["spec"]["selector"][REVISION]].discard(place)
        if event == "DELETED":
            self._slices.pop(place, None)
            self._start(self.api.delete("EndpointSlice", place[0], slice_name(place[1])))
            return
        self._services[place] = service
        self._by_revision[service["spec"]["selector"][REVISION]].add(place)
        self._start(self._slice(place))

    async def _slice(self, place: Place) -> None:
        async with self._locks[place], self._width:
            if (service := self._services.get(place)) is None:
                return
            pods = self._pods.get(service["spec"]["selector"][REVISION], [])
            write = endpoints_of(service, pods, self._slices.get(place))
            if write is not None:
                await self.api.send(write)
                self._slices[place] = write.body
