"""The routers: what they are told in each phase,
and what a Gateway's silence does to an attempt.
"""

from dataclasses import replace
from typing import Any

import pytest

from rollout_operator.desired.build import build
from rollout_operator.desired.common import NO_GATEWAYS, Gateways, Manifest, Owner
from rollout_operator.domain.api.route_status import Route
from rollout_operator.domain.api.status import Status
from rollout_operator.domain.api.traffic import Provider
from rollout_operator.domain.api.words import Phase
from rollout_operator.domain.gateway_status import unaccepted
from rollout_operator.domain.machine.decide import decide
from rollout_operator.domain.machine.decision import Plan
from rollout_operator.domain.observed import Heard, Observed
from rollout_operator.domain.route import NOT_YET, asked_now
from rollout_operator.domain.route_trouble import Ways
from tests.support.builders import UID, accuracy, at, observed, on_trial, ready, revision, spec

OWNER = Owner(UID, "iris", "models")
V1, V2 = revision(1), revision(2)
CANDIDATE = f"iris-{V2.revision}"
GATEWAY = {"provider": "HTTPRoute", "host": "iris.example.com", "parentRefs": [{"name": "public"}]}


def routed(
    status: Status, traffic: dict[str, Any] = GATEWAY, gateways: Gateways = NO_GATEWAYS
) -> dict[str, Manifest]:
    made = build(OWNER, spec("models:/iris/2", traffic=traffic), status, {}, gateways)
    return {
        f"{m['kind']}/{m['metadata']['name']}": m
        for m in made
        if m["kind"] in {"Ingress", "HTTPRoute"}
    }


def shares(status: Status, **traffic: Any) -> list[list[tuple[str, int]]]:
    """Backends and weights of each rule of the HTTPRoute."""
    rules = routed(status, {**GATEWAY, **traffic})["HTTPRoute/iris"]["spec"]["rules"]
    return [[(b["name"], b["weight"]) for b in rule["backendRefs"]] for rule in rules]


SHARES = {
    "no candidate": (Status(phase=Phase.PROMOTED, stable=V1), [[("iris", 100)]]),
    "starting": (on_trial(phase=Phase.STARTING, weight=0), [[("iris", 100)]]),
    "on trial, testers choose": (
        on_trial(weight=10),
        [[("iris", 90), (CANDIDATE, 10)], [(CANDIDATE, 100)]],
    ),
    "shifting": (on_trial(phase=Phase.SHIFTING, weight=100), [[("iris", 0), (CANDIDATE, 100)]]),
    "settling": (on_trial(phase=Phase.SETTLING, weight=0), [[("iris", 100)]]),
    "rolling back, testers too": (on_trial(phase=Phase.ROLLING_BACK, weight=0), [[("iris", 100)]]),
}


@pytest.mark.parametrize(("status", "expected"), SHARES.values(), ids=SHARES.keys())
def test_the_shares_of_an_http_route_add_up_to_100(
    status: Status, expected: list[list[tuple[str, int]]]
) -> None:
    found = shares(status)
    assert found == expected
    assert {sum(weight for _, weight in rule) for rule in found} == {100}


def test_the_rule_of_the_weights_keeps_its_number() -> None:
    """Envoy Gateway names its clusters by the rules' numbers: another number is another cluster,
    and requests get 503 until Envoy knows it.
    """
    for status, _ in SHARES.values():
        rules = routed(status)["HTTPRoute/iris"]["spec"]["rules"]
        assert ["headers" in rule["matches"][0] for rule in rules] == [False, True][: len(rules)]


def test_a_first_deploy_has_no_route_before_the_switch() -> None:
    assert not routed(Status(phase=Phase.STARTING, candidate=V1))
    assert set(routed(Status(phase=Phase.SWITCHING, candidate=V1))) == {"HTTPRoute/iris"}


def test_testers_choose_by_header_with_either_router() -> None:
    header = routed(on_trial())["HTTPRoute/iris"]["spec"]["rules"][1]["matches"][0]["headers"]
    assert header == [{"type": "Exact", "name": "X-Model-Candidate", "value": "true"}]
    canary = routed(on_trial(), {"host": "iris.example.com"})["Ingress/iris-canary"]["metadata"][
        "annotations"
    ]
    assert canary["nginx.ingress.kubernetes.io/canary-by-header"] == "X-Model-Candidate"
    assert canary["nginx.ingress.kubernetes.io/canary-by-header-value"] == "true"


