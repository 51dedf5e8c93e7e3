"""Which objects a rollout has in each phase, and what is in them."""

import pytest

from rollout_operator.desired.build import build
from rollout_operator.desired.common import Manifest, Owner
from rollout_operator.desired.diff import matches
from rollout_operator.domain.api.status import Phase, Status
from tests.support.builders import IMAGE, UID, at, on_trial, revision, spec

OWNER = Owner(UID, "iris", "models")
V1, V2, V3 = revision(1), revision(2), revision(3)
C1, C2, C3 = (f"iris-{v.revision}" for v in (V1, V2, V3))


def objects(status: Status) -> dict[str, Manifest]:
    manifests = build(
        OWNER, spec("models:/iris/2"), status, {"MLFLOW_TRACKING_URI": "http://mlflow:5000"}
    )
    return {f"{m['kind']}/{m['metadata']['name']}": m for m in manifests}


first = Status(phase=Phase.STARTING, attempt=1, candidate=V1)
PERMANENT = {"NetworkPolicy/iris", "PodDisruptionBudget/iris"}
"""From the first attempt on, whatever becomes of it."""
WITH_CANARY = {
    f"Service/{C2}",
    "Service/iris",
    "Ingress/iris",
    "Ingress/iris-canary",
    f"Deployment/{C1}",
    f"Deployment/{C2}",
}
STABLE_1 = {"Service/iris", "Ingress/iris", f"Deployment/{C1}"}
NAMES = {
    "a first deploy that was rolled back": (
        first.model_copy(update={"phase": Phase.ROLLED_BACK}),
        set(),
    ),
    "a first deploy has no route": (first, {f"Deployment/{C1}"}),
    "a first deploy opens the host at the switch": (
        first.model_copy(update={"phase": Phase.SWITCHING}),
        {f"Deployment/{C1}", "Service/iris", "Ingress/iris"},
    ),
    "before its pods are Ready a candidate has no route": (
        on_trial(phase=Phase.STARTING, weight=0),
        WITH_CANARY - {"Ingress/iris-canary"},
    ),
    "a trial has both routes": (on_trial(), WITH_CANARY),
    "a rollback keeps the pods while requests may come": (
        on_trial(phase=Phase.ROLLING_BACK, weight=0),
        WITH_CANARY - {"Ingress/iris-canary"},
    ),
    "after a rollback only stable is left": (on_trial(phase=Phase.ROLLED_BACK, weight=0), STABLE_1),
    "an invalid version leaves stable alone": (
        on_trial(phase=Phase.INVALID, candidate=None),
        STABLE_1,
    ),
    "a replaced revision keeps its pods for a while, and the closed canary route its Service": (
        Status(
            phase=Phase.PROMOTED,
            attempt=2,
            stable=V2,
            retiring=(V1.model_copy(update={"promoted": True}),),
        ),
        {f"Service/{C2}", "Service/iris", "Ingress/iris", f"Deployment/{C1}", f"Deployment/{C2}"},
    ),
    "a superseded candidate keeps its pods for a while": (
        on_trial(
            phase=Phase.STARTING,
            candidate=V3,
            retiring=(V2.model_copy(update={"ready_at": at(0), "since": at(9)}),),
            weight=0,
        ),
        {
            f"Service/{C2}",
            f"Service/{C3}",
            "Service/iris",
            "Ingress/iris",
            f"Deployment/{C1}",
            f"Deployment/{C2}",
            f"Deployment/{C3}",
        },
    ),
}


@pytest.mark.parametrize(("status", "names"), NAMES.values(), ids=NAMES.keys())
def test_objects_that_exist(status: Status, names: set[str]) -> None:
    assert set(objects(status)) == names | PERMANENT


def test_nothing_exists_before_a_version_is_resolved() -> None:
    assert objects(Status()) == {}


@pytest.mark.parametrize(
    ("phase", "selected"),
    [
        pytest.param(Phase.TRIAL, V1, id="on trial, stable answers"),
        pytest.param(Phase.SHIFTING, V1, id="shifting, stable answers"),
        pytest.param(Phase.SWITCHING, V2, id="switching, the candidate answers"),
        pytest.param(Phase.SETTLING, V2, id="settling, the candidate answers"),
        pytest.param(Phase.ROLLING_BACK, V1, id="rolling back, stable answers"),
    ],
)
def test_the_stable_service_selects(phase: Phase, selected: object) -> None:
    service = objects(on_trial(phase=phase))["Service/iris"]
    assert service["spec"]["selector"]["rollouts.mlops.dev/revision"] == getattr(
        selected, "revision", None
    )


