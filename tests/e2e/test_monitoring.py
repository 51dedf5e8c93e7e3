"""Monitoring on the real cluster: rules that evaluate, and a dashboard without an empty panel."""

import time
from typing import Any

import httpx
import yaml

from scripts.demo.rollout import Rollout, eventually, fresh_namespace
from scripts.demo.traffic import FLOWERS, Traffic
from scripts.kube import Kube
from scripts.release import version
from tests.e2e.conftest import setting
from tests.e2e.harness import PATIENCE, Trained, kubectl, running
from tests.e2e.panels import ask
from tests.support.charts import ROOT

REFERENCE = ROOT / "monitoring" / "reference-inference.yaml"
RULES = [
    rule
    for group in yaml.safe_load((ROOT / "monitoring" / "rules.yaml").read_text())["groups"]
    for rule in group["rules"]
]
RECORDED = [rule["record"] for rule in RULES if "record" in rule]


def prometheus(path: str, **query: str) -> Any:
    reply = httpx.get(
        f"{setting('PROMETHEUS_URL').rstrip('/')}/api/v1/{path}",
        params=query,
        timeout=30,
        trust_env=False,
    ).json()
    assert reply["status"] == "success", reply
    return reply["data"]


def test_no_panel_is_empty_after_a_promotion_and_a_rollback(
    rollout: Rollout, models: Trained, stable: Traffic
) -> None:
    rollout.settings["strategy"]["steps"] = [
        {"weight": 20, "shadow": 100, "hold": "8s"},
        {"weight": 50, "hold": "4s"},
    ]
    rollout.apply(models.good)
    rollout.wait("Promoted", models.good, PATIENCE)
    rollout.apply(models.bad)
    rollout.wait("RolledBack", models.bad, PATIENCE)

    def complete() -> bool | None:
        return (
            True
            if all(
                one.values
                for one in ask(setting("PROMETHEUS_URL"), rollout.namespace, rollout.name)
            )
            else None
        )

    def empty() -> str:
        return "; ".join(
            f"{o.panel}: {o.query}"
            for o in ask(setting("PROMETHEUS_URL"), rollout.namespace, rollout.name)
            if not o.values
        )

    eventually(complete, "every query of the dashboard to return something", PATIENCE, empty)
    assert not stable.failed


def test_every_rule_is_evaluated() -> None:
    def health() -> dict[str, str]:
        return {r["name"]: r["health"] for g in prometheus("rules")["groups"] for r in g["rules"]}

    def evaluated() -> bool | None:
        return True if set(health().values()) == {"ok"} else None

    assert set(health()) == {r.get("alert") or r["record"] for r in RULES}

    eventually(evaluated, "every rule to be evaluated", PATIENCE, lambda: str(prometheus("rules")))


def test_a_reference_deployment_has_every_series_that_rules_record(
    kube: Kube, models: Trained
) -> None:
    """A model server as plain manifests, without the operator and without a chart: what monitoring
    is tried on.
    """
    name = "e2e-reference"
    fresh_namespace(kube, name)
    _, env = running(kube)
    text = REFERENCE.read_text()
    for placeholder, value in (
        (f"model-rollouts/inference:{version.here(ROOT)}", env["INFERENCE_IMAGE"]),
        ("http://mlflow.mlflow.svc:5000", env["MLFLOW_TRACKING_URI"]),
        ("models:/iris/1", models.good),
        # The image lies on the node.
        ("imagePullPolicy: Always", "imagePullPolicy: IfNotPresent"),
    ):
        assert placeholder in text
        text = text.replace(placeholder, value)
    kubectl("apply", "--server-side", "--namespace", name, "--filename", "-", stdin=text)
    kubectl(
        "rollout",
        "status",
        "deployment/reference-inference",
        "--namespace",
        name,
        f"--timeout={PATIENCE:.0f}s",
    )
    path = f"/api/v1/namespaces/{name}/services/reference-inference:http/proxy/predict/"

    def recorded() -> bool | None:
        kube.create(path, {"instances": [FLOWERS[0]]})
        time.sleep(1)
        return (
            True
            if all(
                prometheus("query", query=f'{record}{{namespace="{name}"}} >= 0')["result"]
                for record in RECORDED
            )
            else None
        )

    eventually(recorded, f"{', '.join(RECORDED)} of {name}", PATIENCE)
    kube.delete(f"/api/v1/namespaces/{name}")
