"""Where each kind lives in the Kubernetes API."""

from collections.abc import Mapping

from rollout_operator.domain.api.names import GROUP, KIND, PLURAL, VERSION

PATHS: Mapping[str, tuple[str, str]] = {
    "Deployment": ("/apis/apps/v1", "deployments"),
    "Service": ("/api/v1", "services"),
    "Ingress": ("/apis/networking.k8s.io/v1", "ingresses"),
    "HTTPRoute": ("/apis/gateway.networking.k8s.io/v1", "httproutes"),
    "Gateway": ("/apis/gateway.networking.k8s.io/v1", "gateways"),
    "EndpointSlice": ("/apis/discovery.k8s.io/v1", "endpointslices"),
    "NetworkPolicy": ("/apis/networking.k8s.io/v1", "networkpolicies"),
    "PodDisruptionBudget": ("/apis/policy/v1", "poddisruptionbudgets"),
    "HorizontalPodAutoscaler": ("/apis/autoscaling/v2", "horizontalpodautoscalers"),
    "Pod": ("/api/v1", "pods"),
    "Namespace": ("/api/v1", "namespaces"),
    "Event": ("/api/v1", "events"),
    KIND: (f"/apis/{GROUP}/{VERSION}", PLURAL),
}
"""By kind: API root and plural."""


def path(kind: str, namespace: str, name: str = "", subresource: str = "") -> str:
    """The path of a kind or of one object; namespace "" for all."""
    root, plural = PATHS[kind]
    place = f"{root}/namespaces/{namespace}/{plural}" if namespace else f"{root}/{plural}"
    return "/".join(part for part in (place, name, subresource) if part)


def plural_of(kind: str) -> str:
    """The resource's name, as URLs and metrics have it."""
    return PATHS[kind][1]
