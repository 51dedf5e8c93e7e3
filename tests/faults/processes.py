"""Many stories at once under real operator processes, each in its own namespace,
by the real clock.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rollout_operator.adapters.kubernetes_http import TIMEOUT
from scripts.cluster.apiserver import free_port
from tests.faults.audit import Audit, broken, end_state
from tests.faults.hands import work
from tests.faults.proxy import Fault, Proxy, kubeconfig
from tests.faults.stories import NAME, Act, Story, due, perform
from tests.faults.upstream import GROUP, KINDS, Lists, Upstream
from tests.faults.world import Outlet, World

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
class Operator:
    """The operator as a process of its own."""

    kubeconfig: Path
    prometheus: str
    registry: str
    log: Path
    namespaces: str = ""
    process: asyncio.subprocess.Process | None = None
    kills: int = 0

    async def start(self) -> None:
        """Start it; an earlier one has ended."""
        environment = {
            **os.environ,
            "KUBECONFIG": str(self.kubeconfig),
            "INFERENCE_IMAGE": "localhost/rollouts/inference:test",
            "PROMETHEUS_URL": self.prometheus,
            "MLFLOW_TRACKING_URI": self.registry,
            "WATCH_NAMESPACES": self.namespaces,
            "ROUTER_DRAIN_SECONDS": "1",
            "RESYNC_SECONDS": "3",
            "METRICS_PORT": str(free_port()),
            "HEALTH_PORT": str(free_port()),
        }
        with self.log.open("ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "rollout_operator",
                "run",
                env=environment,
                stdout=output,
                stderr=output,
            )

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            self.kills += 1

    def stop(self) -> None:
        """SIGSTOP: it stands still, and does not know it."""
        self._send(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        self._send(signal.SIGCONT)

    def _send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    async def ended(self) -> None:
        """End it, whatever it does."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()


@dataclass
class Scene:
    """One story in its namespace; number: the write or event of its second part that is spoiled, 0
    for none.
    """

    story: Story
    namespace: str
    number: int = 0
    fault: Fault | None = None
    acts: list[Act] = field(default_factory=list)
    begun: int | None = None
    spoiled: bool = False
    done: bool = False
    known: object = None
    since: float = 0.0

    def __post_init__(self) -> None:
        self.acts = [*self.story.before, *self.story.then]

    @property
    def quiet(self) -> float:
        """Seconds without a change after which its part has ended."""
        return QUIET + SILENCE if self.spoiled and self.fault is Fault.HANG else QUIET


class Show:
    """The scenes, the hands that play the cluster, and what was seen."""

    def __init__(
        self,
        api: Upstream,
        audit: Audit,
        proxy: Proxy,
        world: World,
        prometheus: Outlet,
        registry: Outlet,
    ) -> None:
        self.api, self.audit, self.proxy, self.world = api, audit, proxy, world
        self.prometheus, self.registry = prometheus, registry
        self.scenes: dict[str, Scene] = {}
        self.operators: list[Operator] = []
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
            await work(self.api, self.world, left)
            await asyncio.sleep(0.05)
        for revision in [
            r for r, (namespace, _) in self.world.revisions.items() if namespace in namespaces
        ]:
            del self.world.revisions[revision]

    async def hands(self, namespaces: Sequence[str]) -> None:
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
            if operator.process is None or operator.process.returncode is not None:
                await operator.start()
                self.started = time.monotonic()
        await work(self.api, self.world, self.audit.there(namespaces))

    async def _step(self, scene: Scene, lists: Lists) -> None:
        version = sorted(
            (o["metadata"]["uid"], o["metadata"]["resourceVersion"])
            for objects in lists.values()
            for o in objects
        )
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
            r: version for r, (ns, version) in self.world.revisions.items() if ns == scene.namespace
        }
        lists = {kind: (await self.api.list(kind, scene.namespace))[0] for kind in KINDS}
        return end_state(lists, told, revisions, scene.namespace), broken(events)


def _current(rollout: dict[str, Any], status: dict[str, Any]) -> bool:
    observed: int = status.get("observedGeneration", -1)
    return observed == int(rollout["metadata"]["generation"])


@contextlib.asynccontextmanager
async def show(
    config: Path, directory: Path, operators: int = 1, namespaces: Sequence[str] = ()
) -> AsyncIterator[Show]:
    """A show with running operators behind one proxy; they watch these namespaces, or all."""
    world = World()
    async with (
        Upstream.of(config) as api,
        Audit(api) as audit,
        Outlet.of(world.app()) as prometheus,
        Outlet.of(world.app()) as registry,
    ):
        proxy = Proxy(api.server, api.token)
        made = Show(api, audit, proxy, world, prometheus, registry)
        proxy.of_write, proxy.of_event = made.of_write, made.of_event
        async with proxy.served() as url:
            path = kubeconfig(url, directory / "kubeconfig")
            made.operators = [
                Operator(
                    path,
                    prometheus.url,
                    registry.url,
                    directory / f"operator-{n}.log",
                    ",".join(namespaces),
                )
                for n in range(operators)
            ]
            try:
                yield made
            finally:
                for operator in made.operators:
                    await operator.ended()
                    print(operator.log.read_text()[-3000:] if operator.log.exists() else "")
