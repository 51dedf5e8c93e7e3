"""VictoriaMetrics that scrapes each pod by two jobs: whole rollouts, and pods that go."""

import contextlib
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import urllib3
import yaml
from aiohttp import web

from rollout_cli.cluster import prometheus as by_cli
from rollout_cli.doctor.metrics import check_prometheus
from rollout_operator.domain.api.analysis import Gate, Metric
from rollout_operator.domain.api.gate_results import GateStatus, Measurement
from rollout_operator.domain.gates import promql
from rollout_operator.domain.gates.gate_status import Trial
from rollout_operator.domain.gates.reported_gate import measure
from rollout_operator.domain.observed import MetricsUnreachable, Series
from tests.support import metrics_servers
from tests.support.api_client import ApiClient, wait_for
from tests.support.builders import revision
from tests.support.fake_kubelet import KubeletThread
from tests.support.operator_process import OperatorProcess
from tests.support.rollout import Rollout
from tests.support.scripted_world import ScriptedWorld, served, serving
from tests.support.secured_prometheus import exporter


@contextlib.contextmanager
def scraping(home: Path, app: web.Application) -> Iterator[str]:
    """One that scrapes it each second by two jobs; yields its URL."""
    with serving(app) as shown:
        targets = [{"targets": [shown.removeprefix("http://")]}]
        jobs = [
            {"job_name": name, "honor_labels": True, "static_configs": targets}
            for name in ("operator-of-prometheus", "annotations")
        ]
        config = {"global": {"scrape_interval": "1s"}, "scrape_configs": jobs}
        (home / "scrapes.yml").write_text(yaml.safe_dump(config))
        with metrics_servers.victoria_metrics(
            home, {"promscrape.config": home / "scrapes.yml"}
        ) as url:
            yield url


def test_rollouts_are_promoted_and_rolled_back(
    api: ApiClient,
    ns: str,
    world: ScriptedWorld,
    kubelet: KubeletThread,
    rollout: Rollout,
    tmp_path: Path,
) -> None:
    log = tmp_path / "operator.log"
    patient = {"interval": "1s", "maxHold": "2m"}
    with (
        scraping(tmp_path, exporter(world)) as url,
        served(world) as registry,
        OperatorProcess(api.kubeconfig, url, log, registry, WATCH_NAMESPACES=ns),
    ):
        for version, attempt in (("1", 1), ("2", 2)):
            rollout.apply(f"models:/iris/{version}", analysis=patient)
            rollout.wait_phase("Promoted", attempt)
        rollout.apply("models:/iris/3", analysis=patient)
        third = rollout.wait_phase("RolledBack", 3)
        assert third["gates"][0]["value"] == 0.62
        assert rollout.condition("Stalled")["reason"] == "GateFailed"
        found = [one.found for one in check_prometheus(by_cli.find(None, url))]
        assert found == [f"Prometheus ({url}) answers"], "and its clock is right"
    print(log.read_text()[-4000:])


class Pods:
    """Pods of one revision, behind one address as an exporter has them."""

    def __init__(self) -> None:
        self.there = {"a", "b"}
        self.served = 0

    def app(self) -> web.Application:
        async def metrics(_: web.Request) -> web.Response:
            self.served += 20
            lines = []
            for pod in sorted(self.there):
                labels = f'namespace="models",revision="r",pod="{pod}"'
                lines += [
                    f"ml_model_accuracy{{{labels}}} 0.9",
                    f"ml_request_count_total{{{labels}}} {self.served}",
                    f"ml_request_errors_total{{{labels}}} 0",
                    f"ml_predictions_total{{{labels}}} {self.served}",
                ]
            return web.Response(text="\n".join(lines) + "\n")

        app = web.Application()
        app.router.add_get("/metrics", metrics)
        return app


GATES = [
    Gate.model_validate({"metric": "accuracy", "min": 0.7}),
    Gate.model_validate({"metric": "errorRate", "max": 0.01}),
]


@pytest.mark.parametrize("gate", GATES, ids=[gate.metric for gate in GATES])
def test_a_pod_that_goes_holds_up_nothing(gate: Gate, tmp_path: Path) -> None:
    """Its series end in NaN there; the other pod's count, before and after. It comes again."""
    pods, told = Pods(), list[GateStatus]()
    since = datetime.now(UTC)

    with scraping(tmp_path, pods.app()) as url:

        def looked(ended: bool) -> bool:
            """Whether pod b's series have ended, or go on."""
            series = shown(url, gate.metric)
            trial = Trial(revision(2), None, since, datetime.now(UTC))
            told.append(measure(gate, series, None, trial))
            of_b = [one.value for one in series if one.pod == "b"]
            return bool(of_b) and all(math.isnan(value) is ended for value in of_b)

        wait_for(lambda: looked(ended=False) and told[-1].measurement == "Pass", "both pods")
        told.clear()
        for there in (False, True):
            pods.there ^= {"b"}
            wait_for(lambda: looked(ended=not there), f"pod b {'again' if there else 'to go'}")  # noqa: B023
    assert {one.measurement for one in told} == {Measurement.PASS}, {
        one.message for one in told if one.measurement != "Pass"
    }


def shown(url: str, metric: Metric) -> tuple[Series, ...]:
    """What the operator's query shows of the revision."""
    reply = urllib3.PoolManager().request(
        "POST",
        f"{url}/api/v1/query",
        fields={"query": promql.query(metric, 30)},
        encode_multipart=False,
    )
    found = promql.read(reply.status, reply.data)
    assert not isinstance(found, MetricsUnreachable), found
    return found.get(("models", "r"), ())
