"""The ways by which requests come in: none is taken away before the one that follows it was
accepted, and answers. Pure.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from hashlib import sha256

from rollout_operator.domain.api.route_status import Route, Unrouted
from rollout_operator.domain.api.status import Status
from rollout_operator.domain.api.traffic import (
    MOST_HOSTS,
    ParentRef,
    Provider,
    Traffic,
    parent,
)
from rollout_operator.domain.api.words import Phase
from rollout_operator.domain.observed import Observed

MOST = 10
OPENING = frozenset({Phase.SWITCHING, Phase.SETTLING})
"""Phases in which the stable Service, and the route to it, are there even on a first deploy."""
NOT_YET = "it is only being made."
NO_INGRESS = "the Ingress was not accepted yet."
ASKED_APART = timedelta(seconds=10)
ASKED_SOON = timedelta(seconds=2)
"""Between two requests to a router that does not lead to the rollout yet; in the first ASKED_APART,
routers are only about to follow.
"""


def opened(status: Status) -> bool:
    """Whether there is, or is to be, a route by which requests come in."""
    return status.stable is not None or status.phase in OPENING


def _parents(traffic: Traffic) -> tuple[str, ...]:
    return tuple(ref.said for ref in traffic.parent_refs)


def _place(traffic: Traffic) -> tuple[object, ...]:
    """By which router and path the spec asks for it."""
    by_class = traffic.provider is Provider.INGRESS
    return (
        traffic.provider,
        traffic.path,
        traffic.ingress_class_name if by_class else "",
        _parents(traffic),
    )


def _way(route: Route) -> tuple[object, ...]:
    """The same of a route: router and path, whatever its hosts are."""
    return route.provider, route.path, route.ingress_class_name, route.parents


def leads(route: Route, traffic: Traffic) -> bool:
    """Whether the route leads by the same router, from one of the same hosts and the same path.

    Another certificate is no other way, nor is one host more or less: of two objects with a host in
    common, routers would serve one.
    """
    by_service = traffic.provider is Provider.NONE
    return _way(route) == _place(traffic) and (
        by_service or not set(traffic.names).isdisjoint(route.answered)
    )


def own_names(names: tuple[str, ...], head: Route, former: Iterable[Route]) -> tuple[str, ...]:
    """Which of these hosts the object of the route has itself: what a former one answers by the
    same router and path, that has until it goes. Of two with a host in common nginx' webhook
    refuses the younger, and whatever is written after it would wait.
    """
    taken = {name for r in former if _way(r) == _way(head) for name in r.answered}
    return tuple(dict.fromkeys(n for n in names if n not in taken)) or names


def own_host(route: Route, routes: tuple[Route, ...]) -> str:
    """A host by which the route's own object is asked; routes: all of the rollout, in order."""
    head, *former = routes
    return own_names(route.answered, head, former)[0] if route is head else route.host


def traffic_of(route: Route) -> Traffic:
    """What a spec would say to ask for this route."""
    parents = tuple(
        ParentRef(name=name, section_name=listener or None)
        for name, listener in map(parent, route.parents)
    )
    by_class = {"ingress_class_name": route.ingress_class_name} if route.ingress_class_name else {}
    return Traffic(
        provider=route.provider,
        host=route.host or None,
        hosts=(*route.hosts, *route.leaving),
        path=route.path,
        tls_secret=route.tls_secret,
        parent_refs=parents,
        **by_class,
    )


def asked_for(traffic: Traffic, routes: tuple[Route, ...]) -> Route | None:
    """The known route that leads where the spec asks for; None for a new one."""
    return next((r for r in routes if leads(r, traffic)), None)


