"""What a look asks of Prometheus, and what it need not wait for."""

import asyncio

import aiohttp
import pytest

from rollout_operator.adapters import prometheus
from rollout_operator.adapters.model_registry import ModelRegistry
from rollout_operator.controller.external_queries import Query, ask, cached
from rollout_operator.domain.api.analysis import Metric
from rollout_operator.domain.gates.promql import Snapshot
from rollout_operator.domain.observed import MetricsUnreachable

TICK = 100.0
ASKED = (Metric.ACCURACY,)


class Counted(prometheus.Prometheus):
    """Answers with nothing at all, and counts."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        super().__init__(url, session)
        self.queries = 0
        self.asked = asyncio.Event()

    async def _query(self, metric: str) -> Snapshot | MetricsUnreachable:
        self.queries += 1
        self.asked.set()
        await asyncio.sleep(0.01)
        return {}


async def first_look(metrics: Counted) -> None:
    async with aiohttp.ClientSession() as session:
        await ask(
            Query(metrics=ASKED, tick=TICK),
            ModelRegistry("http://127.0.0.1:9", session, {}),
            metrics,
        )


@pytest.mark.parametrize(
    ("question", "there"),
    [
        pytest.param(
            Query(metrics=ASKED, tick=TICK),
            True,
            id="another rollout of the same tick has asked",
        ),
        pytest.param(Query(metrics=ASKED, tick=TICK - 1), True, id="an older tick will do"),
        pytest.param(
            Query(metrics=ASKED, tick=TICK + 1), False, id="the next tick wants a newer answer"
        ),
        pytest.param(
            Query(metrics=(*ASKED, Metric.ERROR_RATE), tick=TICK),
            False,
            id="nobody has asked for another metric yet",
        ),
        pytest.param(
            Query("models:/iris/7", ASKED, TICK),
            False,
            id="the registry must be asked all the same",
        ),
        pytest.param(Query(), True, id="nothing is asked"),
    ],
)
async def test_an_answer_that_is_there_is_not_waited_for(question: Query, there: bool) -> None:
    async with aiohttp.ClientSession() as session:
        metrics = Counted("http://127.0.0.1:9", session)
        await first_look(metrics)
        found = cached(question, metrics)
        assert (found is not None) is there
        assert found is None or dict(found.measured) == {metric: {} for metric in question.metrics}
        assert found is None or (found.asked_at is not None) is bool(question.metrics)
        assert metrics.queries == 1


async def test_an_answer_that_is_on_its_way_is_waited_for() -> None:
    async with aiohttp.ClientSession() as session:
        metrics = Counted("http://127.0.0.1:9", session)
        under_way = asyncio.create_task(first_look(metrics))
        await metrics.asked.wait()
        assert cached(Query(metrics=ASKED, tick=TICK), metrics) is None
        await under_way
        assert cached(Query(metrics=ASKED, tick=TICK), metrics) is not None


@pytest.mark.parametrize(
    ("set_back", "queries"),
    [
        pytest.param(0, 1, id="not at all: what another look has asked for will do"),
        pytest.param(3600, 2, id="an hour: what was asked for then is not taken until then"),
    ],
)
async def test_a_clock_that_is_set_back_does_not_keep_an_answer(
    set_back: float, queries: int
) -> None:
    async with aiohttp.ClientSession() as session:
        metrics = Counted("http://127.0.0.1:9", session)
        metrics.clock = lambda: TICK
        await first_look(metrics)
        metrics.clock = lambda: TICK - set_back
        told = await metrics.snapshot(Metric.ACCURACY, TICK - set_back)
        assert (metrics.queries, told.at) == (queries, TICK - set_back)
