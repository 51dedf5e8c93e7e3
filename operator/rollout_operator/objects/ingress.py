"""The Ingresses: the host's own, and the canary with its weight as nginx annotations.

Source: kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/#canary; Traefik from 3.7 reads the same.
"""

from collections.abc import Mapping

from rollout_operator.domain.names import canary_name, revision_name
from rollout_operator.domain.spec import Traffic
from rollout_operator.objects import Manifest, Owner

CANARY = "nginx.ingress.kubernetes.io/canary"
CANARY_WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"


def _ingress(owner: Owner, name: str, service: str, traffic: Traffic, annotations: Mapping[str, str] | None = None) -> Manifest:
    backend = {"service": {"name": service, "port": {"name": "http"}}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": owner.metadata(name, annotations=annotations),
        "spec": {
            "ingressClassName": traffic.ingress_class_name,
            "rules": [{"host": traffic.host, "http": {"paths": [{"path": traffic.path, "pathType": "Prefix", "backend": backend}]}}],
        },
    }


def stable_ingress(owner: Owner, traffic: Traffic) -> Manifest:
    """The host's route to the stable Service."""
    return _ingress(owner, owner.name, owner.name, traffic)


def canary_ingress(owner: Owner, traffic: Traffic, revision: str, weight: int) -> Manifest:
    """The candidate's share of the same route; weight is a percentage, 0 to 100."""
    annotations = {CANARY: "true", CANARY_WEIGHT: str(weight)}
    return _ingress(owner, canary_name(owner.name), revision_name(owner.name, revision), traffic, annotations)
