"""The scale subresource on a real API server: what `kubectl scale`, a HorizontalPodAutoscaler and
KEDA write, at rest and while a trial runs.
"""

from typing import Any

from tests.support.api_client import ApiClient, wait_for
from tests.support.fake_kubelet import KubeletThread
from tests.support.operator_process import OperatorProcess
from tests.support.rollout import Rollout

MERGE = {"Content-Type": "application/merge-patch+json"}
LONG = [{"weight": 50, "hold": "10m"}]


def scale(api: ApiClient, rollout: Rollout, replicas: int) -> None:
    """As an autoscaler does."""
    body = f'{{"spec": {{"replicas": {replicas}}}}}'
    reply = api.http.patch(f"{rollout.path}/scale", content=body, headers=MERGE)
    assert reply.status_code == 200, reply.text


def sizes(rollout: Rollout) -> dict[str, int]:
    """Pods that the Deployments ask for, by version."""
    return {v: one["spec"]["replicas"] for v, one in rollout.deployments().items()}


def becomes(rollout: Rollout, expected: dict[str, int]) -> None:
    wait_for(lambda: sizes(rollout) == expected or None, f"{expected}, not {sizes(rollout)}")


def test_an_autoscaler_reads_and_writes_the_number_of_pods(
    api: ApiClient, operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout
) -> None:
    rollout.promote("1", 1, replicas=2)
    read: dict[str, Any] = api.get(f"{rollout.path}/scale")
    assert read["spec"]["replicas"] == read["status"]["replicas"] == 2
    assert read["status"]["selector"] == (
        f"rollouts.mlops.dev/rollout={rollout.name},rollouts.mlops.dev/revision"
    )
    scale(api, rollout, 5)
    becomes(rollout, {"1": 5})
    wait_for(lambda: api.get(f"{rollout.path}/scale")["status"]["replicas"] == 5 or None, "status")
    wait_for(lambda: rollout.condition("Ready")["status"] == "True" or None, "Ready")
    assert rollout.status()["attempt"] == 1, "no trial for a number of pods"


def test_a_candidate_gets_the_pods_of_its_share_in_the_middle_of_its_trial(
    api: ApiClient, operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout
) -> None:
    rollout.promote("1", 1, replicas=2)
    strategy = {"steps": LONG, "progressDeadline": "60s"}
    rollout.apply("models:/iris/2", replicas=2, strategy=strategy)
    wait_for(lambda: rollout.weight() == 50 or None, "the trial")
    assert sizes(rollout) == {"1": 2, "2": 1}
    scale(api, rollout, 6)
    becomes(rollout, {"1": 6, "2": 3})
    scale(api, rollout, 2)
    becomes(rollout, {"1": 2, "2": 1})
    assert (rollout.status()["phase"], rollout.weight()) == ("Trial", 50)
    assert rollout.status()["attempt"] == 2


def test_kubernetes_own_autoscaler_may_scale_a_modelrollout(api: ApiClient) -> None:
    """As docs/guides/autoscaling.md says: nobody has to grant it anything."""
    name = "system:controller:horizontal-pod-autoscaler"

    def role() -> list[dict[str, Any]] | None:
        reply = api.http.get(f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{name}")
        return reply.json()["rules"] if reply.status_code == 200 else None

    assert [
        rule
        for rule in wait_for(role, name)
        if "*/scale" in rule["resources"]
        and {"get", "update"} <= set(rule["verbs"])
        and "*" in rule["apiGroups"]
    ]