def test_testers_choose_nothing_outside_of_a_trial() -> None:
    assert set(routed(on_trial(weight=0), {"host": "iris.example.com"})) == {"Ingress/iris"}
    canary = routed(on_trial(weight=100), {"host": "iris.example.com"})["Ingress/iris-canary"][
        "metadata"
    ]["annotations"]
    assert set(canary) == {
        "nginx.ingress.kubernetes.io/canary",
        "nginx.ingress.kubernetes.io/canary-weight",
    }


def test_the_gateway_is_where_the_operator_is_told_it_is() -> None:
    own = routed(on_trial())["HTTPRoute/iris"]["spec"]["parentRefs"]
    shared = routed(on_trial(), gateways=Gateways("gateways"))["HTTPRoute/iris"]["spec"][
        "parentRefs"
    ]
    assert own == [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "public"}]
    assert shared == [
        {
            "group": "gateway.networking.k8s.io",
            "kind": "Gateway",
            "namespace": "gateways",
            "name": "public",
        }
    ]


def test_a_shadow_copies_requests_only_while_the_candidate_is_on_trial() -> None:
    shadowed = {**GATEWAY, "mirrorPercent": 20}
    trial = routed(on_trial(), shadowed)["HTTPRoute/iris"]["spec"]["rules"]
    mirror = {
        "backendRef": {"group": "", "kind": "Service", "name": CANDIDATE, "port": 80},
        "percent": 20,
    }
    assert trial[0]["filters"] == [{"type": "RequestMirror", "requestMirror": mirror}]
    assert "filters" not in trial[1], "a tester's own request is not copied"
    for phase, weight in ((Phase.STARTING, 0), (Phase.SHIFTING, 100), (Phase.ROLLING_BACK, 0)):
        (rule,) = routed(on_trial(phase=phase, weight=weight), shadowed)["HTTPRoute/iris"]["spec"][
            "rules"
        ]
        assert "filters" not in rule


def test_tls_is_on_the_stable_ingress() -> None:
    made = routed(on_trial(), {"host": "iris.example.com", "tlsSecret": "iris-tls"})
    assert made["Ingress/iris"]["spec"]["tls"] == [
        {"hosts": ["iris.example.com"], "secretName": "iris-tls"}
    ]
    assert "tls" not in made["Ingress/iris-canary"]["spec"]


def test_annotations_are_on_the_hosts_route_and_those_of_nginx_on_its_canary() -> None:
    asked = {
        "cert-manager.io/issuer": "company",
        "nginx.ingress.kubernetes.io/auth-url": "http://a",
    }
    by_ingress = routed(on_trial(), {"host": "iris.example.com", "annotations": asked})
    assert by_ingress["Ingress/iris"]["metadata"]["annotations"] == asked
    canary = by_ingress["Ingress/iris-canary"]["metadata"]["annotations"]
    assert canary["nginx.ingress.kubernetes.io/auth-url"] == "http://a"
    assert "cert-manager.io/issuer" not in canary
    assert canary["nginx.ingress.kubernetes.io/canary"] == "true"
    by_gateway = routed(on_trial(), {**GATEWAY, "annotations": asked})
    assert by_gateway["HTTPRoute/iris"]["metadata"]["annotations"] == asked


def answer(
    accepted: str = "True", resolved: str = "True", generation: int = 3, **parent: str
) -> dict[str, Any]:
    told = [
        {
            "type": kind,
            "status": status,
            "reason": "R",
            "message": "m",
            "observedGeneration": generation,
        }
        for kind, status in (("Accepted", accepted), ("ResolvedRefs", resolved))
    ]
    return {"parentRef": {"name": "public", **parent}, "controllerName": "c", "conditions": told}


ANSWERS = {
    "nobody": ([], "no controller"),
    "taken over": ([answer()], ""),
    "an older generation": ([answer(generation=2)], "not taken"),
    "not accepted": ([answer(accepted="False")], "Accepted=False: R m"),
    "a Service that is not found": ([answer(resolved="False")], "ResolvedRefs=False: R m"),
    "another Gateway only": ([answer(name="other")], "no controller"),
    "another listener only": ([answer(sectionName="https")], "no controller"),
    "conditions missing": ([{"parentRef": {"name": "public"}, "conditions": []}], "not taken"),
    "one of two controllers": ([answer(accepted="False"), answer()], ""),
}


