"""HTTPRoute against a real API server with Gateway API's own CRDs; the Gateway's controller is
played, because none runs here.
"""

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import groupby
from typing import Any

import pytest

from scripts.cluster.apiserver import free_port
from tests.api.cli import Cli
from tests.api.refusals import refusing
from tests.support.api_client import ApiClient, wait_for
from tests.support.fake_kubelet import KubeletThread
from tests.support.gateway_controller import Controller
from tests.support.kinds import path_of
from tests.support.operator_process import OperatorProcess
from tests.support.rollout import Rollout
from tests.support.scripted_world import ScriptedWorld, served
from tests.support.spec_cases import REFUSED_TRAFFIC, TRAFFIC


def shares(api: ApiClient, ns: str) -> tuple[int, ...] | None:
    """The weights of the rule for everybody: stable's first; None where there is no route."""
    routes = api.get(path_of("HTTPRoute", ns))["items"]
    return shares_of(routes[0]) if routes else None


def shares_of(route: dict[str, Any]) -> tuple[int, ...]:
    return tuple(b["weight"] for b in route["spec"]["rules"][0]["backendRefs"])


def shares_since(api: ApiClient, ns: str, version: str) -> list[tuple[int, ...]]:
    """Every share that the route has had since, in order."""
    return [
        share
        for share, _ in groupby(
            shares_of(event["object"]) for event in api.events_since("HTTPRoute", ns, version)
        )
    ]


def at(api: ApiClient, ns: str, expected: tuple[int, ...]) -> bool:
    return shares(api, ns) == expected


def test_promote_then_roll_back_over_an_http_route(
    api: ApiClient, ns: str, started: OperatorProcess, kubelet: KubeletThread, rollout: Rollout
) -> None:
    assert rollout.apply("models:/iris/1", traffic=TRAFFIC).status_code == 201
    rollout.wait_phase("Promoted", 1)
    assert shares(api, ns) == (100,)
    assert not api.items("Ingress", ns)
    before = api.get(path_of("HTTPRoute", ns))["metadata"]["resourceVersion"]
    rollout.apply("models:/iris/2", traffic=TRAFFIC)
    rollout.wait_phase("Promoted", 2)
    wait_for(lambda: shares(api, ns) == (100,), "the canary's share to go")
    found = shares_since(api, ns, before)
    assert [share for share in found if share != (100,)] == [(90, 10), (50, 50), (0, 100)], found
    rollout.apply("models:/iris/3", traffic=TRAFFIC)
    rollout.wait_phase("RolledBack", 3)
    wait_for(lambda: shares(api, ns) == (100,), "the candidate to be out of the route")


def test_a_gateway_that_does_not_follow_holds_the_weight(
    api: ApiClient,
    ns: str,
    started: OperatorProcess,
    kubelet: KubeletThread,
    rollout: Rollout,
    controller: Controller,
    world: ScriptedWorld,
) -> None:
    analysis = {"interval": "1s", "maxHold": "60s"}
    rollout.apply("models:/iris/1", traffic=TRAFFIC, analysis=analysis)
    rollout.wait_phase("Promoted", 1)
    controller.follows = False
    rollout.apply("models:/iris/2", traffic=TRAFFIC, analysis=analysis)
    wait_for(
        lambda: "the Gateway has not taken" in rollout.status()["message"], "the status to tell"
    )
    assert shares(api, ns) == (90, 10)
    assert rollout.status()["step"] == 0
    assert "the Gateway has not taken" in rollout.status()["waitsFor"]
    with served(world) as prometheus:
        said = " ".join(
            Cli(api.kubeconfig, ns).ok("explain", "iris", "--prometheus", prometheus).split()
        )
    assert "would stay: Holding at weight 10: route: the Gateway has not taken" in said, said
    controller.follows = True
    rollout.wait_phase("Promoted", 2)


def test_a_first_deploy_that_no_gateway_accepts_says_why(
    api: ApiClient,
    ns: str,
    started: OperatorProcess,
    kubelet: KubeletThread,
    rollout: Rollout,
    controller: Controller,
) -> None:
    controller.refuses = "NotAllowedByListeners"
    rollout.apply("models:/iris/1", deadline="15s", traffic=TRAFFIC)
    rollout.wait_phase("RolledBack", 1)
    assert "NotAllowedByListeners" in rollout.condition("Stalled")["message"]
    assert shares(api, ns) is None


