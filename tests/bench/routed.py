"""The routers that benchmarks send load through, and rollouts that are routed by them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.cluster.paths import HERE
from scripts.demo.rollout import Rollout, fresh_namespace
from scripts.kube import Kube, Object

GATEWAY_API = "/apis/gateway.networking.k8s.io/v1"
INGRESSES = "/apis/networking.k8s.io/v1"


@dataclass(frozen=True, slots=True)
class Router:
    """One way for requests into the cluster."""

    name: str
    """In figures, namespaces and ROUTERS."""
    title: str
    """In documents, with its version."""
    provider: str
    """`traffic.provider`: Ingress or HTTPRoute."""
    url: str
    """The variable of the environment that says where it is reached."""
    gateway: str = ""
    """The Gateway that a HTTPRoute names."""

    @property
    def routes(self) -> str:
        """The collection of its routes, with a place for the namespace."""
        if self.provider == "HTTPRoute":
            return f"{GATEWAY_API}/namespaces/{{}}/httproutes"
        return f"{INGRESSES}/namespaces/{{}}/ingresses"


def _required(component: str, module: str) -> str:
    """The version of a Go module that a part of the cluster is built from."""
    text = (HERE / "go" / component / "go.mod").read_text()
    found = re.search(rf"{re.escape(module)} v([0-9.]+)", text)
    if found is None:
        raise ValueError(f"scripts/cluster/go/{component}/go.mod does not require {module}")
    return found[1]


def _pinned(requirements: Path) -> str:
    """The version of the one package that a file of requirements names."""
    return requirements.read_text().strip().partition("==")[2]


TRAEFIK = f"Traefik {_required('traefik', 'github.com/traefik/traefik/v3')}"
ENVOY = (
    f"Envoy {_pinned(HERE / 'images' / 'envoy-requirements.txt')} by Envoy Gateway"
    f" {_required('envoy', 'github.com/envoyproxy/gateway')}"
)
ROUTERS: Mapping[str, Router] = {
    r.name: r
    for r in (
        Router("Ingress", TRAEFIK, "Ingress", "INGRESS_URL"),
        Router("HTTPRoute", TRAEFIK, "HTTPRoute", "INGRESS_URL", "public"),
        Router("Envoy", ENVOY, "HTTPRoute", "ENVOY_URL", "envoy"),
    )
}


class RoutedRollout(Rollout):
    """A rollout whose shares stand in an HTTPRoute."""

    def canary(self) -> tuple[str, int] | None:
        found = self.kube.get(f"{GATEWAY_API}/namespaces/{self.namespace}/httproutes/{self.name}")
        return None if found is None else share_of(self.name, found)


def routed(kube: Kube, router: Router, what: str, settings: Object) -> Rollout:
    """A rollout in a namespace of its own, not applied yet."""
    namespace = f"bench-{router.name.lower()}-{what}"
    fresh_namespace(kube, namespace)
    if router.provider == "Ingress":
        return Rollout(kube, namespace, settings=dict(settings))
    traffic = {
        "provider": "HTTPRoute",
        "host": f"iris.{namespace}.example.com",
        "parentRefs": [{"name": router.gateway}],
    }
    return RoutedRollout(kube, namespace, settings={**settings, "traffic": traffic})


def share_of(rollout: str, route: Object) -> tuple[str, int] | None:
    """Revision and weight (0 to 100) of the candidate in a rollout's HTTPRoute or canary Ingress;
    None where the route has no candidate.
    """
    if route["kind"] == "Ingress":
        backend = route["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"]
        weight = route["metadata"]["annotations"]["nginx.ingress.kubernetes.io/canary-weight"]
        return backend.removeprefix(f"{rollout}-"), int(weight)
    backends = route["spec"]["rules"][0]["backendRefs"]
    if len(backends) != 2:
        return None
    return backends[1]["name"].removeprefix(f"{rollout}-"), backends[1]["weight"]
