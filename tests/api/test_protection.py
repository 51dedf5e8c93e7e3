"""The NetworkPolicy and the PodDisruptionBudget of a rollout on a real API server: when they are
written, and when they are not.
"""

import time
from pathlib import Path
from typing import Any

import pytest

from rollout_operator.domain.revision import revision_hash
from tests.support.api_client import ApiClient, wait_for
from tests.support.fake_kubelet import KubeletThread
from tests.support.kinds import path_of
from tests.support.operator_process import OperatorProcess
from tests.support.rollout import Rollout
from tests.support.scripted_world import ScriptedWorld, served

POLICY, BUDGET = "NetworkPolicy", "PodDisruptionBudget"
S3 = '[{"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}], "ports": [{"port": 443}]}]'


def one(api: ApiClient, ns: str, kind: str) -> dict[str, Any] | None:
    return next(iter(api.items(kind, ns)), None)


def there(api: ApiClient, ns: str, kind: str) -> dict[str, Any]:
    return wait_for(lambda: one(api, ns, kind), f"the {kind}")


def versions(api: ApiClient, ns: str) -> list[str]:
    return [
        o["metadata"]["resourceVersion"] for kind in (POLICY, BUDGET) for o in api.items(kind, ns)
    ]


PODS = {"matchLabels": {"a": "b"}}
THEIRS: dict[str, dict[str, Any]] = {
    "Deployment": {
        "selector": PODS,
        "template": {
            "metadata": {"labels": {"a": "b"}},
            "spec": {
                "containers": [
                    {
                        "name": "a",
                        "image": "a",
                        "env": [
                            {"name": n, "value": "/9"} for n in ("MODEL_URI", "MODEL_REVISION")
                        ],
                    }
                ]
            },
        },
    },
    "Service": {"ports": [{"port": 80}], "selector": {"a": "b"}},
    "Ingress": {"defaultBackend": {"service": {"name": "theirs", "port": {"number": 80}}}},
    "NetworkPolicy": {"podSelector": PODS},
    "PodDisruptionBudget": {"minAvailable": 1, "selector": PODS},
}


