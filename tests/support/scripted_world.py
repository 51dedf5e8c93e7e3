"""What Prometheus and the registry answer, scripted.

Tests need answers at exact moments that the real ones cannot be made to give.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aiohttp import web

from rollout_operator.domain.api.names import DIGEST_TAG
from tests.support.kinds import Object

ACCURACY = {"1": 0.91, "2": 0.95, "3": 0.62, "4": 0.93, "5": 0.9}
"""By version; version 3 is below every threshold that tests have."""
FOREVER = 3600.0
"""Seconds after which nobody waits any more."""


class Workload(NamedTuple):
    """Whose pods they are that a series is about."""

    namespace: str
    rollout: str
    version: str


@dataclass
class ScriptedWorld:
    """One answer for all rollouts, as the real ones have it."""

    accuracy: dict[str, float | None] = field(default_factory=lambda: {**ACCURACY})
    """By version; None: its pods have no series. The registry knows the versions in it."""
    clock: Callable[[], float] = time.time
    overrides: dict[Workload, float | None] = field(default_factory=dict)
    """Accuracy of single workloads that differs from their version's."""
    shown_from: dict[Workload, float] = field(default_factory=dict)
    """Unix time from which on a workload's series are there; from the first where not named."""
    wobble: float = 0.0
    """Is added to every accuracy."""
    revisions: dict[str, Workload] = field(default_factory=dict)
    """Revisions that have pods; the fake kubelet writes it."""
    prometheus_down: bool = False
    registry_down: bool = False
    undigested: set[str] = field(default_factory=set)
    """Versions that carry no digest until the registry is told one."""
    hanging_query: str = ""
    """Queries that contain this text are never answered."""
    hanging_model: str = ""
    """The registry never answers for this model."""
    queries: list[float] = field(default_factory=list)
    """When Prometheus was asked, Unix time."""
    measured: list[float] = field(default_factory=list)
    """When it was asked for series, Unix time."""
    tags: dict[str, str] = field(default_factory=dict)
    """What the registry was told, and `aliases` likewise."""
    aliases: dict[str, str] = field(default_factory=dict)

    def versions(self) -> dict[str, str]:
        """The version of every revision that has pods."""
        return {revision: workload.version for revision, workload in self.revisions.items()}

    def accuracy_of(self, workload: Workload) -> float | None:
        """What its pods report now; None for nothing."""
        value = self.overrides.get(workload, self.accuracy.get(workload.version))
        if value is None or self.shown_from.get(workload, 0.0) > self.clock():
            return None
        return round(value + self.wobble, 4)

    def series(self) -> list[Object]:
        """Every series, with its samples."""
        now = self.clock()
        return [
            sample(revision, workload, [(now, accuracy)])
            for revision, workload in self.revisions.items()
            if (accuracy := self.accuracy_of(workload)) is not None
        ]

    def query_result(self, query: str = "") -> Object:
        """Prometheus' answer to an instant query."""
        self.queries.append(time.time())
        if query == "vector(time())":
            now = self.clock()
            vector = {"metric": {}, "value": [now, str(now)]}
            return _success({"resultType": "vector", "result": [vector]})
        self.measured.append(time.time())
        return _success({"resultType": "matrix", "result": self.series()})

    def own_result(self) -> Object:
        """Prometheus' answer to the query of a metric of the configuration."""
        return _success({"resultType": "vector", "result": self.own_series()})

    def own_series(self) -> list[Object]:
        """Each with its part and its newest value; nobody counts anything here."""
        return []

    def model_version(self, name: str, version: str) -> tuple[int, Object]:
        """The registry's answer about a version."""
        if version not in self.accuracy:
            return 404, {
                "error_code": "RESOURCE_DOES_NOT_EXIST",
                "message": f"Model Version (name={name}, version={version}) not found",
            }
        digest = f"sha256:{int(version):064x}"
        if version in self.undigested:
            digest = self.tags.get(DIGEST_TAG, "")
        tags = [{"key": DIGEST_TAG, "value": digest}] if digest else []
        known = {"name": name, "version": version, "status": "READY", "run_id": "r", "tags": tags}
        return 200, {"model_version": known}

    def tell_registry(self, path: str, body: Mapping[str, str]) -> None:
        """The registry learns a tag or an alias."""
        if path.endswith("set-tag"):
            self.tags[body["key"]] = body["value"]
        else:
            self.aliases[body["alias"]] = body["version"]

    def app(self) -> web.Application:
        """Both as one HTTP server, for an operator in a process of its own."""
        app = web.Application()
        app.router.add_post("/api/v1/query", self._query)
        app.router.add_get("/api/2.0/mlflow/model-versions/get", self._model_version)
        app.router.add_get("/api/2.0/mlflow/registered-models/alias", self._alias)
        app.router.add_post("/api/2.0/mlflow/{rest:.*}", self._told)
        return app

    async def _query(self, request: web.Request) -> web.Response:
        query = str((await request.post()).get("query", ""))
        answer = self.query_result(query)
        if self.hanging_query and self.hanging_query in query:
            await asyncio.sleep(FOREVER)
        return _json({}, 503) if self.prometheus_down else _json(answer)

    async def _model_version(self, request: web.Request) -> web.Response:
        name, version = request.query["name"], request.query["version"]
        if name == self.hanging_model:
            await asyncio.sleep(FOREVER)
        if self.registry_down:
            return _json({"error_code": "TEMPORARILY_UNAVAILABLE", "message": "down"}, 503)
        status, body = self.model_version(name, version)
        return _json(body, status)

    async def _alias(self, request: web.Request) -> web.Response:
        name, alias = request.query["name"], request.query["alias"]
        status, body = self.model_version(name, self.aliases.get(alias, ""))
        return _json(body, status)

    async def _told(self, request: web.Request) -> web.Response:
        self.tell_registry(request.path, await request.json())
        return _json({})


