"""What remembers labels, on a real API server: pods have what the operator's configuration says,
and what they have is no difference that is written again and again.
"""

import json
import time
from typing import Any

import pytest

from tests.support.api_client import ApiClient
from tests.support.fake_kubelet import KubeletThread
from tests.support.operator_process import OperatorProcess
from tests.support.rollout import Rollout

STORES: dict[str, dict[str, Any]] = {
    "a volume": {"claim": "feedback", "maxEntries": 5_000},
    "a database": {"secret": "labels", "ca": {"configMap": "company-ca"}},
    "a database with a CA of a Secret": {"secret": "labels", "key": "dsn", "ca": {"secret": "ca"}},
}


@pytest.fixture(params=list(STORES.values()), ids=list(STORES))
def store(request: pytest.FixtureRequest) -> dict[str, Any]:
    found: dict[str, Any] = request.param
    return found


@pytest.fixture
def operator_settings(store: dict[str, Any], ns: str) -> dict[str, str]:
    entries = [{"namespaces": ["other-*"], "claim": "theirs"}, {"namespaces": [ns], **store}]
    return {"FEEDBACK_STORES": json.dumps(entries), "RESYNC_SECONDS": "1"}


def test_pods_have_their_store_and_the_operator_rests(
    api: ApiClient,
    operator: OperatorProcess,
    kubelet: KubeletThread,
    rollout: Rollout,
    store: dict[str, Any],
) -> None:
    rollout.promote("1", 1)
    live = rollout.deployments()["1"]
    pod = live["spec"]["template"]["spec"]
    (server,) = pod["containers"]
    said = {one["name"]: one.get("value") or one["valueFrom"] for one in server["env"]}
    assert said["FEEDBACK_SCOPE"] == api.get(rollout.path)["metadata"]["uid"]
    volumes = {one["name"]: one for one in pod["volumes"]}
    if "claim" in store:
        assert said["FEEDBACK_STORE"] == "sqlite:/var/lib/rollouts/feedback"
        assert volumes["feedback"]["persistentVolumeClaim"]["claimName"] == "feedback"
        assert said["FEEDBACK_STORE_ENTRIES"] == "5000"
    else:
        key = {"name": "labels", "key": store.get("key", "url")}
        assert said["FEEDBACK_STORE"] == {"secretKeyRef": key}
        assert "feedback-ca" in volumes
    time.sleep(3)  # several resyncs, each of which compares what is there with what should be
    now = rollout.deployments()["1"]["metadata"]
    assert now["generation"] == live["metadata"]["generation"]
    assert now["resourceVersion"] == live["metadata"]["resourceVersion"]
