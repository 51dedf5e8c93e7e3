"""One past in Prometheus and in what companies run in its place, asked by the operator's own
adapter by each way in: the same verdicts by every kind of gate.
"""

import asyncio
import contextlib
import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

import aiohttp
import pytest

from rollout_operator.adapters.prometheus import Prometheus
from rollout_operator.adapters.prometheus_login import PrometheusLogin
from rollout_operator.domain.api.analysis import BUILT_IN, Gate
from rollout_operator.domain.api.gate_results import GateStatus, Measurement
from rollout_operator.domain.gates.promql import Snapshot
from rollout_operator.domain.observed import MetricsUnreachable, Series
from rollout_operator.domain.own_metrics import own_metrics
from rollout_operator.domain.prometheus_access import access
from tests.prometheus import ways
from tests.prometheus.ways import WAYS, Way
from tests.support import past
from tests.support.builders import at
from tests.support.scraping import GATES, SECONDS, Scrapes, looks
from tests.support.secured_prometheus import Certificates

INTERVALS = (15, 60)
"""Of looks, in seconds."""
BY_REVISION = "by (namespace, revision)"
FAILED = {
    "counts": "Share",
    "better": "Lower",
    "query": "ml_request_errors_total",
    "samples": "ml_request_count_total",
}
OWN = own_metrics(
    json.dumps(
        {
            "failed": FAILED,
            "failedLately": {
                "counts": "Share",
                "better": "Lower",
                "query": f"sum {BY_REVISION} (increase(ml_request_errors_total[5m]))",
                "samples": f"sum {BY_REVISION} (increase(ml_request_count_total[5m]))",
            },
            "lost": FAILED | {"counts": "Mean", "bounds": {"min": 0, "max": 2}},
            "lowest": {
                "counts": "Gauge",
                "better": "Higher",
                "query": f"min {BY_REVISION} (ml_model_accuracy)",
            },
            "p90": {
                "counts": "Percentile",
                "better": "Lower",
                "query": "histogram_quantile(0.9, sum by (namespace, revision, le)"
                " (rate(ml_request_latency_seconds_bucket[5m])))",
                "samples": f"sum {BY_REVISION} (increase(ml_predictions_total[5m]))",
            },
        }
    )
)
OWN_GATES: dict[str, dict[str, Any]] = {
    "a share of one's own": {"metric": "failed", "max": 0.01},
    "the same by counts": {"metric": "failed", "max": 0.05, "evidence": "Labelled"},
    "the same beside stable": {"metric": "failed", "maxIncrease": 0.1, "evidence": "Labelled"},
    "a share of a range": {"metric": "failedLately", "max": 0.01},
    "a share of a range beside stable": {"metric": "failedLately", "maxIncrease": 0.1},
    "a mean by its values": {"metric": "lost", "max": 0.1, "evidence": "Labelled"},
    "a gauge": {"metric": "lowest", "min": 0.7},
    "a percentile": {"metric": "p90", "max": 0.25},
}
ALL_GATES = GATES | OWN_GATES
ROUGH = {"failedLately", "p90"}
"""VictoriaMetrics' `increase` adds nothing for what lies between a range and its samples."""


class Case(NamedTuple):
    """One gate of one trial."""

    gate: str
    jobs: int
    good: bool
    interval: int


Told = Mapping[Case, list[tuple[int, GateStatus]]]
Answers = Mapping[int, Mapping[str, Snapshot | MetricsUnreachable]]
"""By the second of the look."""


async def _asked(way: Way, interval: int) -> Answers:
    """What the operator's adapter gets at each look of a trial, as if it were now."""
    now = 0.0

    async def then(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        assert isinstance(request.body, aiohttp.Payload)
        form = parse_qsl((await request.body.as_bytes()).decode())
        await request.update_body(urlencode([*form, ("time", f"{now:.3f}")]).encode())
        return await handler(request)

    login = PrometheusLogin(access(way.environment))
    found: dict[int, Mapping[str, Snapshot | MetricsUnreachable]] = {}
    async with aiohttp.ClientSession(middlewares=[then]) as session:
        adapter = Prometheus(way.url, session, login, lambda: now, OWN.by_name)
        for look in range(10, SECONDS, interval):
            now = at(look).timestamp()
            way.before(look)
            names = (*BUILT_IN, *OWN.by_name)
            found[look] = {name: (await adapter.snapshot(name, now)).answer for name in names}
    return found


def told(way: Way, every: int) -> Told:
    """What each kind of gate says at each look."""
    found: dict[Case, list[tuple[int, GateStatus]]] = {}
    for interval in INTERVALS:
        answers = asyncio.run(_asked(way, interval))
        for name, jobs, good in itertools.product(ALL_GATES, past.JOBS, (True, False)):
            gate = Gate.model_validate(ALL_GATES[name])
            assert not OWN.refusal(gate)

            def ask(
                one: Scrapes,
                look: float,
                _: float,
                metric: str = gate.name,
                answers: Answers = answers,
            ) -> tuple[Series, ...] | MetricsUnreachable:
                answer = answers[int(look)][metric]
                if isinstance(answer, MetricsUnreachable):
                    return answer
                return answer.get((past.NAMESPACE, past.name(one)), ())

            ours = past.scraped(every, jobs, past.GOOD if good else past.BAD)
            theirs = past.scraped(every, jobs, past.STABLE)
            found[Case(name, jobs, good, interval)] = looks(gate, interval, ours, theirs, ask)
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.made(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module", params=past.EVERY, ids="every {} s".format)
def every(request: pytest.FixtureRequest) -> int:
    """Seconds between scrapes."""
    return int(request.param)


@contextlib.contextmanager
def _plain(home: Path, every: int, made: Certificates) -> Iterator[Told]:
    with ways.prometheus(home, every, made) as way:
        yield told(way, every)


@pytest.fixture(scope="module")
def plain(every: int, made: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """What a Prometheus makes of it that lets everybody in."""
    with _plain(tmp_path_factory.mktemp("plain"), every, made) as known:
        return known


def test_a_good_candidate_passes_and_a_bad_one_fails(plain: Told) -> None:
    for case, said in plain.items():
        _right(case, said)


@pytest.mark.parametrize("opening", WAYS.values(), ids=WAYS.keys())
def test_the_verdicts_are_the_same(
    opening: ways.Opening, plain: Told, every: int, made: Certificates, tmp_path: Path
) -> None:
    with opening(tmp_path, every, made) as way:
        ours = told(way, every)
    assert ours.keys() == plain.keys()
    for case, said in ours.items():
        _right(case, said)
        refused = [look for look, one in said if one.measurement == Measurement.UNREACHABLE]
        assert refused == [look for look, _ in said if look in way.locked_out], case
        exact = way.exact and ALL_GATES[case.gate]["metric"] not in ROUGH
        assert not exact or said == plain[case], case


def _right(case: Case, said: list[tuple[int, GateStatus]]) -> None:
    """It ends with the verdict that the traffic deserves, and never says the other."""
    wanted, other = Measurement.PASS, Measurement.FAIL
    if not case.good:
        wanted, other = other, wanted
    assert said[-1][1].measurement == wanted, (case, said[-1][1].message)
    assert other not in {one.measurement for _, one in said}, (case, [m.message for _, m in said])
