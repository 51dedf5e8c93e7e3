"""Where requests are answered: a router's host and path, a number by which claimants are found."""

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from rollout_operator.domain.api.traffic import names, parent

Owner = TypeVar("Owner", bound=Hashable)


class Place(NamedTuple):
    """Where a rollout answers."""

    where: int
    """Router, host and path as a number."""
    listener: str = ""
    """Listener of a Gateway; "" for all of them."""


def meet(one: str, other: str) -> bool:
    """Whether a request can come by either of two listeners of one Gateway; "": all of them."""
    return not one or not other or one == other


class Claimed(Generic[Owner]):
    """Who claims to answer where; only places at which somebody does take any room."""

    def __init__(self) -> None:
        self._at: dict[int, tuple[tuple[Owner, str], ...]] = {}

    def move(self, owner: Owner, before: tuple[Place, ...], after: tuple[Place, ...]) -> None:
        """Have `owner` claim the places `after`, and `before` no more."""
        if before == after:
            return
        for one in before:
            if left := tuple(claim for claim in self._at.get(one.where, ()) if claim[0] != owner):
                self._at[one.where] = left
            else:
                self._at.pop(one.where, None)
        for one in after:
            self._at[one.where] = (*self._at.get(one.where, ()), (owner, one.listener))

    def meeting(self, places: Iterable[Place]) -> tuple[Owner, ...]:
        """Who answers where a request comes in by one of these places."""
        claims = (
            (owner, meet(one.listener, listener))
            for one in places
            for owner, listener in self._at.get(one.where, ())
        )
        return tuple({owner: None for owner, met in claims if met})

    def at(self, places: Iterable[int]) -> tuple[Owner, ...]:
        """Who claims to answer at one of these places, by whatever listener."""
        return tuple({owner: None for one in places for owner, _ in self._at.get(one, ())})


def place(router: str, host: str, path: str) -> int:
    """A host and path of one router, as a number."""
    return hash((router, host, path.rstrip("/")))


def gateway_place(namespace: str, name: str, host: str, path: str) -> int:
    """A host and path of one Gateway, whichever its listener; namespace: the Gateway's."""
    return place(f"Gateway {namespace}/{name}", host, path)


def places_of(raw: Mapping[str, Any], gateways: str) -> tuple[tuple[Place, ...], tuple[Place, ...]]:
    """Where a ModelRollout answers: as its spec says, and by former routes that it keeps.

    Nowhere, where it is being deleted or says nothing. gateways: the namespace of the Gateways, ""
    for the rollout's own.
    """
    meta, traffic = raw["metadata"], (raw.get("spec") or {}).get("traffic") or {}
    if "deletionTimestamp" in meta or not (_names(traffic) or traffic.get("provider") == "None"):
        return (), ()
    namespace = gateways or meta.get("namespace", "")
    refs = [
        (ref.get("name", ""), ref.get("sectionName") or "")
        for ref in traffic.get("parentRefs") or ()
    ]
    asked = _places(traffic, namespace, refs)
    former = [
        one
        for route in (raw.get("status") or {}).get("routes") or ()
        for one in _places(route, namespace, [parent(said) for said in route.get("parents") or ()])
    ]
    return asked, tuple(dict.fromkeys(one for one in former if one not in asked))


def answers_at(places: tuple[Place, ...], way: Mapping[str, Any], gateways: str) -> bool:
    """Whether a way, as a status has it, answers at one of these places.

    gateways: the namespace of its Gateways.
    """
    found = _places(way, gateways, [parent(said) for said in way.get("parents") or ()])
    same = ((one, other) for one in places for other in found if one.where == other.where)
    return any(meet(one.listener, other.listener) for one, other in same)


def _places(
    way: Mapping[str, Any], namespace: str, parents: list[tuple[str, str]]
) -> tuple[Place, ...]:
    hosts, path = _names(way), way.get("path", "/")
    if way.get("provider", "Ingress") == "Ingress":
        by_class = way.get("ingressClassName", "nginx")
        return tuple(Place(place(by_class, host, path)) for host in hosts)
    at = (
        Place(gateway_place(namespace, name, host, path), listener)
        for host in hosts
        for name, listener in parents
    )
    return tuple(dict.fromkeys(at))


def _names(way: Mapping[str, Any]) -> tuple[str, ...]:
    """The hosts of a route, as a spec or a status has it."""
    return names(way.get("host"), (*(way.get("hosts") or ()), *(way.get("leaving") or ())))
