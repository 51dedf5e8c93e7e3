"""What Prometheus answers to each contender, scripted: to ours one answer for all rollouts, to the
peers one number for each query.
"""

import re
import time
from dataclasses import dataclass, field

from aiohttp import web

from tests.support.kinds import Object
from tests.support.scripted_world import ScriptedWorld, Workload

GOOD, BAD = 0.95, 0.5
VERSIONS: dict[str, float | None] = {str(n): GOOD for n in range(1, 1000)}
_PEER = re.compile(r'peer="([^"]+)",rollout="([^"]+)"')


@dataclass
class PeersWorld(ScriptedWorld):
    """Every version is good, until a rollout of somebody turns bad."""

    accuracy: dict[str, float | None] = field(default_factory=lambda: {**VERSIONS})
    bad: set[tuple[str, str]] = field(default_factory=set)
    """Contender and rollout."""

    def turn_bad(self, contender: str, rollout: str, version: int) -> None:
        """From now on the candidate of this rollout is bad."""
        self.bad.add((contender, rollout))
        self.overrides[Workload(contender, rollout, str(version))] = BAD

    def recover(self, contender: str) -> None:
        """None of its rollouts is bad any more; a version of ours that was stays so."""
        self.bad = {one for one in self.bad if one[0] != contender}

    def query_result(self, query: str = "") -> Object:
        """Prometheus' answer to an instant query."""
        if query == "vector(1)":
            return _vector(1.0)
        if found := _PEER.search(query):
            self.queries.append(time.time())
            return _vector(BAD if found.groups() in self.bad else GOOD)
        return super().query_result(query)

    def app(self) -> web.Application:
        app = super().app()
        app.router.add_get("/api/v1/query", self._asked)
        return app

    async def _asked(self, request: web.Request) -> web.Response:
        return web.json_response(self.query_result(request.query.get("query", "")))


def _vector(value: float) -> Object:
    sample = {"metric": {}, "value": [time.time(), str(value)]}
    return {"status": "success", "data": {"resultType": "vector", "result": [sample]}}