def sample(
    revision: str,
    workload: Workload,
    values: list[tuple[float, float]],
    name: str = "ml_model_accuracy",
    **labels: str,
) -> Object:
    """One series as the query API has it: its values by Unix time."""
    metric = {
        "__name__": name,
        "namespace": workload.namespace,
        "revision": revision,
        "version": workload.version,
        "pod": "p",
        **labels,
    }
    return {"metric": metric, "values": [[at, str(value)] for at, value in values]}


def _success(data: Object) -> Object:
    return {"status": "success", "data": data}


def _json(body: Object, status: int = 200) -> web.Response:
    return web.json_response(body, status=status)


class Outlet:
    """Where an application answers over HTTP; down, its port refuses."""

    def __init__(self, runner: web.AppRunner, host: str = "127.0.0.1", port: int = 0) -> None:
        self._runner = runner
        self._host, self._port = host, port
        self._site: web.TCPSite | None = None

    @property
    def url(self) -> str:
        """Its base URL, the same all the time."""
        return f"http://{self._host}:{self._port}"

    async def up(self) -> None:
        """Answer (again)."""
        self._site = web.TCPSite(
            self._runner, self._host, self._port, reuse_address=True, backlog=2048
        )
        await self._site.start()
        self._port = self._port or int(self._runner.addresses[0][1])

    async def down(self) -> None:
        """Refuse: nothing listens, and no connection that was open goes on."""
        assert self._site is not None
        await self._site.stop()
        assert self._runner.server is not None
        await self._runner.server.shutdown(0.1)

    @classmethod
    @contextlib.asynccontextmanager
    async def of(
        cls, app: web.Application, host: str = "127.0.0.1", port: int = 0
    ) -> "AsyncIterator[Outlet]":
        """An outlet that is up; port: 0 for any that is free."""
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        outlet = cls(runner, host, port)
        await outlet.up()
        try:
            yield outlet
        finally:
            await runner.cleanup()


@contextlib.contextmanager
def served(world: ScriptedWorld) -> Iterator[str]:
    """Serve the world's answers from a thread, for tests that block; yields the base URL."""
    with serving(world.app()) as url:
        yield url


@contextlib.contextmanager
def serving(app: web.Application, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve an application from a thread, at any port that is free where it is 0; yields its base
    URL.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def run(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(30)

    context = Outlet.of(app, host, port)
    try:
        yield run(context.__aenter__()).url
    finally:
        run(context.__aexit__(None, None, None))
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
