"""Who answers where: rollouts that claim one host and path, and routes that no rollout owns."""

from dataclasses import replace
from typing import Any

import pytest

from rollout_operator.controller.cache import Store
from rollout_operator.controller.foreign_routes import ForeignRoutes
from rollout_operator.domain.api.route_status import Route
from rollout_operator.domain.api.status import Status
from rollout_operator.domain.api.traffic import Provider
from rollout_operator.domain.api.words import Phase, Reason
from rollout_operator.domain.machine.decide import decide
from rollout_operator.domain.observed import Claim
from rollout_operator.domain.places import answers_at, places_of
from rollout_operator.domain.route_trouble import Ways
from rollout_operator.process import Shell
from rollout_operator.settings import Settings
from tests.support.builders import at, observed, on_trial, ready, revision, spec

GATEWAY = {"provider": "HTTPRoute", "host": "iris.example.com", "parentRefs": [{"name": "public"}]}


def by_listener(name: str) -> dict[str, Any]:
    return {**GATEWAY, "parentRefs": [{"name": "public", "sectionName": name}]}


def rollout(name: str, traffic: dict[str, Any], created: int = 0, **status: Any) -> dict[str, Any]:
    meta = {
        "namespace": "models",
        "name": name,
        "uid": name,
        "resourceVersion": "1",
        "generation": 1,
    }
    return {
        "metadata": {**meta, "creationTimestamp": f"2026-11-01T00:00:0{created}Z"},
        "spec": {"traffic": traffic},
        "status": status,
    }


LEAVING = {
    "routes": [
        {
            "host": "new.example.com",
            "hosts": ["other.example.com"],
            "leaving": ["iris.example.com"],
            "path": "/",
            "ingressClassName": "nginx",
        }
    ]
}
FORMER = {
    "routes": [
        {"host": "new.example.com"},
        {"host": "iris.example.com", "path": "/", "ingressClassName": "nginx"},
    ]
}
LISTENED = {
    "routes": [
        {
            "host": "iris.example.com",
            "path": "/",
            "provider": "HTTPRoute",
            "parents": ["public/https"],
        }
    ]
}
TAKEN: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any], bool]] = {
    "the same host": ({"host": "iris.example.com"}, {}, {"host": "iris.example.com"}, True),
    "one host of several": (
        {"host": "a.example.com", "hosts": ["iris.example.com"]},
        {},
        {"hosts": ["b.example.com", "iris.example.com"]},
        True,
    ),
    "several hosts, none of them the same": (
        {"host": "a.example.com", "hosts": ["iris.example.com"]},
        {},
        {"hosts": ["b.example.com", "c.example.com"]},
        False,
    ),
    "a host that leaves the older's route, and still answers": (
        {"host": "new.example.com", "hosts": ["other.example.com"]},
        LEAVING,
        {"host": "iris.example.com"},
        True,
    ),
    "another path": (
        {"host": "iris.example.com"},
        {},
        {"host": "iris.example.com", "path": "/two"},
        False,
    ),
    "another class": (
        {"host": "iris.example.com"},
        {},
        {"host": "iris.example.com", "ingressClassName": "traefik"},
        False,
    ),
    "a host that the older has left, and still keeps": (
        {"host": "new.example.com"},
        FORMER,
        {"host": "iris.example.com"},
        True,
    ),
    "one Gateway of two": (
        {**GATEWAY, "parentRefs": [{"name": "inside"}, {"name": "public"}]},
        {},
        GATEWAY,
        True,
    ),
    "one listener, and all": (by_listener("https"), {}, GATEWAY, True),
    "all listeners, and one": (GATEWAY, {}, by_listener("https"), True),
    "the same listener": (by_listener("https"), {}, by_listener("https"), True),
    "two listeners of one Gateway": (by_listener("https"), {}, by_listener("http"), False),
    "a listener that the older has left, and still keeps": (
        by_listener("http"),
        LISTENED,
        by_listener("https"),
        True,
    ),
    "a Gateway and an Ingress": (GATEWAY, {}, {"host": "iris.example.com"}, False),
}


