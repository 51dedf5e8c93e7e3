"""The operator as a process against a real API server: what it writes, and that it goes on after
every interruption.
"""

import json
import socket
import time
from itertools import cycle, groupby
from pathlib import Path
from typing import Any

import pytest

from tests.api.refusals import refusing
from tests.support.api_client import ApiClient, wait_for
from tests.support.fake_kubelet import KubeletThread
from tests.support.kinds import GROUP, OWNED_KINDS, WEIGHT, path_of
from tests.support.operator_process import OperatorProcess
from tests.support.rollout import Rollout
from tests.support.scripted_world import ScriptedWorld, served


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


def test_objects_from_before_deletion_was_held_back_get_it_and_no_pod_is_replaced(
    api: ApiClient, ns: str, operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout
) -> None:
    rollout.promote("1", 1)
    operator.kill()
    paths = [
        path_of(kind, ns, one["metadata"]["name"])
        for kind in OWNED_KINDS
        if kind != "EndpointSlice"
        for one in api.items(kind, ns)
    ]
    paths = [path for path in paths if api.get(path)["metadata"].get("ownerReferences")]
    assert len(paths) == 5
    for path in paths:
        (owner,) = api.get(path)["metadata"]["ownerReferences"]
        older = {k: v for k, v in owner.items() if k != "blockOwnerDeletion"}
        api.patch(path, {"metadata": {"ownerReferences": [older]}}).raise_for_status()
    before = {path: api.get(path)["metadata"].get("generation") for path in paths}
    operator.start()
    for path in paths:

        def held(path: str = path) -> Any:
            return api.get(path)["metadata"]["ownerReferences"][0].get("blockOwnerDeletion")

        wait_for(held, f"{path} to hold it back")
    assert before == {path: api.get(path)["metadata"].get("generation") for path in paths}


@pytest.mark.parametrize("asked", ["1", "2"], ids=["at rest", "and another model asked for"])
def test_a_status_removed_by_hand_takes_no_route_and_no_pod(
    asked: str,
    api: ApiClient,
    ns: str,
    operator: OperatorProcess,
    kubelet: KubeletThread,
    world: ScriptedWorld,
) -> None:
    rollout = Rollout(api, ns, f"removed-{asked}")
    rollout.apply("models:/iris/1", resources={"requests": {"cpu": "1000m", "memory": "256Mi"}})
    rollout.wait_phase("Promoted", 1)
    rollout.wait_reported(1)
    if asked != "1":
        operator.kill()
        rollout.apply(
            f"models:/iris/{asked}", resources={"requests": {"cpu": "1000m", "memory": "256Mi"}}
        )
    known = rollout.deployments()["1"]["metadata"]["uid"]
    paths = {
        kind: f"{path_of(kind, ns)}?watch=1&timeoutSeconds=1&resourceVersion="
        for kind in ("Service", "Ingress", "Deployment")
    }
    version = api.version("Service", ns)
    api.patch(f"{rollout.path}/status", {"status": None}).raise_for_status()
    if asked != "1":
        operator.start()
    wait_for(lambda: rollout.status().get("stable"), "a status")
    last = 1 if asked == "1" else 2
    wait_for(
        lambda: (
            (s := rollout.status()).get("phase") == "Promoted"
            and s["stable"]["version"] == asked
            and s["attempt"] == last
        ),
        "Promoted",
        90,
    )
    told = [
        json.loads(line)
        for path in paths.values()
        for line in api.http.get(path + version).text.splitlines()
    ]
    gone = {
        f"{e['object']['kind']} {e['object']['metadata']['name']}"
        for e in told
        if e["type"] == "DELETED"
    }
    assert not {g for g in gone if g in {f"Service {rollout.name}", f"Ingress {rollout.name}"}}
    if asked == "1":
        assert not gone
        assert rollout.deployments()["1"]["metadata"]["uid"] == known


