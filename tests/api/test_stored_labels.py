"""Labels of a store on what is real: model servers that share it, a Prometheus that scrapes them,
and the operator's own queries and gates.
"""

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from rollout_operator.domain.api.analysis import Gate, Metric
from rollout_operator.domain.api.gate_results import EvidenceStatus, GateStatus, Measurement
from rollout_operator.domain.api.status import Revision
from rollout_operator.domain.gates import promql
from rollout_operator.domain.gates.gate_status import Trial
from rollout_operator.domain.gates.labelled_gate import measure_labels
from rollout_operator.domain.observed import Answer, MetricsUnreachable
from rollout_operator.domain.own_metrics import configured_metrics
from tests.support import metrics_servers
from tests.support.builders import revision
from tests.support.model_servers import flowers, write_model
from tests.support.mortal_server import MortalServer

NAMESPACE = "models"
STABLE, CANDIDATE = revision(1), revision(2)
VALUES = {"MODEL_VALUES": '{"max": 200, "better": "Higher", "unit": "EUR"}'}


@dataclass
class Bench:
    """Pods that share a store, what scrapes them, and what a gate has counted."""

    servers: dict[str, MortalServer]
    prometheus: str
    rows: list[Any]
    began: datetime = field(default_factory=lambda: datetime.now(UTC) - timedelta(minutes=1))
    evidence: tuple[EvidenceStatus, ...] = ()
    chance: random.Random = field(default_factory=lambda: random.Random(0))

    def predict(self, pod: str, name: str) -> str:
        """What a pod predicts for a request of that name."""
        body = {"request_id": name, "instances": [self.chance.choice(self.rows)]}
        reply = httpx.post(f"{self.servers[pod].url}/predict/", json=body)
        assert reply.headers["x-feedback-remembered"] == "true"
        return str(reply.json()["predictions"][0])

    def send(self, labels: list[dict[str, Any]]) -> None:
        """Labels, or values, to any pod."""
        server = self.chance.choice(list(self.servers.values()))
        results = httpx.post(f"{server.url}/feedback/", json=labels).json()["results"]
        assert all("taken" in one for one in results), results

    def look(self, who: Revision, gate: Gate) -> GateStatus:
        """One look of a gate, after what was sent has been scraped everywhere."""
        self._scraped()
        trial = Trial(who, STABLE, self.began, datetime.now(UTC))
        said, counted = measure_labels(gate, self._answer(gate, who), (), trial, self.evidence)
        self.evidence = () if counted is None else (counted,)
        return said

    def _scraped(self) -> None:
        """Wait until each pod was scraped after now."""
        now, end = time.time(), time.monotonic() + 60
        query = {"query": f"count(timestamp(ml_predictions_total) > {now})"}
        while time.monotonic() < end:
            reply = httpx.get(f"{self.prometheus}/api/v1/query", params=query).json()
            found = reply["data"]["result"]
            if found and int(found[0]["value"][1]) == len(self.servers):
                return
            time.sleep(0.2)
        raise AssertionError("not all pods are scraped")

    def _answer(self, gate: Gate, who: Revision) -> Answer:
        url = f"{self.prometheus}/api/v1/query"
        if gate.metric is Metric.OWN:
            own = configured_metrics(VALUES).by_name[gate.name]
            reply = httpx.post(url, data=promql.own_form(own))
            found = promql.read_own(own, reply.status_code, reply.content)
        else:
            reply = httpx.post(url, data={"query": promql.query(gate.metric, 30.0)})
            found = promql.read(reply.status_code, reply.content)
        if isinstance(found, MetricsUnreachable):
            return found
        return found.get((NAMESPACE, who.revision), ())


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    write_model(tmp_path / "iris")
    env = {
        "FEEDBACK_KEY": "of a test",
        "FEEDBACK_STORE": f"sqlite:{tmp_path}/labels",
        "MODEL_VALUE_MAX": "200",
    }
    places = {"a": STABLE, "b": CANDIDATE, "c": CANDIDATE}
    servers = {
        name: MortalServer(name, tmp_path / "iris", who.revision, tmp_path / f"{name}.log", **env)
        for name, who in places.items()
    }
    with ExitStack() as started:
        for server in servers.values():
            started.callback(server.kill)
            server.start()
        targets = [
            {
                "targets": [server.url.removeprefix("http://")],
                "labels": {"namespace": NAMESPACE, "pod": name},
            }
            for name, server in servers.items()
        ]
        config = {
            "global": {"scrape_interval": "1s"},
            "scrape_configs": [
                {"job_name": "pods", "metrics_path": "/metrics/", "static_configs": targets}
            ],
        }
        url = started.enter_context(metrics_servers.prometheus(tmp_path, config))
        yield Bench(servers, url, flowers().train.to_numpy().tolist())


def test_a_gate_counts_labels_once_whatever_becomes_of_pods(bench: Bench) -> None:
    """60 labels to three pods that all tell of them; a pod is killed; six labels are corrected."""
    gate = Gate.model_validate({"metric": "accuracy", "min": 0.5, "evidence": "Labelled"})
    said = {f"order-{n}": bench.predict("b" if n % 2 else "c", f"order-{n}") for n in range(60)}
    labels = [{"request_id": name, "label": answer} for name, answer in said.items()]
    for n in range(0, 60, 10):
        bench.send(labels[n : n + 10])
        bench.send(labels[n : n + 5])
    first = bench.look(CANDIDATE, gate)
    assert (first.samples, first.value) == (60, 1.0), first.message
    bench.servers["b"].kill()
    bench.servers["b"].start(keeps_port=True)
    bench.send(labels)
    second = bench.look(CANDIDATE, gate)
    assert (second.samples, second.value) == (60, 1.0), "nothing was counted anew"
    wrong = {"setosa": "virginica", "versicolor": "setosa", "virginica": "versicolor"}
    bench.send([{**one, "label": wrong[str(one["label"])], "version": 1} for one in labels[:6]])
    third = bench.look(CANDIDATE, gate)
    assert third.samples == 60
    assert third.value == pytest.approx(54 / 60)
    assert third.measurement is Measurement.PASS
    assert bench.evidence[0].good == 54


def test_values_of_a_store_are_not_multiplied_by_its_pods(bench: Bench) -> None:
    for n in range(40):
        bench.predict("b", f"order-{n}")
    bench.send([{"request_id": f"order-{n}", "value": 10 if n % 2 else 30} for n in range(40)])
    gate = Gate.model_validate({"metric": "value", "min": 1, "evidence": "Labelled"})
    said = bench.look(CANDIDATE, gate)
    assert said.samples == 40
    assert said.value == pytest.approx(20)
