"""What the cache keeps, what is news to it, and what it forgets."""

from collections.abc import Callable
from typing import Any

import pytest

from rollout_operator.controller.apply import is_applied
from rollout_operator.controller.cache import Store
from rollout_operator.controller.raw_objects import at_rest, key_of, rollout_of
from rollout_operator.domain.owned_object import OwnedObject
from tests.unit.operator.raw_objects import KEY, budget, deployment, rollout


def watch_deleted(store: Store, kind: str, raw: dict[str, Any]) -> None:
    """A watch tells that this object was deleted."""
    meta = raw["metadata"]
    key = key_of(meta) if kind == "ModelRollout" else rollout_of(raw)
    store.remove(kind, key, meta["name"], meta["uid"], int(meta["resourceVersion"]))


def test_an_older_version_that_arrives_late_is_dropped() -> None:
    store = Store()
    store.put_rollout(rollout(9))
    store.put_rollout(rollout(8, uid="old"))
    store.put_object("Deployment", deployment(99, ready=2))
    store.put_object("Deployment", deployment(98, ready=0))
    assert (store.rollout(KEY) or {})["metadata"]["uid"] == "u1"
    assert [c.ready for c in store.objects(KEY)] == [2]


def test_a_status_that_nobody_looks_at_is_nothing_new_but_its_version_is_kept() -> None:
    store = Store()
    assert store.put_object("PodDisruptionBudget", budget(1, healthy=1))
    assert not store.put_object("PodDisruptionBudget", budget(2, healthy=2))
    (kept,) = store.objects(KEY)
    assert kept.version == 2, "or a write would be refused"
    assert is_applied(kept, budget(0, 0), store)
    assert not store.put_object("PodDisruptionBudget", budget(3, healthy=1))
    assert store.put_object("PodDisruptionBudget", budget(4, healthy=1, most=2))
    assert store.put_object("PodDisruptionBudget", budget(5, healthy=1, most=2, uid="b2"))
    assert store.put_object("Deployment", deployment(6, ready=1))
    assert store.put_object("Deployment", deployment(7, ready=2))


def test_where_an_ingress_is_reached_is_nothing_new_but_kept() -> None:
    store = Store()

    def ingress(version: int, *entries: dict[str, str]) -> dict[str, Any]:
        meta = {**deployment(version, ready=0)["metadata"], "name": "iris"}
        return {"metadata": meta, "spec": {}, "status": {"loadBalancer": {"ingress": [*entries]}}}

    assert store.put_object("Ingress", ingress(1))
    assert not store.put_object(
        "Ingress", ingress(2, {"ip": "192.0.2.1"}, {"hostname": "lb.example.com"}, {})
    )
    (kept,) = store.objects(KEY)
    assert kept.addresses == ("192.0.2.1", "lb.example.com")


def test_a_late_deletion_does_not_take_a_successor() -> None:
    store = Store()
    store.put_rollout(rollout(9, uid="new"))
    watch_deleted(store, "ModelRollout", rollout(8, uid="old"))
    store.put_object("Deployment", deployment(9, uid="new"))
    watch_deleted(store, "Deployment", deployment(8, uid="old"))
    assert store.rollout(KEY) is not None
    assert len(store.objects(KEY)) == 1
    watch_deleted(store, "Deployment", deployment(10, uid="new"))
    assert store.objects(KEY) == ()


def test_what_is_deleted_before_the_reply_to_its_write_is_read_stays_gone() -> None:
    store = Store()
    store.put_rollout(rollout(9))
    watch_deleted(store, "ModelRollout", rollout(11))
    store.put_status_reply(rollout(10))
    assert not store.has(KEY)
    watch_deleted(store, "Deployment", deployment(11))
    store.put_object("Deployment", deployment(10))
    assert store.objects(KEY) == ()
    store.put_object("Deployment", deployment(12))
    assert len(store.objects(KEY)) == 1, "back under a label that another operator had"
    store.put_object("Deployment", deployment(8, uid="new"))
    assert [c.uid for c in store.objects(KEY)] == ["d1"]


def made_anew(store: Store) -> None:
    watch_deleted(store, "ModelRollout", rollout(9))
    store.put_rollout(rollout(11, uid="u2"))