def asked_now(traffic: Traffic, status: Status) -> Route | None:
    """The route to ask: the one that the spec asks for, as long as something rests on its answer:
    former routes and hosts do, and a first deploy.

    It is asked once more before a former one goes. What is at rest by its only route is not asked,
    nor is a Service, whose endpoints are known.
    """
    head = asked_for(traffic, status.routes)
    if head is None or head.provider is Provider.NONE:
        return None
    first = status.stable is None and status.phase is Phase.SWITCHING
    return head if first or head.leaving or len(status.routes) > 1 else None


def asked_apart(head: Route, now: datetime) -> timedelta:
    """How long to leave a router alone between two requests for this route."""
    return (
        ASKED_SOON
        if head.accepted_at is None or now < head.accepted_at + ASKED_APART
        else ASKED_APART
    )


def silent(seen: Observed) -> str:
    """What is said against a route that was accepted and asked, "" where it answered, or where
    nobody can be asked.
    """
    return seen.heard.said if seen.heard is not None and not seen.unaccepted else ""


def closed(seen: Observed) -> str:
    """What keeps a first deploy from being promoted; "" for nothing.

    Where no router answers at all, the operator may only be kept from it, and the host may answer
    everybody else.
    """
    return seen.route_trouble or (
        silent(seen) if seen.heard is not None and seen.heard.reached else ""
    )


def began(status: Status) -> datetime | None:
    """Since when a route is there that was made before routes were recorded; None: not known."""
    return status.stable.since if status.stable is not None else None


def routed(seen: Observed, status: Status) -> Status:
    """The status with the ways there are to be after this look, and with what is wrong with the one
    that the spec asks for.
    """
    if (routes := _routes(seen, status)) != status.routes:
        status = status.model_copy(update={"routes": routes})
    if seen.spec is not None and (shared := _shared(seen, seen.spec.traffic)) != status.shared:
        status = status.model_copy(update={"shared": shared})
    lacks = _unrouted(seen, status)
    return status if lacks == status.unrouted else status.model_copy(update={"unrouted": lacks})


def _shared(seen: Observed, traffic: Traffic) -> str:
    if not seen.claims:
        return ""
    names = ", ".join(str(claim) for claim in seen.claims)
    advice = (
        "Of two, routers serve the older one, and a canary takes its share from either: take"
        " another host or path, or delete it."
    )
    return f"{names}: no ModelRollout's, and on {traffic.said} as well. {advice}"[:1000]


def _routes(seen: Observed, status: Status) -> tuple[Route, ...]:
    """The way that the spec asks for, then former ones.

    A former way is kept as long as the new one is not accepted, or is asked and does not answer,
    and for removalDelay after that. What was never accepted leads nobody.
    """
    if not opened(status):
        return ()
    if seen.spec is None:
        return status.routes
    traffic, before = seen.spec.traffic, status.routes
    known = asked_for(traffic, before)
    head = _with_hosts(seen, known, traffic) if known is not None else _new(seen, traffic, before)
    if head.tls_secret != traffic.tls_secret:
        head = head.model_copy(update={"tls_secret": traffic.tls_secret})
    if known is not None and known is not before[0]:
        head = head.model_copy(update={"since": seen.now})
    # A route of before ways were recorded is known by the rollout's name; one that this very look
    # asks for cannot be there yet.
    looked_at = opened(seen.status) and (known is not None or not seen.status.routes)
    if head.accepted_at is None and looked_at and not seen.unaccepted:
        head = head.model_copy(update={"accepted_at": seen.now})
    if (
        head.accepted_at is not None
        and head.seen_at is None
        and seen.heard is not None
        and not (seen.heard.said or seen.unaccepted)
    ):
        head = head.model_copy(update={"seen_at": seen.now})
    former = tuple(r for r in before if r is not known and r.accepted_at is not None)
    if (ends := removal(seen, head)) is not None and seen.now >= ends and not seen.unaccepted:
        former, head = (), head.model_copy(update={"leaving": ()})
    return (head, *former)[:MOST]


