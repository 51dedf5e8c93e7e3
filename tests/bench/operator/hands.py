"""The bare cluster's controllers and kubelets: Deployments become Ready, Services have endpoints.
Driven by watches, not by polling.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Coroutine
from typing import Any

from tests.bench.operator.world import World
from tests.faults.upstream import KINDS, Object, Upstream, path

MERGE = {"Content-Type": "application/merge-patch+json"}
AT_ONCE = 16
REVISION = "rollouts.mlops.dev/revision"


class Hands:
    """Plays the cluster for every namespace. In `stuck` are rollouts whose pods of a version above
    1 never become Ready.

    idle: only tell the world which revisions there are; others do the work.
    """

    def __init__(self, api: Upstream, world: World, idle: bool = False) -> None:
        self.api, self.world, self.idle = api, world, idle
        self.stuck: set[str] = set()
        self._ready: dict[str, tuple[str, int]] = {}
        self._services: dict[tuple[str, str], Object] = {}
        self._by_revision: dict[str, set[tuple[str, str]]] = defaultdict(set)
        self._sliced: dict[tuple[str, str], list[str]] = {}
        self._width = asyncio.Semaphore(AT_ONCE)
        self._locks: dict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Hands":
        for kind, do in (("Deployment", self._deployment), ("Service", self._service))[
            : 1 if self.idle else 2
        ]:
            items, since = await self.api.list(kind)
            for one in items:
                do("ADDED", one)
            self._start(self._follow(kind, since, do))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self, kind: str, since: str, do: Any) -> None:
        while True:
            async for event in self.api.watch(kind, since):
                since = event["object"]["metadata"]["resourceVersion"]
                do(event["type"], event["object"])

    def _deployment(self, event: str, one: Object) -> None:
        meta = one["metadata"]
        env = {
            e["name"]: e.get("value", "")
            for e in one["spec"]["template"]["spec"]["containers"][0]["env"]
        }
        revision, version = env["MODEL_REVISION"], int(env["MODEL_URI"].rsplit("/", 1)[1])
        rollout = meta["labels"]["rollouts.mlops.dev/rollout"]
        if event == "DELETED":
            self.world.revisions.pop(revision, None)
            self._ready.pop(revision, None)
            return
        self.world.revisions[revision] = (meta["namespace"], rollout, version)
        if self.idle:
            return
        wanted = 0 if rollout in self.stuck and version > 1 else one["spec"]["replicas"]
        ready = one.get("status", {}).get("readyReplicas", 0)
        self._ready[revision] = (meta["name"], ready)
        if (ready, one.get("status", {}).get("observedGeneration", 0)) != (
            wanted,
            meta["generation"],
        ):
            self._start(self._make_ready(meta, wanted))
        else:
            for place in self._by_revision[revision]:
                self._start(self._slice(place))

    async def _make_ready(self, meta: Object, wanted: int) -> None:
        counts = dict.fromkeys(
            ("replicas", "readyReplicas", "availableReplicas", "updatedReplicas"), wanted
        )
        async with self._width:
            status = {**counts, "observedGeneration": meta["generation"]}
            await self.api.set_status("Deployment", meta["namespace"], meta["name"], status)

    def _service(self, event: str, one: Object) -> None:
        place = one["metadata"]["namespace"], one["metadata"]["name"]
        if place[1] != one["metadata"]["labels"]["rollouts.mlops.dev/rollout"]:
            # The candidate's own: no request comes by it here, and nobody looks at its endpoints.
            return
        if (old := self._services.pop(place, None)) is not None:
            self._by_revision[old["spec"]["selector"][REVISION]].discard(place)
        if event == "DELETED":
            self._sliced.pop(place, None)
            self._start(self.api.delete("EndpointSlice", place[0], f"{place[1]}-x"))
            return
        self._services[place] = one
        self._by_revision[one["spec"]["selector"][REVISION]].add(place)
        self._start(self._slice(place))

    async def _slice(self, place: tuple[str, str]) -> None:
        async with self._locks[place], self._width:
            if (service := self._services.get(place)) is None:
                return
            name, ready = self._ready.get(service["spec"]["selector"][REVISION], ("", 0))
            pods = [f"{name}-6f7d8-{n}" for n in range(ready)]
            if self._sliced.get(place) != pods:
                await self._write(service, pods, new=place not in self._sliced)
                self._sliced[place] = pods

    async def _write(self, service: Object, pods: list[str], new: bool) -> None:
        meta = service["metadata"]
        owner = {"apiVersion": "v1", "kind": "Service", "name": meta["name"], "uid": meta["uid"]}
        ready = {"ready": True}
        body = {
            "apiVersion": KINDS["EndpointSlice"][0].removeprefix("/apis/"),
            "kind": "EndpointSlice",
            "metadata": {
                "name": f"{meta['name']}-x",
                "labels": {**meta.get("labels", {}), "kubernetes.io/service-name": meta["name"]},
                "ownerReferences": [owner],
            },
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080}],
            "endpoints": [
                {
                    "targetRef": {"kind": "Pod", "name": pod},
                    "addresses": [f"10.0.0.{n + 1}"],
                    "conditions": ready,
                }
                for n, pod in enumerate(pods)
            ],
        }
        target = path("EndpointSlice", meta["namespace"])
        change = json.dumps({"endpoints": body["endpoints"]})
        post, patch = self.api.session.post, self.api.session.patch
        async with (
            post(target, json=body)
            if new
            else patch(f"{target}/{meta['name']}-x", data=change, headers=MERGE) as reply
        ):
            assert reply.status in {200, 201, 404, 409}, await reply.text()
