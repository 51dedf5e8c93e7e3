"""What every part of the operator benchmark stands on: a real API server with an audit log, the
scripted world, the fake kubelet.
"""

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.cluster.apiserver import apiserver
from tests.bench.operator.controllers import SERVER_FLAGS, controllers, nodes
from tests.bench.operator.process import cpu_seconds
from tests.bench.operator.record import OPERATOR, POLICY, Request, read, statuses
from tests.bench.operator.watching_kubelet import WatchingKubelet
from tests.support.api_client import ApiClient, AsyncApiClient
from tests.support.kinds import Object
from tests.support.operator_process import OperatorProcess
from tests.support.scripted_world import Outlet, ScriptedWorld

NAMESPACE = "models"
HANGS = "hangs"
"""Models of this name are never answered for by the registry."""
ACCURACY_BY_THREES: dict[str, float | None] = {
    str(n): (0.91, 0.95, 0.62)[(n - 1) % 3] for n in range(1, 100)
}
"""By version: 1, 4, … and 2, 5, … are good; 3, 6, … fail."""
AT_REST = {"Promoted", "RolledBack", "Invalid"}
WIDTH = 24
"""Requests of the harness under way at once."""
Say = Callable[[str], None]


@dataclass
class Stage:
    """One API server, fresh, and what plays around it."""

    api: AsyncApiClient
    world: ScriptedWorld
    kubelet: WatchingKubelet
    url: str
    directory: Path
    say: Say
    requests: list[Request] = field(default_factory=list)
    now: dict[str, Object] = field(default_factory=dict)
    _offset: int = 0

    @property
    def audit(self) -> Path:
        """The audit log."""
        return self.directory / "server" / "audit.log"

    def server_cpu(self) -> float:
        """CPU seconds of etcd and kube-apiserver so far."""
        return sum(
            cpu_seconds(int(pid))
            for pid in (self.directory / "server" / "pids").read_text().split()
        )

    def operator(self, **environment: str) -> OperatorProcess:
        """An operator process, not started yet."""
        return OperatorProcess(
            self.directory / "server" / f"kubeconfig.{OPERATOR}",
            self.url,
            self.directory / "operator.log",
            **environment,
        )

    def catch_up(self) -> list[Request]:
        """Read what the audit log has got since the last time; the newest status of each rollout is
        in `now`.
        """
        fresh, self._offset = read(self.audit, self._offset)
        self.requests += fresh
        for one in statuses(fresh):
            self.now[one.name] = one.answer
        return fresh

    async def until(self, what: str, done: Callable[[], bool], seconds: float) -> float:
        """Follow the audit log until `done`; returns when that was (Unix time). Raises
        AssertionError with `what` where it never is.
        """
        end, told = time.monotonic() + seconds, time.monotonic()
        while not (self.catch_up() is not None and done()):
            assert time.monotonic() < end, (
                f"waited {seconds:.0f} s in vain for {what}: {self.phases()}"
            )
            if time.monotonic() - told > 10:
                told = time.monotonic()
                self.say(f"  waiting for {what}: {self.phases()}")
            await asyncio.sleep(0.2)
        return time.time()

    def phases(self, names: Iterable[str] | None = None) -> dict[str, int]:
        """How many rollouts are in which phase, by what was last written."""
        of = [
            self.now[n]["status"]["phase"]
            for n in (names if names is not None else self.now)
            if n in self.now
        ]
        return dict(Counter(of))

    async def gather(self, work: Iterable[Awaitable[Any]]) -> None:
        """Do all of it, some at once."""
        width = asyncio.Semaphore(WIDTH)

        async def one(job: Awaitable[Any]) -> None:
            async with width:
                await job

        await asyncio.gather(*map(one, work))

    async def apply(
        self, names: Sequence[str], spec: Callable[[str], Object], namespace: str = NAMESPACE
    ) -> None:
        """Ask for these rollouts, or for something else of them, as a person would."""
        await self.gather(
            self.api.apply("ModelRollout", namespace, name, {"spec": spec(name)}) for name in names
        )


def _audited(directory: Path) -> list[str]:
    """Flags of an API server that records what the operator asks for."""
    (directory / "server").mkdir(parents=True)
    policy, log = directory / "policy.json", directory / "server" / "audit.log"
    policy.write_text(json.dumps(POLICY))
    log.touch()
    # One file: it is read as it grows.
    return [f"--audit-policy-file={policy}", f"--audit-log-path={log}", "--audit-log-maxsize=4000"]


@contextlib.asynccontextmanager
async def stage(directory: Path, say: Say, full: bool = False) -> AsyncIterator[Stage]:
    """A stage on an API server of its own, with the CRD and the namespace; full: with Kubernetes'
    own controllers and kwok's nodes.
    """
    with apiserver(
        directory / "server",
        users=[OPERATOR],
        flags=[*_audited(directory), *(SERVER_FLAGS if full else ())],
    ) as kubeconfig:
        ApiClient(kubeconfig).install_crd()
        world = ScriptedWorld(accuracy=ACCURACY_BY_THREES, hanging_model=HANGS)
        async with Outlet.of(world.app()) as outlet, AsyncApiClient.of(kubeconfig) as api:
            await api.namespace(NAMESPACE)
            async with WatchingKubelet(api, world, idle=full) as kubelet:
                made = Stage(api, world, kubelet, outlet.url, directory, say)
                if not full:
                    yield made
                    return
                await nodes(api)
                with controllers(directory / "controllers", kubeconfig):
                    yield made