def test_the_canary_ingress_carries_the_weight_and_the_stable_one_does_not() -> None:
    made = objects(on_trial(weight=10))
    canary, stable = made["Ingress/iris-canary"], made["Ingress/iris"]
    assert canary["metadata"]["annotations"] == {
        "nginx.ingress.kubernetes.io/canary": "true",
        "nginx.ingress.kubernetes.io/canary-weight": "10",
        "nginx.ingress.kubernetes.io/canary-by-header": "X-Model-Candidate",
        "nginx.ingress.kubernetes.io/canary-by-header-value": "true",
    }
    assert "annotations" not in stable["metadata"]
    rule_c, rule_s = canary["spec"]["rules"][0], stable["spec"]["rules"][0]
    assert (rule_c["host"], rule_c["http"]["paths"][0]["path"]) == (
        rule_s["host"],
        rule_s["http"]["paths"][0]["path"],
    )
    assert rule_c["http"]["paths"][0]["backend"]["service"]["name"] == C2


def test_a_deployment_pins_what_it_serves_and_borrows_no_rights() -> None:
    made = objects(on_trial())[f"Deployment/{C2}"]
    pod = made["spec"]["template"]["spec"]
    env = {e["name"]: e["value"] for e in pod["containers"][0]["env"]}
    assert env["MODEL_URI"] == "models:/iris/2"
    assert env["MODEL_DIGEST"] == V2.digest
    assert env["MODEL_REVISION"] == V2.revision
    assert env["MLFLOW_TRACKING_URI"] == "http://mlflow:5000"
    assert pod["containers"][0]["image"] == IMAGE
    assert pod["automountServiceAccountToken"] is False
    assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True


def test_every_object_goes_with_its_rollout_and_holds_its_deletion_back() -> None:
    for name, made in objects(on_trial()).items():
        (owner,) = made["metadata"]["ownerReferences"]
        assert (owner["uid"], owner["controller"], owner["blockOwnerDeletion"]) == (
            UID,
            True,
            True,
        ), name


def test_the_policy_and_the_budget_are_for_the_pods_of_every_revision() -> None:
    made = objects(on_trial())
    policy, budget = made["NetworkPolicy/iris"]["spec"], made["PodDisruptionBudget/iris"]["spec"]
    every = {"matchLabels": {"rollouts.mlops.dev/rollout": "iris"}}
    assert policy["podSelector"] == every
    # Of whatever revision: the pod that inspects a version has none, and no scale to count.
    some = [{"key": "rollouts.mlops.dev/revision", "operator": "Exists"}]
    assert budget["selector"] == {**every, "matchExpressions": some}
    assert policy["policyTypes"] == ["Egress"]
    for name in (C1, C2):
        labels = made[f"Deployment/{name}"]["spec"]["template"]["metadata"]["labels"]
        assert policy["podSelector"]["matchLabels"].items() <= labels.items()


def test_the_policy_comes_before_the_pods_and_the_budget_holds_up_nothing() -> None:
    kinds = [name.partition("/")[0] for name in objects(on_trial())]
    assert (kinds[0], kinds[-1]) == ("NetworkPolicy", "PodDisruptionBudget")


def test_a_promotion_changes_neither() -> None:
    during = [
        first,
        first.model_copy(update={"phase": Phase.SWITCHING}),
        on_trial(),
        on_trial(phase=Phase.SETTLING),
        on_trial(weight=50),
    ]
    for name in PERMANENT:
        assert len({str(objects(status)[name]) for status in during}) == 1


def test_without_limits_there_is_no_policy() -> None:
    made = build(OWNER, spec("models:/iris/2"), on_trial(), {}, egress=None)
    assert "NetworkPolicy" not in {m["kind"] for m in made}


def test_replicas_follow_the_role() -> None:
    made = objects(on_trial(retiring=(V3.model_copy(update={"replicas": 7}),)))
    assert {
        name: m["spec"]["replicas"] for name, m in made.items() if m["kind"] == "Deployment"
    } == {
        f"Deployment/{C1}": 2,
        f"Deployment/{C2}": 1,
        f"Deployment/{C3}": 7,
    }


