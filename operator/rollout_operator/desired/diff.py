"""Whether a live object still says what its manifest says."""

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from hashlib import sha256
from typing import Any

from rollout_operator.desired.common import Manifest
from rollout_operator.domain.api.names import APPLIED, FIELD_MANAGER, POD_SETTINGS, PROFILE
from rollout_operator.domain.route_annotations import CANARY

_SUFFIXES = {
    "n": "1e-9",
    "u": "1e-6",
    "m": "1e-3",
    "": "1",
    "k": "1e3",
    "M": "1e6",
    "G": "1e9",
    "T": "1e12",
    "P": "1e15",
    "E": "1e18",
}
_BINARY = {
    suffix: str(1024**power)
    for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), start=1)
}
CONTROLLERS = "deployment.kubernetes.io/"
"""What a Deployment's controller notes in annotations for itself is no change of the object."""
LEFT_OVER = frozenset(
    (
        *("tls", "filters", "sectionName"),
        *("to", "ports", "endPort", "except", "namespaceSelector", "podSelector"),
        *(f"{CANARY}-by-header{more}" for more in ("", "-value")),
        *(POD_SETTINGS, PROFILE),
    )
)
"""What manifests have only sometimes, and nobody else fills in: it must go where it is not wanted
any more.
"""
EXACT = frozenset(("selector", "podSelector", "namespaceSelector"))
"""Selectors: each label more would select less."""
MERGED = {
    "containers": ("name",),
    "initContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "imagePullSecrets": ("name",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "ownerReferences": ("uid",),
}
"""Lists that server-side apply merges by a key: what others add to them, such as a webhook's
sidecar, stays beside ours.

Source: the `x-kubernetes-list-map-keys` of Kubernetes' OpenAPI document. All other lists are
somebody's as a whole.
"""
_QUANTITY = re.compile(r"([0-9.]+)([numkMGTPE]|[KMGTPE]i)?")


def _amount(value: object) -> Decimal | None:
    """A Kubernetes quantity as a number; the API server rewrites 1000m as 1, which is no drift."""
    match = _QUANTITY.fullmatch(str(value))
    if match is None:
        return None
    suffix = match[2] or ""
    try:
        return Decimal(match[1]) * Decimal((_SUFFIXES | _BINARY)[suffix])
    except ArithmeticError:
        return None


def _keys(field: str, wanted: list[Any]) -> tuple[str, ...]:
    """By which keys the items of this list are merged; none where they are not."""
    if field == "ports":
        first = wanted[0] if wanted and isinstance(wanted[0], dict) else {}
        # Those of a container and of a Service; a NetworkPolicy's are a list as a whole.
        if "containerPort" in first:
            return ("containerPort",)
        return ("port",) if "targetPort" in first else ()
    return MERGED.get(field, ())


def _place(item: Mapping[str, Any], keys: tuple[str, ...]) -> tuple[Any, ...]:
    """Which of the items of a merged list it is."""
    return tuple(item.get(key) for key in keys)


def matches(live: Any, wanted: Any, field: str = "") -> bool:
    """Whether `live` holds everything in `wanted` and nothing left over; fields that others or
    defaulting added do not matter.

    field: the name of the field that holds the two, by which lists that are merged are known.
    """
    if isinstance(wanted, dict):
        if not isinstance(live, dict) or LEFT_OVER & (live.keys() - wanted.keys()):
            return False
        return all(
            name in live
            and (live[name] == value if name in EXACT else matches(live[name], value, name))
            for name, value in wanted.items()
        )
    if isinstance(wanted, list):
        if not isinstance(live, list):
            return False
        if keys := _keys(field, wanted):
            there = {_place(one, keys): one for one in reversed(live) if isinstance(one, dict)}
            return all(matches(there.get(_place(one, keys)), one) for one in wanted)
        return len(live) == len(wanted) and all(
            matches(a, b) for a, b in zip(live, wanted, strict=True)
        )
    return bool(live == wanted) or (
        _amount(wanted) is not None and _amount(live) == _amount(wanted)
    )