@pytest.mark.parametrize(("older", "status", "younger", "taken"), TAKEN.values(), ids=TAKEN.keys())
def test_a_place_is_the_older_rollouts(
    older: dict[str, Any], status: dict[str, Any], younger: dict[str, Any], taken: bool
) -> None:
    store = Store()
    store.put_rollout(rollout("b", younger, created=2))
    store.put_rollout(rollout("a", older, created=1, **status))
    assert store.taken_by(("models", "b")) == (("models", "a") if taken else None)
    assert store.taken_by(("models", "a")) is None
    asked, _ = places_of(rollout("b", younger), "")
    kept = status.get("routes", ())
    assert any(answers_at(asked, one, "models") for one in kept) is (taken and bool(kept))
    store.remove("ModelRollout", ("models", "a"), "a", rollout("a", older)["metadata"]["uid"])
    assert store.taken_by(("models", "b")) is None


ELSEWHERE = {
    "a Gateway of the same name in each namespace": ("", GATEWAY, False),
    "one Gateway for all namespaces": ("gateways", GATEWAY, True),
    "Ingresses, whose router is the cluster's": ("", {"host": "iris.example.com"}, True),
}


@pytest.mark.parametrize(("gateways", "traffic", "taken"), ELSEWHERE.values(), ids=ELSEWHERE.keys())
def test_a_rollout_of_another_namespace(
    gateways: str, traffic: dict[str, Any], taken: bool
) -> None:
    """Whether it answers on the same place rests on where the Gateways are: beside each rollout, or
    in one namespace.
    """
    store = Shell(
        Settings("inference:1", "http://prometheus", "http://mlflow", gateway_namespace=gateways)
    ).store
    for created, namespace in enumerate(("older", "younger")):
        one = rollout("iris", traffic, created)
        one["metadata"].update(namespace=namespace, uid=namespace)
        store.put_rollout(one)
    assert store.taken_by(("younger", "iris")) == (("older", "iris") if taken else None)
    assert store.rivals(("older", "iris")) == ((("younger", "iris"),) if taken else ())


def test_rollouts_are_looked_at_when_a_foreign_route_comes_to_their_gateway_and_to_no_other() -> (
    None
):
    foreign, store = ForeignRoutes(), Store()
    store.put_rollout(rollout("a", GATEWAY))
    assert store.claimants(foreign.put("HTTPRoute", http_route())) == (), (
        "the Gateway of another namespace"
    )
    moved = http_route(namespace="models", sectionName="https")
    moved["metadata"]["resourceVersion"] = "6"
    assert store.claimants(foreign.put("HTTPRoute", moved)) == (("models", "a"),)


def ingress(
    path: str = "/", kind: str = "Prefix", by_class: str | None = "nginx", **annotations: str
) -> dict[str, Any]:
    rules = [{"host": "iris.example.com", "http": {"paths": [{"path": path, "pathType": kind}]}}]
    return _object("Ingress", {"ingressClassName": by_class, "rules": rules}, annotations)


def http_route(path: str | None = "/", **ref: Any) -> dict[str, Any]:
    match: dict[str, Any] = {"path": {"type": "PathPrefix", "value": path}} if path else {}
    parents = [{"name": "public", **ref}]
    return _object(
        "HTTPRoute",
        {"hostnames": ["iris.example.com"], "parentRefs": parents, "rules": [{"matches": [match]}]},
        {},
    )


def _object(kind: str, spec: dict[str, Any], annotations: dict[str, str]) -> dict[str, Any]:
    meta = {
        "namespace": "web",
        "name": "shop",
        "uid": "s1",
        "resourceVersion": "5",
        "creationTimestamp": "2026-11-01T00:00:00Z",
    }
    return {"kind": kind, "metadata": {**meta, "annotations": annotations}, "spec": spec}