def test_a_host_that_changes_keeps_the_former_one_for_a_while(
    api: ApiClient, ns: str, operator: OperatorProcess, kubelet: KubeletThread
) -> None:
    rollout = Rollout(api, ns, "moving")
    host = "moving.example.com"

    def hosts() -> set[str]:
        return {
            i["spec"]["rules"][0]["host"]
            for i in api.items("Ingress", ns)
            if i["metadata"]["name"].startswith("moving")
        }

    def current() -> bool | None:
        ready = rollout.condition("Ready")
        return (
            ready["status"] == "True"
            and ready["observedGeneration"] == api.get(rollout.path)["metadata"]["generation"]
        ) or None

    rollout.apply("models:/iris/1")
    rollout.wait_phase("Promoted", 1)
    rollout.apply("models:/iris/1", traffic={"host": f"new.{host}", "removalDelay": "1h"})
    wait_for(lambda: hosts() == {host, f"new.{host}"}, "both hosts")
    wait_for(current, "Ready")
    before = api.version("Ingress", ns)
    rollout.apply("models:/iris/2", traffic={"host": f"new.{host}", "removalDelay": "1h"})
    rollout.wait_phase("Promoted", 2)
    seen = [e["object"] for e in api.events_since("Ingress", ns, before)]
    weights = {
        (i["spec"]["rules"][0]["host"], i["metadata"].get("annotations", {}).get(WEIGHT))
        for i in seen
    }
    assert weights >= {
        (h, weight) for h in (host, f"new.{host}") for weight in ("10", "50", "100")
    }, "a trial has its share by either"
    assert hosts() == {host, f"new.{host}"}
    rollout.apply("models:/iris/2", traffic={"host": f"new.{host}", "removalDelay": "1s"})
    wait_for(lambda: hosts() == {f"new.{host}"}, "the former host to go")
    assert rollout.status()["attempt"] == 2


def test_a_host_and_path_belong_to_the_older_rollout(
    api: ApiClient, ns: str, operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout
) -> None:
    rollout.apply("models:/iris/1")
    rollout.wait_phase("Promoted", 1)
    # Creation is told in whole seconds.
    time.sleep(1.1)
    younger = Rollout(api, ns, "a-second")
    younger.apply("models:/iris/2", traffic={"host": "iris.example.com"})
    stalled = younger.wait_true("Stalled")
    assert f"ModelRollout {ns}/iris" in stalled["message"]
    assert "iris.example.com/" in stalled["message"]
    assert younger.condition("Ready")["status"] == "False"
    assert {i["metadata"]["name"] for i in api.items("Ingress", ns)} == {"iris"}
    younger.apply("models:/iris/2", traffic={"host": "iris.example.com", "path": "/second"})
    younger.wait_phase("Promoted", 1)
    younger.apply("models:/iris/2", traffic={"host": "iris.example.com", "removalDelay": "1s"})
    younger.wait_true("Stalled", "Stalled again")
    paths = {i["spec"]["rules"][0]["http"]["paths"][0]["path"] for i in api.items("Ingress", ns)}
    assert paths == {"/", "/second"}, "nothing of it moves"
    api.http.delete(rollout.path).raise_for_status()
    younger.wait_true("Ready", "the place to be free")
    wait_for(lambda: rollout_paths(api, ns, "a-second") == {"/"}, "its former path to go")


def test_a_host_that_an_older_rollout_takes_is_its_own_when_the_younger_one_has_left(
    api: ApiClient, ns: str, operator: OperatorProcess, kubelet: KubeletThread
) -> None:
    """The Ingress of the younger one is the older one, and routers serve it: nobody is Ready before
    it is gone.
    """
    older, younger = Rollout(api, ns, "taking"), Rollout(api, ns, "leaving")
    older.apply("models:/iris/1")
    older.wait_phase("Promoted", 1)
    # Creation is told in whole seconds.
    time.sleep(1.1)
    younger.apply("models:/iris/1")
    younger.wait_phase("Promoted", 1)
    older.apply("models:/iris/1", traffic={"host": "leaving.example.com", "removalDelay": "1s"})
    wait_for(
        lambda: older.condition("Ready")["reason"] == "RouteNotAccepted" or None,
        "the route to be another's still",
    )
    said = (
        f"leaving.example.com/ is answered by the older Ingress {ns}/leaving of ModelRollout"
        f" {ns}/leaving: take another"
    )
    assert said in older.condition("Ready")["message"]
    wait_for(
        lambda: younger.condition("Ready")["reason"] == "InvalidSpec" or None,
        "the younger one to be told",
    )
    time.sleep(3)
    hosts = {i["spec"]["rules"][0]["host"] for i in api.items("Ingress", ns)}
    assert hosts == {"taking.example.com", "leaving.example.com"}, "no way has gone"
    younger.apply("models:/iris/1", traffic={"host": "third.example.com", "removalDelay": "1s"})
    for one in (younger, older):

        def ready(one: Rollout = one) -> bool | None:
            return one.condition("Ready")["status"] == "True" or None

        wait_for(ready, f"{one.name} to be Ready")
    younger.apply("models:/iris/1", traffic={"host": "taking.example.com", "removalDelay": "1s"})
    wait_for(
        lambda: younger.status()["routes"][0]["host"] == "taking.example.com" or None, "a swap"
    )
    wait_for(lambda: younger.condition("Ready")["status"] == "True" or None, "it to be Ready")


