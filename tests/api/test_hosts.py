"""Whose a host and a path are: rollouts that change theirs, or want what another has."""

import time
from typing import Any

from tests.support.api_client import ApiClient, wait_for
from tests.support.fake_kubelet import KubeletThread
from tests.support.kinds import GROUP, WEIGHT, path_of
from tests.support.operator_process import OperatorProcess
from tests.support.rollout import Rollout


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


def test_several_hosts_share_one_route_and_one_trial(
    api: ApiClient, ns: str, operator: OperatorProcess, kubelet: KubeletThread
) -> None:
    rollout = Rollout(api, ns, "several")
    a, b, c = (f"{name}.several.example.com" for name in "abc")

    def hosts() -> dict[str, list[str]]:
        return {
            i["metadata"]["name"]: [rule["host"] for rule in i["spec"]["rules"]]
            for i in api.items("Ingress", ns)
        }

    rollout.apply("models:/iris/1", traffic={"host": a, "removalDelay": "2s"})
    rollout.wait_phase("Promoted", 1)
    more = {"host": a, "hosts": [b], "removalDelay": "2s"}
    rollout.apply("models:/iris/1", traffic=more)
    wait_for(lambda: hosts() == {"several": [a, b]}, "a host more, in place")
    before = api.version("Ingress", ns)
    rollout.apply("models:/iris/2", traffic=more)
    rollout.wait_phase("Promoted", 2)
    seen = [e["object"] for e in api.events_since("Ingress", ns, before)]
    shares = {
        (rule["host"], i["metadata"].get("annotations", {}).get(WEIGHT))
        for i in seen
        for rule in i["spec"]["rules"]
    }
    assert shares >= {(h, weight) for h in (a, b) for weight in ("10", "50", "100")}
    rollout.apply("models:/iris/2", traffic={"hosts": [b, c], "removalDelay": "2s"})
    wait_for(lambda: hosts() == {"several": [b, c, a]}, "the former host to answer on")
    wait_for(lambda: hosts() == {"several": [b, c]}, "it to go")
    assert rollout.status()["attempt"] == 2
    time.sleep(1.1)
    younger = Rollout(api, ns, "a-second")
    younger.apply("models:/iris/2", traffic={"host": a, "hosts": [c]})
    stalled = younger.wait_true("Stalled")
    assert f"ModelRollout {ns}/several" in stalled["message"]
    younger.apply("models:/iris/2", traffic={"host": a})
    younger.wait_phase("Promoted", 1)


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
    said = (
        f"leaving.example.com/ is answered by the older Ingress {ns}/leaving of ModelRollout"
        f" {ns}/leaving: take another"
    )
    # For a moment it is only being made.
    wait_for(
        lambda: said in older.condition("Ready")["message"] or None,
        "the route to be another's still",
    )
    assert older.condition("Ready")["reason"] == "RouteNotAccepted"
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
