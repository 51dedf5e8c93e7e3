"""A version without a digest on a real API server: one pod looks at it, and goes."""

import json
from typing import Any

from rollout_operator.desired.inspection_pod import INSPECTED
from rollout_operator.domain.api.names import DIGEST_TAG
from tests.support.api_client import ApiClient, merged, wait_for
from tests.support.fake_kubelet import KubeletThread
from tests.support.inspection import pod_of
from tests.support.kinds import Object, path_of
from tests.support.operator_process import OperatorProcess
from tests.support.rollout import Rollout
from tests.support.scripted_world import ScriptedWorld

DIGEST = "sha256:" + "b" * 64


def ended(api: ApiClient, pod: Object, **answer: Any) -> None:
    """What the kubelet writes once the process has ended with this answer."""
    said = {"digest": "", "signature": "", "trouble": "", **answer}
    state = {"terminated": {"exitCode": 0, "message": json.dumps(said)}}
    status = {
        "phase": "Succeeded",
        "containerStatuses": [
            {
                "name": "inspect",
                "state": state,
                "ready": False,
                "restartCount": 0,
                "image": "x",
                "imageID": "x",
            }
        ],
    }
    meta = pod["metadata"]
    path = path_of("Pod", meta["namespace"], meta["name"])
    api.send(merged(f"{path}/status", {"status": status}))


def test_a_version_without_a_digest_is_pinned_and_promoted(
    api: ApiClient,
    world: ScriptedWorld,
    operator: OperatorProcess,
    kubelet: KubeletThread,
    rollout: Rollout,
) -> None:
    world.undigested.add("2")
    rollout.apply("models:/iris/1")
    rollout.wait_phase("Promoted", 1)
    rollout.apply("models:/iris/2")
    pod = wait_for(lambda: pod_of(api, rollout), "the pod that looks at version 2")
    assert pod["metadata"]["annotations"][INSPECTED] == "models:/iris/2"
    assert rollout.status()["reason"] == "Inspecting"
    assert rollout.status()["stable"]["uri"] == "models:/iris/1"
    ended(api, pod, digest=DIGEST, flavors=["sklearn"], serves="onnx")
    second = rollout.wait_phase("Promoted", 2)
    assert second["stable"]["digest"] == DIGEST
    events = api.get(f"/api/v1/namespaces/{pod['metadata']['namespace']}/events")["items"]
    told = [e["message"] for e in events if e["reason"] == "Inspected"]
    assert told == [f"models:/iris/2 has {DIGEST}: 0.0 MiB of sklearn, to be served by onnx."]
    assert "inspecting" not in second
    wait_for(lambda: pod_of(api, rollout) is None, "the pod to go")
    wait_for(lambda: world.tags.get(DIGEST_TAG) == DIGEST, "the registry to record the digest")


def test_what_cannot_be_served_is_stalled_at_once_and_stable_serves_on(
    api: ApiClient,
    world: ScriptedWorld,
    operator: OperatorProcess,
    kubelet: KubeletThread,
    rollout: Rollout,
) -> None:
    world.undigested.add("2")
    rollout.apply("models:/iris/1")
    rollout.wait_phase("Promoted", 1)
    rollout.apply("models:/iris/2")
    pod = wait_for(lambda: pod_of(api, rollout), "the pod that looks at version 2")
    ended(api, pod, digest=DIGEST, trouble="The model is a pickle, which can run any code.")
    stalled = rollout.wait_true("Stalled")
    assert stalled["reason"] == "ModelCannotServe"
    assert "The model is a pickle" in stalled["message"]
    assert set(rollout.deployments()) == {"1"}
    wait_for(lambda: pod_of(api, rollout) is None, "the pod to go")
    rollout.apply("models:/iris/1")
    rollout.wait_phase("Promoted", 1)