def comparable(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The part of an object, or of a manifest, that a manifest has a say in."""
    meta = raw.get("metadata", {})
    kept = {k: meta[k] for k in ("labels", "annotations", "ownerReferences") if k in meta}
    annotations = {
        k: v for k, v in kept.pop("annotations", {}).items() if not k.startswith(CONTROLLERS)
    }
    if annotations:
        kept["annotations"] = annotations
    part = {"metadata": kept, "spec": raw.get("spec", {})}
    # Who owns what tells only together with what was applied.
    return {**part, "owned": owned(raw)} if APPLIED in annotations else part


def signed(manifest: Manifest) -> Manifest:
    """The manifest with its own hash as an annotation: which one was applied is known to a later
    process, too.

    Of Deployments, whose pods a change of the template replaces, and of routes with annotations,
    of which one that is wanted no more is to go.
    """
    if not (manifest["kind"] == "Deployment" or _is_annotated(manifest)):
        return manifest
    meta = manifest["metadata"]
    return {
        **manifest,
        "metadata": {
            **meta,
            "annotations": {**meta.get("annotations", {}), APPLIED: _hash(manifest)},
        },
    }


def _is_annotated(manifest: Manifest) -> bool:
    return manifest["kind"] in {"Ingress", "HTTPRoute"} and any(
        not name.startswith(CANARY) for name in manifest["metadata"].get("annotations", {})
    )


def _hash(manifest: Manifest) -> str:
    return sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:16]


def owned(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a live object that nobody has changed since our last apply, as managedFields
    have them.
    """
    entries = raw.get("metadata", {}).get("managedFields") or ()
    found = (
        e.get("fieldsV1")
        for e in entries
        if e.get("manager") == FIELD_MANAGER and e.get("operation") == "Apply"
    )
    return next(found, None) or {}


def made_of(live: Mapping[str, Any], manifest: Manifest, wanted: Mapping[str, Any]) -> bool:
    """Whether a live object is what admission made of this manifest when it was applied: what
    differs was changed by nobody since.

    The API server leaves a field that a webhook changes with whoever applied it, and takes from
    them one that somebody else writes. live: with its fields that are `owned`; wanted: the part of
    the manifest that it is compared with.
    """
    fields: dict[str, Any] = live.get("owned", {})
    return (
        bool(fields)
        and live["metadata"]["annotations"][APPLIED] == _hash(manifest)
        and _untouched(live, wanted, fields)
    )


def _untouched(live: Any, wanted: Any, fields: Mapping[str, Any], field: str = "") -> bool:
    """Whether all that differs is still among `fields`; an empty one is a field that is owned as a
    whole.
    """
    if not fields:
        return True
    if isinstance(wanted, dict):
        there = live if isinstance(live, dict) else {}
        return all(
            matches(there.get(name), value, name)
            or (
                f"f:{name}" in fields
                and _untouched(there.get(name), value, fields[f"f:{name}"], name)
            )
            for name, value in wanted.items()
        )
    if not isinstance(wanted, list) or not (keys := _keys(field, wanted)):
        return False
    items = {_place(one, keys): one for one in live or () if isinstance(one, dict)}
    ours = {
        _place(json.loads(name[2:]), keys): below
        for name, below in fields.items()
        if name.startswith("k:")
    }

    def unharmed(item: Any) -> bool:
        place = _place(item, keys)
        there = items.get(place)
        return matches(there, item) or (place in ours and _untouched(there, item, ours[place]))

    return all(unharmed(item) for item in wanted)


def left_over(live: Mapping[str, Any], manifest: Manifest) -> bool:
    """Whether we own something of a live object that its manifest names no more, such as a Secret
    that pods are to have no longer: server-side apply takes it out.

    live: as in `made_of`.
    """
    fields: dict[str, Any] = live.get("owned", {})
    return (
        bool(fields)
        and live["metadata"]["annotations"][APPLIED] != _hash(manifest)
        and _names_less(comparable(signed(manifest)), fields)
    )


def _names_less(wanted: Any, fields: Mapping[str, Any], field: str = "") -> bool:
    """Whether one of these `fields` is not in `wanted`."""
    if isinstance(wanted, dict):
        ours = {name[2:]: below for name, below in fields.items() if name.startswith("f:")}
        return any(
            name not in wanted or _names_less(wanted[name], below, name)
            for name, below in ours.items()
        )
    if not isinstance(wanted, list) or not (keys := _keys(field, wanted)):
        return False
    items = {_place(one, keys): one for one in wanted}
    places = (
        (_place(json.loads(name[2:]), keys), below)
        for name, below in fields.items()
        if name.startswith("k:")
    )
    return any(place not in items or _names_less(items[place], below) for place, below in places)