@pytest.mark.parametrize(("answers", "said"), ANSWERS.values(), ids=ANSWERS.keys())
def test_what_gateways_say(answers: list[dict[str, Any]], said: str) -> None:
    route = {
        "metadata": {"generation": 3},
        "spec": {"parentRefs": [{"name": "public"}]},
        "status": {"parents": answers},
    }
    assert said in unaccepted(route)
    assert bool(unaccepted(route)) is bool(said)


def test_every_gateway_must_follow() -> None:
    route = {
        "metadata": {"generation": 3},
        "spec": {"parentRefs": [{"name": "public"}, {"name": "inside"}]},
        "status": {"parents": [answer()]},
    }
    assert "inside" in unaccepted(route)


def looked(now: float, status: Status, trouble: str, **changes: Any) -> Observed:
    pods = ready(V1, V2)
    base = observed(
        now,
        status=status,
        workloads=pods,
        answers=accuracy(0.95, now),
        stable_endpoints=frozenset({V2.revision}),
    )
    return replace(
        base, spec=spec("models:/iris/2", traffic=GATEWAY), route_trouble=trouble, **changes
    )


def test_a_trial_whose_route_is_not_followed_holds_and_then_rolls_back() -> None:
    held = decide(looked(25, on_trial(), "the Gateway is gone"))
    assert (held.status.phase, held.status.step) == (Phase.TRIAL, 0)
    assert "route: the Gateway is gone" in held.status.message
    given_up = decide(looked(66, held.status, "the Gateway is gone"))
    assert given_up.status.phase is Phase.ROLLING_BACK
    assert decide(looked(25, on_trial(), "")).status.step == 1, "followed, the same look advances"


def test_a_router_that_is_only_slow_is_no_news() -> None:
    plan = decide(looked(5, on_trial(), "the Gateway has not taken the HTTPRoute over yet"))
    assert "route" not in plan.status.message


WAITS = {
    "shifting": (on_trial(phase=Phase.SHIFTING, weight=100), Phase.SWITCHING, Phase.ROLLING_BACK),
    "settling": (on_trial(phase=Phase.SETTLING), Phase.PROMOTED, Phase.PROMOTED),
    "rolling back": (
        on_trial(phase=Phase.ROLLING_BACK, weight=0),
        Phase.ROLLED_BACK,
        Phase.ROLLED_BACK,
    ),
    "a first deploy's switch": (
        on_trial(phase=Phase.SWITCHING, stable=None, weight=0),
        Phase.PROMOTED,
        Phase.ROLLING_BACK,
    ),
}


@pytest.mark.parametrize(("status", "follows", "late"), WAITS.values(), ids=WAITS.keys())
def test_a_phase_waits_for_the_router_until_the_deadline(
    status: Status, follows: Phase, late: Phase
) -> None:
    assert decide(looked(15, status, "")).status.phase is follows
    assert decide(looked(15, status, "nobody")).status.phase is status.phase
    after = decide(looked(61, status, "nobody")).status
    assert after.phase is late


def at_rest(**changes: Any) -> Status:
    way = Route(
        name="iris",
        provider=Provider.INGRESS,
        host="iris.example.com",
        path="/",
        ingress_class_name="nginx",
        since=at(-600),
    )
    values: dict[str, Any] = {
        "phase": Phase.PROMOTED,
        "phase_since": at(-600),
        "attempt": 1,
        "stable": V1,
        "conditions": (),
    }
    return Status(
        **(values | {"routes": (way.model_copy(update={"accepted_at": at(-590)}),)} | changes)
    )


def moved(
    now: float, status: Status, traffic: dict[str, Any], unaccepted: str, heard: Heard | None = None
) -> Plan:
    """A look at what is at rest, after its spec has asked for another way."""
    asked = spec("models:/iris/1", traffic={"removalDelay": "30s", **traffic})
    return decide(
        observed(
            now, spec=asked, status=status, workloads=ready(V1), unaccepted=unaccepted, heard=heard
        )
    )


OTHER_WAYS = {
    "another host": ({"host": "new.example.com"}, "Ingress"),
    "another path": ({"host": "iris.example.com", "path": "/iris"}, "Ingress"),
    "another class": ({"host": "iris.example.com", "ingressClassName": "traefik"}, "Ingress"),
    "another router": (GATEWAY, "HTTPRoute"),
}