BY_CLASS = {"host": "iris.example.com"}
ANSWERS: dict[str, tuple[dict[str, Any], dict[str, Any], bool]] = {
    "an Ingress on the same place": (ingress(), BY_CLASS, True),
    "a longer path": (ingress("/shop"), BY_CLASS, False),
    "the same path with a slash at its end": (
        ingress("/iris/"),
        {**BY_CLASS, "path": "/iris"},
        True,
    ),
    "an exact path answers nothing below it": (ingress(kind="Exact"), BY_CLASS, False),
    "another class": (ingress(by_class="traefik"), BY_CLASS, False),
    "a class by annotation": (
        ingress(by_class=None, **{"kubernetes.io/ingress.class": "nginx"}),
        BY_CLASS,
        True,
    ),
    "an Ingress where the rollout has a Gateway": (ingress(), GATEWAY, False),
    "an HTTPRoute at the same Gateway": (http_route(namespace="models"), GATEWAY, True),
    "without a path it takes everything": (http_route(None, namespace="models"), GATEWAY, True),
    "a Gateway of the same name elsewhere": (http_route(), GATEWAY, False),
    "one listener of it": (http_route(namespace="models", sectionName="https"), GATEWAY, True),
    "another listener than ours": (
        http_route(namespace="models", sectionName="http"),
        {**GATEWAY, "parentRefs": [{"name": "public", "sectionName": "https"}]},
        False,
    ),
}


@pytest.mark.parametrize(("other", "traffic", "answers"), ANSWERS.values(), ids=ANSWERS.keys())
def test_what_no_rollout_owns_and_answers_on_the_same_place(
    other: dict[str, Any], traffic: dict[str, Any], answers: bool
) -> None:
    foreign, (asked, _) = ForeignRoutes(), places_of(rollout("a", traffic), "")
    foreign.put(other["kind"], other)
    found = foreign.at(asked)
    assert [claim.name for claim in found] == (["web/shop"] if answers else [])
    foreign.drop(other["kind"], ("web", "shop"), "s1")
    assert foreign.at(asked) == ()


def test_a_canary_takes_its_share_from_whoever_has_the_place_whatever_its_age() -> None:
    foreign = ForeignRoutes()
    foreign.put("Ingress", ingress(**{"nginx.ingress.kubernetes.io/canary": "true"}))
    (claim,) = foreign.at(places_of(rollout("a", BY_CLASS), "")[0])
    assert claim.created is None


def test_rollouts_are_looked_at_when_a_foreign_route_comes_moves_or_goes() -> None:
    foreign, store = ForeignRoutes(), Store()
    store.put_rollout(rollout("a", BY_CLASS))
    assert store.claimants(foreign.put("Ingress", ingress())) == (("models", "a"),)
    moved = ingress("/shop")
    moved["metadata"]["resourceVersion"] = "6"
    assert store.claimants(foreign.put("Ingress", moved)) == (("models", "a"),)
    assert store.claimants(foreign.put("Ingress", ingress())) == (), (
        "an older version that arrives late"
    )
    back = ingress()
    back["metadata"]["resourceVersion"] = "7"
    foreign.put("Ingress", back)
    assert store.claimants(foreign.drop("Ingress", ("web", "shop"), "another")) == ()
    assert store.claimants(foreign.drop("Ingress", ("web", "shop"), "s1")) == (("models", "a"),)


def claim(seconds: float | None) -> Claim:
    return Claim("Ingress", "web/shop", None if seconds is None else at(seconds))


def way(since: float, accepted: float | None = None) -> Route:
    made = Route(
        name="iris",
        provider=Provider.INGRESS,
        host="iris.example.com",
        path="/",
        ingress_class_name="nginx",
        since=at(since),
    )
    return made.model_copy(update={"accepted_at": None if accepted is None else at(accepted)})


V1 = revision(1, promoted=True)
OLDER_FIRST: dict[str, tuple[Status, Claim, bool]] = {
    "a first deploy": (
        on_trial(phase=Phase.SWITCHING, stable=None, candidate=V1, weight=0, routes=(way(5),)),
        claim(0),
        True,
    ),
    "a first deploy, and one that came after its route": (
        on_trial(phase=Phase.SWITCHING, stable=None, candidate=V1, weight=0, routes=(way(5),)),
        claim(9),
        False,
    ),
    "at rest": (Status(phase=Phase.PROMOTED, stable=V1, routes=(way(5, 6),)), claim(0), True),
    "at rest, and one that came after": (
        Status(phase=Phase.PROMOTED, stable=V1, routes=(way(5, 6),)),
        claim(9),
        False,
    ),
    "at rest, a canary that came after": (
        Status(phase=Phase.PROMOTED, stable=V1, routes=(way(5, 6),)),
        claim(None),
        True,
    ),
    "on trial": (on_trial(routes=(way(5, 6),)), claim(0), True),
}


