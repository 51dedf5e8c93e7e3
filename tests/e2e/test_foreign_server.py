"""A p99 by a server that is not ours: a gateway in the model's pods, put there by a webhook as a
mesh or a policy server does, answers for the model, and only its own metrics are scraped. They know
of no revision; the operator finds it by the pod.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.cluster.network import node_address
from scripts.demo.rollout import Rollout, verdict_of
from scripts.demo.traffic import Traffic
from scripts.kube import Kube, Object
from tests.e2e.conftest import setting
from tests.e2e.harness import PATIENCE, Trained, kubectl, running, version_of
from tests.support.mutating_webhook import WEBHOOKS, Patch, answering

GATEWAY = """
import http.client, signal, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from prometheus_client import Histogram, start_http_server

slow, bounds = sys.argv[1], (0.1, 0.25, 0.5, 1, 2, 4, 8)
seconds = Histogram("http_request_duration_seconds", "As it says", ["handler"], buckets=bounds)

class Gateway(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        began = time.perf_counter()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            model = http.client.HTTPConnection("127.0.0.1", 8081, timeout=30)
            model.request(self.command, self.path, body, dict(self.headers))
            reply = model.getresponse()
            said, status, headers = reply.read(), reply.status, reply.getheaders()
        except OSError as failure:
            said, status, headers = str(failure).encode(), 502, []
        if self.path == "/predict/" and dict(headers).get("x-model-version") == slow:
            time.sleep(3)
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in ("connection", "content-length", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)
        seconds.labels(self.path).observe(time.perf_counter() - began)

    do_GET = do_POST

    def log_message(self, *_):
        return

signal.signal(signal.SIGTERM, lambda *_: sys.exit())
start_http_server(9000)
ThreadingHTTPServer(("", 8080), Gateway).serve_forever()
"""
"""One version takes it three seconds more."""
GATE = {"metric": "gatewayP99Seconds", "max": 2, "minSamples": 20}


def with_gateway(image: str, slow: str) -> dict[str, Any]:
    """The container that a pod gets; it is there before the model's, and ends after it."""
    return {
        "name": "gateway",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "restartPolicy": "Always",
        "command": ["python", "-c", GATEWAY, slow],
        "resources": {"requests": {"cpu": "20m", "memory": "48Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }


@pytest.fixture
def gateway(kube: Kube, rollout: Rollout, models: Trained, tmp_path: Path) -> Iterator[None]:
    """All model pods of the namespace have one from now on: it has the port that Services and
    probes ask, and the model's server another; what is scraped is its own.
    """
    _, env = running(kube)
    sidecar = with_gateway(env["INFERENCE_IMAGE"], version_of(models.bad))

    def patched(asked: Object) -> Patch:
        there = "initContainers" in asked["object"]["spec"]
        port = {"name": "PORT", "value": "8081"}
        scraped = "/metadata/annotations/prometheus.io~1"
        return [
            {"op": "add", "path": "/spec/containers/0/env/-", "value": port},
            {"op": "add", "path": f"{scraped}port", "value": "9000"},
            {"op": "add", "path": f"{scraped}path", "value": "/metrics"},
            {
                "op": "add",
                "path": f"/spec/initContainers{'/0' if there else ''}",
                "value": sidecar if there else [sidecar],
            },
        ]

    pods = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["pods"],
    }
    ours = [{"key": "rollouts.mlops.dev/rollout", "operator": "Exists"}]
    with answering(tmp_path, patched, node_address()) as client:
        hook = {
            "name": "gateway.example.com",
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "clientConfig": client,
            "rules": [pods],
            "namespaceSelector": {
                "matchLabels": {"kubernetes.io/metadata.name": rollout.namespace}
            },
            "objectSelector": {"matchExpressions": ours},
        }
        config = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": rollout.namespace},
            "webhooks": [hook],
        }
        # One of a run before leads to nobody.
        kubectl("apply", "-f", "-", stdin=json.dumps(config))
        # From the first version on: no gate on our series would ever have a value.
        rollout.settings["analysis"] = {"interval": "2s", "gates": [GATE]}
        yield
        kube.delete(f"{WEBHOOKS}/{rollout.namespace}")


def test_a_foreign_p99_decides(
    rollout: Rollout, models: Trained, gateway: None, stable: Traffic
) -> None:
    rollout.apply(models.good)
    promoted = verdict_of(rollout.wait("Promoted", models.good, PATIENCE), models.good)
    assert [(g["metric"], g["measurement"]) for g in promoted["gates"]] == [
        (GATE["metric"], "Pass")
    ]
    rollout.apply(models.bad)
    ended = verdict_of(rollout.wait("RolledBack", models.bad, PATIENCE), models.bad)
    (gate,) = ended["gates"]
    assert (gate["metric"], gate["measurement"]) == (GATE["metric"], "Fail")
    assert gate["value"] > 2
    assert GATE["metric"] in rollout.condition("Stalled")["message"]
    assert not stable.failed
    ours = {"query": f'count({{__name__=~"ml_.+", namespace="{rollout.namespace}"}}) or vector(0)'}
    reply = httpx.get(f"{setting('PROMETHEUS_URL')}/api/v1/query", params=ours).json()
    assert reply["data"]["result"][0]["value"][1] == "0", "no series of ours was scraped"
