"""The operator's adapters with the scripted world behind them instead of HTTP."""

import json

import aiohttp

from rollout_operator.adapters import model_registry, prometheus
from rollout_operator.domain.gates import promql
from rollout_operator.domain.observed import MetricsUnreachable, Resolution
from rollout_operator.domain.own_metrics import own_metrics
from tests.support.scripted_world import ScriptedWorld

OWN = own_metrics(
    json.dumps(
        {
            "conversionRate": {
                "counts": "Share",
                "better": "Higher",
                "query": "shop_orders_total",
                "samples": "shop_visits_total",
            }
        }
    )
)
"""The operator's configuration."""


class ScriptedPrometheus(prometheus.Prometheus):
    """Reads the world's answer as it would read Prometheus'."""

    def __init__(self, world: ScriptedWorld, session: aiohttp.ClientSession) -> None:
        super().__init__("", session, own=OWN.by_name)
        self._world = world

    async def _query(self, metric: str) -> promql.Snapshot | MetricsUnreachable:
        own = self.own.get(metric)
        if own is not None:
            return promql.read_own(own, 200, json.dumps(self._world.own_result()).encode())
        return promql.read(200, json.dumps(self._world.query_result()).encode())


class ScriptedRegistry(model_registry.ModelRegistry):
    """Reads and tells the world as it would MLflow."""

    def __init__(self, world: ScriptedWorld, session: aiohttp.ClientSession) -> None:
        super().__init__("", session, {})
        self._world = world

    async def resolve(self, model_uri: str) -> Resolution:
        name, version = model_uri.removeprefix("models:/").replace("@", "/@").rsplit("/", 1)
        status, body = self._world.model_version(name, version)
        return model_registry.read(model_uri, status, json.dumps(body).encode())

    async def _write(self, path: str, body: dict[str, str]) -> str:
        self._world.tell_registry(path, body)
        return ""
