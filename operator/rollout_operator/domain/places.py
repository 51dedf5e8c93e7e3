"""Where requests are answered: a host and path of one router, as a number by which who claims it is found."""

from collections.abc import Mapping
from typing import Any


def place(router: str, host: str, path: str) -> int:
    """A host and path of one router, as a number."""
    return hash((router, host, path.rstrip("/")))


def gateway_place(name: str, listener: str, host: str, path: str) -> int:
    """A host and path of one Gateway; listener: "" for all."""
    return place(f"Gateway {name}/{listener}", host, path)


def places_of(raw: Mapping[str, Any]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Where a ModelRollout answers: as its spec says, and by former routes that it keeps.

    Nowhere, where it is being deleted or says nothing.
    """
    traffic = (raw.get("spec") or {}).get("traffic") or {}
    if "deletionTimestamp" in raw["metadata"] or not traffic.get("host"):
        return (), ()
    refs = [(ref.get("name", ""), ref.get("sectionName", "")) for ref in traffic.get("parentRefs") or ()]
    asked = _places(traffic, refs)
    former = [
        one
        for route in (raw.get("status") or {}).get("routes") or ()
        for one in _places(route, [(name, listener) for name, _, listener in (p.partition("/") for p in route.get("parents") or ())])
    ]
    return asked, tuple(dict.fromkeys(one for one in former if one not in asked))


def _places(way: Mapping[str, Any], parents: list[tuple[str, str]]) -> tuple[int, ...]:
    host, path = way.get("host", ""), way.get("path", "/")
    if way.get("provider", "Ingress") == "Ingress":
        return (place(way.get("ingressClassName", "nginx"), host, path),)
    return tuple(dict.fromkeys(gateway_place(name, listener, host, path) for name, listener in parents))
