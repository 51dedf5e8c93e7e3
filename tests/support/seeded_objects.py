"""What stands beside seeded rollouts: pods as kubelets tell of them, and the operator's Events."""

from datetime import datetime

from rollout_operator.domain.api.names import FIELD_MANAGER, KIND, REVISION, ROLLOUT
from rollout_operator.domain.api.status import Revision
from tests.support.api_client import ApiClient
from tests.support.kinds import GROUP, Object
from tests.support.seeds import Seed


def plant_beside(api: ApiClient, seed: Seed) -> None:
    """Make the pods and Events of a rollout that is there."""
    status = seed.status
    runs = str(status.phase) not in {"RolledBack", "Promoted", "Invalid", "Pending"}
    for revision in (status.stable, status.candidate if runs else None):
        if revision is not None:
            for number in range(revision.replicas):
                _pod(api, seed, revision, number, ready=str(status.phase) != "Starting")
    _events(api, seed)


def _pod(api: ApiClient, seed: Seed, revision: Revision, number: int, ready: bool) -> None:
    name = f"{seed.name}-{revision.revision}-6f7d8-{number}"
    place = f"/api/v1/namespaces/{seed.namespace}/pods"
    ready = ready or revision.promoted
    began = _text(revision.since)
    body: Object = {
        "metadata": {
            "name": name,
            "labels": {ROLLOUT: seed.name, REVISION: revision.revision},
        },
        "spec": {"containers": [{"name": "model", "image": revision.image}]},
    }
    reply = api.http.post(place, json=body)
    assert reply.status_code in {201, 409}, reply.text
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    if not ready:
        conditions.append({"type": "PodScheduled", "status": "False", "reason": "Unschedulable"})
    told: Object = {"phase": "Running" if ready else "Pending", "conditions": conditions}
    if ready:
        told["startTime"] = began
    reply = api.patch(f"{place}/{name}/status", {"status": told})
    assert reply.status_code == 200, reply.text


def _events(api: ApiClient, seed: Seed) -> None:
    status = seed.status
    uid = api.get(seed.path)["metadata"]["uid"]
    told = [
        (status.attempt_since, "WaitingForPods", "Attempt 2 begins: pods of version 2 start."),
        (status.candidate.ready_at if status.candidate else None, "Measuring", "Step 1 of 3: 5 %."),
        (status.step_since, "Measuring", "Step 2 of 3: 20 %."),
        (status.phase_since, str(status.reason), status.message),
    ]
    for number, (at, reason, message) in enumerate(told):
        if at is None:
            continue
        event: Object = {
            "metadata": {"name": f"{seed.name}.{number}", "namespace": seed.namespace},
            "involvedObject": {
                "apiVersion": f"{GROUP}/v1alpha1",
                "kind": KIND,
                "name": seed.name,
                "namespace": seed.namespace,
                "uid": uid,
            },
            "type": "Warning" if reason == "GateFailed" else "Normal",
            "reason": reason,
            "message": message,
            "source": {"component": FIELD_MANAGER},
            "firstTimestamp": _text(at),
            "lastTimestamp": _text(at),
            "count": 1,
        }
        reply = api.http.post(f"/api/v1/namespaces/{seed.namespace}/events", json=event)
        assert reply.status_code in {201, 409}, reply.text


def _text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
