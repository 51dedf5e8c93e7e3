"""What metrics of one's own cost: one query a tick for each of them, whoever needs it."""

import asyncio
import json
import time
from collections import Counter

import aiohttp
import pytest
from aiohttp import web

from rollout_operator.adapters.model_registry import ModelRegistry
from rollout_operator.adapters.prometheus import Prometheus
from rollout_operator.controller.external_queries import Query, ask
from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.own_metrics import PART, own_metrics
from tests.support.builders import revision
from tests.support.scripted_world import Outlet

ROLLOUTS, METRICS = 300, ("conversionRate", "queue", "refunds", "revenue", "slowPages")
OWN = own_metrics(
    json.dumps(
        {
            name: {
                "counts": "Share",
                "better": "Higher",
                "query": f"{name.lower()}_total",
                "samples": "visits_total",
            }
            for name in METRICS
        }
    )
)


def spec(number: int) -> Spec:
    return Spec.model_validate(
        {
            "modelUri": f"models:/m{number}/2",
            "traffic": {"host": f"m{number}.example.com"},
            "analysis": {"gates": [{"metric": name, "min": 0.1} for name in METRICS]},
        }
    )


class Counting:
    """A Prometheus that has one series for each part and each rollout's second version."""

    def __init__(self) -> None:
        self.asked = Counter[str]()

    async def query(self, request: web.Request) -> web.Response:
        self.asked[str((await request.post())["query"])] += 1
        now = time.time()
        result = [
            {
                "metric": {
                    PART: part,
                    "namespace": f"ns{number}",
                    "revision": revision(2).revision,
                },
                "value": [now, str(value)],
            }
            for number in range(ROLLOUTS)
            for part, value in (("counted", number), ("of", 1000))
        ]
        # While this waits, all others ask.
        await asyncio.sleep(0.05)
        return web.json_response(
            {"status": "success", "data": {"resultType": "vector", "result": result}}
        )


@pytest.mark.parametrize("ticks", [1, 3], ids=["one tick", "three ticks"])
async def test_300_rollouts_on_5_metrics_cost_5_queries_a_tick(ticks: int) -> None:
    counting, app = Counting(), web.Application()
    app.router.add_post("/api/v1/query", counting.query)
    async with Outlet.of(app) as outlet, aiohttp.ClientSession() as session:
        prometheus = Prometheus(outlet.url, session, own=OWN.by_name)
        registry = ModelRegistry("http://127.0.0.1:9", session, {})
        names = tuple(sorted({gate.name for gate in spec(0).analysis.gates}))
        assert names == METRICS
        for tick in range(ticks):
            question = Query(metrics=names, tick=100.0 + tick)
            looks = (ask(question, registry, prometheus) for _ in range(ROLLOUTS))
            answers = await asyncio.gather(*looks)
            assert sum(counting.asked.values()) == len(METRICS) * (tick + 1)
        assert set(counting.asked.values()) == {ticks}
    for number, answer in enumerate(answers):
        series = answer.of(f"ns{number}", "iris", revision(2))["revenue"]
        assert isinstance(series, tuple)
        assert {(s.name, s.value) for s in series} == {("counted", number), ("of", 1000)}