@pytest.mark.parametrize(("traffic", "kind"), OTHER_WAYS.values(), ids=OTHER_WAYS.keys())
def test_the_former_way_stays_until_the_new_one_is_accepted_and_then_for_removal_delay(
    traffic: dict[str, Any], kind: str
) -> None:
    def objects(plan: Plan) -> set[str]:
        return set(routed(plan.status, {"removalDelay": "30s", **traffic}))

    asked = moved(0, at_rest(), traffic, NOT_YET)
    assert asked.requeue_at == at(0), "the new one is made by this look, and looked at by the next"
    new = {name for name in objects(asked) if name != "Ingress/iris"}
    assert len(new) == 1
    assert new.pop().startswith(f"{kind}/iris")
    told = {c.type: c.status for c in asked.status.conditions}
    assert (told["Ready"], told["Reconciling"], told["Stalled"]) == ("False", "True", "False")
    late = moved(61, asked.status, traffic, "the Gateway says Accepted=False: NoMatchingParent")
    told = {c.type: c.status for c in late.status.conditions}
    assert (told["Ready"], told["Reconciling"], told["Stalled"]) == ("False", "False", "True")
    assert {c.reason for c in late.status.conditions} >= {"RouteNotAccepted"}
    assert "NoMatchingParent" in late.status.conditions[0].message
    assert "Ingress iris.example.com/" in late.status.conditions[0].message, (
        "what still answers is named"
    )
    assert "Ingress/iris" in objects(moved(100_000, late.status, traffic, "none")), (
        "as long as it takes"
    )
    accepted = moved(100, late.status, traffic, "")
    assert {c.type: c.status for c in accepted.status.conditions}["Ready"] == "True"
    assert len(objects(accepted)) == 2
    assert accepted.requeue_at == at(130)
    assert len(objects(moved(129, accepted.status, traffic, ""))) == 2
    assert "Ingress/iris" in objects(
        moved(131, accepted.status, traffic, "the Gateway is gone again")
    ), "not while the new one is refused"
    gone = moved(130, accepted.status, traffic, "")
    assert "Ingress/iris" not in objects(gone)
    assert gone.requeue_at is None, "at rest"


def hosts_of(manifest: Manifest) -> list[str]:
    """The hosts of a route."""
    said = manifest["spec"]
    return (
        said["hostnames"]
        if manifest["kind"] == "HTTPRoute"
        else [rule["host"] for rule in said["rules"]]
    )


BY_SEVERAL: dict[str, dict[str, Any]] = {
    "by Ingresses": {"tlsSecret": "iris-tls"},
    "by an HTTPRoute": {key: value for key, value in GATEWAY.items() if key != "host"},
}


@pytest.mark.parametrize("router", BY_SEVERAL.values(), ids=BY_SEVERAL.keys())
def test_every_host_has_the_same_route(router: dict[str, Any]) -> None:
    names = ["iris.example.com", "b.example.com", "c.example.com"]
    for traffic in (
        {**router, "host": names[0], "hosts": names[1:]},
        {**router, "hosts": names},
    ):
        made = routed(on_trial(weight=10), traffic)
        assert {tuple(hosts_of(one)) for one in made.values()} == {tuple(names)}
        tls = [one["spec"]["tls"] for one in made.values() if "tls" in one["spec"]]
        assert tls == [[{"hosts": names, "secretName": "iris-tls"}]] * ("tlsSecret" in router)


def test_a_host_more_or_less_changes_the_route_in_place() -> None:
    """Of two Ingresses with a host in common, nginx' webhook refuses the younger."""

    def look(now: float, status: Status, *names: str) -> Plan:
        return moved(now, status, {"hosts": list(names)}, "")

    def answered(plan: Plan, *names: str) -> list[str]:
        made = routed(plan.status, {"hosts": list(names)})
        assert set(made) == {"Ingress/iris"}
        return hosts_of(made["Ingress/iris"])

    a, b, c = "iris.example.com", "b.example.com", "c.example.com"
    more = look(0, at_rest(), a, b)
    assert answered(more, a, b) == [a, b]
    assert {x.type: x.status for x in more.status.conditions}["Ready"] == "True"
    less = look(10, more.status, b, c)
    assert answered(less, b, c) == [b, c, a], "what is not asked for any more answers on"
    assert less.requeue_at == at(40)
    assert less.status.routes[0].leaving == (a,)
    assert answered(look(39, less.status, b, c), b, c) == [b, c, a]
    gone = look(40, less.status, b, c)
    assert answered(gone, b, c) == [b, c]
    assert gone.requeue_at is None, "at rest"
    back = look(20, less.status, a, b, c)
    assert answered(back, a, b, c) == [a, b, c]
    assert back.status.routes[0].leaving == ()