def test_a_host_of_somebody_elses_ingress_is_said(
    api: ApiClient, ns: str, operator: OperatorProcess, kubelet: KubeletThread
) -> None:
    """Routers serve the older of two: a first deploy on such a host is never promoted, and a
    younger one takes nothing.
    """
    host, path = "shop.example.com", path_of("Ingress", ns)
    backend = {"service": {"name": "shop", "port": {"number": 80}}}

    def ingress(name: str, where: str) -> dict[str, Any]:
        rules = [
            {
                "host": host,
                "http": {"paths": [{"path": where, "pathType": "Prefix", "backend": backend}]},
            }
        ]
        return {"metadata": {"name": name}, "spec": {"ingressClassName": "nginx", "rules": rules}}

    api.http.post(path, json=ingress("shop", "/")).raise_for_status()
    api.http.post(path, json=ingress("longer", "/shop")).raise_for_status()
    rollout = Rollout(api, ns, "shared")
    rollout.apply("models:/iris/1", traffic={"host": host})
    said = wait_for(lambda: rollout.condition("HostShared") or None, "the condition")
    assert f"Ingress {ns}/shop: " in said["message"]
    assert "longer" not in said["message"], "a longer path is another place"
    rollout.wait_phase("Switching", 1)
    until = time.monotonic() + 5
    while time.monotonic() < until:
        assert rollout.status()["phase"] == "Switching"
        assert rollout.condition("Ready")["status"] != "True"
        time.sleep(0.2)
    events = [
        e
        for e in api.get(f"/api/v1/namespaces/{ns}/events")["items"]
        if e["involvedObject"]["name"] == "shared"
    ]
    assert [e["type"] for e in events if e["reason"] == "HostShared"] == ["Warning"]
    api.http.delete(f"{path}/shop").raise_for_status()
    wait_for(
        lambda: rollout.condition("Ready").get("status") == "True" or None, "the place to be free"
    )
    assert rollout.condition("HostShared") == {}
    # Creation is told in whole seconds.
    time.sleep(1.1)
    api.http.post(path, json=ingress("shop", "/")).raise_for_status()
    wait_for(lambda: rollout.condition("HostShared") or None, "the condition")
    assert rollout.condition("Ready")["status"] == "True", "the older one, ours, is served"
    api.http.delete(f"{path}/shared").raise_for_status()
    wait_for(
        lambda: rollout.condition("Ready")["reason"] == "RouteNotAccepted" or None,
        "ours to be the younger one, made again",
    )
    wait_for(
        lambda: "shared" in {i["metadata"]["name"] for i in api.items("Ingress", ns)} or None,
        "it to be there again",
    )


def rollout_paths(api: ApiClient, ns: str, name: str) -> set[str]:
    """The paths of a rollout's Ingresses."""
    own = [
        i for i in api.items("Ingress", ns) if i["metadata"]["labels"][f"{GROUP}/rollout"] == name
    ]
    return {i["spec"]["rules"][0]["http"]["paths"][0]["path"] for i in own}


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


def test_a_registry_that_is_down_is_waited_for(
    operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout, world: ScriptedWorld
) -> None:
    world.registry_down = True
    rollout.apply("models:/iris/1")
    wait_for(lambda: rollout.status().get("reason") == "RegistryUnreachable", "the reason")
    assert rollout.condition("Reconciling")["status"] == "True"
    world.registry_down = False
    rollout.wait_phase("Promoted", 1)


def test_prometheus_that_is_down_is_waited_for(
    operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout, world: ScriptedWorld
) -> None:
    rollout.apply("models:/iris/1", analysis={"interval": "1s", "maxHold": "60s"})
    rollout.wait_phase("Promoted", 1)
    world.prometheus_down = True
    rollout.apply("models:/iris/2", analysis={"interval": "1s", "maxHold": "60s"})
    wait_for(lambda: rollout.status().get("reason") == "WaitingForEvidence", "the reason")
    time.sleep(3)
    assert rollout.weight() == 10
    world.prometheus_down = False
    rollout.wait_phase("Promoted", 2)


def slowed(operator: OperatorProcess) -> None:
    """Started anew so that phases that wait for the router last 5 s: one of 1 s may be over before
    anybody has seen it.
    """
    operator.kill()
    operator.environment["ROUTER_DRAIN_SECONDS"] = "5"
    operator.start()


