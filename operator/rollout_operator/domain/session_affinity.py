"""Routes and Services with which visitors stay where they came first: a trial's weight says nothing
of them. The operator writes none; webhooks and people do. Pure.

Sources: kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations
(affinity, affinity-canary-behavior); doc.traefik.io (Services' service.sticky.cookie);
gateway-api.sigs.k8s.io/reference/spec (SessionPersistence); kubernetes.io/docs/reference (Service,
sessionAffinity).
"""

from collections.abc import Iterable, Mapping
from typing import Any

from rollout_operator.domain.api.traffic import Provider
from rollout_operator.domain.route_annotations import NGINX

AFFINITY = f"{NGINX}affinity"
CANARY_BEHAVIOR = f"{NGINX}affinity-canary-behavior"
STICKY_COOKIE = "traefik.ingress.kubernetes.io/service.sticky.cookie"
BY_ADDRESS = "sessionAffinity: ClientIP"


def affinity(kind: str, raw: Mapping[str, Any]) -> str:
    """What in an object keeps visitors where they came first; "" for nothing."""
    spec = raw.get("spec") or {}
    notes = raw["metadata"].get("annotations") or {}
    match kind:
        case "Ingress" if notes.get(AFFINITY) and notes.get(CANARY_BEHAVIOR) != "legacy":
            return f"{AFFINITY}: {notes[AFFINITY]}"
        case "HTTPRoute" if any("sessionPersistence" in r for r in spec.get("rules") or ()):
            return "sessionPersistence"
        case "Service" if notes.get(STICKY_COOKIE) == "true":
            return f"{STICKY_COOKIE}: true"
        case "Service" if spec.get("sessionAffinity") == "ClientIP":
            return BY_ADDRESS
    return ""


def sentence(objects: Iterable[tuple[str, str, str]], provider: Provider) -> str:
    """What to tell of objects that keep visitors, by kind, name and what does; "" for none.

    Routers ask pods and no Service, whose affinity counts for callers inside the cluster.
    """
    by_service = provider is Provider.NONE
    found = sorted(
        f"{kind} {name} has {said}"
        for kind, name, said in objects
        if said and (said != BY_ADDRESS or by_service)
    )
    if not found:
        return ""
    advice = (
        "take it out"
        if by_service or not any(AFFINITY in one for one in found)
        else f"take it out, or add {CANARY_BEHAVIOR}: legacy"
    )
    return (
        f"{'; '.join(found)}: visitors of stable stay with it, so that a trial sees new ones only,"
        f" whatever its weight, and a promotion moves the others at its end: {advice}."
    )[:1000]
