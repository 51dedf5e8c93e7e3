"""What is observed of an object that belongs to a rollout, as the API server has it."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from rollout_operator.domain.api.names import FIELD_MANAGER, REVISION
from rollout_operator.domain.api.traffic import Provider
from rollout_operator.domain.gateway_status import unaccepted
from rollout_operator.domain.session_affinity import affinity

AUTOSCALER = "HorizontalPodAutoscaler"
SERVICE = "kubernetes.io/service-name"
"""Label of an EndpointSlice: the Service that it belongs to."""
ROUTE_KINDS = frozenset({Provider.INGRESS.value, Provider.HTTP_ROUTE.value})
"""Kinds by which requests come in."""


@dataclass(slots=True)
class OwnedObject:
    """One object of a rollout: what a reconcile looks at, and nothing else of it."""

    kind: str
    """As in the API: Deployment, HTTPRoute, …"""
    name: str
    """metadata.name; the namespace is the rollout's."""
    uid: str
    """metadata.uid: an object that is made again has another."""
    version: int
    """Its resourceVersion."""
    owner: str
    """The uid of its controller; "" where it has none."""
    revision: str
    """The revision in its labels; "" where it belongs to none."""
    deleting: bool
    """Whether it has a deletionTimestamp."""
    ready: int = 0
    """Ready pods, of a Deployment."""
    wanted: int = 0
    """Pods that its spec asks for, of a Deployment."""
    scaler: str = ""
    """The field manager that has set their number, if another than we."""
    updated: int = 0
    """Ready pods of the template as it is now, at least."""
    trouble: str = ""
    """What its controller, or its Gateways, say is wrong; "" for nothing."""
    endpoints: tuple[str, ...] = ()
    """Names of the Ready pods, of an EndpointSlice."""
    service: str = ""
    """The Service that an EndpointSlice belongs to."""
    without_metric: datetime | None = None
    """Since when an autoscaler cannot say a number, by what `trouble` names; None where it can."""
    affinity: str = ""
    """What of it keeps visitors where they came first, of a route or a Service; "" for nothing."""
    created: datetime | None = None
    """When a route was created; None for other kinds."""
    addresses: tuple[str, ...] = field(default=(), compare=False)
    """Where an Ingress says that its router is; no news by itself."""

    @classmethod
    def read(cls, kind: str, raw: Mapping[str, Any]) -> Self:
        """Read an object of this kind as the API server has it."""
        meta, status = raw["metadata"], raw.get("status") or {}
        labels = meta.get("labels") or {}
        owners = [o["uid"] for o in meta.get("ownerReferences", ()) if o.get("controller")]
        deployed, created = kind == "Deployment", meta.get("creationTimestamp")
        return cls(
            kind=kind,
            # The same text once for all objects of a rollout: half of them are called like it.
            name=sys.intern(meta["name"]),
            uid=meta["uid"],
            version=int(meta["resourceVersion"]),
            owner=sys.intern(owners[0]) if owners else "",
            revision=sys.intern(labels.get(REVISION, "")),
            deleting="deletionTimestamp" in meta,
            ready=status.get("readyReplicas", 0) if deployed else 0,
            wanted=raw.get("spec", {}).get("replicas", 0) if deployed else 0,
            scaler=sys.intern(_scaler(meta)) if deployed else "",
            updated=_updated(meta, status) if deployed else 0,
            trouble=_trouble(kind, raw),
            without_metric=_without_metric(status)[1] if kind == AUTOSCALER else None,
            endpoints=_ready_endpoints(raw.get("endpoints") or ()),
            service=labels.get(SERVICE, ""),
            affinity=affinity(kind, raw),
            created=datetime.fromisoformat(created) if created and kind in ROUTE_KINDS else None,
            addresses=tuple(map(sys.intern, published(raw))) if kind == Provider.INGRESS else (),
        )


def published(ingress: Mapping[str, Any]) -> tuple[str, ...]:
    """The addresses and host names at which an Ingress' router is, as its status has them."""
    entries = ((ingress.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return tuple(address for one in entries if (address := one.get("ip") or one.get("hostname")))


def _scaler(meta: Mapping[str, Any]) -> str:
    """The field manager that owns `spec.replicas` in our place; "" where we do, or nobody.

    Who sets it to another number takes it from all who owned it before; who sets the same shares it
    with them.
    """
    entries = meta.get("managedFields") or ()
    owners = [
        str(e.get("manager", ""))
        for e in entries
        if "f:replicas" in ((e.get("fieldsV1") or {}).get("f:spec") or {})
    ]
    return "" if FIELD_MANAGER in owners or not owners else owners[-1]


def _updated(meta: Mapping[str, Any], status: Mapping[str, Any]) -> int:
    """Ready pods of a Deployment's template as it is now: those that are left when all pods of
    former ones are Ready.
    """
    if status.get("observedGeneration", 0) < meta.get("generation", 0):
        return 0
    pods, updated, ready = (
        int(status.get(name, 0)) for name in ("replicas", "updatedReplicas", "readyReplicas")
    )
    return max(0, ready - max(0, pods - updated))


def _trouble(kind: str, raw: Mapping[str, Any]) -> str:
    status = raw.get("status") or {}
    if kind == AUTOSCALER:
        return _without_metric(status)[0]
    return unaccepted(raw) if kind == "HTTPRoute" else _replica_failure(status)


def _without_metric(status: Mapping[str, Any]) -> tuple[str, datetime | None]:
    """Why an autoscaler cannot say how many pods there should be, as one word, and since when; ""
    and None where it can. Its message has figures that change at every look.
    """
    for one in status.get("conditions") or ():
        active = one.get("type") == "ScalingActive" and one.get("status") == "False"
        if active and one.get("reason") != "ScalingDisabled" and one.get("lastTransitionTime"):
            return str(one.get("reason")), datetime.fromisoformat(one["lastTransitionTime"])
    return "", None


def _replica_failure(status: Mapping[str, Any]) -> str:
    """Why a Deployment's controller can make no pods; "" where it can."""
    failures = (
        str(c.get("message", ""))
        for c in status.get("conditions", ())
        if c.get("type") == "ReplicaFailure" and c.get("status") == "True"
    )
    return next(failures, "")


def _ready_endpoints(endpoints: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    names = {
        e["targetRef"]["name"]
        for e in endpoints
        if e.get("targetRef")
        and e.get("conditions", {}).get("ready")
        and not e["conditions"].get("terminating")
    }
    return tuple(sorted(names))
