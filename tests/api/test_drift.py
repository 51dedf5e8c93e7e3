"""Gates without labels on what is real: models of the trainer, model servers as pods run them, a
Prometheus that scrapes them, and the operator's own queries.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import urllib3

from rollout_operator.domain.api.analysis import Gate, Metric
from rollout_operator.domain.api.gate_results import EvidenceStatus, GateStatus, Measurement
from rollout_operator.domain.api.status import Revision
from rollout_operator.domain.gates import promql
from rollout_operator.domain.gates.gate_status import Trial
from rollout_operator.domain.gates.input_drift import measure_drift
from rollout_operator.domain.gates.prediction_shift import measure_shift
from rollout_operator.domain.observed import Answer, MetricsUnreachable
from rollout_trainer.data import load
from rollout_trainer.package import write_package
from rollout_trainer.recipe import Recipe
from rollout_trainer.train import fit
from scripts.cluster.apiserver import free_port
from tests.support import metrics_servers
from tests.support.builders import revision
from tests.support.charts import ROOT

NAMESPACE = "models"
STABLE, SAME, OTHER = revision(1), revision(2), revision(3)
"""Revisions that serve: the two candidates answer as stable does, and otherwise."""
LOOKS, A_LOOK = 60, 100
"""Looks at most, and rows that each revision gets in one."""


@dataclass
class Bench:
    """Servers, what scrapes them, and the looks so far."""

    ports: dict[str, int]
    prometheus: str
    rows: np.ndarray
    began: datetime = field(default_factory=lambda: datetime.now(UTC) - timedelta(minutes=1))
    evidence: dict[str, tuple[EvidenceStatus, ...]] = field(default_factory=dict)
    pool: urllib3.PoolManager = field(default_factory=urllib3.PoolManager)
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def send(self, who: Revision, more: float = 0.0) -> None:
        """Requests of one row each; `more` is added to every value."""
        for _ in range(A_LOOK):
            row = self.rows[self.random.integers(len(self.rows))] + more
            url = f"http://127.0.0.1:{self.ports[who.revision]}/predict/"
            assert self.pool.request("POST", url, json={"instances": [row.tolist()]}).status == 200

    def answer(self, metric: Metric, who: Revision) -> Answer:
        """What Prometheus says of a revision."""
        fields = {"query": promql.query(metric, 30.0)}
        url = f"{self.prometheus}/api/v1/query"
        reply = self.pool.request("POST", url, fields=fields, encode_multipart=False)
        found = promql.read(reply.status, reply.data)
        if isinstance(found, MetricsUnreachable):
            return found
        return found.get((NAMESPACE, who.revision), ())

    def shift(self, who: Revision) -> GateStatus:
        """predictionShift of a candidate, now."""
        gate = Gate.model_validate({"metric": "predictionShift", "max": 0.2})
        ours, theirs = (self.answer(Metric.PREDICTION_SHIFT, one) for one in (who, STABLE))
        trial = Trial(who, STABLE, self.began, datetime.now(UTC), weight=10)
        known = self.evidence.get(who.revision, ())
        said, counted = measure_shift(gate, ours, theirs, trial, known)
        self.evidence[who.revision] = known if counted is None else (counted,)
        return said

    def drift(self, who: Revision) -> GateStatus:
        """inputDrift of a candidate, now."""
        gate = Gate.model_validate({"metric": "inputDrift", "max": 0.5})
        trial = Trial(who, STABLE, self.began, datetime.now(UTC))
        return measure_drift(gate, self.answer(Metric.INPUT_DRIFT, who), trial)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    split = load(ROOT / "data" / "raw" / "iris.csv")
    recipe = Recipe(parameters={"n_estimators": 5})
    good = fit(split, recipe)
    seen = split.train_labels.replace({"virginica": "versicolor"})
    blind = fit(split, recipe).fit(split.train, seen)
    with ExitStack() as started:
        ports = {}
        for who, model in ((STABLE, good), (SAME, good), (OTHER, blind)):
            folder, port = tmp_path / who.revision, free_port()
            write_package(folder, model, split, {})
            env = {
                **os.environ,
                "MODEL_PATH": str(folder),
                "MODEL_REVISION": who.revision,
                "FEEDBACK_KEY": "of a test",
                "PORT": str(port),
                "TERMINATION_LOG": str(tmp_path / f"{who.revision}.log"),
            }
            process = subprocess.Popen([sys.executable, "-m", "rollout_inference"], env=env)
            started.callback(process.wait)
            started.callback(process.terminate)
            ports[who.revision] = port
        targets = [
            {"targets": [f"127.0.0.1:{port}"], "labels": {"namespace": NAMESPACE, "pod": name}}
            for name, port in ports.items()
        ]
        config = {
            "global": {"scrape_interval": "1s"},
            "scrape_configs": [
                {"job_name": "pods", "metrics_path": "/metrics/", "static_configs": targets}
            ],
        }
        url = started.enter_context(metrics_servers.prometheus(tmp_path, config))
        made = Bench(ports, url, split.train.to_numpy())
        _wait_until_ready(made)
        yield made


def _wait_until_ready(bench: Bench) -> None:
    for port in bench.ports.values():
        for _ in range(300):
            try:
                url = f"http://127.0.0.1:{port}/health/"
                if bench.pool.request("GET", url, retries=False).status == 200:
                    break
            except urllib3.exceptions.HTTPError:
                pass
            time.sleep(0.2)
        else:
            raise AssertionError(f"the server on port {port} does not become ready")


def test_a_version_that_answers_otherwise_is_told_from_one_that_does_not(bench: Bench) -> None:
    """Before any label comes; and rows that are not those of training by their column."""
    wanted = {SAME.revision: Measurement.PASS, OTHER.revision: Measurement.FAIL}
    found = dict[str, GateStatus]()
    for _ in range(LOOKS):
        for who in (STABLE, SAME, OTHER):
            bench.send(who)
        time.sleep(1.2)
        for who in (SAME, OTHER):
            if found.get(who.revision) is None or not decided(found[who.revision]):
                found[who.revision] = bench.shift(who)
        if all(map(decided, found.values())):
            break
    assert {name: said.measurement for name, said in found.items()} == wanted, found
    assert "'versicolor'" in found[OTHER.revision].message
    assert "more than of stable's" in found[OTHER.revision].message

    as_trained = until(bench, SAME, Measurement.PASS, more=0.0)
    assert as_trained.value is not None
    assert as_trained.value < 0.2
    moved = until(bench, SAME, Measurement.FAIL, more=3.0)
    assert any(column in moved.message for column in ("petal_length", "petal_width"))
    assert "live rows against training" in moved.message


def decided(said: GateStatus) -> bool:
    return said.measurement in {Measurement.PASS, Measurement.FAIL}


def until(bench: Bench, who: Revision, wanted: Measurement, more: float) -> GateStatus:
    """inputDrift of a revision that is sent such rows, once it says what is wanted."""
    for _ in range(LOOKS):
        bench.send(who, more)
        time.sleep(1.2)
        if (said := bench.drift(who)).measurement is wanted:
            return said
    raise AssertionError(said.message)
