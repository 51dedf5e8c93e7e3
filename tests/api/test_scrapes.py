"""Every kind of gate on a real Prometheus, whose past was scraped every 15, 30 and 60 s by one job
and by two.
"""

import itertools
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import urllib3

from rollout_operator.domain.api.analysis import Gate, Metric
from rollout_operator.domain.gates import promql
from rollout_operator.domain.observed import MetricsUnreachable, Series
from tests.support import metrics_servers, past
from tests.support.builders import START
from tests.support.scraping import GATES, Scrapes, looks

PASSED, FAILED = "Pass", "Fail"


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prometheus that has them."""
    home = tmp_path_factory.mktemp("prometheus")
    metrics_servers.remember(home, past.openmetrics(past.all_scrapes()))
    with metrics_servers.prometheus(home, {}) as url:
        yield url


@pytest.mark.parametrize("gate", GATES.values(), ids=GATES.keys())
def test_a_real_prometheus_gives_the_same_verdicts(prometheus: str, gate: dict[str, Any]) -> None:
    asked, pool = Gate.model_validate(gate), urllib3.PoolManager()

    @cache
    def ask(one: Scrapes, now: float, back: float) -> tuple[Series, ...]:
        fields = {
            "query": promql.query(Metric(asked.metric), back, revision=past.name(one)),
            "time": f"{START.timestamp() + now:.3f}",
        }
        reply = pool.request(
            "POST", f"{prometheus}/api/v1/query", fields=fields, encode_multipart=False
        )
        found = promql.read(reply.status, reply.data)
        assert not isinstance(found, MetricsUnreachable), found
        return found.get((past.NAMESPACE, past.name(one)), ())

    for every, jobs, good, interval in itertools.product(
        past.EVERY, past.JOBS, (True, False), (15, 60)
    ):
        ours = past.scraped(every, jobs, past.GOOD if good else past.BAD)
        theirs = past.scraped(every, jobs, past.STABLE)
        real, played = (
            looks(asked, interval, ours, theirs, ask),
            looks(asked, interval, ours, theirs),
        )
        case = (
            f"scraped every {every} s by {jobs}, looked at every {interval} s,"
            f" {'good' if good else 'bad'}"
        )
        assert [(look, said.measurement) for look, said in real] == [
            (look, said.measurement) for look, said in played
        ], case
        assert real[-1][1].measurement == (PASSED if good else FAILED), (case, real[-1][1].message)
