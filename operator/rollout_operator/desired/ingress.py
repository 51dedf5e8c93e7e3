"""The Ingresses: the host's own, and the canary with its weight as nginx annotations.

Source: kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/#canary;
Traefik from 3.7 reads the same.
"""

from collections.abc import Mapping

from rollout_operator.desired.common import CANDIDATE_HEADER, Manifest, Owner, Split
from rollout_operator.domain.api.names import canary_name, revision_name
from rollout_operator.domain.api.traffic import Traffic
from rollout_operator.domain.route_annotations import CANARY, NGINX

CANARY_WEIGHT = f"{NGINX}canary-weight"
CANARY_HEADER = f"{NGINX}canary-by-header"
CANARY_HEADER_VALUE = f"{NGINX}canary-by-header-value"


def _ingress(
    owner: Owner,
    name: str,
    service: str,
    traffic: Traffic,
    annotations: Mapping[str, str] | None = None,
) -> Manifest:
    backend = {"service": {"name": service, "port": {"name": "http"}}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": owner.metadata(name, annotations=annotations),
        "spec": {
            "ingressClassName": traffic.ingress_class_name,
            "rules": [
                {
                    "host": name,
                    "http": {
                        "paths": [{"path": traffic.path, "pathType": "Prefix", "backend": backend}]
                    },
                }
                for name in traffic.names
            ],
        },
    }


def stable_ingress(owner: Owner, name: str, traffic: Traffic) -> Manifest:
    """The host's route to the stable Service."""
    manifest = _ingress(owner, name, owner.name, traffic, traffic.annotations)
    if traffic.tls_secret is not None:
        manifest["spec"]["tls"] = [{"hosts": list(traffic.names), "secretName": traffic.tls_secret}]
    return manifest


def canary_ingress(owner: Owner, name: str, traffic: Traffic, split: Split) -> Manifest:
    """The candidate's share of the route of this name; while it is on trial,
    a header chooses it.
    """
    if split.candidate is None:
        raise ValueError("a canary Ingress needs a candidate")
    # Nginx takes them from the host's own Ingress whatever the canary says; others may not.
    annotations = {k: v for k, v in traffic.annotations.items() if k.startswith(NGINX)}
    annotations |= {CANARY: "true", CANARY_WEIGHT: str(split.weight)}
    if split.on_trial:
        annotations |= {CANARY_HEADER: CANDIDATE_HEADER, CANARY_HEADER_VALUE: "true"}
    return _ingress(
        owner, canary_name(name), revision_name(owner.name, split.candidate), traffic, annotations
    )
