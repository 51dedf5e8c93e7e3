"""What Gateways say of an HTTPRoute.

Source: gateway-api.sigs.k8s.io/reference/spec (HTTPRoute, v1).
"""

from collections.abc import Iterable, Mapping
from typing import Any

LONGEST = 400


def unaccepted(route: Mapping[str, Any]) -> str:
    """What the Gateways say against an HTTPRoute as the API server has it; "" where all have taken
    it over as it is now.
    """
    generation = route["metadata"].get("generation", 0)
    parents = (route.get("status") or {}).get("parents") or ()
    for ref in route.get("spec", {}).get("parentRefs") or ():
        objections = [
            _objection(parent.get("conditions") or (), generation)
            for parent in parents
            if _same_parent(parent.get("parentRef") or {}, ref)
        ]
        if not objections:
            return (
                f"no controller has said anything of the Gateway {ref['name']};"
                " does the Gateway exist, and its class?"
            )
        if "" not in objections:
            return objections[0]
    return ""


def _same_parent(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    same_names = all(one.get(k) == other.get(k) for k in ("name", "sectionName"))
    return same_names and one.get("namespace") in {other.get("namespace"), None}


def _objection(conditions: Iterable[Mapping[str, Any]], generation: int) -> str:
    """What one Gateway's conditions say against this generation of the route; "" for nothing."""
    by_type = {c["type"]: c for c in conditions}
    for kind in ("Accepted", "ResolvedRefs"):
        condition = by_type.get(kind)
        if condition is None or condition.get("observedGeneration", generation) != generation:
            return "the Gateway has not taken the HTTPRoute over yet"
        if condition.get("status") != "True":
            why = f"{condition.get('reason', '')} {condition.get('message', '')}"
            return f"the Gateway says {kind}={condition.get('status')}: {why}".strip()[:LONGEST]
    return ""
