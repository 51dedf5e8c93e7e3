"""What all contenders stand on: one API server with an audit log, Kubernetes' own controllers,
kwok's nodes, and what is seen of each rollout.
"""

import asyncio
import contextlib
import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import aiohttp

from scripts.cluster.apiserver import apiserver, free_port
from tests.bench.operator.controllers import SERVER_FLAGS, controllers, nodes
from tests.bench.operator.process import cpu_seconds
from tests.bench.operator.watching_kubelet import WatchingKubelet
from tests.bench.peers.contenders import Contender, Settings, Turns
from tests.bench.peers.world import PeersWorld
from tests.support.api_client import ApiClient, AsyncApiClient, Request, created, merged, wait_for
from tests.support.kinds import Object
from tests.support.operator_process import end
from tests.support.scripted_world import Outlet

WIDTH = 24
"""Requests of the harness under way at once."""
QUIET, SETTLING = 3.0, 15.0
"""Seconds without a request after which a program that has started is ready; the most that is
waited for that. Flagger never stops asking.
"""
STARTING = 180.0
"""Seconds in which a program that is started asks for anything."""
Say = Callable[[str], None]


@dataclass
class Seen:
    """What was seen of one contender's rollouts, by the harness' clock (Unix time)."""

    contender: Contender
    version: int = 1
    """That was asked for last."""
    turns: Turns = field(default_factory=Turns)
    promoted: dict[str, float] = field(default_factory=dict)
    weights: dict[str, list[tuple[float, int]]] = field(default_factory=dict)
    """Of each rollout, as they came."""

    def begin(self, version: int) -> None:
        """Another version is asked for from now on."""
        self.version, self.turns = version, Turns()
        self.promoted.clear()
        self.weights.clear()

    def rollout(self, event: str, seen: Object) -> None:
        """News of what its status says."""
        if event != "DELETED" and self.turns.counts(self.contender, seen, self.version):
            self.promoted.setdefault(seen["metadata"]["name"], time.time())

    def ingress(self, event: str, seen: Object) -> None:
        """News of a route."""
        if (found := self.contender.weight(seen)) is not None:
            weight = 0 if event == "DELETED" else found[1]
            self.weights.setdefault(found[0], []).append((time.time(), weight))

    def weight_since(self, rollout: str, since: float, zero: bool) -> float | None:
        """When the first weight came that is 0, or that is not, since a moment."""
        times = (at for at, w in self.weights.get(rollout, []) if at >= since and (w == 0) == zero)
        return next(times, None)


@dataclass(frozen=True)
class Costs:
    """What a contender has taken so far."""

    requests: Counter[str]
    """By verb and resource, watches apart."""
    cpu: float
    """CPU seconds of its program."""
    server_cpu: float
    """CPU seconds of the API server and etcd."""
    queries: int
    """To Prometheus."""

    def since(self, before: "Costs") -> "Costs":
        """What came in between."""
        return Costs(
            self.requests - before.requests,
            self.cpu - before.cpu,
            self.server_cpu - before.server_cpu,
            self.queries - before.queries,
        )


