"""What Prometheus and the registry answer in the operator benchmark: scripted, so that metrics
cross at moments that are known.
"""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web

GROUP = "rollouts.mlops.dev"
ACCURACY = {1: 0.91, 2: 0.95, 3: 0.62}
"""By version, which repeats every three: 1, 4, … and 2, 5, … are good; 3, 6, … fail."""
HANGS = "hangs"
"""Models of this name are never answered for by the registry."""
FOREVER = 3600.0


def accuracy_of(version: int) -> float:
    """What a version's pods report."""
    return ACCURACY[(version - 1) % 3 + 1]


@dataclass
class World:
    """One answer for all rollouts, as the real ones have it.

    revisions: revision → (namespace, rollout, version), filled by the hands. shows: from when (Unix
    time) on the series of a version of a rollout are there; always, where it is not mentioned.
    wobble: added to every value, to be set anew at will. queries: time of each query. hanging:
    queries that contain this text are not answered.
    """

    revisions: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    shows: dict[tuple[str, int], float] = field(default_factory=dict)
    wobble: float = 0.0
    queries: list[float] = field(default_factory=list)
    hanging: str = ""
    _runner: web.AppRunner | None = None

    def matrix(self) -> str:
        """The query API's answer about accuracy: a series for each revision that has pods."""
        now = time.time()
        series = ",".join(
            f'{{"metric":{{"__name__":"ml_model_accuracy","namespace":"{ns}","revision":"{revision}","version":"{version}","pod":"p"}},'
            f'"values":[[{now:.3f},"{accuracy_of(version) + self.wobble:.4f}"]]}}'
            for revision, (ns, name, version) in self.revisions.items()
            if self.shows.get((name, version), 0.0) <= now
        )
        return f'{{"status":"success","data":{{"resultType":"matrix","result":[{series}]}}}}'

    async def __aenter__(self) -> str:
        """Serve both on loopback; gives the base URL."""
        app = web.Application()
        app.router.add_post("/api/v1/query", self._query)
        app.router.add_get("/api/2.0/mlflow/model-versions/get", self._version)
        app.router.add_post("/api/2.0/mlflow/{rest:.*}", self._told)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, backlog=2048).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _query(self, request: web.Request) -> web.Response:
        asked = str((await request.post()).get("query", ""))
        self.queries.append(time.time())
        if self.hanging and self.hanging in asked:
            await asyncio.sleep(FOREVER)
        return web.Response(text=self.matrix(), content_type="application/json")

    async def _version(self, request: web.Request) -> web.Response:
        if request.query["name"] == HANGS:
            await asyncio.sleep(FOREVER)
        return _json(version(request.query["name"], request.query["version"]))

    async def _told(self, request: web.Request) -> web.Response:
        await request.read()
        return _json({})


def version(name: str, number: str) -> Mapping[str, object]:
    """The registry's answer about a version: any that is a number exists."""
    tags = [{"key": f"{GROUP}/digest", "value": "sha256:" + f"{int(number):064x}"}]
    return {
        "model_version": {
            "name": name,
            "version": number,
            "status": "READY",
            "run_id": "r",
            "tags": tags,
        }
    }


def _json(body: object) -> web.Response:
    return web.Response(text=json.dumps(body), content_type="application/json")