def test_both_are_there_after_the_first_deploy_and_a_promotion_writes_neither(
    operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout, api: ApiClient, ns: str
) -> None:
    rollout.apply("models:/iris/1")
    rollout.wait_phase("Promoted", 1)
    pods = {"matchLabels": {"rollouts.mlops.dev/rollout": "iris"}}
    policy, budget = there(api, ns, POLICY), there(api, ns, BUDGET)
    (uid,) = {
        o["uid"]
        for found in (policy, budget)
        for o in found["metadata"]["ownerReferences"]
        if o["controller"]
    }
    assert uid == api.get(rollout.path)["metadata"]["uid"]
    assert policy["metadata"]["name"] == budget["metadata"]["name"] == "iris"
    assert budget["spec"] == {
        "maxUnavailable": 1,
        # The pod that looks at a version has no revision, and no scale that could be counted.
        "selector": {
            **pods,
            "matchExpressions": [{"key": "rollouts.mlops.dev/revision", "operator": "Exists"}],
        },
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    assert (policy["spec"]["podSelector"], policy["spec"]["policyTypes"]) == (pods, ["Egress"])
    names, mlflow = policy["spec"]["egress"]
    assert {(p["protocol"], p["port"]) for p in names["ports"]} == {("UDP", 53), ("TCP", 53)}
    assert mlflow["to"] == [{"ipBlock": {"cidr": "127.0.0.1/32"}}], "where the tests' registry is"

    before = versions(api, ns)
    rollout.apply("models:/iris/2")
    rollout.wait_phase("Promoted", 2)
    operator.kill()
    operator.start()
    rollout.apply("models:/iris/3")
    rollout.wait_phase("RolledBack", 3)
    assert versions(api, ns) == before


def test_what_is_changed_or_deleted_is_written_again(
    operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout, api: ApiClient, ns: str
) -> None:
    rollout.apply("models:/iris/1")
    rollout.wait_phase("Promoted", 1)
    wanted = there(api, ns, POLICY)["spec"]
    there(api, ns, BUDGET)
    paths = {kind: path_of(kind, ns, "iris") for kind in (POLICY, BUDGET)}
    looser: list[dict[str, Any]] = [
        {"egress": [{}]},
        {"podSelector": {"matchLabels": {"nobody": "has-it"}}},
    ]
    for loose in looser:
        api.patch(paths[POLICY], {"spec": loose}).raise_for_status()
        wait_for(
            lambda: (one(api, ns, POLICY) or {}).get("spec") == wanted,
            f"the policy to be as it was after {loose}",
        )
    for path in paths.values():
        api.http.delete(path).raise_for_status()
    assert there(api, ns, POLICY)["spec"] == wanted
    there(api, ns, BUDGET)


def test_a_budget_whose_status_tells_of_pods_is_not_written(
    operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout, api: ApiClient, ns: str
) -> None:
    rollout.apply("models:/iris/1")
    rollout.wait_phase("Promoted", 1)
    there(api, ns, BUDGET)
    path = f"{path_of(BUDGET, ns)}/iris/status"
    counts = {
        "currentHealthy": 2,
        "desiredHealthy": 1,
        "disruptionsAllowed": 1,
        "expectedPods": 2,
        "observedGeneration": 1,
    }
    api.patch(path, {"status": counts}).raise_for_status()
    before = versions(api, ns)
    time.sleep(2)
    assert versions(api, ns) == before


def test_the_setting_adds_rules_and_takes_the_policy_away(
    operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout, api: ApiClient, ns: str
) -> None:
    rollout.apply("models:/iris/1")
    rollout.wait_phase("Promoted", 1)
    assert len(there(api, ns, POLICY)["spec"]["egress"]) == 2
    foreign = {
        "metadata": {"name": "of-the-team"},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
    }
    api.http.post(path_of(POLICY, ns), json=foreign).raise_for_status()

    operator.kill()
    operator.environment["MODEL_EGRESS"] = S3
    operator.start()
    more = {
        "to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}],
        "ports": [{"port": 443, "protocol": "TCP"}],
    }
    found = wait_for(
        lambda: next(
            (p for p in api.items(POLICY, ns) if len(p["spec"].get("egress", ())) == 3), None
        ),
        "the rule",
    )
    assert found["spec"]["egress"][-1] == more

    operator.kill()
    operator.environment["MODEL_EGRESS"] = "any"
    operator.start()
    wait_for(
        lambda: [p["metadata"]["name"] for p in api.items(POLICY, ns)] == ["of-the-team"],
        "the policy to go",
    )
    rollout.apply("models:/iris/2")
    rollout.wait_phase("Promoted", 2)
    assert [p["metadata"]["name"] for p in api.items(POLICY, ns)] == ["of-the-team"]
    there(api, ns, BUDGET)


def test_an_object_of_the_same_name_that_is_somebody_elses(
    operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout, api: ApiClient, ns: str
) -> None:
    """It is left alone, and the rollout says what is in its way."""
    theirs = {
        "metadata": {"name": "iris"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}},
    }
    api.http.post(path_of(BUDGET, ns), json=theirs).raise_for_status()
    rollout.apply("models:/iris/1")
    rollout.wait_phase("Promoted", 1)
    stalled = rollout.wait_true("Stalled")
    assert stalled["reason"] == "ObjectRefused"
    assert "PodDisruptionBudget iris is there already and not this rollout's" in stalled["message"]
    assert (one(api, ns, BUDGET) or {})["spec"]["minAvailable"] == 1
    api.http.delete(path_of(BUDGET, ns, "iris")).raise_for_status()
    rollout.wait_true("Ready", seconds=60)
    assert there(api, ns, BUDGET)["spec"]["maxUnavailable"] == 1


@pytest.mark.parametrize(
    "kind", ["Deployment", "Service", "Ingress", "NetworkPolicy", "PodDisruptionBudget"]
)
def test_whatever_is_somebody_elses_is_told_with_its_name_before_any_deadline(
    kind: str, api: ApiClient, ns: str, world: ScriptedWorld, kubelet: KubeletThread, tmp_path: Path
) -> None:
    rollout = Rollout(api, ns, f"taken-{kind.lower()}")
    rollout.apply("models:/iris/1").raise_for_status()
    raw = api.get(rollout.path)
    uid, resources = raw["metadata"]["uid"], raw["spec"]["resources"]
    name = (
        f"{rollout.name}-{revision_hash(uid, 'models:/iris/1', f'sha256:{1:064x}', resources)}"
        if kind == "Deployment"
        else rollout.name
    )
    api.http.post(
        path_of(kind, ns), json={"metadata": {"name": name}, "spec": THEIRS[kind]}
    ).raise_for_status()
    with (
        served(world) as url,
        OperatorProcess(api.kubeconfig, url, tmp_path / "operator.log", WATCH_NAMESPACES=ns),
    ):
        stalled = rollout.wait_true("Stalled", seconds=60)
        assert stalled["reason"] == "ObjectRefused"
        assert (
            f"{kind} {name} is there already and not this rollout's: rename or delete it"
            in stalled["message"]
        )
        assert rollout.status()["phase"] != "RolledBack"
        assert not api.get(path_of(kind, ns, name))["metadata"].get("ownerReferences")
        api.http.delete(path_of(kind, ns, name)).raise_for_status()
        rollout.wait_true("Ready", seconds=60)