def test_a_host_that_is_asked_for_again_beside_another_stays_where_it_is_until_that_goes() -> None:
    a, b = "iris.example.com", "b.example.com"

    def answered(plan: Plan, *names: str) -> list[list[str]]:
        made = routed(plan.status, {"hosts": list(names)})
        hosts = [hosts_of(one) for one in made.values()]
        every = [host for one in hosts for host in one]
        assert len(every) == len(set(every)), "no host twice"
        return hosts

    def look(now: float, status: Status, *names: str) -> Plan:
        return moved(now, status, {"hosts": list(names)}, "")

    away = look(1, moved(0, at_rest(), {"hosts": [b]}, NOT_YET).status, b)
    assert answered(away, b) == [[a], [b]]
    both = look(5, away.status, a, b)
    assert answered(both, a, b) == [[a], [b]]
    assert answered(look(20, both.status, a), a) == [[a], [b]], "and back once more"
    assert answered(look(31, both.status, a, b), a, b) == [[a, b]]


SILENT = {
    "a router that does not lead there": Heard(
        "GET http://10.0.0.1:80/health/ came back with HTTP 404"
    ),
    "a router that is not reached": Heard(
        "GET http://10.0.0.1:80/health/ got no answer: connection refused", reached=False
    ),
}


@pytest.mark.parametrize("heard", SILENT.values(), ids=SILENT.keys())
def test_the_former_way_stays_until_the_new_one_answers_where_it_can_be_asked(heard: Heard) -> None:
    def objects(plan: Plan) -> set[str]:
        return set(routed(plan.status, {"removalDelay": "30s", **GATEWAY}))

    def truths(plan: Plan) -> tuple[str, ...]:
        return tuple(
            {c.type: c.status for c in plan.status.conditions}[kind]
            for kind in ("Ready", "Reconciling", "Stalled")
        )

    asked = moved(0, at_rest(), GATEWAY, NOT_YET)
    silent = moved(1, asked.status, GATEWAY, "", heard)
    assert truths(silent) == ("False", "True", "False"), "accepted, and it answers nobody"
    assert silent.requeue_at == at(3), "routers are only about to follow"
    silent = moved(61, silent.status, GATEWAY, "", heard)
    assert truths(silent) == ("False", "False", "True")
    assert {c.reason for c in silent.status.conditions} >= {"RouteDoesNotAnswer"}
    assert heard.said in silent.status.conditions[0].message
    assert "Ingress iris.example.com/" in silent.status.conditions[0].message, (
        "what still answers is named"
    )
    assert silent.requeue_at == at(71), "nobody wakes the operator when it begins to answer"
    assert "Ingress/iris" in objects(moved(100_000, silent.status, GATEWAY, "", heard)), (
        "as long as it takes"
    )
    answers = moved(100, silent.status, GATEWAY, "", Heard())
    assert truths(answers) == ("True", "False", "False")
    assert answers.status.routes[0].seen_at == at(100)
    assert len(objects(answers)) == 2
    assert answers.requeue_at == at(130), "removalDelay after it was seen"
    assert len(objects(moved(129, answers.status, GATEWAY, "", Heard()))) == 2
    again = moved(130, answers.status, GATEWAY, "", heard)
    assert "Ingress/iris" in objects(again), "not when it has ceased to answer meanwhile"
    assert truths(again) == ("False", "True", "False")
    assert set(objects(moved(130, answers.status, GATEWAY, "", Heard()))) == {"HTTPRoute/iris"}


def test_where_nobody_can_be_asked_the_former_way_goes_after_acceptance() -> None:
    accepted = moved(1, moved(0, at_rest(), GATEWAY, NOT_YET).status, GATEWAY, "")
    assert accepted.requeue_at == at(31)
    assert len(moved(31, accepted.status, GATEWAY, "").status.routes) == 1