def test_what_was_ready_before_is_not_rebuilt_by_a_later_look() -> None:
    assert objects(on_trial()) == objects(on_trial(phase_since=at(99)))


DRIFT = {
    "the same": ({"a": 1}, {"a": 1}, True),
    "defaulted fields more": ({"a": 1, "b": 2}, {"a": 1}, True),
    "a certificate that is not wanted any more": (
        {"tls": [{"secretName": "iris-tls"}], "rules": []},
        {"rules": []},
        False,
    ),
    "a listener that is not wanted any more": (
        {"parentRefs": [{"name": "a", "sectionName": "b"}]},
        {"parentRefs": [{"name": "a"}]},
        False,
    ),
    "a field changed": ({"a": 2}, {"a": 1}, False),
    "a field missing": ({}, {"a": 1}, False),
    "a nested field changed": ({"a": {"b": "10"}}, {"a": {"b": "50"}}, False),
    "a list with one more": ({"a": [1, 2]}, {"a": [1]}, False),
    "a list with defaulted fields": ({"a": [{"x": 1, "y": 2}]}, {"a": [{"x": 1}]}, True),
    "a quantity written otherwise": ({"cpu": "1"}, {"cpu": "1000m"}, True),
    "another quantity": ({"cpu": "2"}, {"cpu": "1000m"}, False),
    "a number where a text was": ({"weight": 10}, {"weight": "10"}, True),
    "a text that is no quantity": ({"a": "x"}, {"a": "y"}, False),
    "something else than a map": ({"a": None}, {"a": {"b": 1}}, False),
    "a selector with one label more": (
        {"podSelector": {"matchLabels": {"a": "b", "c": "d"}}},
        {"podSelector": {"matchLabels": {"a": "b"}}},
        False,
    ),
    "a range where a port was": (
        {"ports": [{"port": 1, "endPort": 9}]},
        {"ports": [{"port": 1}]},
        False,
    ),
    "a variable that a webhook added": (
        {
            "env": [
                {"name": "X", "value": "1"},
                {"name": "A", "value": "1"},
                {"name": "X", "value": "1"},
            ]
        },
        {"env": [{"name": "A", "value": "1"}]},
        True,
    ),
    "a sidecar and its volume": (
        {
            "containers": [{"name": "proxy"}, {"name": "model", "image": "i"}],
            "volumes": [{"name": "tmp"}, {"name": "proxy"}],
        },
        {"containers": [{"name": "model", "image": "i"}], "volumes": [{"name": "tmp"}]},
        True,
    ),
    "a variable of ours that is gone": ({"env": [{"name": "X"}]}, {"env": [{"name": "A"}]}, False),
    "a variable of ours that says otherwise": (
        {"env": [{"name": "A", "value": "2"}]},
        {"env": [{"name": "A", "value": "1"}]},
        False,
    ),
    "an owner more, which somebody else noted": (
        {
            "ownerReferences": [
                {"uid": "b", "kind": "Backup"},
                {"uid": "a", "kind": "ModelRollout", "controller": True},
            ]
        },
        {"ownerReferences": [{"uid": "a", "kind": "ModelRollout", "controller": True}]},
        True,
    ),
    "another owner in place of ours": (
        {"ownerReferences": [{"uid": "b"}]},
        {"ownerReferences": [{"uid": "a"}]},
        False,
    ),
    "ours, and it controls no more": (
        {"ownerReferences": [{"uid": "a"}]},
        {"ownerReferences": [{"uid": "a", "controller": True}]},
        False,
    ),
    "a port more of a container": (
        {"ports": [{"containerPort": 1}, {"containerPort": 2}]},
        {"ports": [{"containerPort": 1}]},
        True,
    ),
    "a port more of a policy": (
        {"ports": [{"port": 1}, {"port": 2}]},
        {"ports": [{"port": 1}]},
        False,
    ),
    "a path more of an Ingress": (
        {"paths": [{"path": "/"}, {"path": "/b"}]},
        {"paths": [{"path": "/"}]},
        False,
    ),
    "a peer where all were": (
        {"egress": [{"ports": [], "to": [{}]}]},
        {"egress": [{"ports": []}]},
        False,
    ),
}


@pytest.mark.parametrize(("live", "wanted", "same"), DRIFT.values(), ids=DRIFT.keys())
def test_drift(live: object, wanted: object, same: bool) -> None:
    assert matches(live, wanted) is same
