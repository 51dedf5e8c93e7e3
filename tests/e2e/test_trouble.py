"""What goes wrong in the world: broken models, missing versions, a killed operator, a deleted
rollout.
"""

from collections.abc import Callable

from scripts.demo.rollout import Rollout, eventually, verdict_of
from scripts.demo.traffic import Traffic
from scripts.kube import Kube
from tests.e2e.harness import (
    PATIENCE,
    Trained,
    hold,
    kill_operator,
    kubectl,
    only_serves,
    version_of,
    versions,
)


def test_model_that_cannot_load(rollout: Rollout, models: Trained, stable: Traffic) -> None:
    """Its content is not what was registered: the pod refuses, gets no request, and its own reason
    is told, long before progressDeadline.
    """
    rollout.apply(models.tampered)
    status = rollout.wait("RolledBack", models.tampered, PATIENCE)
    stalled = rollout.condition("Stalled")
    assert (stalled["status"], stalled["reason"]) == ("True", "ModelCannotServe")
    assert "digest" in stalled["message"].lower(), "the pod's own reason"
    assert status["stable"]["uri"] == models.modest
    only_serves(rollout, models.modest)
    assert versions(stable) == {version_of(models.modest)}
    assert not stable.failed


def test_version_that_does_not_exist(rollout: Rollout, models: Trained) -> None:
    """The reason is told; correcting the URI is all that is needed."""
    missing = models.good.rsplit("/", 1)[0] + "/999"
    rollout.apply(missing)

    def stalled() -> dict[str, str] | None:
        condition = rollout.condition("Stalled")
        return condition if condition.get("status") == "True" else None

    found = eventually(stalled, f"{missing} to be Stalled", PATIENCE, rollout.tell)
    assert found["reason"] == "ModelVersionNotFound"
    assert missing in found["message"]
    assert not rollout.owned()
    rollout.apply(models.good)
    rollout.wait("Promoted", models.good, PATIENCE)
    assert rollout.condition("Stalled")["status"] == "False"


def test_operator_killed_mid_trial(
    kube: Kube, rollout: Rollout, models: Trained, stable: Traffic
) -> None:
    """SIGKILL while the candidate has a weight: the next process goes on with the same attempt, and
    nothing happens twice.
    """
    hold(rollout, 90)
    rollout.apply(models.good)
    trial = rollout.wait("Trial", models.good, PATIENCE)
    kill_operator(kube)
    status = rollout.wait("Promoted", models.good, PATIENCE)
    assert status["attempt"] == trial["attempt"] == 2
    assert [a["verdict"] for a in status["history"]] == ["Promoted", "Promoted"]
    assert verdict_of(status, models.good)["revision"] == trial["candidate"]["revision"]
    only_serves(rollout, models.good)
    assert not stable.failed


def test_rollout_deleted_mid_trial(
    kube: Kube, rollout: Rollout, models: Trained, stable: Traffic
) -> None:
    """Everything goes by garbage collection, and the operator brings nothing back."""
    hold(rollout, 900)
    rollout.apply(models.good)
    rollout.wait("Trial", models.good, PATIENCE)
    assert not stable.failed
    kube.delete(rollout.path)
    eventually(
        lambda: None if rollout.owned() else True,
        "nothing to be left",
        PATIENCE,
        lambda: f"There is {rollout.owned()}",
    )
    assert kube.get(rollout.path) is None
    eventually(lambda: stable.failed[-1:] or None, "the host to answer no more", PATIENCE)
    assert not rollout.owned()


def test_no_request_is_lost_when_pods_are_deleted(
    rollout: Rollout, models: Trained, traffic: Callable[[], Traffic]
) -> None:
    """As by a drained node: each pod serves on while its endpoint is withdrawn, and then ends."""
    rollout.settings["replicas"] = 2
    rollout.apply(models.good)
    rollout.wait("Promoted", models.good, PATIENCE)
    load = traffic()
    for pod in rollout.owned()["Pod"]:
        kubectl(
            "delete",
            "pod",
            pod,
            "--namespace",
            rollout.namespace,
            "--wait=true",
            f"--timeout={PATIENCE:.0f}s",
        )

        def whole(gone: str = pod) -> bool | None:
            pods = rollout.owned().get("Pod", [])
            deployment = kubectl(
                "get",
                "deployments",
                "--namespace",
                rollout.namespace,
                "--output=jsonpath={.items[0].status.readyReplicas}",
            )
            return True if gone not in pods and len(pods) == 2 and deployment == "2" else None

        eventually(whole, f"another pod to take the place of {pod}", PATIENCE, rollout.tell)
    sent = len(load.answers)
    assert not load.failed, f"{len(load.failed)} of {sent} requests"