@pytest.mark.parametrize(
    ("status", "foreign", "taken"), OLDER_FIRST.values(), ids=OLDER_FIRST.keys()
)
def test_a_foreign_route_that_was_there_before_has_the_place(
    status: Status, foreign: Claim, taken: bool
) -> None:
    """Routers serve the older of two: nothing is promoted, Ready or evidence on a place that
    another answers.
    """
    place = ("Ingress", "iris")
    ways = Ways(
        "iris", spec().traffic, status, {place: ""}, (foreign,), {place: status.routes[0].since}
    )
    for said in (ways.in_use(), ways.asked_for()):
        assert ("Ingress web/shop" in said) is taken
    seen = observed(
        40,
        status=status,
        workloads=ready(V1),
        stable_endpoints=frozenset({V1.revision}),
        claims=(foreign,),
    )
    plan = decide(replace(seen, route_trouble=ways.in_use(), unaccepted=ways.asked_for()))
    conditions = {c.type: c for c in plan.status.conditions}
    assert "Ingress web/shop" in conditions["HostShared"].message, "said in any case"
    assert Reason.HOST_SHARED in {note.reason for note in plan.events}
    assert Reason.HOST_SHARED not in {
        note.reason for note in decide(replace(seen, status=plan.status)).events
    }, "once"
    if status.phase is not Phase.TRIAL:
        assert (conditions["Ready"].status == "True") is not taken
    gone = decide(replace(seen, status=plan.status, claims=(), now=at(41)))
    assert "HostShared" not in {c.type for c in gone.status.conditions}


def test_the_older_route_of_a_rollout_that_has_lost_the_place_has_it_until_that_one_moves() -> None:
    place, status = (
        ("Ingress", "iris"),
        Status(phase=Phase.PROMOTED, stable=V1, routes=(way(5, 6),)),
    )
    rivals = tuple(
        Claim("Ingress", f"web/{name}", at(made), f"web/{name}")
        for name, made in (("before", 4), ("after", 9))
    )
    ways = Ways("iris", spec().traffic, status, {place: ""}, (), {place: at(5)}, rivals)
    said = (
        "iris.example.com/ is answered by the older Ingress web/before of ModelRollout web/before: "
    )
    assert (
        ways.in_use()
        == ways.asked_for()
        == f"{said}take another host or path, or have that one take another."
    )
    assert "no ModelRollout's" in replace(ways, claims=(claim(0),)).asked_for()
    assert not replace(ways, rivals=rivals[1:]).asked_for()


AGES: dict[str, tuple[float, float | None, bool]] = {
    "made again after the foreign one came": (5, 12, True),
    "gone, and to be made again": (5, None, True),
    "kept while the spec asked for another": (20, 5, False),
    "made as the spec asked for it": (5, 5, False),
}


@pytest.mark.parametrize(("since", "made", "taken"), AGES.values(), ids=AGES.keys())
def test_the_older_of_two_routes_is_known_by_the_objects_themselves(
    since: float, made: float | None, taken: bool
) -> None:
    """The foreign one came at 9 s; since when the spec asks for ours says nothing of which of them
    is older.
    """
    place, status = (
        ("Ingress", "iris"),
        Status(phase=Phase.PROMOTED, stable=V1, routes=(way(since, since),)),
    )
    there = {} if made is None else {place: ""}
    ways = Ways(
        "iris",
        spec().traffic,
        status,
        there,
        (claim(9),),
        {} if made is None else {place: at(made)},
    )
    for said in (ways.in_use(), ways.asked_for()):
        assert ("Ingress web/shop" in said) is taken
