"""The operator as a process against a real API server: what it writes, and what it leaves."""

import json
import time
from itertools import groupby

import pytest

from tests.api.refusals import refusing
from tests.support.api_client import ApiClient, wait_for
from tests.support.fake_kubelet import KubeletThread
from tests.support.kinds import OWNED_KINDS, WEIGHT, path_of
from tests.support.operator_process import OperatorProcess
from tests.support.rollout import Rollout
from tests.support.scripted_world import ScriptedWorld


def weights_since(api: ApiClient, ns: str, version: str) -> list[int]:
    """Every weight that the canary Ingress has had since, in order."""
    events = api.events_since("Ingress", ns, version)
    canary = [
        e["object"]["metadata"]
        for e in events
        if e["object"]["metadata"]["name"] == "iris-canary" and e["type"] != "DELETED"
    ]
    return [weight for weight, _ in groupby(int(meta["annotations"][WEIGHT]) for meta in canary)]


def test_promote_then_roll_back(
    api: ApiClient, ns: str, operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout
) -> None:
    assert rollout.apply("models:/iris/1").status_code == 201
    first = rollout.wait_phase("Promoted", 1)
    assert first["stable"]["uri"] == "models:/iris/1"
    assert rollout.weight() is None

    before = api.version("Ingress", ns)
    rollout.apply("models:/iris/2")
    second = rollout.wait_phase("Promoted", 2)
    assert weights_since(api, ns, before) == [10, 50, 100]
    assert second["stable"]["uri"] == "models:/iris/2"
    assert "candidate" not in second
    wait_for(lambda: set(rollout.deployments()) == {"2"}, "the old pods to go")

    rollout.apply("models:/iris/3")
    third = rollout.wait_phase("RolledBack", 3)
    assert third["stable"] == second["stable"]
    assert third["gates"][0]["value"] == 0.62
    assert [h["verdict"] for h in third["history"]] == ["RolledBack", "Promoted", "Promoted"]
    wait_for(lambda: set(rollout.deployments()) == {"2"}, "the candidate's pods to go")
    stalled = rollout.condition("Stalled")
    assert (stalled["status"], stalled["reason"]) == ("True", "GateFailed")
    assert "0.62 is below 0.7" in stalled["message"]
    assert rollout.status()["observedGeneration"] == 3

    rollout.apply("models:/iris/3")
    time.sleep(2)
    assert rollout.status()["attempt"] == 3, "a re-sync tries nothing again"


def test_a_version_that_does_not_exist(
    operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout
) -> None:
    rollout.apply("models:/iris/999")
    stalled = rollout.wait_true("Stalled")
    assert stalled["reason"] == "ModelVersionNotFound"
    assert "models:/iris/999" in stalled["message"]
    rollout.apply("models:/iris/1")
    rollout.wait_phase("Promoted", 1)


def test_a_model_that_cannot_load(
    operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout
) -> None:
    kubelet.broken.add("2")
    rollout.apply("models:/iris/1")
    rollout.wait_phase("Promoted", 1)
    rollout.apply("models:/iris/2", deadline="5s")
    weights: set[int | None] = set()
    while rollout.status()["phase"] != "RolledBack":
        weights.add(rollout.weight())
        time.sleep(0.05)
    assert weights <= {None, 0}, "it never gets traffic"
    assert rollout.status()["reason"] == "ProgressDeadlineExceeded"


