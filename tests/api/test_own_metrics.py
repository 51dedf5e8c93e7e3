"""Metrics of one's own on a real Prometheus and a real operator: promoted and rolled back by a
conversion rate, by revenue, and by the p99 of a server that knows nothing of revisions.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rollout_cli.cluster.prometheus import by_own_url
from rollout_cli.doctor.check_result import Level
from rollout_cli.doctor.metrics import check_own_metric
from rollout_operator.domain.own_metrics import own_metrics
from tests.support.api_client import ApiClient, wait_for
from tests.support.fake_kubelet import KubeletThread
from tests.support.operator_process import OperatorProcess
from tests.support.rollout import Rollout
from tests.support.scripted_world import ScriptedWorld, Workload, served
from tests.support.shop import Shop

METRICS: dict[str, dict[str, Any]] = {
    "conversionRate": {
        "counts": "Share",
        "better": "Higher",
        "query": "shop_orders_total",
        "samples": "shop_visits_total",
    },
    "revenuePerVisit": {
        "counts": "Mean",
        "better": "Higher",
        "unit": "EUR",
        "query": "sum by (namespace, revision) (increase(shop_revenue_total[4s]))",
        "samples": "sum by (namespace, revision) (increase(shop_visits_total[4s]))",
    },
    "revenueCounted": {
        "counts": "Mean",
        "better": "Higher",
        "unit": "EUR",
        "query": "shop_revenue_total",
        "samples": "shop_visits_total",
        "bounds": {"min": 0, "max": 25},
    },
    "foreignP99": {
        "counts": "Percentile",
        "better": "Lower",
        "unit": "s",
        "by": "Pod",
        "query": (
            "histogram_quantile(0.99,"
            " sum by (namespace, pod, le) (rate(foreign_seconds_bucket[4s])))"
        ),
        "samples": "sum by (namespace, pod) (increase(foreign_seconds_count[4s]))",
    },
    "nobodyHasIt": {
        "counts": "Gauge",
        "better": "Lower",
        "query": "nobody_has_it",
        "stale": "5s",
    },
}
LABELLED = {"metric": "conversionRate", "min": 0.05, "evidence": "Labelled"}
GATES: dict[str, dict[str, Any]] = {
    "a conversion rate by counts": LABELLED,
    "a conversion rate as it is": {"metric": "conversionRate", "min": 0.05},
    "a conversion rate beside stable": {
        "metric": "conversionRate",
        "maxDrop": 0.04,
        "evidence": "Labelled",
    },
    "revenue": {"metric": "revenuePerVisit", "min": 1.25},
    "revenue beside stable": {"metric": "revenuePerVisit", "maxDrop": 1},
    "revenue by its values": {"metric": "revenueCounted", "min": 1.25, "evidence": "Labelled"},
    "revenue by its values beside stable": {
        "metric": "revenueCounted",
        "maxDrop": 1.5,
        "evidence": "Labelled",
    },
    "p99 of a foreign server": {"metric": "foreignP99", "max": 0.5},
}


@pytest.fixture
def shop(world: ScriptedWorld) -> Shop:
    """Version 2 sells and is fast; version 3 neither."""
    return Shop(world, {"1": 0.12, "2": 0.12, "3": 0.01}, {"3": 0.8})


@pytest.fixture
def prometheus(shop: Shop, tmp_path: Path) -> Iterator[str]:
    home = tmp_path / "prometheus"
    home.mkdir()
    with shop.scraped(home) as url:
        yield url


@contextlib.contextmanager
def operator_with(
    api: ApiClient, ns: str, world: ScriptedWorld, log: Path, prometheus: str
) -> Iterator[OperatorProcess]:
    with (
        served(world) as registry,
        OperatorProcess(
            api.kubeconfig,
            prometheus,
            log,
            registry,
            WATCH_NAMESPACES=ns,
            ROLLOUT_METRICS=json.dumps(METRICS),
        ) as running,
    ):
        yield running
    print(log.read_text()[-4000:])  # pytest shows it where the test fails


@pytest.mark.parametrize("gate", GATES.values(), ids=GATES.keys())
def test_promoted_and_rolled_back(
    api: ApiClient,
    ns: str,
    world: ScriptedWorld,
    prometheus: str,
    tmp_path: Path,
    kubelet: KubeletThread,
    rollout: Rollout,
    gate: dict[str, Any],
) -> None:
    analysis = {"interval": "1s", "maxHold": "3m", "gates": [gate]}
    with operator_with(api, ns, world, tmp_path / "operator.log", prometheus):
        # Nobody can judge the first by what its requests lead to.
        rollout.apply("models:/iris/1", analysis=analysis)
        rollout.wait_phase("Promoted", 1)
        rollout.apply("models:/iris/2", analysis=analysis)
        second = rollout.wait_phase("Promoted", 2)
        assert second["gates"][0]["measurement"] == "Pass"
        rollout.apply("models:/iris/3", analysis=analysis)
        third = rollout.wait_phase("RolledBack", 3)
        assert third["gates"][0]["measurement"] == "Fail"
        assert third["gates"][0]["metric"] == gate["metric"]
        assert rollout.condition("Stalled")["reason"] == "GateFailed"
        assert gate["metric"] in rollout.condition("Stalled")["message"]


def test_a_name_that_nobody_knows_is_stalled_until_it_is_one_that_is_known(
    api: ApiClient,
    ns: str,
    world: ScriptedWorld,
    prometheus: str,
    tmp_path: Path,
    kubelet: KubeletThread,
    rollout: Rollout,
) -> None:
    log = tmp_path / "operator.log"
    with operator_with(api, ns, world, log, prometheus):
        rollout.apply("models:/iris/1", analysis={"gates": [{"metric": "conversion", "min": 0.05}]})
        wait_for(lambda: rollout.condition("Stalled").get("status") == "True", "Stalled")
        said = rollout.condition("Stalled")["message"]
        assert "spec.analysis.gates[0]: no metric is called conversion" in said
        assert "foreignP99, nobodyHasIt, revenueCounted or revenuePerVisit" in said
        rollout.apply("models:/iris/1", analysis={"gates": [LABELLED]})
        rollout.wait_phase("Promoted", 1)
    # Each was tried at start.
    for name in METRICS:
        assert f"Metric {name}: " in log.read_text()


DOCTOR: dict[str, tuple[dict[str, Any], Level, str]] = {
    "one that every revision has": (METRICS["conversionRate"], Level.GOOD, "2 revisions have"),
    "one by pods": (METRICS["foreignP99"], Level.GOOD, "2 Deployments have series"),
    "one that nobody has": (METRICS["nobodyHasIt"], Level.WARNING, "no series within 5s"),
    "one without the label": (
        METRICS["nobodyHasIt"] | {"query": "foreign_seconds_count"},
        Level.BAD,
        "series without the label revision",
    ),
    "one that Prometheus refuses": (
        METRICS["nobodyHasIt"]
        | {"query": "foreign_seconds_count * on (namespace) group_left shop_visits_total"},
        Level.BAD,
        "Prometheus answered HTTP 422",
    ),
}


@pytest.mark.parametrize(("given", "level", "words"), DOCTOR.values(), ids=DOCTOR.keys())
def test_what_doctor_says(
    world: ScriptedWorld,
    prometheus: str,
    given: dict[str, Any],
    level: Level,
    words: str,
) -> None:
    for version in ("1", "2"):
        world.revisions[f"r{version}"] = Workload("ml", "iris", version)
    asked = by_own_url(prometheus)
    wait_for(lambda: len(asked.instant("rate(shop_visits_total[4s])")) == 2, "two scrapes of both")
    metric = own_metrics(json.dumps({"mine": given})).by_name["mine"]
    said = check_own_metric("metric mine", metric, asked.own_snapshot(metric))
    assert said.level is level
    assert words in said.found
