"""One past in Prometheus and in what companies run in its place, asked by the operator's own
adapter by each way in: the same verdicts by every kind of gate.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode

import aiohttp
import pytest

from rollout_operator.adapters.prometheus import Prometheus
from rollout_operator.adapters.prometheus_login import PrometheusLogin
from rollout_operator.domain.api.analysis import Gate, Metric
from rollout_operator.domain.api.gate_results import GateStatus, Measurement
from rollout_operator.domain.gates.promql import Snapshot
from rollout_operator.domain.observed import MetricsUnreachable, Series
from rollout_operator.domain.prometheus_access import access
from tests.prometheus import ways
from tests.prometheus.ways import WAYS, Way
from tests.support import past
from tests.support.builders import at
from tests.support.scraping import GATES, SECONDS, Scrapes, looks
from tests.support.secured_prometheus import Certificates

INTERVALS = (15, 60)
"""Of looks, in seconds."""


class Case(NamedTuple):
    """One gate of one trial."""

    gate: str
    jobs: int
    good: bool
    interval: int


Told = Mapping[Case, list[tuple[int, GateStatus]]]
Answers = Mapping[int, Mapping[Metric, Snapshot | MetricsUnreachable]]
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
    found: dict[int, Mapping[Metric, Snapshot | MetricsUnreachable]] = {}
    async with aiohttp.ClientSession(middlewares=[then]) as session:
        adapter = Prometheus(way.url, session, login, lambda: now)
        for look in range(10, SECONDS, interval):
            now = at(look).timestamp()
            way.before(look)
            found[look] = {metric: await adapter.snapshot(metric, now) for metric in Metric}
    return found


def told(way: Way, every: int) -> Told:
    """What each kind of gate says at each look."""
    found: dict[Case, list[tuple[int, GateStatus]]] = {}
    for interval in INTERVALS:
        answers = asyncio.run(_asked(way, interval))
        for name, jobs, good in itertools.product(GATES, past.JOBS, (True, False)):
            gate = Gate.model_validate(GATES[name])

            def ask(
                one: Scrapes,
                look: float,
                _: float,
                metric: Metric = gate.metric,
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
        assert not way.exact or said == plain[case], case


def _right(case: Case, said: list[tuple[int, GateStatus]]) -> None:
    """It ends with the verdict that the traffic deserves, and never says the other."""
    wanted, other = Measurement.PASS, Measurement.FAIL
    if not case.good:
        wanted, other = other, wanted
    assert said[-1][1].measurement == wanted, (case, said[-1][1].message)
    assert other not in {one.measurement for _, one in said}, (case, [m.message for _, m in said])
