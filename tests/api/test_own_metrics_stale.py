"""How old a sample of a metric of one's own may be, asked of a real Prometheus."""

import time
from collections.abc import Iterator

import pytest
import urllib3

from rollout_operator.domain.gates.promql import own_form, read_own
from rollout_operator.domain.observed import MetricsUnreachable
from rollout_operator.domain.own_metrics import OwnMetric
from tests.support import metrics_servers


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, float]]:
    """Its address, and the moment of the only sample, a minute ago."""
    home, at = tmp_path_factory.mktemp("prometheus"), time.time() - 60
    line = f'queue_size{{namespace="ml",revision="r1"}} 7 {at:.3f}'
    metrics_servers.remember(home, [line, "# EOF"])
    with metrics_servers.prometheus(home, {}) as url:
        yield url, at


@pytest.mark.parametrize(("stale", "seen"), [("90s", True), ("61s", True), ("59s", False)])
def test_a_sample_counts_as_long_as_the_metric_says(
    prometheus: tuple[str, float], stale: str, seen: bool
) -> None:
    url, at = prometheus
    metric = OwnMetric.model_validate(
        {"counts": "Gauge", "better": "Lower", "query": "queue_size", "stale": stale}
    )
    fields = {**own_form(metric), "time": f"{at + 60:.3f}"}
    reply = urllib3.PoolManager().request(
        "POST", f"{url}/api/v1/query", fields=fields, encode_multipart=False
    )
    found = read_own(metric, reply.status, reply.data)
    assert not isinstance(found, MetricsUnreachable), found
    assert set(found) == ({("ml", "r1")} if seen else set())
