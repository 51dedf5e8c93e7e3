"""The pods of a Deployment that is left to an autoscaler: applied with the number that it has, and
what is done when the number is the spec's again.
"""

import copy
from typing import Any

import pytest

from rollout_operator.controller.apply import ObjectChange, changes, keep_applied
from rollout_operator.controller.cache import Store
from rollout_operator.desired.build import build
from rollout_operator.desired.common import Manifest, Owner
from rollout_operator.desired.diff import signed
from rollout_operator.domain.api.words import Phase
from tests.support.builders import UID, on_trial, spec

OWNER = Owner(UID, "iris", "models")
KEY = ("models", "iris")
SCALING = {"min": 3, "max": 8, "metric": "cpu", "target": 70}
RESTS = on_trial(phase=Phase.PROMOTED, candidate=None, step=None, weight=0)


def wanted(scaling: dict[str, Any] | None) -> list[Manifest]:
    """The Deployment and its autoscaler, if there is one."""
    made = build(OWNER, spec("models:/iris/1", autoscaling=scaling), RESTS, {})
    return [m for m in made if m["kind"] in {"Deployment", "HorizontalPodAutoscaler"}]


def as_it_is(manifest: Manifest, version: int, pods: int | None, *, ours: bool) -> Manifest:
    """The object as the API server has it, with so many pods, set by the operator or not."""
    there = copy.deepcopy(signed(manifest))
    there["metadata"] |= {"uid": manifest["kind"], "resourceVersion": str(version)}
    if pods is not None:
        there["spec"]["replicas"] = pods
    manager = "rollout-operator" if ours else "kube-controller-manager"
    fields: dict[str, Any] = {"f:spec": {"f:replicas": {}}}
    there["metadata"]["managedFields"] = [
        {"manager": manager, "operation": "Apply" if ours else "Update", "fieldsV1": fields}
    ]
    return there


def cluster(scaling: dict[str, Any] | None, pods: int, *, ours: bool) -> Store:
    """What is there of a rollout whose spec was this."""
    store = Store()
    for manifest in wanted(scaling):
        number = pods if manifest["kind"] == "Deployment" else None
        store.put(manifest["kind"], as_it_is(manifest, 5, number, ours=ours))
    return store


def differing(store: Store, scaling: dict[str, Any] | None) -> list[ObjectChange]:
    return changes(wanted(scaling), store.objects(KEY), UID, store)


Change = tuple[str, int | None, bool]
CHANGES: dict[str, tuple[dict[str, Any] | None, int, bool, dict[str, Any] | None, list[Change]]] = {
    "what an autoscaler has set stays": (SCALING, 7, False, SCALING, []),
    "what the operator has set stays, too": (SCALING, 3, True, SCALING, []),
    "to an autoscaler: with the number that there is": (
        None,
        5,
        True,
        SCALING,
        [("Deployment", 5, False), ("HorizontalPodAutoscaler", None, False)],
    ),
    "to a number: the autoscaler goes first, and nobody has fought": (
        SCALING,
        7,
        False,
        None,
        [("HorizontalPodAutoscaler", None, False), ("Deployment", 2, True)],
    ),
    "no pods at all: an autoscaler would leave it so": (
        SCALING,
        0,
        False,
        SCALING,
        [("Deployment", 3, False)],
    ),
    "other bounds": (
        SCALING,
        7,
        False,
        SCALING | {"max": 9},
        [("HorizontalPodAutoscaler", None, False)],
    ),
}


@pytest.mark.parametrize(
    ("before", "pods", "ours", "after", "expected"), CHANGES.values(), ids=CHANGES.keys()
)
def test_what_is_changed(
    before: dict[str, Any] | None,
    pods: int,
    ours: bool,
    after: dict[str, Any] | None,
    expected: list[Change],
) -> None:
    found = differing(cluster(before, pods, ours=ours), after)
    assert [(c.kind, c.replicas, c.autoscaled) for c in found] == expected


def test_a_new_deployment_has_what_its_autoscaler_is_told_at_least() -> None:
    found = differing(Store(), SCALING)
    assert [(c.kind, c.replicas) for c in found] == [
        ("Deployment", 3),
        ("HorizontalPodAutoscaler", None),
    ]


def test_each_number_of_an_autoscaler_is_no_news_where_admission_has_changed_the_pods() -> None:
    deployment, autoscaler = wanted(SCALING)
    store = Store()
    for version, pods in ((5, 3), (6, 4), (7, 8)):
        live = as_it_is(deployment, version, pods, ours=False)
        container = live["spec"]["template"]["spec"]["containers"][0]
        container["image"] = "mirror/inference"
        containers: dict[str, Any] = {'k:{"name":"model"}': {"f:image": {}}}
        image = {"f:template": {"f:spec": {"f:containers": containers}}}
        live["metadata"]["managedFields"].append(
            {
                "manager": "rollout-operator",
                "operation": "Apply",
                "fieldsV1": {"f:spec": image},
            }
        )
        if version == 5:
            keep_applied(KEY, deployment, live, store)
        else:
            store.put("Deployment", live)
        assert changes([deployment, autoscaler], store.objects(KEY), UID, store)[:-1] == []