def test_only_what_something_rests_on_is_asked() -> None:
    traffic = spec(traffic=GATEWAY).traffic
    way = Route(
        name="iris",
        provider=Provider.HTTP_ROUTE,
        host="iris.example.com",
        path="/",
        parents=("public",),
        since=at(0),
    )
    first = Status(phase=Phase.SWITCHING, candidate=V1, routes=(way,))
    assert asked_now(traffic, first) == way
    assert asked_now(traffic, at_rest(routes=(way,))) is None, "at rest by its only route"
    former = at_rest().routes
    assert asked_now(traffic, at_rest(routes=(way, *former))) == way
    seen = way.model_copy(update={"seen_at": at(1)})
    assert asked_now(traffic, at_rest(routes=(seen, *former))) == seen, (
        "once more, before the former one goes"
    )
    assert asked_now(traffic, at_rest(routes=(seen,))) is None


FIRST = {
    "it answers": (Heard(), Phase.PROMOTED, Phase.PROMOTED),
    "nobody can be asked": (None, Phase.PROMOTED, Phase.PROMOTED),
    "the router does not lead there": (
        SILENT["a router that does not lead there"],
        Phase.SWITCHING,
        Phase.ROLLING_BACK,
    ),
    "the operator may be kept from it": (
        SILENT["a router that is not reached"],
        Phase.PROMOTED,
        Phase.PROMOTED,
    ),
}


@pytest.mark.parametrize(("heard", "soon", "late"), FIRST.values(), ids=FIRST.keys())
def test_a_first_deploy_is_promoted_when_its_route_answers(
    heard: Heard | None, soon: Phase, late: Phase
) -> None:
    status = on_trial(phase=Phase.SWITCHING, stable=None, weight=0)
    assert decide(looked(15, status, "", heard=heard)).status.phase is soon
    after = decide(looked(61, status, "", heard=heard)).status
    assert after.phase is late
    if heard is not None and late is Phase.ROLLING_BACK:
        assert heard.said in after.message


def test_who_goes_back_finds_the_former_way_as_it_was() -> None:
    asked = moved(0, at_rest(), GATEWAY, NOT_YET)
    back = moved(10, asked.status, {"host": "iris.example.com"}, "")
    assert {c.type: c.status for c in back.status.conditions}["Ready"] == "True"
    assert set(routed(back.status, {"host": "iris.example.com"})) == {"Ingress/iris"}, (
        "what was never accepted leads nobody"
    )


def test_another_certificate_is_no_other_way() -> None:
    traffic = {"host": "iris.example.com", "tlsSecret": "iris-tls"}
    plan = moved(0, at_rest(), traffic, "")
    assert routed(plan.status, traffic)["Ingress/iris"]["spec"]["tls"] == [
        {"hosts": ["iris.example.com"], "secretName": "iris-tls"}
    ]
    assert {c.type: c.status for c in plan.status.conditions}["Ready"] == "True"


def test_a_gateway_that_goes_at_rest_is_said() -> None:
    way = Route(
        name="iris",
        provider=Provider.HTTP_ROUTE,
        host="iris.example.com",
        path="/",
        parents=("public",),
        since=at(-9),
    )
    plan = moved(
        0,
        at_rest(routes=(way.model_copy(update={"accepted_at": at(-8)}),)),
        GATEWAY,
        "the Gateway says Accepted=False",
    )
    assert {c.type: c.status for c in plan.status.conditions}["Ready"] == "False"


SAID = {
    "accepted": ({("HTTPRoute", "iris"): "", ("Ingress", "iris"): ""}, "", ""),
    "a Gateway that says no": ({("HTTPRoute", "iris"): "no", ("Ingress", "iris"): ""}, "", "no"),
    "an object that is not there": ({("Ingress", "iris"): ""}, "", "is Gateway API installed"),
}


@pytest.mark.parametrize(("there", "in_use", "asked_for"), SAID.values(), ids=SAID.keys())
def test_a_trial_goes_on_by_the_former_way(
    there: dict[tuple[str, str], str], in_use: str, asked_for: str
) -> None:
    """While the new one is not accepted, requests come by the former one, and what they show is
    evidence.
    """
    traffic = spec(traffic=GATEWAY).traffic
    ways = Ways("iris", traffic, moved(0, at_rest(), GATEWAY, NOT_YET).status, there)
    assert ways.in_use() == in_use
    assert asked_for in ways.asked_for()
    assert bool(ways.asked_for()) == bool(asked_for)