def test_a_promoted_model_whose_pods_are_gone_is_not_ready(
    operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout
) -> None:
    """What `kubectl wait`, Flux and Argo CD read while a quota or a lost node takes the pods, and
    when they are back.
    """

    def reads(ready: str, reconciling: str, stalled: str) -> bool | None:
        wanted = (ready, reconciling, stalled)
        return (
            tuple(
                rollout.condition(kind).get("status")
                for kind in ("Ready", "Reconciling", "Stalled")
            )
            == wanted
            or None
        )

    rollout.apply("models:/iris/1", deadline="5s")
    rollout.wait_phase("Promoted", 1)
    wait_for(lambda: reads("True", "False", "False"), "Ready")
    kubelet.broken.add("1")
    wait_for(lambda: reads("False", "True", "False"), "Reconciling")
    wait_for(lambda: reads("False", "False", "True"), "Stalled after progressDeadline")
    assert rollout.condition("Ready")["reason"] == "PodsNotReady"
    assert rollout.status()["shortage"]["ready"] == 0
    assert rollout.status()["phase"] == "Promoted"
    kubelet.broken.clear()
    wait_for(lambda: reads("True", "False", "False"), "Ready again")
    assert "shortage" not in rollout.status()
    assert rollout.status()["attempt"] == 1, "nothing was tried anew"


def test_other_resources_replace_pods_and_try_nothing(
    api: ApiClient, ns: str, operator: OperatorProcess, kubelet: KubeletThread, world: ScriptedWorld
) -> None:
    rollout = Rollout(api, ns, "larger")
    rollout.apply("models:/iris/1")
    first = rollout.wait_phase("Promoted", 1)
    rollout.wait_reported(1)
    before = rollout.deployments()["1"]
    version = api.get(rollout.path)["metadata"]["resourceVersion"]
    kubelet.rolling.add("1")
    larger = {"requests": {"cpu": "200m", "memory": "1Gi"}, "limits": {"memory": "2Gi"}}
    rollout.apply("models:/iris/1", resources=larger)
    since = api.version("Deployment", ns)

    def told() -> str | None:
        asked = api.get(rollout.path)
        now = {c["type"]: c for c in asked["status"]["conditions"]}["Reconciling"]
        there = (
            now["status"] == "True" and now["observedGeneration"] == asked["metadata"]["generation"]
        )
        return now["message"] if there else None

    assert "as the spec asks; the former ones answer until then" in wait_for(told, "Reconciling")
    wait_for(lambda: "1 of 2 pods" in (told() or "") or None, "the new pod to be told")
    now = rollout.deployments()
    assert set(now) == {"1"}
    assert (now["1"]["metadata"]["uid"], now["1"]["metadata"]["name"]) == (
        before["metadata"]["uid"],
        before["metadata"]["name"],
    )
    assert now["1"]["spec"]["template"]["spec"]["containers"][0]["resources"] == larger
    assert now["1"]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    kubelet.rolling.clear()
    wait_for(lambda: rollout.condition("Ready")["status"] == "True" or None, "Ready")
    last = rollout.status()
    assert (last["attempt"], last["history"], last["stable"]["revision"]) == (
        1,
        first["history"],
        first["stable"]["revision"],
    )
    assert last["stable"]["resources"] == larger
    assert {s["phase"] for s in rollout.statuses_since(version)} == {"Promoted"}
    seen = [e["object"] for e in api.events_since("Deployment", ns, since)]
    assert (
        min(
            d["status"]["readyReplicas"]
            for d in seen
            if d["metadata"]["uid"] == before["metadata"]["uid"]
        )
        == 2
    ), "served all along"


