"""Callers inside the cluster: no route is made, and the Service divides connections by its pods."""

from itertools import groupby
from typing import Any

from rollout_operator.domain.api.names import REVISION, ROLLOUT
from tests.support.api_client import ApiClient, wait_for
from tests.support.fake_kubelet import KubeletThread
from tests.support.kinds import path_of
from tests.support.operator_process import OperatorProcess
from tests.support.rollout import Rollout

INSIDE = {"provider": "None"}
ALL = "all"


def selections(api: ApiClient, ns: str, version: str) -> list[str]:
    """What the rollout's own Service has selected since, in order: a revision, or all."""
    events = api.events_since("Service", ns, version)
    own = [
        e["object"]["spec"]["selector"] for e in events if e["object"]["metadata"]["name"] == "iris"
    ]
    assert all(selector[ROLLOUT] == "iris" for selector in own)
    return [one for one, _ in groupby(selector.get(REVISION, ALL) for selector in own)]


def routes(api: ApiClient, ns: str) -> list[str]:
    return [i["metadata"]["name"] for i in api.items("Ingress", ns)]


def test_the_service_divides_connections_by_its_pods(
    api: ApiClient, ns: str, operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout
) -> None:
    wanted: dict[str, Any] = {"traffic": INSIDE, "replicas": 3}
    assert rollout.apply("models:/iris/1", **wanted).status_code == 201
    first = rollout.wait_phase("Promoted", 1)
    assert rollout.condition("Ready")["status"] == "True"
    assert not routes(api, ns)
    assert [route["provider"] for route in first["routes"]] == ["None"]

    before = api.version("Service", ns)
    since = api.version("ModelRollout", ns)
    rollout.apply("models:/iris/2", **wanted)
    second = rollout.wait_phase("Promoted", 2)
    one, two = (status["stable"]["revision"] for status in (first, second))
    assert selections(api, ns, before) == [ALL, two]
    told = rollout.statuses_since(since)
    assert {(s["candidate"]["replicas"], s["weight"]) for s in told if s["phase"] == "Trial"} == {
        (1, 10),
        (3, 50),
    }
    assert {25, 50} <= {s["share"] for s in told if "share" in s}
    assert any("25 % of connections go to models:/iris/2" in s["message"] for s in told)
    wait_for(lambda: set(rollout.deployments()) == {"2"}, "the old pods to go")

    before = api.version("Service", ns)
    rollout.apply("models:/iris/3", **wanted)
    third = rollout.wait_phase("RolledBack", 3)
    assert third["gates"][0]["value"] == 0.62
    assert selections(api, ns, before) == [ALL, two]
    assert one not in str(api.get(path_of("Service", ns, "iris"))["spec"])
    assert not routes(api, ns)


def test_a_route_that_is_left_for_the_service_answers_on_for_a_while(
    api: ApiClient, ns: str, operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout
) -> None:
    rollout.apply("models:/iris/1")
    rollout.wait_phase("Promoted", 1)
    rollout.apply("models:/iris/1", traffic={**INSIDE, "removalDelay": "1h"})
    wait_for(
        lambda: [r["provider"] for r in rollout.status()["routes"]] == ["None", "Ingress"], "both"
    )
    assert routes(api, ns) == ["iris"]
    rollout.apply("models:/iris/2", traffic={**INSIDE, "removalDelay": "1h"})
    rollout.wait_phase("Promoted", 2)
    assert routes(api, ns) == ["iris"], "what comes by it was divided with the rest"
    rollout.apply("models:/iris/2", traffic={**INSIDE, "removalDelay": "1s"})
    wait_for(lambda: not routes(api, ns), "the former route to go")
    rollout.apply("models:/iris/2", traffic={"host": "iris.example.com", "removalDelay": "1s"})
    wait_for(lambda: routes(api, ns) == ["iris"], "a route again")
    rollout.wait_true("Ready")
    assert rollout.status()["attempt"] == 2
