"""The webhook bridge from its chart, between MLflow's pod and the operator: an alias that is set in
MLflow ends in production.
"""

import secrets
import time
from collections.abc import Iterator

import pytest
import yaml

from scripts.demo.models import Registry
from scripts.demo.rollout import Rollout, eventually
from scripts.kube import Kube
from tests.e2e.conftest import NAME, setting
from tests.e2e.harness import PATIENCE, Trained, image, kubectl, running, version_of
from tests.support.charts import manifests

ALIAS = "e2e-bridge"
BRIDGE = "rollout-operator-bridge"


def installed(kube: Kube, rollout: Rollout, secret: str) -> None:
    """Apply what the chart has for the bridge, and nothing else of it; returns when it answers."""
    container, _ = running(kube)
    template = {"traffic": {"host": rollout.host}, **rollout.settings}
    target = {"namespace": rollout.namespace, "name": rollout.name, "template": template}
    values = {
        "image": {**image(container["image"]), "pullPolicy": "IfNotPresent"},
        "bridge": {
            "enabled": True,
            "webhookSecret": {"secret": "webhook"},
            "mappings": [{"model": NAME, "alias": ALIAS, "rollout": target}],
        },
    }
    kubectl(
        "create",
        "secret",
        "generic",
        "webhook",
        "-n",
        rollout.namespace,
        f"--from-literal=secret={secret}",
    )
    found = manifests("rollout-operator", values, namespace=rollout.namespace)
    own = [
        m
        for m in found
        if m["metadata"].get("labels", {}).get("app.kubernetes.io/name") == "rollout-bridge"
    ]
    assert {"Deployment", "Service", "Role", "NetworkPolicy"} <= {m["kind"] for m in own}
    kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(own))
    kubectl(
        "rollout",
        "status",
        f"deployment/{BRIDGE}",
        "-n",
        rollout.namespace,
        f"--timeout={PATIENCE:.0f}s",
    )


@pytest.fixture
def registry() -> Registry:
    return Registry(setting("MLFLOW_TRACKING_URI"))


@pytest.fixture
def bridge(kube: Kube, rollout: Rollout, registry: Registry) -> Iterator[str]:
    """The bridge in the rollout's namespace, and a webhook that leads to it; yields the webhook's
    id.
    """
    secret = secrets.token_hex(32)
    installed(kube, rollout, secret)
    url = f"http://{BRIDGE}.{rollout.namespace}.svc.cluster.local/webhooks/mlflow"
    events = [{"entity": "MODEL_VERSION_ALIAS", "action": "CREATED"}]
    made: str = registry.call(
        "POST", "webhooks", name=ALIAS, url=url, events=events, secret=secret
    )["webhook"]["webhook_id"]
    yield made
    print(kubectl("logs", f"deployment/{BRIDGE}", "-n", rollout.namespace))
    registry.call("DELETE", f"webhooks/{made}")


def test_an_alias_that_is_set_in_mlflow_is_in_production(
    bridge: str, rollout: Rollout, registry: Registry, models: Trained
) -> None:
    def arrives() -> bool | None:
        result = registry.call("POST", f"webhooks/{bridge}/test")["result"]
        return True if result.get("response_status") == 200 else None

    eventually(arrives, "MLflow's test of the webhook to arrive", PATIENCE)
    # Each of MLflow's workers remembers the webhooks of an event for a second
    # (MLFLOW_WEBHOOK_CACHE_TTL): none, before this one was made.
    time.sleep(2)
    registry.call(
        "POST", "registered-models/alias", name=NAME, alias=ALIAS, version=version_of(models.modest)
    )
    rollout.wait("Promoted", models.modest, PATIENCE)
    registry.call(
        "POST", "registered-models/alias", name=NAME, alias=ALIAS, version=version_of(models.bad)
    )
    eventually(
        lambda: True if rollout.status().get("attempt") == 2 else None,
        "the second attempt",
        PATIENCE,
        rollout.tell,
    )
    rollout.wait("RolledBack", models.bad, PATIENCE)
    assert rollout.status()["stable"]["uri"] == models.modest
