"""Metrics of one's own on real pods: a shop that counts visits and orders by the revision that
answered, and tells what they brought. What judges versions is in the chart's values and the
ModelRollout: scripts/cluster/manifests/operator-values.yaml.
"""

import csv
import json
from typing import Any

import pytest

from scripts.demo.rollout import Rollout, verdict_of
from scripts.demo.traffic import Traffic
from scripts.kube import Kube
from tests.e2e.harness import PATIENCE, Trained, kubectl, running
from tests.e2e.labelling import DATA

SHOP = "shop"
PROGRAM = """
import itertools, json, random, sys, time, urllib.request
from prometheus_client import Counter, start_http_server

host, flowers = sys.argv[1], json.loads(sys.argv[2])
visits = Counter("shop_visits", "Visits", ["revision"])
orders = Counter("shop_orders", "Visits that ended with an order", ["revision"])
start_http_server(8000)

def ask(path, body):
    headers = {"Host": host, "Content-Type": "application/json"}
    url = "http://traefik.rollouts-system.svc" + path
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.headers["X-Model-Revision"], json.load(answer)

for flower, species in itertools.cycle(flowers):
    time.sleep(0.02)
    try:
        revision, said = ask("/predict/", {"instances": [flower]})
        bought = said["predictions"][0] == species and random.random() < 0.9
        visits.labels(revision).inc()
        orders.labels(revision).inc(bought)
        ask("/feedback/", {"id": said["prediction_ids"][0], "value": 20 if bought else 0})
    except OSError as failure:
        print(failure, flush=True)
"""
"""What a shop shows is as good as the version that picks it: who is shown the right flower mostly
buys it, for 20 EUR.
"""
GATES: dict[str, dict[str, Any]] = {
    "conversionRate": {"min": 0.5, "evidence": "Labelled"},
    "value": {"min": 10, "evidence": "Labelled"},
}
"""A version that is wrong two times of three keeps neither."""


@pytest.fixture
def shop(kube: Kube, rollout: Rollout, stable: Traffic) -> str:
    """The shop's pod, open; its name."""
    with DATA.open() as file:
        flowers = [
            ([float(value) for value in list(row.values())[:4]], row["species"])
            for row in csv.DictReader(file)
        ][::5]
    _, env = running(kube)
    security = {"runAsNonRoot": True, "runAsUser": 65532}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": SHOP,
            "namespace": rollout.namespace,
            "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "8000"},
        },
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "securityContext": {**security, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": SHOP,
                    "image": env["INFERENCE_IMAGE"],
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["python", "-c", PROGRAM, rollout.host, json.dumps(flowers)],
                    "resources": {"requests": {"cpu": "20m", "memory": "48Mi"}},
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
        },
    }
    kubectl("apply", "-f", "-", stdin=json.dumps(pod))
    return SHOP


@pytest.mark.parametrize("metric", GATES)
def test_a_metric_of_ones_own_decides(
    metric: str, rollout: Rollout, models: Trained, stable: Traffic, shop: str
) -> None:
    """The training metric of the bad version is no hindrance here."""
    gate = {"metric": metric, **GATES[metric]}
    rollout.settings["analysis"] = {"interval": "2s", "gates": [gate]}
    rollout.apply(models.good)
    promoted = verdict_of(rollout.wait("Promoted", models.good, PATIENCE), models.good)
    assert [(g["metric"], g["measurement"]) for g in promoted["gates"]] == [(metric, "Pass")]
    rollout.apply(models.bad)
    ended = verdict_of(rollout.wait("RolledBack", models.bad, PATIENCE), models.bad)
    assert [(g["metric"], g["measurement"]) for g in ended["gates"]] == [(metric, "Fail")]
    assert metric in rollout.condition("Stalled")["message"]
    assert not stable.failed, kubectl("logs", "-n", rollout.namespace, shop)