@dataclass
class Stand:
    """One API server, fresh, with the namespaces of all contenders."""

    api: AsyncApiClient
    world: PeersWorld
    url: str
    directory: Path
    say: Say
    seen: dict[str, Seen] = field(default_factory=dict)
    _offset: int = 0
    _asked: dict[str, Counter[str]] = field(default_factory=dict)

    def asked(self, user: str) -> Counter[str]:
        """Requests of a user so far, by the audit log."""
        with (self.directory / "server" / "audit.log").open("rb") as file:
            file.seek(self._offset)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            entry = json.loads(line)
            if entry["verb"] != "watch":
                place = entry.get("objectRef") or {}
                what = "/".join(filter(None, (place.get("resource"), place.get("subresource"))))
                asked = self._asked.setdefault(entry["user"]["username"], Counter())
                asked[f"{entry['verb']} {what or entry['requestURI'].split('?')[0]}"] += 1
        return Counter(self._asked.get(user, Counter()))

    def costs(self, contender: Contender, pid: int) -> Costs:
        """What a contender has taken so far."""
        server = (self.directory / "server" / "pids").read_text().split()
        return Costs(
            self.asked(contender.name),
            cpu_seconds(pid),
            sum(cpu_seconds(int(one)) for one in server),
            len(self.world.queries),
        )

    async def gather(self, writes: Iterable[Request]) -> None:
        """Send all of them, some at once."""
        width = asyncio.Semaphore(WIDTH)

        async def one(write: Request) -> None:
            async with width:
                await self.api.send(write)

        await asyncio.gather(*map(one, writes))

    async def until(
        self, what: str, of: Sequence[str], known: Callable[[], Iterable[str]], seconds: float
    ) -> None:
        """Wait until all of these rollouts are among the known; AssertionError where they never
        are.
        """
        finish, told = time.monotonic() + seconds, time.monotonic()
        while missing := set(of) - set(known()):
            assert time.monotonic() < finish, (
                f"waited {seconds:.0f} s in vain for {what}: {sorted(missing)[:3]} … of {len(of)}"
            )
            if time.monotonic() - told > 10:
                told = time.monotonic()
                self.say(f"  waiting for {what}: {len(of) - len(missing)} of {len(of)}")
            await asyncio.sleep(0.1)

    async def prepare(self, contender: Contender, of: Sequence[str]) -> None:
        """Write all that a user writes for the first versions."""
        seen = self.seen[contender.name]
        seen.begin(1)
        await self.gather(created(*one) for one in contender.once(self.url))
        await self.gather(created(*one) for name in of for one in contender.first(name))

    async def change(self, contender: Contender, of: Sequence[str], version: int) -> float:
        """All ask for another version; returns when (Unix time)."""
        self.seen[contender.name].begin(version)
        began = time.time()
        await self.gather(merged(*contender.change(name, version)) for name in of)
        return began

    @contextlib.asynccontextmanager
    async def turn(self, contender: Contender) -> AsyncIterator[int]:
        """The contender's program runs; yields its process id once it has settled."""
        log = self.directory / f"{contender.name}.log"
        process = self._start(contender, log)
        try:
            await self._settled(contender)
            assert process.poll() is None, (
                f"{contender.name} has ended: {log.read_text(errors='replace')[-2000:]}"
            )
            yield process.pid
        finally:
            await asyncio.to_thread(end, process)

    def _start(self, contender: Contender, log: Path) -> subprocess.Popen[bytes]:
        settings = Settings(
            self.directory / "server" / f"kubeconfig.{contender.name}",
            self.url,
            (free_port(), free_port()),
        )
        environment = {**os.environ, **contender.environment(settings)}
        with log.open("ab") as output:
            return subprocess.Popen(
                contender.command(settings), env=environment, stdout=output, stderr=output
            )

    async def _settled(self, contender: Contender) -> None:
        before, end = self.asked(contender.name), time.monotonic() + STARTING
        while (now := self.asked(contender.name)) == before:
            assert time.monotonic() < end, f"{contender.name} has asked nothing in {STARTING:.0f} s"
            await asyncio.sleep(0.2)
        before, since = now, time.monotonic()
        end = since + SETTLING
        while time.monotonic() < min(end, since + QUIET):
            await asyncio.sleep(0.2)
            if (now := self.asked(contender.name)) != before:
                before, since = now, time.monotonic()

    async def follow(self, path: str, handle: Callable[[str, Object], None]) -> None:
        """List a collection and watch it, without end."""
        forever = aiohttp.ClientTimeout(total=None)
        while True:
            async with self.api.session.get(path) as reply:
                body = await reply.json()
                assert reply.status == 200, body
            for item in body["items"]:
                handle("ADDED", item)
            query = {"watch": "1", "resourceVersion": body["metadata"]["resourceVersion"]}
            async with self.api.session.get(path, params=query, timeout=forever) as reply:
                async for line in _lines(reply):
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        break
                    handle(event["type"], event["object"])


async def _lines(reply: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Lines of any length: a Rollout with its status is longer than aiohttp's own reading takes."""
    rest = b""
    async for chunk in reply.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line


def _answers(api: ApiClient, path: str) -> bool:
    return api.http.get(path).status_code == 200


def _audited(directory: Path, users: Sequence[str]) -> list[str]:
    (directory / "server").mkdir(parents=True)
    policy, log = directory / "policy.json", directory / "server" / "audit.log"
    rules = [{"level": "Metadata", "users": list(users)}, {"level": "None"}]
    body = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules}
    policy.write_text(json.dumps({**body, "omitStages": ["RequestReceived"]}))
    log.touch()
    # One file: it is read as it grows.
    return [f"--audit-policy-file={policy}", f"--audit-log-path={log}", "--audit-log-maxsize=4000"]


@contextlib.asynccontextmanager
async def stand(directory: Path, contenders: Sequence[Contender], say: Say) -> AsyncIterator[Stand]:
    """A stand on an API server of its own, with each contender's CRDs and namespace."""
    users = [one.name for one in contenders]
    flags = [*_audited(directory, users), *SERVER_FLAGS]
    with apiserver(directory / "server", users=users, flags=flags) as kubeconfig:
        admin = ApiClient(kubeconfig)
        admin.install_crd()
        for contender in contenders:
            for crd in contender.crds:
                admin.install(crd)
            admin.namespace(contender.name)
            wait_for(
                partial(_answers, admin, contender.watched), f"{contender.watched} to be served"
            )
        world = PeersWorld()
        async with (
            Outlet.of(world.app()) as outlet,
            AsyncApiClient.of(kubeconfig) as api,
            WatchingKubelet(api, world, idle=True),
        ):
            made = Stand(api, world, outlet.url, directory, say)
            await nodes(api)
            with controllers(directory / "controllers", kubeconfig):
                async with asyncio.TaskGroup() as group:
                    tasks = []
                    for contender in contenders:
                        seen = made.seen[contender.name] = Seen(contender)
                        routes = f"/apis/networking.k8s.io/v1/namespaces/{contender.name}/ingresses"
                        for path, handle in (
                            (contender.watched, seen.rollout),
                            (routes, seen.ingress),
                        ):
                            tasks.append(group.create_task(made.follow(path, handle)))
                    yield made
                    for task in tasks:
                        task.cancel()