def test_who_scales_an_owned_deployment_is_named_and_the_fight_is_bounded(
    api: ApiClient, ns: str, operator: OperatorProcess, kubelet: KubeletThread, world: ScriptedWorld
) -> None:
    """As `kubectl scale` or an autoscaler does, again and again: told, put back at once, then more
    and more seldom.
    """
    rollout = Rollout(api, ns, "scaled")
    rollout.promote("1", 1)
    path = path_of("Deployment", ns, rollout.deployments()["1"]["metadata"]["name"])
    version = api.get(path)["metadata"]["resourceVersion"]
    merge = {"Content-Type": "application/merge-patch+json"}

    def scale() -> int:
        """Set it to 5 where it is not; says whether."""
        if api.get(path)["spec"]["replicas"] == 5:
            return 0
        reply = api.http.patch(
            f"{path}/scale?fieldManager=kubectl", content='{"spec": {"replicas": 5}}', headers=merge
        )
        assert reply.status_code == 200, reply.text
        return 1

    times, end = 0, time.monotonic() + 25
    while time.monotonic() < end:
        times += scale()
        time.sleep(0.1)
    assert 2 <= times <= 4, "at once, after 10 s, after 20 s"
    assert "kubectl scales Deployment" in rollout.status()["scaled"]
    events = [
        e
        for e in api.get(f"/api/v1/namespaces/{ns}/events")["items"]
        if e["reason"] == "ScaledByAnother"
    ]
    assert [(e["type"], "kubectl scales Deployment" in e["message"]) for e in events] == [
        ("Warning", True)
    ]
    larger = {"requests": {"cpu": "200m", "memory": "1Gi"}}
    rollout.apply("models:/iris/1", replicas=5, resources=larger)
    wait_for(
        lambda: (
            api.get(path)["spec"]["template"]["spec"]["containers"][0]["resources"] == larger
            or None
        ),
        "what differs otherwise",
    )
    seen = [e["object"] for e in api.events_since("Deployment", ns, version)]
    assert len({d["metadata"]["generation"] for d in seen}) <= 10
    rollout.apply("models:/iris/1", replicas=3, resources=larger)
    wait_for(
        lambda: api.get(path)["spec"]["replicas"] == 3 or None,
        "the number that the spec asks for now",
    )
    assert rollout.status()["attempt"] == 1


NETWORKING = "networking.k8s.io"
REFUSED_KINDS = {
    "the Ingress": ("ingresses", NETWORKING, False),
    "Services": ("services", "", False),
    "Deployments": ("deployments", "apps", False),
    "the NetworkPolicy": ("networkpolicies", NETWORKING, False),
    # It holds up nothing, but what lacks it does not look well.
    "the PodDisruptionBudget": ("poddisruptionbudgets", "policy", True),
}


@pytest.mark.parametrize(
    ("resource", "group", "promoted"), REFUSED_KINDS.values(), ids=REFUSED_KINDS.keys()
)
def test_a_first_deploy_is_not_ready_before_its_objects_are_accepted(
    api: ApiClient,
    ns: str,
    operator: OperatorProcess,
    kubelet: KubeletThread,
    resource: str,
    group: str,
    promoted: bool,
) -> None:
    # A name of its own: what an earlier case has deployed may still be there.
    rollout = Rollout(api, ns, f"no-{resource}")
    before = api.version("ModelRollout", ns)
    with refusing(api, ns, resource, group):
        rollout.apply("models:/iris/1")
        wait_for(
            lambda: rollout.condition("Accepted").get("status") == "True" or None,
            "the attempt to begin",
        )
        time.sleep(14)
        written = rollout.statuses_since(before)
    assert {s.get("phase") == "Promoted" for s in written} == (
        {False, True} if promoted else {False}
    )
    assert not [
        s
        for s in written
        for c in s.get("conditions", ())
        if (c["type"], c["status"]) == ("Ready", "True")
    ]
    rollout.wait_phase("Promoted", 1)
    # What holds up nothing is tried again every 30 s.
    rollout.wait_true("Ready", seconds=60)


def test_what_others_add_to_the_pods_is_left_alone(
    api: ApiClient, ns: str, operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout
) -> None:
    """A sidecar, a variable and a volume, as admission webhooks add them: nothing is applied for
    them, at rest or later.
    """
    rollout.promote("1", 1)
    (one,) = rollout.deployments().values()
    path = path_of("Deployment", ns, one["metadata"]["name"])
    more = [{"name": "added", "value": "1"}]
    spec = {
        "containers": [{"name": "model", "env": more}, {"name": "proxy", "image": "proxy"}],
        "volumes": [{"name": "certificates", "emptyDir": {}}],
        "tolerations": [{"key": "a", "operator": "Exists"}],
    }
    before = operator.applied("deployments")
    assert before >= 1
    kind = {"Content-Type": "application/strategic-merge-patch+json"}
    reply = api.http.patch(
        path, content=json.dumps({"spec": {"template": {"spec": spec}}}), headers=kind
    )
    assert reply.status_code == 200, reply.text
    time.sleep(3)
    assert operator.applied("deployments") == before
    names = {c["name"] for c in api.get(path)["spec"]["template"]["spec"]["containers"]}
    assert names == {"model", "proxy"}
    reply = api.http.patch(path, content=json.dumps({"spec": {"replicas": 7}}), headers=kind)
    assert reply.status_code == 200, reply.text
    wait_for(
        lambda: api.get(path)["spec"]["replicas"] != 7 or None,
        "what the operator owns to be put back",
    )


