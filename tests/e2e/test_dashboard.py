"""The dashboard from its chart, in a real browser before real pods: look, and one command."""

import json
import subprocess
from collections.abc import Iterator

import pytest
import yaml
from playwright.sync_api import expect

from rollout_operator.domain.api.names import GROUP, PLURAL
from scripts.cluster.apiserver import free_port
from scripts.demo.rollout import Rollout, eventually
from scripts.demo.traffic import Traffic
from scripts.kube import Kube
from tests.e2e.harness import PATIENCE, Trained, hold, image, kubectl, running
from tests.support import chromium
from tests.support.board_client import BoardClient
from tests.support.charts import manifests

BOARD = "rollout-operator-dashboard"
PERSON = "anna"
REASON = "seen in the browser"


def installed(kube: Kube, namespace: str) -> None:
    """Apply what the chart has for the dashboard, and nothing else of it."""
    container, environment = running(kube)
    values = {
        "image": {**image(container["image"]), "pullPolicy": "IfNotPresent"},
        "prometheus": {"url": environment["PROMETHEUS_URL"]},
        "dashboard": {"enabled": True, "namespaces": [namespace]},
    }
    own = [
        m
        for m in manifests("rollout-operator", values, namespace=namespace)
        if m["metadata"].get("labels", {}).get("app.kubernetes.io/name") == "rollout-dashboard"
    ]
    assert {m["kind"] for m in own} == {"Deployment", "Service", "ServiceAccount", "NetworkPolicy"}
    kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(own))
    kubectl(
        "rollout", "status", f"deployment/{BOARD}", "-n", namespace, f"--timeout={PATIENCE:.0f}s"
    )


def person(namespace: str) -> str:
    """A token of somebody who may see and steer what is in the namespace."""
    kubectl("create", "serviceaccount", PERSON, "-n", namespace)
    rules = [
        {"apiGroups": [GROUP], "resources": [PLURAL], "verbs": ["get", "list", "watch", "patch"]},
        {"apiGroups": [""], "resources": ["pods", "events"], "verbs": ["list"]},
    ]
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": PERSON, "namespace": namespace},
        "rules": rules,
    }
    kubectl("apply", "-f", "-", stdin=json.dumps(role))
    who = f"{namespace}:{PERSON}"
    kubectl(
        "create",
        "rolebinding",
        PERSON,
        f"--role={PERSON}",
        f"--serviceaccount={who}",
        "-n",
        namespace,
    )
    return kubectl("create", "token", PERSON, "-n", namespace).strip()


@pytest.fixture
def board(kube: Kube, rollout: Rollout) -> Iterator[str]:
    """URL of the dashboard on loopback, through the Service."""
    namespace = rollout.namespace
    installed(kube, namespace)
    port = free_port()
    forward = ["kubectl", "port-forward", "-n", namespace, f"svc/{BOARD}", f"{port}:80"]
    with subprocess.Popen(forward, stdout=subprocess.DEVNULL) as forwarding:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            forwarding.terminate()
    print(kubectl("logs", f"deployment/{BOARD}", "-n", namespace))


def test_a_person_looks_and_promotes(
    stable: Traffic, rollout: Rollout, models: Trained, board: str
) -> None:
    token = person(rollout.namespace)
    client = BoardClient(board)
    eventually(lambda: client.answers() or None, "the dashboard to answer", PATIENCE)
    hold(rollout, 900)
    rollout.apply(models.good)
    rollout.wait("Trial", models.good, PATIENCE)
    with chromium.browser() as browser:
        page = browser.new_page(base_url=board)
        page.set_default_timeout(1000 * PATIENCE)
        expect.set_options(timeout=1000 * PATIENCE)
        witness = chromium.Witness.of(page.context, board)
        page.goto("/")
        page.get_by_label("Token").fill(token)
        page.get_by_role("button", name="Log in").click()
        line = page.locator(f'tr[data-rollout="{rollout.namespace}/{rollout.name}"]')
        expect(line).to_have_attribute("data-phase", "Trial")
        line.get_by_role("link").click()
        # What only real pods, a real Prometheus and real traffic have.
        expect(page.locator("#pods tbody tr")).to_have_count(2)
        expect(page.locator("#plots canvas").first).to_be_visible()
        expect(page.locator("#gates .gate .number").first).to_be_visible()
        page.locator('[data-action="promote"]').click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Why?").fill(REASON)
        dialog.get_by_role("button", name="Promote", exact=True).click()
        expect(page.locator("#status")).to_have_attribute("data-phase", "Promoted")
        assert witness.strangers == []
        assert witness.errors == []
    rollout.wait("Promoted", models.good, PATIENCE)
    assert rollout.status()["history"][0]["reason"] == "PromotedByCommand"
    assert all(answer.ok for answer in stable.answers)
