"""Where a route can be asked, as its router's objects publish it, and what an answer says of the
route. Pure.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from rollout_operator.domain.api.traffic import Provider, parent
from rollout_operator.domain.observed import Heard
from rollout_operator.domain.owned_object import published

HTTP, HTTPS = 80, 443
MOST = 4
"""Doors that are tried of one router."""
EVERY = 16
"""Doors of one router that are asked where each of them counts."""
LONGEST = 64 * 1024
"""Bytes that are read of an answer."""
REDIRECTS = frozenset({301, 302, 303, 307, 308})
HELP = (
    "If the operator may not reach the router, open the way (networkPolicy.egressPorts, by the port"
    " of the router's pods), or have routes not asked (routes.ask: false)"
)


@dataclass(frozen=True, slots=True)
class Way:
    """A route that is asked."""

    namespace: str
    """The rollout's, which is its Ingress' too."""
    name: str
    """Of its Ingress or HTTPRoute."""
    provider: Provider
    """Ingress or HTTPRoute."""
    host: str
    """Sent as Host, and as SNI over TLS."""
    path: str
    """Prefix; /health/ is asked for below it."""
    tls: bool
    """Whether an Ingress has a certificate."""
    parents: tuple[str, ...]
    """Its Gateways, as name or name/listener."""
    gateways: str
    """The namespace of the Gateways."""
    revisions: frozenset[str]
    """Whose pods may answer."""
    by: str = ""
    """Its class, or its Gateways, for metrics."""
    others: tuple[str, ...] = ()
    """More hosts, which must lead there as well."""
    published: tuple[str, ...] | None = None
    """Where the Ingress' router is, as a watch has told; None where the Ingress is to be read."""

    def each(self) -> tuple["Way", ...]:
        """The same by each of its hosts alone."""
        return tuple(replace(self, host=one, others=()) for one in (self.host, *self.others))

    def routers(self) -> Iterator[tuple[str, str, str, str]]:
        """The objects that say where the route can be asked: kind, namespace, name and listener, ""
        for all.
        """
        if self.provider is Provider.INGRESS:
            yield "Ingress", self.namespace, self.name, ""
            return
        for said in self.parents:
            yield "Gateway", self.gateways, *parent(said)


@dataclass(frozen=True, slots=True)
class Door:
    """Where a router listens."""

    address: str
    """IP address or host name, as the router publishes it."""
    port: int
    """TCP port."""
    secure: bool
    """Whether TLS is spoken there."""

    def url(self, way: Way) -> str:
        """What is asked for: the model server's own page about itself."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{'https' if self.secure else 'http'}://{host}:{self.port}{way.path.rstrip('/')}/health/"


def doors(way: Way, router: Mapping[str, Any], listener: str, most: int = MOST) -> tuple[Door, ...]:
    """Where an Ingress, or a Gateway's listener, can be asked, at most so many; empty where it says
    no address.
    """
    found = (
        _of_ingress(way, published(router))
        if way.provider is Provider.INGRESS
        else _of_gateway(way, router, listener)
    )
    return tuple(dict.fromkeys(found))[:most]


def _of_ingress(way: Way, addresses: Iterable[str]) -> Iterator[Door]:
    for address in addresses:
        yield Door(address, HTTPS if way.tls else HTTP, way.tls)


def _of_gateway(way: Way, gateway: Mapping[str, Any], listener: str) -> Iterator[Door]:
    published = (gateway.get("status") or {}).get("addresses") or ()
    addresses = [
        a["value"]
        for a in published
        if a.get("type", "IPAddress") in {"IPAddress", "Hostname"} and a.get("value")
    ]
    listeners = [
        one
        for one in (gateway.get("spec") or {}).get("listeners") or ()
        if one.get("protocol") in {"HTTP", "HTTPS"}
        and listener in {"", one.get("name")}
        and _takes(one.get("hostname"), way.host)
    ]
    for own in (True, False):
        for address in addresses:
            for one in listeners:
                secure = one["protocol"] == "HTTPS"
                # A Service in front of the router may have the usual port where the listener has
                # the pods'.
                yield Door(address, one["port"] if own else (HTTPS if secure else HTTP), secure)


def _takes(hostname: str | None, host: str) -> bool:
    """Whether a listener's host name, which may begin with `*.`, takes requests for this host."""
    return (
        not hostname
        or hostname == host
        or (hostname.startswith("*.") and host.endswith(hostname[1:]))
    )


def read(way: Way, door: Door, status: int, location: str, body: bytes) -> Heard | Door | None:
    """What an answer says; another door where a router wants TLS; None where it says nothing:
    somebody asks for credentials first.
    """
    if answered_by(way, body):
        return Heard()
    if (secure := to_tls(way, door, status, location)) is not None:
        return secure
    if 300 <= status < 500 and status != 404:
        return None
    return Heard(
        f"GET {door.url(way)} with Host {way.host} came back with HTTP {status}, and not from a pod"
        " of this rollout"
    )


def to_tls(way: Way, door: Door, status: int, location: str) -> Door | None:
    """The door at the same address where a router wants TLS; None where it wants none."""
    if status in REDIRECTS and not door.secure:
        to = urlsplit(location)
        if to.scheme == "https" and to.hostname == way.host:
            return Door(door.address, to.port or HTTPS, True)
    return None


def unreached(way: Way, door: Door, why: str) -> Heard:
    """Nobody answered there."""
    return Heard(
        f"GET {door.url(way)} with Host {way.host} got no answer: {why}. {HELP}", reached=False
    )


def answered_by(way: Way, body: bytes) -> str:
    """The revision of the rollout whose pod gave this answer; "" where none did."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    revision = said.get("revision") if isinstance(said, dict) else None
    return revision if isinstance(revision, str) and revision in way.revisions else ""


def of_one(heard: list[Heard | None]) -> Heard | None:
    """What one router says by all its doors: one that leads to the rollout is enough; then what was
    reached counts for more.
    """
    told = [one for one in heard if one is not None]
    answered = next((one for one in told if not one.said), None)
    if answered is not None or len(told) < len(heard):
        return answered
    return next((one for one in told if one.reached), told[0] if told else None)


def of_all(heard: list[Heard | None]) -> Heard | None:
    """What all routers of a route say: each that can be asked must lead to the rollout."""
    told = [one for one in heard if one is not None]
    return next((one for one in told if one.said), told[0] if told else None)
