"""Many stories at once under real operator processes, each in its own namespace,
by the real clock.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rollout_operator.adapters.kubernetes_http import TIMEOUT
from tests.faults.audit import Audit, broken, end_state
from tests.faults.proxy import Fault, Proxy, kubeconfig
from tests.faults.stories import NAME, Act, Story, due, kubelet_of, perform
from tests.support.api_client import AsyncApiClient
from tests.support.kinds import GROUP, KINDS, Lists, fingerprint
from tests.support.operator_process import OperatorProcess
from tests.support.scripted_world import Outlet, ScriptedWorld

AT_REST = {"Promoted", "RolledBack", "Invalid"}
QUIET = 8.0
"""Seconds without a change after which a story's part has ended; longer than anything that is
waited for at rest: the registry is told again after 5 s, and lists are compared every 3 s.
"""
SILENCE = TIMEOUT.total or 0.0
"""Seconds for which the operator waits for a reply that does not come: so much longer nothing may
happen where a write hangs.
"""
STARTING = 10.0
"""Seconds that an operator started anew may take before it carries out what the one before it left
undone.
"""
PATIENCE = 900.0
"""Seconds that a story may take at most, whatever else the machine does."""


@dataclass
class Scene:
    """One story in its namespace."""

    story: Story
    namespace: str
    number: int = 0
    """The write or event of its second part that is spoiled; 0 for none."""
    fault: Fault | None = None
    acts: list[Act] = field(default_factory=list)
    begun: int | None = None
    """How many writes or events there were when its second part began."""
    spoiled: bool = False
    done: bool = False
    known: object = None
    """What was listed last; `since`: when that was first seen."""
    since: float = 0.0

    def __post_init__(self) -> None:
        self.acts = [*self.story.before, *self.story.then]

    @property
    def quiet(self) -> float:
        """Seconds without a change after which its part has ended."""
        return QUIET + SILENCE if self.spoiled and self.fault is Fault.HANG else QUIET


class Show:
    """The scenes, the kubelet that plays the cluster, and what was seen."""

    def __init__(
        self,
        api: AsyncApiClient,
        audit: Audit,
        proxy: Proxy,
        world: ScriptedWorld,
        prometheus: Outlet,
        registry: Outlet,
    ) -> None:
        self.api, self.audit, self.proxy, self.world = api, audit, proxy, world
        self.prometheus, self.registry = prometheus, registry
        self.kubelet = kubelet_of(world)
        self.scenes: dict[str, Scene] = {}
        self.operators: list[OperatorProcess] = []
        self.started = 0.0

    def of_write(self, namespace: str, number: int) -> Fault | None:
        """For the proxy: the fault of this write."""
        return self._of(namespace, number, (Fault.DROP, Fault.DELAY))

    def of_event(self, namespace: str, number: int) -> Fault | None:
        """For the proxy: the fault of this event."""
        fault = self.scenes[namespace].fault if namespace in self.scenes else None
        return self._of(namespace, number, ()) if fault in {Fault.DROP, Fault.DELAY} else None

    def _of(self, namespace: str, number: int, besides: tuple[Fault, ...]) -> Fault | None:
        scene = self.scenes.get(namespace)
        if (
            scene is None
            or scene.begun is None
            or number - scene.begun != scene.number
            or scene.fault in besides
        ):
            return None
        scene.spoiled = True
        return scene.fault

    async def play(self, scenes: Sequence[Scene]) -> None:
        """Play all scenes to their ends, at once; raises AssertionError where one has none."""
        for scene in scenes:
            await self.api.namespace(scene.namespace)
            self.scenes[scene.namespace] = scene
        end = time.monotonic() + PATIENCE
        while waiting := [s for s in scenes if not s.done]:
            assert time.monotonic() < end, (
                f"no end after {PATIENCE:.0f} s: {[self._said(s) for s in waiting]}"
            )
            # Those that are done too: a late deletion leaves something to be collected.
            await self._tend(s.namespace for s in scenes)
            for scene in waiting:
                await self._step(scene, self.audit.there([scene.namespace]))
            await asyncio.sleep(0.05)

    def _said(self, scene: Scene) -> str:
        """Where a scene stands, for people."""
        phases = [
            one.raw.get("status", {}).get("phase", "")
            for one in self.audit.history(scene.namespace, "ModelRollout")
        ]
        return (
            f"{scene.namespace}: waits for {scene.acts[0].when if scene.acts else 'rest'}; it was"
            f" {' '.join(phases)}"
        )

    async def strike(self, scenes: Sequence[Scene]) -> None:
        """Clear away what the scenes left, so that hundreds of them do not slow down the next."""
        namespaces = {s.namespace for s in scenes}
        for namespace in namespaces:
            await self.api.delete("ModelRollout", namespace, NAME)
        while any((left := self.audit.there(namespaces)).values()):
            await self.kubelet.work(self.api, left)
            await asyncio.sleep(0.05)
        for revision in [
            r for r, workload in self.world.revisions.items() if workload.namespace in namespaces
        ]:
            del self.world.revisions[revision]

    async def tend(self, namespaces: Sequence[str]) -> None:
        """Play the cluster of these namespaces until cancelled, and see that the operators run."""
        while True:
            await self._tend(namespaces)
            await asyncio.sleep(0.05)

    async def idle(self, seconds: float) -> int:
        """Writes of the operators while nothing is to be done."""
        before = len(self.proxy.writes)
        await asyncio.sleep(seconds)
        return len(self.proxy.writes) - before

    async def _tend(self, namespaces: Iterable[str]) -> None:
        """See that the operators run, and do once what a cluster's controllers do in these
        namespaces.
        """
        for operator in self.operators:
            if not operator.alive:
                operator.start()
                self.started = time.monotonic()
        await self.kubelet.work(self.api, self.audit.there(namespaces))

    async def _step(self, scene: Scene, lists: Lists) -> None:
        version = fingerprint(lists)
        if version != scene.known:
            scene.known, scene.since = version, time.monotonic()
        statuses = [r.get("status", {}) for r in lists["ModelRollout"]]
        settled = all(
            s.get("phase") in AT_REST and not s.get("retiring") and _current(r, s)
            for r, s in zip(lists["ModelRollout"], statuses, strict=True)
        )
        resting = settled and time.monotonic() - scene.since >= scene.quiet
        if resting and scene.begun is None and len(scene.acts) == len(scene.story.then):
            events = scene.fault in {Fault.DROP, Fault.DELAY}
            scene.begun = (
                self.proxy.events[scene.namespace] if events else self.proxy.count(scene.namespace)
            )
        if not scene.acts:
            scene.done = resting and time.monotonic() - self.started >= STARTING + scene.quiet
        elif due(scene.acts[0], lists, resting):
            await perform(scene.acts.pop(0), scene.namespace, self.api, self.world, quick=True)
            scene.known = None

    async def ending(self, scene: Scene) -> tuple[dict[str, Any], list[str]]:
        """End state, and the invariants that were broken on the way."""
        events = await self.audit.caught_up(scene.namespace)
        tag, alias = f"{GROUP}/{scene.namespace}.{NAME}", f"{scene.namespace}-{NAME}"
        told = {"tag": self.world.tags.get(tag), "alias": self.world.aliases.get(alias)}
        revisions = {
            revision: workload.version
            for revision, workload in self.world.revisions.items()
            if workload.namespace == scene.namespace
        }
        lists = {kind: (await self.api.list(kind, scene.namespace))[0] for kind in KINDS}
        return end_state(lists, told, revisions, scene.namespace), broken(events)


def _current(rollout: dict[str, Any], status: dict[str, Any]) -> bool:
    observed: int = status.get("observedGeneration", -1)
    return observed == int(rollout["metadata"]["generation"])


@contextlib.asynccontextmanager
async def show(
    config: Path,
    directory: Path,
    operators: int = 1,
    namespaces: Sequence[str] = (),
    apart: bool = False,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Show]:
    """A show with running operators behind one proxy; they watch these namespaces, or all.

    apart: each watches one of them, and dies alone; environment: more variables of theirs.
    """
    world = ScriptedWorld()
    async with (
        AsyncApiClient.of(config) as api,
        Audit(api) as audit,
        Outlet.of(world.app()) as prometheus,
        Outlet.of(world.app()) as registry,
    ):
        proxy = Proxy(api.address)
        made = Show(api, audit, proxy, world, prometheus, registry)
        proxy.of_write, proxy.of_event = made.of_write, made.of_event
        async with proxy.served() as url:
            path = kubeconfig(url, directory / "kubeconfig")
            made.operators = [
                OperatorProcess(
                    path,
                    prometheus.url,
                    directory / f"operator-{n}.log",
                    registry.url,
                    WATCH_NAMESPACES=namespaces[n] if apart else ",".join(namespaces),
                    RESYNC_SECONDS="3",
                    **(environment or {}),
                )
                for n in range(operators)
            ]
            try:
                yield made
            finally:
                for operator in made.operators:
                    operator.kill()
                    print(operator.log.read_text()[-3000:] if operator.log.exists() else "")
