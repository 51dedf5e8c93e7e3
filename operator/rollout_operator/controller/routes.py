"""The routes of a rollout as they are observed: its own, those of others where it answers, and what
its router is asked.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from rollout_operator.controller.drains import Watched
from rollout_operator.controller.external_queries import RouteQuery
from rollout_operator.controller.pass_memory import Rejection
from rollout_operator.controller.ports import Ports
from rollout_operator.controller.raw_objects import Key, key_of
from rollout_operator.domain.api.api_types import as_read_back
from rollout_operator.domain.api.route_status import Route
from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import Status
from rollout_operator.domain.api.traffic import Provider
from rollout_operator.domain.drain import gives_all, question, waits_since
from rollout_operator.domain.observe import revisions, stable_endpoints
from rollout_operator.domain.observed import Claim, Followed
from rollout_operator.domain.owned_object import ROUTE_KINDS, OwnedObject
from rollout_operator.domain.places import answers_at
from rollout_operator.domain.rollout import Rollout
from rollout_operator.domain.route import asked_apart, asked_now, own_host
from rollout_operator.domain.route_probe import Way
from rollout_operator.domain.route_trouble import Ways

REJECTED_AFTER = timedelta(seconds=10)
"""How long an object must have been rejected before it is said: a webhook may be restarting, or an
API only just being installed.
"""


def held_up(rejection: Rejection, now: datetime) -> str:
    """What the API server has for some time said against an object that something rests on."""
    return "" if rejection.harmless else rejection.lasting(now - REJECTED_AFTER)


def ways(rollout: Rollout, spec: Spec, objects: Sequence[OwnedObject], ports: Ports) -> Ways:
    """Every way by which requests come in, with what is said against each."""
    routes = [o for o in objects if o.kind in ROUTE_KINDS and not o.deleting]
    trouble = {(o.kind, o.name): o.trouble for o in routes}
    created = {(o.kind, o.name): o.created for o in routes if o.created is not None}
    key = key_of(rollout.raw["metadata"])
    claims = ports.foreign_routes.at(ports.store.spec_places(key))
    by_service = spec.traffic.provider is Provider.NONE
    endpoints = (
        stable_endpoints(key[1], rollout.status, objects) if by_service else frozenset[str]()
    )
    rivals = _rivals(key, ports)
    return Ways(key[1], spec.traffic, rollout.status, trouble, claims, created, rivals, endpoints)


def _rivals(key: Key, ports: Ports) -> tuple[Claim, ...]:
    """The routes that other rollouts have where this one is to answer.

    One that has lost its place to this one keeps them until it moves.
    """
    store, claims = ports.store, list[Claim]()
    places = store.spec_places(key)
    for other in store.rivals(key):
        routes = [o for o in store.objects(other) if o.created is not None and not o.deleting]
        created = {(o.kind, o.name): o.created for o in routes}
        gateways = ports.gateways.namespace or other[0]
        for way in ((store.rollout(other) or {}).get("status") or {}).get("routes") or ():
            kind, name = way.get("provider", ""), way.get("name", "")
            if (kind, name) in created and answers_at(places, way, gateways):
                of = "/".join(other)
                claims.append(Claim(kind, f"{other[0]}/{name}", created[kind, name], of))
    return tuple(claims)


def route_query(
    rollout: Rollout, objects: Sequence[OwnedObject], ports: Ports, now: datetime
) -> RouteQuery | None:
    """The route that is to be asked whether it leads to the rollout's pods: accepted, and something
    rests on its answer.
    """
    spec, status, key = rollout.spec, rollout.status, key_of(rollout.raw["metadata"])
    if ports.routers is None or spec is None or (route := asked_now(spec.traffic, status)) is None:
        return None
    rejected = held_up(ports.memory.rejection(key), now)
    if ways(rollout, spec, objects, ports).asked_for(rejected):
        return None
    if not stable_endpoints(key[1], status, objects):
        return None
    host, *others = spec.traffic.names
    way = replace(
        _way(key, route, status, ports),
        host=host,
        others=tuple(others),
        tls=spec.traffic.tls_secret is not None,
    )
    return RouteQuery(way, now, asked_apart(route, now))


def _way(key: Key, route: Route, status: Status, ports: Ports) -> Way:
    ingress = ports.store.find(key, Provider.INGRESS, route.name)
    return Way(
        namespace=key[0],
        name=route.name,
        provider=route.provider,
        host=route.host,
        path=route.path,
        tls=route.tls_secret is not None,
        parents=route.parents,
        gateways=ports.gateways.namespace or key[0],
        revisions=frozenset(revisions(status)),
        by=route.ingress_class_name or ",".join(route.parents),
        published=None if ingress is None else ingress.addresses,
    )


def follow_routers(rollout: Rollout, ports: Ports, now: datetime) -> Followed | None:
    """How its routers answer in a phase that waits for them, or in a step of all requests, from now
    on; None where they are not asked, or cannot be.
    """
    spec, status, key = rollout.acted_by, rollout.status, key_of(rollout.raw["metadata"])
    if ports.drains is None:
        return None
    if spec is None or (asked := question(spec, status)) is None:
        ports.drains.forget(key)
        return None
    since = as_read_back(waits_since(status) or now)
    mark = (rollout.raw["metadata"]["uid"], status.phase, since)
    routes = [
        r for r in status.routes if r.accepted_at is not None and r.provider is not Provider.NONE
    ]
    # Of several hosts the first that its object has shows it for all of them.
    ways = tuple(
        replace(_way(key, route, status, ports), host=own_host(route, status.routes))
        for route in routes
    )
    left = max(since, ports.memory.applied_at(key, status) or now) + ports.drain - now
    if routes and left > timedelta(0):
        late = max(now - since, timedelta(0))
        watched = Watched(mark, ways, asked, late, left, waited_for=not gives_all(status))
        ports.drains.begin(key, watched)
    return ports.drains.followed(key, mark, ways)
