"""Ingresses and HTTPRoutes that no ModelRollout owns: where they answer, and nothing else of them."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rollout_operator.domain.observed import Claim
from rollout_operator.domain.places import gateway_place, meet, place
from rollout_operator.domain.traffic import Provider, Traffic
from rollout_operator.objects.ingress import CANARY

KINDS = ("Ingress", "HTTPRoute")
Name = tuple[str, str, str]
"""Kind, namespace and name of an object."""


@dataclass(frozen=True, slots=True)
class _Known:
    uid: str
    version: int
    places: tuple[int, ...]


@dataclass
class Claims:
    """What the watches have told; of each object only where it answers is kept."""

    _known: dict[Name, _Known] = field(default_factory=dict)
    _at: dict[int, tuple[tuple[Name, str, Claim], ...]] = field(default_factory=dict)
    """By place: the object, its listener ("" for all), and what is said of it."""

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
        found = list(_ingress(raw) if kind == "Ingress" else _http_route(raw))
        canary = kind == "Ingress" and (meta.get("annotations") or {}).get(CANARY) == "true"
        claim = Claim(kind, f"{name[1]}/{name[2]}", None if canary else datetime.fromisoformat(meta["creationTimestamp"]))
        for where, listener in found:
            self._at[where] = (*self._at.get(where, ()), (name, listener, claim))
        self._known[name] = known = _Known(meta["uid"], version, tuple(where for where, _ in found))
        return woken | set(known.places)

    def drop(self, kind: str, place_of: tuple[str, str], uid: str) -> set[int]:
        """Forget a deleted object, unless another of the same name has taken its place; returns what `put` does."""
        name: Name = kind, *place_of
        known = self._known.get(name)
        return self._forget(name) if known is not None and known.uid == uid else set()

    def known(self, kind: str, namespace: str) -> dict[tuple[str, str], str]:
        """Uid of every known object of a kind, by (namespace, name); namespace "" for all."""
        return {name[1:]: known.uid for name, known in self._known.items() if name[0] == kind and namespace in {"", name[1]}}

    def _forget(self, name: Name) -> set[int]:
        if (known := self._known.pop(name, None)) is None:
            return set()
        for where in known.places:
            if left := tuple(one for one in self._at.get(where, ()) if one[0] != name):
                self._at[where] = left
            else:
                self._at.pop(where, None)
        return set(known.places)

    def at(self, namespace: str, traffic: Traffic, gateways: str) -> tuple[Claim, ...]:
        """What answers where this traffic of a rollout in `namespace` would; gateways: the namespace of the Gateways, "" for that one."""
        if traffic.provider is Provider.INGRESS:
            found = list(self._at.get(place(traffic.ingress_class_name, traffic.host, traffic.path), ()))
        else:
            found = [
                one
                for ref in traffic.parent_refs
                for one in self._at.get(gateway_place(gateways or namespace, ref.name, traffic.host, traffic.path), ())
                if meet(one[1], ref.section_name or "")
            ]
        return tuple({name: claim for name, _, claim in found}.values())


Found = Iterator[tuple[int, str]]
"""A place, and the listener there ("" for all)."""


def _ingress(raw: Mapping[str, Any]) -> Found:
    spec = raw.get("spec") or {}
    # Without a class it is whoever's: admission fills in the default one.
    router = spec.get("ingressClassName") or ((raw["metadata"].get("annotations") or {}).get("kubernetes.io/ingress.class"))
    for rule in spec.get("rules") or () if router else ():
        for one in (rule.get("http") or {}).get("paths") or ():
            # An exact path is another: it answers nothing below it.
            if rule.get("host") and one.get("pathType") != "Exact":
                yield place(str(router), rule["host"], one.get("path") or "/"), ""


def _http_route(raw: Mapping[str, Any]) -> Found:
    spec = raw.get("spec") or {}
    rules: list[dict[str, Any]] = spec.get("rules") or [{}]
    matches: list[dict[str, Any]] = [match for rule in rules for match in rule.get("matches") or [{}]]
    # Who asks for a header, a parameter or a method besides takes a part only.
    paths = [m.get("path") or {} for m in matches if not {"headers", "queryParams", "method"} & m.keys()]
    prefixes = {path.get("value", "/") for path in paths if path.get("type", "PathPrefix") == "PathPrefix"}
    for ref in spec.get("parentRefs") or ():
        namespace, listener = ref.get("namespace") or raw["metadata"]["namespace"], ref.get("sectionName", "")
        for host in spec.get("hostnames") or ():
            for path in prefixes:
                yield gateway_place(namespace, ref["name"], host, path), listener