def test_a_first_deploy_on_a_gateway_that_does_not_exist_is_never_promoted(
    api: ApiClient,
    ns: str,
    started: OperatorProcess,
    kubelet: KubeletThread,
    controller: Controller,
) -> None:
    rollout, before = Rollout(api, ns, "nowhere"), api.version("ModelRollout", ns)
    controller.follows = False
    rollout.apply(
        "models:/iris/1", deadline="6s", traffic={**TRAFFIC, "host": "nowhere.example.com"}
    )
    rollout.wait_phase("RolledBack", 1)
    assert (
        "no controller has said anything of the Gateway public"
        in rollout.condition("Stalled")["message"]
    )
    assert never_well(rollout, before)


def test_a_first_deploy_whose_http_route_is_refused_is_never_promoted(
    api: ApiClient,
    ns: str,
    started: OperatorProcess,
    kubelet: KubeletThread,
    controller: Controller,
) -> None:
    rollout, before = Rollout(api, ns, "no-route"), api.version("ModelRollout", ns)
    with refusing(api, ns, "httproutes", "gateway.networking.k8s.io"):
        rollout.apply(
            "models:/iris/1", deadline="14s", traffic={**TRAFFIC, "host": "no-route.example.com"}
        )
        rollout.wait_phase("RolledBack", 1)
        assert "no httproutes here" in rollout.condition("Stalled")["message"]
    assert never_well(rollout, before)


def never_well(rollout: Rollout, version: str) -> bool:
    """Whether no status since then was Promoted or Ready."""
    written = rollout.statuses_since(version)
    return (
        bool(written)
        and not any(map(ready, written))
        and "Promoted" not in {s.get("phase") for s in written}
    )


def ready(status: dict[str, Any]) -> bool:
    return any((c["type"], c["status"]) == ("Ready", "True") for c in status.get("conditions", ()))


@pytest.fixture
def on_trial(
    api: ApiClient, ns: str, started: OperatorProcess, kubelet: KubeletThread, rollout: Rollout
) -> Rollout:
    """A rollout in the first step of a long trial."""
    rollout.apply("models:/iris/1", traffic=TRAFFIC)
    rollout.wait_phase("Promoted", 1)
    rollout.apply(
        "models:/iris/2",
        traffic=TRAFFIC,
        strategy={"steps": [{"weight": 10, "hold": "10m"}, {"weight": 50, "hold": "10m"}]},
    )
    rollout.wait_phase("Trial", 2)
    wait_for(partial(at, api, ns, (90, 10)), "shares 90 and 10")
    return rollout


def repaired(api: ApiClient, ns: str, rollout: Rollout, before: dict[str, Any]) -> None:
    """Wait until the route says again what was decided; nothing of it was taken for progress."""
    wait_for(partial(at, api, ns, (90, 10)), "the route to be repaired")
    after = rollout.status()
    for what in ("phase", "step", "weight", "attempt", "stepSince"):
        assert after.get(what) == before.get(what)


def test_an_http_route_deleted_mid_trial_comes_back(
    api: ApiClient, ns: str, on_trial: Rollout
) -> None:
    before = on_trial.status()
    api.http.delete(f"{path_of('HTTPRoute', ns)}/iris").raise_for_status()
    repaired(api, ns, on_trial, before)


def test_shares_edited_by_hand_mid_trial_are_set_right(
    api: ApiClient, ns: str, on_trial: Rollout
) -> None:
    before, path = on_trial.status(), f"{path_of('HTTPRoute', ns)}/iris"
    rules = api.get(path)["spec"]["rules"]
    for backend, weight in zip(rules[0]["backendRefs"], (0, 100), strict=True):
        backend["weight"] = weight
    api.patch(path, {"spec": {"rules": rules}}).raise_for_status()
    repaired(api, ns, on_trial, before)