def test_a_version_changed_mid_trial(
    operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout, world: ScriptedWorld
) -> None:
    rollout.apply("models:/iris/1")
    rollout.wait_phase("Promoted", 1)
    patient = {"interval": "1s", "maxHold": "10m"}
    world.accuracy["2"] = None
    rollout.apply("models:/iris/2", analysis=patient)
    rollout.wait_phase("Trial", 2)
    world.accuracy["3"] = 0.99
    rollout.apply("models:/iris/3", analysis=patient)
    done = rollout.wait_phase("Promoted", 3)
    assert [h["verdict"] for h in done["history"]] == ["Promoted", "Superseded", "Promoted"]
    wait_for(lambda: set(rollout.deployments()) == {"3"}, "old pods to go")


def test_commands_are_bound_to_their_attempt(
    api: ApiClient,
    operator: OperatorProcess,
    kubelet: KubeletThread,
    rollout: Rollout,
    world: ScriptedWorld,
) -> None:
    rollout.apply("models:/iris/1")
    rollout.wait_phase("Promoted", 1)
    world.accuracy["2"] = None
    rollout.apply("models:/iris/2", analysis={"interval": "1s", "maxHold": "10m"})
    rollout.wait_phase("Trial", 2)
    api.patch(rollout.path, {"metadata": {"annotations": {"rollouts.mlops.dev/abort": "1"}}})
    time.sleep(2)
    assert rollout.status()["phase"] == "Trial", "an abort of attempt 1 is not for attempt 2"
    api.patch(rollout.path, {"metadata": {"annotations": {"rollouts.mlops.dev/abort": "2"}}})
    assert rollout.wait_phase("RolledBack", 2)["reason"] == "Aborted"
    world.accuracy["2"] = 0.95
    api.patch(rollout.path, {"metadata": {"annotations": {"rollouts.mlops.dev/retry": "2"}}})
    rollout.wait_phase("Promoted", 3)


def test_idle_costs_no_request(
    api: ApiClient,
    ns: str,
    operator: OperatorProcess,
    kubelet: KubeletThread,
    rollout: Rollout,
    world: ScriptedWorld,
) -> None:
    rollout.promote("1", 1)
    time.sleep(1)
    before, queries = versions(api, ns), len(world.queries)
    time.sleep(5)
    assert versions(api, ns) == before
    assert len(world.queries) == queries


def versions(api: ApiClient, ns: str) -> dict[str, str]:
    """resourceVersion of everything the operator writes."""
    found = {
        f"{kind}/{o['metadata']['name']}": o["metadata"]["resourceVersion"]
        for kind in OWNED_KINDS
        for o in api.items(kind, ns)
    }
    for one in api.get(path_of("ModelRollout", ns))["items"]:
        found[one["metadata"]["name"]] = one["metadata"]["resourceVersion"]
    return found


def test_events_tell_the_story(
    api: ApiClient, ns: str, operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout
) -> None:
    rollout.apply("models:/iris/3")
    rollout.wait_phase("RolledBack", 1)
    told = wait_for(
        lambda: {(e["type"], e["reason"]) for e in api.items("Event", ns)},
        "the Event, which follows the status",
    )
    assert told == {("Warning", "GateFailed")}, "verdicts and trouble, and nothing else"