CHANGES: dict[str, Callable[[Store], object]] = {
    "the ModelRollout is written": lambda store: store.put_rollout(rollout(10)),
    "an object is edited": lambda store: store.put_object(
        "Deployment", {**deployment(100), "spec": {"replicas": 5}}
    ),
    "an object is deleted": lambda store: watch_deleted(store, "Deployment", deployment(100)),
    "an object is found to be missing": lambda store: store.remove(
        "Deployment", KEY, "iris-abc", "d1"
    ),
    "an object comes": lambda store: store.put_object("Service", deployment(100)),
    "the ModelRollout is made anew": made_anew,
}


@pytest.mark.parametrize("name", CHANGES.keys())
def test_objects_are_compared_again_after_every_change(name: str) -> None:
    store = Store()
    store.put_rollout(rollout(9))
    store.put_object("Deployment", deployment(99))
    store.mark_in_sync(KEY, 9)
    store.put_object("Deployment", deployment(98))
    assert store.in_sync(KEY, 9)
    CHANGES[name](store)
    raw = store.rollout(KEY)
    assert raw is not None
    assert not store.in_sync(KEY, int(raw["metadata"]["resourceVersion"]))


def test_terminating_and_unready_endpoints_do_not_count() -> None:
    def endpoint(pod: str, **conditions: bool) -> dict[str, Any]:
        return {"targetRef": {"name": pod}, "conditions": conditions}

    raw = {
        "metadata": {
            "namespace": "models",
            "name": "s",
            "uid": "s",
            "resourceVersion": "1",
            "labels": {"kubernetes.io/service-name": "iris"},
        },
        "endpoints": [
            endpoint("a", ready=True),
            endpoint("b", ready=False),
            endpoint("c", ready=True, terminating=True),
        ],
    }
    assert OwnedObject.read("EndpointSlice", raw).endpoints == ("a",)


AT_REST: dict[str, tuple[dict[str, Any], dict[str, str], bool]] = {
    "promoted": ({"phase": "Promoted", "observedGeneration": 1}, {}, True),
    "rolled back, described by somebody": (
        {"phase": "RolledBack", "observedGeneration": 1},
        {"team": "flowers"},
        True,
    ),
    "on trial": ({"phase": "Trial", "observedGeneration": 1}, {}, False),
    "its spec has changed": ({"phase": "Promoted", "observedGeneration": 0}, {}, False),
    "the old revision is still to go": (
        {"phase": "Promoted", "observedGeneration": 1, "retiring": [{}]},
        {},
        False,
    ),
    "a command waits": (
        {"phase": "RolledBack", "observedGeneration": 1},
        {"rollouts.mlops.dev/retry": "3"},
        False,
    ),
    "nobody has seen it yet": ({}, {}, False),
}


@pytest.mark.parametrize("name", AT_REST.keys())
def test_at_rest_is_who_asks_for_nothing(name: str) -> None:
    status, annotations, expected = AT_REST[name]
    raw = rollout(1)
    raw["metadata"]["annotations"] = annotations
    assert at_rest({**raw, "status": status}) is expected


def test_rollouts_are_kept_small_and_given_back_whole() -> None:
    store = Store()
    wanted = []
    for n in range(50):
        raw = {
            **rollout(n + 1, f"m{n}"),
            "status": {
                "phase": "Promoted",
                "message": f"models:/iris/{n} is stable" * 20,
                "attempt": n,
            },
        }
        store.put_rollout(raw)
        wanted.append(raw)
    assert [store.rollout(("models", f"m{n}")) for n in range(50)] == wanted


def test_only_the_stable_services_endpoints_are_kept() -> None:
    def slice_of(service: str) -> dict[str, Any]:
        labels = {"kubernetes.io/service-name": service, "rollouts.mlops.dev/rollout": "iris"}
        return {
            "metadata": {
                "namespace": "models",
                "name": f"{service}-x",
                "uid": service,
                "resourceVersion": "1",
                "labels": labels,
            }
        }

    store = Store()
    assert not store.put_object("EndpointSlice", slice_of("iris-abc-candidate"))
    assert store.put_object("EndpointSlice", slice_of("iris"))
    assert [c.service for c in store.objects(KEY)] == ["iris"]
