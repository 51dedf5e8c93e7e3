"""Where each kind lives in the API: the operator's own table, and what a test says of it."""

from collections.abc import Mapping
from typing import Any

from rollout_operator.adapters.kubernetes_paths import PATHS
from rollout_operator.domain.api import names

GROUP = names.GROUP
OWNED_KINDS = (
    "Deployment",
    "Service",
    "Ingress",
    "EndpointSlice",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "HorizontalPodAutoscaler",
)
"""What a bare cluster has of a rollout beside the ModelRollout itself."""
KINDS = ("ModelRollout", *OWNED_KINDS)
MANAGED = f"app.kubernetes.io/managed-by={GROUP}"
"""Label selector of everything that belongs to a rollout."""
WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"

Object = dict[str, Any]
Lists = dict[str, list[Object]]
"""Objects of a namespace, or of all namespaces, by kind."""


def fingerprint(lists: Lists) -> list[tuple[str, str]]:
    """Equal for two lists where nothing was written between them."""
    return sorted(
        (item["metadata"]["uid"], item["metadata"]["resourceVersion"])
        for objects in lists.values()
        for item in objects
    )


def path_of(kind: str, namespace: str = "", name: str = "") -> str:
    """The URL path of a collection or, with a name, of an object."""
    root, plural = PATHS[kind]
    collection = f"{root}/namespaces/{namespace}/{plural}" if namespace else f"{root}/{plural}"
    return f"{collection}/{name}" if name else collection


def manifest(kind: str, name: str, body: Mapping[str, Any]) -> Object:
    """A whole object of `kind`: `body` with its type and name."""
    api_version = PATHS[kind][0].removeprefix("/apis/").removeprefix("/api/")
    metadata = {"name": name, **body.get("metadata", {})}
    return {"apiVersion": api_version, "kind": kind, **body, "metadata": metadata}