def test_from_ingress_to_http_route(
    api: ApiClient, ns: str, started: OperatorProcess, kubelet: KubeletThread, rollout: Rollout
) -> None:
    rollout.apply("models:/iris/1")
    rollout.wait_phase("Promoted", 1)
    assert [i["metadata"]["name"] for i in api.items("Ingress", ns)] == ["iris"]
    rollout.apply("models:/iris/1", traffic={**TRAFFIC, "removalDelay": "2s"})
    wait_for(
        lambda: shares(api, ns) == (100,) and not api.items("Ingress", ns),
        "the route to replace the Ingress",
    )
    assert rollout.status()["attempt"] == 1, "the model is the same: no new trial"


def test_a_gateway_that_does_not_exist_takes_nothing_away(
    api: ApiClient,
    ns: str,
    started: OperatorProcess,
    kubelet: KubeletThread,
    controller: Controller,
) -> None:
    """The typing error of the field trial: the Ingress was deleted at once, every request was 404,
    and Ready=True.
    """
    rollout = Rollout(api, ns, "mistyped")
    rollout.apply("models:/iris/1")
    rollout.wait_phase("Promoted", 1)
    traffic = {**TRAFFIC, "host": "mistyped.example.com", "removalDelay": "2s"}

    def ingresses() -> set[str]:
        return {
            i["metadata"]["name"]
            for i in api.items("Ingress", ns)
            if i["spec"]["rules"][0]["host"] == "mistyped.example.com"
        }

    controller.follows = False
    rollout.apply("models:/iris/1", deadline="6s", traffic=traffic)
    said = wait_for(lambda: rollout.says("Reconciling"), "Reconciling")
    assert "HTTPRoute for mistyped.example.com/ is not accepted" in said
    assert "Ingress mistyped.example.com/" in said, "what still answers is named"
    said = wait_for(lambda: rollout.says("Stalled"), "Stalled after progressDeadline")
    assert "no controller has said anything of the Gateway public" in said
    assert rollout.condition("Ready")["status"] == "False"
    assert rollout.condition("Ready")["reason"] == "RouteNotAccepted"
    assert ingresses() == {"mistyped"}, "the way by which requests come stays"
    controller.follows, controller.refuses = True, "NoMatchingParent"
    wait_for(
        lambda: "NoMatchingParent" in (rollout.says("Stalled") or ""), "the Gateway's own sentence"
    )
    assert ingresses() == {"mistyped"}
    controller.refuses = ""
    wait_for(lambda: rollout.says("Ready"), "Ready once the Gateway has accepted it")
    assert ingresses() == {"mistyped"}, "both for a while: names of hosts have to move"
    wait_for(lambda: not ingresses(), "the former way to go after removalDelay")
    assert rollout.condition("Ready")["status"] == "True"
    assert rollout.status()["attempt"] == 1, "the model is the same: no new trial"


@dataclass
class Router:
    """A Gateway's router on loopback: nobody listens there before `open`; then all requests get
    this status and body.
    """

    api: ApiClient
    ns: str
    status: int = 404
    body: str = "404 page not found"
    port: int = field(default_factory=free_port)
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    def publish(self) -> None:
        """Make the Gateway, and write the address into its status as a controller does."""
        path = path_of("Gateway", self.ns)
        spec = {
            "gatewayClassName": "played",
            "listeners": [{"name": "web", "port": self.port, "protocol": "HTTP"}],
        }
        made = {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "Gateway",
            "metadata": {"name": "public"},
            "spec": spec,
        }
        self.api.http.post(path, json=made).raise_for_status()
        address = {"status": {"addresses": [{"type": "IPAddress", "value": "127.0.0.1"}]}}
        self.api.patch(f"{path}/public/status", address).raise_for_status()

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Listen."""
        router = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                router.asked.append((self.path, self.headers["Host"]))
                self.send_response(router.status)
                self.end_headers()
                self.wfile.write(router.body.encode())

            def log_message(self, *_: Any) -> None:
                return

        server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()

    def lead_to(self, revision: str) -> None:
        """Answer as the model server's /health/ does."""
        self.status, self.body = 200, json.dumps({"status": "ready", "revision": revision})


