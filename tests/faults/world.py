"""What Prometheus and the registry say, scripted: they must answer at exact moments of a clock that
the test turns.
"""

import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from rollout_operator.adapters import model_registry, prometheus
from rollout_operator.domain.api.spec import Metric
from rollout_operator.domain.gates import promql
from rollout_operator.domain.observed import MetricsUnreachable, Resolution
from tests.faults.upstream import GROUP

ACCURACY = {"1": 0.91, "2": 0.95, "3": 0.62, "4": 0.93, "5": 0.9}
"""By version; version 3 is below every threshold here, version 5 never loads."""


@dataclass
class World:
    """One answer for all rollouts, as the real ones have it.

    revisions: revision → (namespace, version), filled by the hands; silent: (namespace, version)
    whose series are gone; worse: (namespace, version) that have become bad; tags and aliases: what
    the registry was told.
    """

    clock: Callable[[], float] = time.time
    broken: frozenset[str] = frozenset({"5"})
    silent: set[tuple[str, str]] = field(default_factory=set)
    worse: dict[tuple[str, str], float] = field(default_factory=dict)
    revisions: dict[str, tuple[str, str]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    queries: int = 0

    def matrix(self) -> dict[str, Any]:
        """The query API's answer about accuracy."""
        self.queries += 1
        result = [
            {
                "metric": {
                    "__name__": "ml_model_accuracy",
                    "namespace": ns,
                    "revision": revision,
                    "version": version,
                    "pod": "p",
                },
                "values": [[self.clock(), str(self.worse.get((ns, version), ACCURACY[version]))]],
            }
            for revision, (ns, version) in self.revisions.items()
            if (ns, version) not in self.silent
        ]
        return {"status": "success", "data": {"resultType": "matrix", "result": result}}

    def version(self, name: str, version: str) -> tuple[int, dict[str, Any]]:
        """The registry's answer about a version, or about @ and an alias."""
        if version not in ACCURACY:
            return 404, {
                "error_code": "RESOURCE_DOES_NOT_EXIST",
                "message": f"Model Version (name={name}, version={version}) not found",
            }
        tags = [{"key": f"{GROUP}/digest", "value": "sha256:" + f"{int(version):064x}"}]
        return 200, {
            "model_version": {
                "name": name,
                "version": version,
                "status": "READY",
                "run_id": "r",
                "tags": tags,
            }
        }

    def told(self, path: str, body: dict[str, str]) -> None:
        """The registry learns a tag or an alias."""
        if path.endswith("set-tag"):
            self.tags[body["key"]] = body["value"]
        else:
            self.aliases[body["alias"]] = body["version"]

    def app(self) -> web.Application:
        """Both as one HTTP server, for an operator in a process of its own."""

        async def query(_: web.Request) -> web.Response:
            return web.json_response(self.matrix())

        async def version(request: web.Request) -> web.Response:
            status, body = self.version(request.query["name"], request.query["version"])
            return web.json_response(body, status=status)

        async def tell(request: web.Request) -> web.Response:
            self.told(request.path, await request.json())
            return web.json_response({})

        app = web.Application()
        app.router.add_post("/api/v1/query", query)
        app.router.add_get("/api/2.0/mlflow/model-versions/get", version)
        app.router.add_post("/api/2.0/mlflow/{rest:.*}", tell)
        return app


class Outlet:
    """Where the world's answers come from over HTTP; down, its port refuses."""

    def __init__(self, runner: web.AppRunner) -> None:
        self._runner = runner
        self._port = 0
        self._site: web.TCPSite | None = None

    @property
    def url(self) -> str:
        """Its base URL, the same all the time."""
        return f"http://127.0.0.1:{self._port}"

    async def up(self) -> None:
        """Answer (again)."""
        self._site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
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
    async def of(cls, app: web.Application) -> "AsyncIterator[Outlet]":
        """An outlet that is up."""
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        made = cls(runner)
        await made.up()
        try:
            yield made
        finally:
            await runner.cleanup()


class ScriptedPrometheus(prometheus.Prometheus):
    """Reads the world's answer as it would read Prometheus'."""

    def __init__(self, world: World, session: aiohttp.ClientSession) -> None:
        super().__init__("", session)
        self._world = world

    async def _query(self, metric: Metric) -> promql.Snapshot | MetricsUnreachable:
        return promql.read(200, json.dumps(self._world.matrix()).encode())


class ScriptedRegistry(model_registry.ModelRegistry):
    """Reads and tells the world as it would MLflow."""

    def __init__(self, world: World, session: aiohttp.ClientSession) -> None:
        super().__init__("", session, {})
        self._world = world

    async def resolve(self, model_uri: str) -> Resolution:
        name, version = model_uri.removeprefix("models:/").replace("@", "/@").rsplit("/", 1)
        status, body = self._world.version(name, version)
        return model_registry.read(model_uri, status, json.dumps(body).encode())

    async def _write(self, path: str, body: dict[str, str]) -> str:
        self._world.told(path, body)
        return ""