@pytest.mark.parametrize("phase", ["Starting", "Trial", "Shifting", "Switching"])
def test_killed_and_restarted_while(
    phase: str,
    api: ApiClient,
    ns: str,
    operator: OperatorProcess,
    kubelet: KubeletThread,
    world: ScriptedWorld,
) -> None:
    rollout, hold = Rollout(api, ns, f"iris-{phase.lower()}"), "5s" if phase == "Trial" else "1s"
    slowed(operator)
    rollout.apply("models:/iris/1")
    rollout.wait_phase("Promoted", 1)
    # Pods that are Ready at once could end Starting before anybody has seen it.
    kubelet.broken |= {"2"} if phase == "Starting" else set()
    rollout.apply(
        "models:/iris/2",
        strategy={"steps": [{"weight": 10, "hold": hold}, {"weight": 50, "hold": hold}]},
    )
    wait_for(lambda: rollout.status()["phase"] == phase, phase)
    operator.kill()
    kubelet.broken.clear()
    operator.start()
    done = rollout.wait_phase("Promoted", 2)
    assert [h["verdict"] for h in done["history"]] == ["Promoted", "Promoted"]


def test_killed_and_restarted_while_rolling_back(
    operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout
) -> None:
    slowed(operator)
    rollout.apply("models:/iris/1")
    rollout.wait_phase("Promoted", 1)
    rollout.apply("models:/iris/3")
    wait_for(lambda: rollout.status()["phase"] == "RollingBack", "RollingBack")
    operator.kill()
    operator.start()
    done = rollout.wait_phase("RolledBack", 2)
    assert [h["verdict"] for h in done["history"]] == ["RolledBack", "Promoted"]
    wait_for(lambda: set(rollout.deployments()) == {"1"}, "the candidate's pods to go")


def test_killed_after_every_decision(
    operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout, world: ScriptedWorld
) -> None:
    """SIGKILL as soon as a new status is seen, whatever was under way, from the first deploy on,
    until there were ten kills.
    """
    world.accuracy["3"] = 0.95
    version, others, asked, kills = "1", cycle("23"), 1, 0
    rollout.apply("models:/iris/1")
    seen = rollout.status()
    while True:
        rollout.wait_change(seen, 40)
        operator.kill()
        kills += 1
        seen = rollout.status()
        if seen.get("phase") == "Promoted" and seen["stable"]["version"] == version:
            if kills >= 10 and version != "1":
                break
            version = next(others)
            rollout.apply(f"models:/iris/{version}")
            asked += 1
        operator.start()
    assert [h["verdict"] for h in seen["history"]] == ["Promoted"] * asked
    operator.start()
    wait_for(lambda: set(rollout.deployments()) == {version}, "the old pods to go")


def test_drift_is_repaired(
    api: ApiClient,
    ns: str,
    operator: OperatorProcess,
    kubelet: KubeletThread,
    rollout: Rollout,
    world: ScriptedWorld,
) -> None:
    rollout.apply("models:/iris/1")
    rollout.wait_phase("Promoted", 1)
    world.accuracy["2"] = None
    rollout.apply("models:/iris/2", analysis={"interval": "1s", "maxHold": "10m"})
    wait_for(lambda: rollout.weight() == 10, "weight 10")
    canary = path_of("Ingress", ns, "iris-canary")
    before = rollout.status()
    api.patch(canary, {"metadata": {"annotations": {WEIGHT: "90"}}})
    wait_for(lambda: rollout.weight() == 10, "the weight to be repaired")
    api.http.delete(canary)
    wait_for(lambda: rollout.weight() == 10, "the canary Ingress to be made again")
    after = rollout.status()
    for what in ("phase", "attempt", "step", "stepSince", "weight", "candidate"):
        assert after[what] == before[what], "nothing of it is taken for progress"


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


@pytest.mark.parametrize("variable", ["METRICS_PORT", "HEALTH_PORT"])
def test_the_operator_ends_where_a_port_is_taken(
    variable: str, api: ApiClient, ns: str, world: ScriptedWorld, tmp_path: Path
) -> None:
    with socket.create_server(("", 0)) as taken, served(world) as url:
        operator = OperatorProcess(
            api.kubeconfig, url, tmp_path / "operator.log", WATCH_NAMESPACES=ns
        )
        operator.environment[variable] = str(port := taken.getsockname()[1])
        with operator:
            assert operator.process is not None
            assert operator.process.wait(60) == 1
    said = (tmp_path / "operator.log").read_text()
    assert said.rstrip().endswith(
        f"The operator ends: {variable}={port} cannot be opened: Address already in use. Write"
        " another port, or end what listens there."
    )


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
    told = {(e["type"], e["reason"]) for e in api.get(f"/api/v1/namespaces/{ns}/events")["items"]}
    assert told == {("Warning", "GateFailed")}, "verdicts and trouble, and nothing else"
