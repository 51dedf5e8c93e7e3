"""A real webhook that changes Deployments on their way in, and never the same way twice: nothing is
applied against it.
"""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.api_client import ApiClient, wait_for
from tests.support.fake_kubelet import KubeletThread
from tests.support.kinds import path_of
from tests.support.mutating_webhook import CHANGES, POD, Patch, add, webhook
from tests.support.operator_process import OperatorProcess
from tests.support.rollout import Rollout


@pytest.mark.parametrize("kind", CHANGES)
def test_a_webhook_that_is_never_content_is_not_fought(
    kind: str,
    api: ApiClient,
    ns: str,
    operator: OperatorProcess,
    kubelet: KubeletThread,
    tmp_path: Path,
) -> None:
    rollout = Rollout(api, ns, f"changed-by-{list(CHANGES).index(kind)}")
    with webhook(api, ns, tmp_path, CHANGES[kind]):
        rollout.promote("1", 1, replicas=1)
        rollout.promote("2", 2, 90, replicas=1)
        wait_for(lambda: rollout.deployments().keys() == {"2"} or None, "the replaced pods to go")
        name = rollout.deployments()["2"]["metadata"]["name"]
        path = path_of("Deployment", ns, name)
        known, written = api.get(path), operator.applied("deployments")
        assert written == 2, (
            "one for each model: what the API server makes of it is what this cluster makes of it"
        )
        time.sleep(3)
        assert operator.applied("deployments") == written
        assert api.get(path)["metadata"]["generation"] == known["metadata"]["generation"], (
            "no new ReplicaSet"
        )
        api.http.delete(rollout.path).raise_for_status()


STARTED_ANEW: dict[str, Callable[[int], Patch]] = {
    "the image of a mirror": CHANGES["the image of a mirror"],
    "the memory of a pod": lambda n: add(
        "containers/0/resources", {"limits": {"memory": f"{600 + n}Mi"}}
    ),
    "a variable that is taken out": lambda n: [
        {"op": "remove", "path": f"{POD}/containers/0/env/0"},
        *CHANGES["tolerations"](n),
    ],
    "capabilities": lambda n: add(
        "containers/0/securityContext", {"capabilities": {"drop": ["ALL", f"C{n}"]}}
    ),
    "another probe": lambda n: add(
        "containers/0/livenessProbe", {"tcpSocket": {"port": 8080}, "periodSeconds": 10 + n}
    ),
}


@pytest.mark.parametrize("kind", STARTED_ANEW)
def test_an_operator_that_starts_anew_leaves_what_a_webhook_made_of_its_apply(
    kind: str,
    api: ApiClient,
    ns: str,
    operator: OperatorProcess,
    kubelet: KubeletThread,
    tmp_path: Path,
) -> None:
    """What was applied is known to a new process, too: pods that serve are not replaced because a
    webhook has other values now.
    """
    rollout = Rollout(api, ns, f"anew-{list(STARTED_ANEW).index(kind)}")
    with webhook(api, ns, tmp_path, STARTED_ANEW[kind]):
        rollout.promote("1", 1, replicas=1)
        (one,) = rollout.deployments().values()
        path = path_of("Deployment", ns, one["metadata"]["name"])
        operator.kill()
        before = api.get(path)
        operator.start()
        rollout.apply("models:/iris/1", replicas=1, paused=True)
        wait_for(lambda: rollout.status().get("observedGeneration") == 2, "the new process to look")
        time.sleep(2)
        after = api.get(path)
        assert operator.applied("deployments") == 0
        assert after["metadata"]["generation"] == before["metadata"]["generation"], (
            "no new ReplicaSet"
        )
        assert after["spec"] == before["spec"]
        operator.kill()
        api.patch(
            path, {"spec": {"minReadySeconds": 0, "revisionHistoryLimit": 7}}
        ).raise_for_status()
        operator.start()
        wait_for(
            lambda: api.get(path)["spec"]["revisionHistoryLimit"] == 0,
            "what somebody changed to be put back",
        )
        api.http.delete(rollout.path).raise_for_status()
