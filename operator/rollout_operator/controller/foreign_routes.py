"""Ingresses and HTTPRoutes that no ModelRollout owns: where they answer,
and nothing else of them.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rollout_operator.domain.observed import Claim
from rollout_operator.domain.places import Claimed, Place, gateway_place, place
from rollout_operator.domain.route_annotations import CANARY

KINDS = ("Ingress", "HTTPRoute")
Name = tuple[str, str, str]
"""Kind, namespace and name of an object."""


@dataclass(frozen=True, slots=True)
class _Known:
    uid: str
    """From its metadata; a later object of the same name has another."""
    version: int
    """Its resourceVersion."""
    places: tuple[Place, ...]
    """Where it answers as rollouts do; empty for nowhere."""
    claim: Claim
    """What a rollout at one of its places is told of it."""


@dataclass
class ForeignRoutes:
    """What the watches have told; of each object only where it answers is kept."""

    _known: dict[Name, _Known] = field(default_factory=dict)
    _claimed: Claimed[Name] = field(default_factory=Claimed)

    def put(self, kind: str, raw: Mapping[str, Any]) -> set[int]:
        """Keep an object; returns the places at which that may have changed anything."""
        meta = raw["metadata"]
        name: Name = kind, sys.intern(meta["namespace"]), meta["name"]
        known, version = self._known.get(name), int(meta["resourceVersion"])
        if known is not None and known.version >= version:
            return set()
        woken = self._forget(name)
        if "deletionTimestamp" in meta:
            return woken
        found = tuple(_ingress(raw) if kind == "Ingress" else _http_route(raw))
        canary = kind == "Ingress" and (meta.get("annotations") or {}).get(CANARY) == "true"
        claim = Claim(
            kind,
            f"{name[1]}/{name[2]}",
            None if canary else datetime.fromisoformat(meta["creationTimestamp"]),
        )
        self._claimed.move(name, (), found)
        self._known[name] = _Known(meta["uid"], version, found, claim)
        return woken | {one.where for one in found}

    def drop(self, kind: str, place_of: tuple[str, str], uid: str) -> set[int]:
        """Forget a deleted object, unless another of the same name has taken its place; returns
        what `put` does.
        """
        name: Name = kind, *place_of
        known = self._known.get(name)
        return self._forget(name) if known is not None and known.uid == uid else set()

    def known(self, kind: str, namespace: str) -> dict[tuple[str, str], str]:
        """Uid of every known object of a kind, by (namespace, name); namespace "" for all."""
        return {
            name[1:]: known.uid
            for name, known in self._known.items()
            if name[0] == kind and namespace in {"", name[1]}
        }

    def _forget(self, name: Name) -> set[int]:
        if (known := self._known.pop(name, None)) is None:
            return set()
        self._claimed.move(name, known.places, ())
        return {one.where for one in known.places}

    def at(self, places: Iterable[Place]) -> tuple[Claim, ...]:
        """What answers at one of these places."""
        return tuple(self._known[name].claim for name in self._claimed.meeting(places))


def _ingress(raw: Mapping[str, Any]) -> Iterator[Place]:
    spec = raw.get("spec") or {}
    # Without a class it is whoever's: admission fills in the default one.
    router = spec.get("ingressClassName") or (
        (raw["metadata"].get("annotations") or {}).get("kubernetes.io/ingress.class")
    )
    for rule in spec.get("rules") or () if router else ():
        for one in (rule.get("http") or {}).get("paths") or ():
            # An exact path is another: it answers nothing below it.
            if rule.get("host") and one.get("pathType") != "Exact":
                yield Place(place(str(router), rule["host"], one.get("path") or "/"))


def _http_route(raw: Mapping[str, Any]) -> Iterator[Place]:
    spec = raw.get("spec") or {}
    rules: list[dict[str, Any]] = spec.get("rules") or [{}]
    matches: list[dict[str, Any]] = [
        match for rule in rules for match in rule.get("matches") or [{}]
    ]
    # Who asks for a header, a parameter or a method besides takes a part only.
    paths = [
        m.get("path") or {} for m in matches if not {"headers", "queryParams", "method"} & m.keys()
    ]
    prefixes = {
        path.get("value", "/") for path in paths if path.get("type", "PathPrefix") == "PathPrefix"
    }
    for ref in spec.get("parentRefs") or ():
        namespace, listener = (
            ref.get("namespace") or raw["metadata"]["namespace"],
            ref.get("sectionName", ""),
        )
        for host in spec.get("hostnames") or ():
            for path in prefixes:
                yield Place(gateway_place(namespace, ref["name"], host, path), listener)