def test_a_route_that_answers_nobody_takes_nothing_away(
    api: ApiClient,
    ns: str,
    started: OperatorProcess,
    kubelet: KubeletThread,
    controller: Controller,
) -> None:
    """Accepted by its Gateway, and nothing behind it: the former way stays until a request came
    through the new one.
    """
    rollout, router = Rollout(api, ns, "silent"), Router(api, ns)
    router.publish()
    rollout.apply("models:/iris/1")
    rollout.wait_phase("Promoted", 1)

    def ingresses() -> set[str]:
        return {i["metadata"]["name"] for i in api.items("Ingress", ns)}

    version = api.version("ModelRollout", ns)
    rollout.apply(
        "models:/iris/1",
        deadline="4s",
        traffic={**TRAFFIC, "host": "silent.example.com", "path": "/v1", "removalDelay": "2s"},
    )
    said = wait_for(lambda: rollout.says("Stalled"), "Stalled after progressDeadline")
    assert (
        "HTTPRoute for silent.example.com/v1 is accepted and does not answer: GET http://127.0.0.1:"
        in said
    )
    assert "Ingress silent.example.com/" in said, "what still answers is named"
    assert rollout.condition("Ready")["reason"] == "RouteDoesNotAnswer"
    with router.open():
        wait_for(lambda: "HTTP 404" in (rollout.says("Stalled") or ""), "what the router says")
        assert ingresses() == {"silent"}, "the way by which requests come stays"
        assert not [
            s for s in rollout.statuses_since(version) if s["observedGeneration"] == 2 and ready(s)
        ]
        router.lead_to(rollout.status()["stable"]["revision"])
        wait_for(lambda: rollout.says("Ready"), "Ready once a pod of the rollout answers")
        assert ingresses() == {"silent"}, "both for a while: names of hosts have to move"
        assert set(router.asked) == {("/v1/health/", "silent.example.com")}
        wait_for(lambda: not ingresses(), "the former way to go after removalDelay")
    assert rollout.condition("Ready")["status"] == "True", "what was seen once is not asked again"


def test_a_first_deploy_whose_route_answers_nobody_is_never_promoted(
    api: ApiClient,
    ns: str,
    started: OperatorProcess,
    kubelet: KubeletThread,
    controller: Controller,
) -> None:
    rollout, router = Rollout(api, ns, "unled"), Router(api, ns)
    router.publish()
    version = api.version("ModelRollout", ns)
    with router.open():
        rollout.apply(
            "models:/iris/1", deadline="6s", traffic={**TRAFFIC, "host": "unled.example.com"}
        )
        rollout.wait_phase("RolledBack", 1)
        said = rollout.condition("Stalled")["message"]
        assert (
            f"GET http://127.0.0.1:{router.port}/health/ with Host unled.example.com came back with"
            " HTTP 404" in said
        )
        assert never_well(rollout, version)
        router.lead_to(rollout.status()["candidate"]["revision"])
        api.patch(
            rollout.path, {"metadata": {"annotations": {"rollouts.mlops.dev/retry": "1"}}}
        ).raise_for_status()
        rollout.wait_phase("Promoted", 2)
    assert rollout.status()["routes"][0]["seenAt"]


@pytest.mark.parametrize(("traffic", "told"), REFUSED_TRAFFIC.values(), ids=REFUSED_TRAFFIC.keys())
def test_traffic_that_is_refused_at_admission(
    ns: str, rollout: Rollout, traffic: dict[str, Any], told: str
) -> None:
    reply = rollout.apply("models:/iris/1", traffic=traffic)
    assert reply.status_code >= 400, reply.text
    assert told in reply.text


def test_a_mirror_that_the_gateways_cannot_do_is_told_and_not_written(
    api: ApiClient, ns: str, started: OperatorProcess, kubelet: KubeletThread, rollout: Rollout
) -> None:
    rollout.apply("models:/iris/1", traffic={**TRAFFIC, "mirrorPercent": 10})
    wait_for(lambda: rollout.condition("Stalled").get("reason") == "InvalidSpec", "the reason")
    assert "GATEWAY_MIRRORS" in rollout.condition("Stalled")["message"]
    assert shares(api, ns) is None
