"""Objects as the API server has them, and what a work queue needs of the operator's ports."""

from typing import Any, cast

from rollout_operator.controller.cache import Store
from rollout_operator.controller.pass_memory import PassMemory
from rollout_operator.controller.ports import Ports

KEY = ("models", "iris")


def rollout(version: int, name: str = "iris", uid: str = "u1") -> dict[str, Any]:
    return {
        "metadata": {
            "namespace": "models",
            "name": name,
            "uid": uid,
            "resourceVersion": str(version),
            "generation": 1,
        },
        "spec": {},
    }


def deployment(version: int, ready: int = 0, uid: str = "d1") -> dict[str, Any]:
    labels = {"rollouts.mlops.dev/rollout": "iris", "rollouts.mlops.dev/revision": "abc"}
    owners = [{"uid": "u1", "controller": True}]
    meta = {
        "namespace": "models",
        "name": "iris-abc",
        "uid": uid,
        "resourceVersion": str(version),
        "labels": labels,
        "ownerReferences": owners,
    }
    return {"metadata": meta, "spec": {"replicas": 2}, "status": {"readyReplicas": ready}}


def budget(version: int, healthy: int, most: int = 1, uid: str = "b1") -> dict[str, Any]:
    meta = {**deployment(version, uid=uid)["metadata"], "name": "iris"}
    return {
        "metadata": meta,
        "spec": {"maxUnavailable": most},
        "status": {"currentHealthy": healthy},
    }


def ports_with(store: Store) -> Ports:
    """As much of the ports as a work queue reads."""
    return cast("Ports", type("P", (), {"store": store, "memory": PassMemory()})())