def quota(kube: Kube, namespace: str) -> None:
    """No pod more in this namespace; what runs goes on."""
    path = f"/api/v1/namespaces/{namespace}/resourcequotas"
    kube.create(path, {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}})
    # A quota counts only once its controller has looked at it.
    eventually(
        lambda: (kube.get(f"{path}/none") or {}).get("status", {}).get("hard"),
        "the quota to count",
        PATIENCE,
    )


def is_ready(rollout: Rollout) -> bool:
    return rollout.condition("Ready").get("status") == "True"


def test_a_quota_without_pods_lets_nothing_become_ready(
    kube: Kube, rollout: Rollout, models: Trained
) -> None:
    """A first deploy: the ReplicaSet's own sentence, and never Ready."""
    quota(kube, rollout.namespace)
    rollout.settings["strategy"]["progressDeadline"] = "25s"
    rollout.apply(models.modest)

    def given_up() -> bool | None:
        assert not is_ready(rollout)
        assert rollout.status().get("phase") != "Promoted"
        return rollout.status().get("phase") == "RolledBack" or None

    eventually(given_up, "the attempt to be given up", PATIENCE, rollout.tell)
    assert "exceeded quota: none" in rollout.condition("Stalled")["message"]
    kubectl("delete", "resourcequota", "none", "--namespace", rollout.namespace)
    # Pods that may come have the usual time: the machine may be busy.
    rollout.settings["strategy"]["progressDeadline"] = "10m"
    rollout.apply(models.modest)
    kubectl(
        "annotate",
        "modelrollout",
        rollout.name,
        "--namespace",
        rollout.namespace,
        "rollouts.mlops.dev/retry=1",
    )
    rollout.wait("Promoted", models.modest, PATIENCE)
    eventually(lambda: is_ready(rollout) or None, "Ready", PATIENCE, rollout.tell)


def test_pods_that_a_quota_does_not_let_come_back_are_no_ready_rollout(
    kube: Kube, rollout: Rollout, models: Trained
) -> None:
    """At rest: promoted once, and now nothing serves. It is Ready again by itself once there are
    pods.
    """
    rollout.apply(models.modest)
    rollout.wait("Promoted", models.modest, PATIENCE)
    rollout.settings["strategy"]["progressDeadline"] = "25s"
    rollout.apply(models.modest)
    eventually(lambda: is_ready(rollout) or None, "Ready", PATIENCE, rollout.tell)
    quota(kube, rollout.namespace)
    kubectl(
        "delete",
        "pods",
        "--all",
        "--namespace",
        rollout.namespace,
        "--wait=true",
        f"--timeout={PATIENCE:.0f}s",
    )
    eventually(
        lambda: not is_ready(rollout) or None, "Ready to be taken back", PATIENCE, rollout.tell
    )

    def stalled() -> bool | None:
        assert not is_ready(rollout)
        return rollout.condition("Stalled")["status"] == "True" or None

    eventually(stalled, "Stalled after progressDeadline", PATIENCE, rollout.tell)
    assert rollout.condition("Ready")["reason"] == "PodsNotReady"
    assert "exceeded quota: none" in rollout.condition("Stalled")["message"]
    kubectl("delete", "resourcequota", "none", "--namespace", rollout.namespace)
    # A ReplicaSet that was refused tries again later and later, up to a quarter of an hour: a
    # restart tries at once.
    kubectl("rollout", "restart", "deployments", "--namespace", rollout.namespace)
    eventually(lambda: is_ready(rollout) or None, "Ready again", PATIENCE, rollout.tell)
    assert rollout.status()["attempt"] == 1, "nothing was tried anew"