def _with_hosts(seen: Observed, known: Route, traffic: Traffic) -> Route:
    """The route with the hosts that the spec asks for now; those that it does not ask for any more
    stay for a while, in the same object.
    """
    left = tuple(name for name in known.answered if name not in traffic.names)
    hosts: dict[str, object] = {
        "host": next(iter(traffic.names), ""),
        "hosts": traffic.names[1:],
        "leaving": left[: MOST_HOSTS + 1 - len(traffic.names)],
    }
    if set(left) - set(known.leaving):
        hosts["since"] = seen.now
    return known.model_copy(update=hosts)


def removal(seen: Observed, head: Route) -> datetime | None:
    """When former ways go, given the one that the spec asks for; None as long as that was not
    accepted, or is known not to answer.
    """
    if seen.spec is None or head.accepted_at is None or silent(seen):
        return None
    return (
        max(head.since, head.accepted_at, head.seen_at or head.accepted_at)
        + seen.spec.traffic.removal_delay
    )


def _new(seen: Observed, traffic: Traffic, before: tuple[Route, ...]) -> Route:
    provider, path, by_class, parents = _place(traffic)
    host = ",".join(traffic.names)
    # An object of the former way is not touched: the new one has another name where it is of the
    # same kind.
    taken = any(r.provider is provider and r.name == seen.name for r in before)
    mark = sha256(repr((str(provider), host, path, by_class, parents)).encode()).hexdigest()[:8]
    return Route(
        name=f"{seen.name}-{mark}" if taken else seen.name,
        provider=traffic.provider,
        host=next(iter(traffic.names), ""),
        hosts=traffic.names[1:],
        path=traffic.path,
        ingress_class_name=str(by_class),
        tls_secret=traffic.tls_secret,
        parents=_parents(traffic),
        since=seen.now if before else began(seen.status) or seen.now,
        # A Service needs nobody's consent.
        accepted_at=seen.now if provider is Provider.NONE else None,
    )


def _unrouted(seen: Observed, status: Status) -> Unrouted | None:
    """What is promoted must answer where its spec says: whether the route to there is not accepted,
    or silent, since when, and why.
    """
    if status.phase is not Phase.PROMOTED or not status.routes:
        return None
    if seen.spec is None:
        return status.unrouted
    head, *former = status.routes
    unaccepted = seen.unaccepted or ("" if head.accepted_at is not None else NOT_YET)
    if not (said := unaccepted or silent(seen)):
        return None
    since = status.unrouted.since if status.unrouted is not None else seen.now
    stalled = seen.now >= since + seen.spec.strategy.progress_deadline
    others = ", ".join(r.said for r in former)
    still = f" Until then the former route stays: {others}." if others else ""
    lacks = "is not accepted" if unaccepted else "is accepted and does not answer"
    message = (
        f"The {head.provider} for {seen.spec.traffic.said} {lacks}: {said.rstrip('. ')}.{still}"
    )
    return Unrouted(since=since, stalled=stalled, accepted=not unaccepted, message=message[:1000])


def requeue_times(seen: Observed, status: Status, apart: timedelta) -> tuple[datetime, ...]:
    """When the routes have to be looked at again, all later than now or at once; apart: between
    looks while one is waited for.
    """
    if not status.routes or seen.spec is None:
        return ()
    head, *former = status.routes
    lacks = status.unrouted
    if head not in seen.status.routes and head.accepted_at is None:
        return (seen.now,)
    moments = list[datetime]()
    if (lacks is not None or head.accepted_at is None) and not (
        lacks is not None and lacks.stalled
    ):
        moments.append(seen.now + apart)
    if silent(seen):
        # A router that begins to answer wakes nobody.
        moments.append(seen.now + asked_apart(head, seen.now))
    if lacks is not None:
        moments.append(lacks.since + seen.spec.strategy.progress_deadline)
    if (former or head.leaving) and (ends := removal(seen, head)) is not None:
        moments.append(ends)
    return tuple(moment for moment in moments if moment > seen.now)
