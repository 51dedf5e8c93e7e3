"""One ModelRollout as its user sees it: applied, read, waited for."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx

from scripts.kube import Kube, KubeError, Object

GROUP, VERSION = "rollouts.mlops.dev", "v1alpha1"
WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"
AWAY = (KubeError, httpx.TransportError)
"""What is raised where somebody who is asked does not answer."""
T = TypeVar("T")


class NeverHappened(Exception):
    """What was waited for did not happen in time; the message says what, how long, and what stood
    in its place.
    """


def eventually(
    probe: Callable[[], T | None],
    what: str,
    seconds: float,
    instead: Callable[[], str] = str,
    pause: float = 0.4,
) -> T:
    """Poll until `probe` gives something; an API server or a host that does not answer for a while
    only costs time.

    Raises NeverHappened after `seconds`, with `instead()` telling what was found.
    """
    end = time.monotonic() + seconds
    while True:
        trouble = ""
        try:
            if (found := probe()) is not None:
                return found
        except AWAY as failure:
            trouble = str(failure) or repr(failure)
        if time.monotonic() > end:
            raise NeverHappened(
                f"Waited {seconds:.0f} s in vain for {what}. {trouble or _told(instead)}".strip()
            )
        time.sleep(pause)


def _told(instead: Callable[[], str]) -> str:
    """What was found, or why that cannot be told."""
    try:
        return instead()
    except AWAY as failure:
        return str(failure) or repr(failure)


@dataclass
class Rollout:
    """One ModelRollout, by what its user sees."""

    kube: Kube
    """The cluster's API."""
    namespace: str
    """Where it is, and all that it owns."""
    name: str = "iris"
    """Its own; with the namespace, it makes the host that it answers on."""
    settings: Object = field(default_factory=dict)
    """Fields of its spec besides modelUri."""

    @property
    def host(self) -> str:
        return f"{self.name}.{self.namespace}.example.com"

    @property
    def path(self) -> str:
        return f"/apis/{GROUP}/{VERSION}/namespaces/{self.namespace}/modelrollouts/{self.name}"

    def manifest(self, uri: str) -> Object:
        """What is applied to ask for the model `uri`."""
        return {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "ModelRollout",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": {"modelUri": uri, "traffic": {"host": self.host}, **self.settings},
        }

    def apply(self, uri: str) -> Object:
        """Ask for the model `uri`: all that a user does."""
        return self.kube.apply(self.path, self.manifest(uri))

    def status(self) -> Object:
        """The status; empty while the operator has not written any."""
        found = self.kube.get(self.path)
        status: Object = {} if found is None else found.get("status", {})
        return status

    def condition(self, kind: str) -> Object:
        """The condition of this type; empty where there is none."""
        return next((c for c in self.status().get("conditions", ()) if c["type"] == kind), {})

    def wait(self, phase: str, uri: str, seconds: float) -> Object:
        """Wait until the rollout is in `phase` with the model `uri`, as candidate or as stable;
        returns the status.
        """

        def probe() -> Object | None:
            status = self.status()
            about = "stable" if phase == "Promoted" else "candidate"
            there = status.get("phase") == phase and (status.get(about) or {}).get("uri") == uri
            return status if there else None

        return eventually(probe, f"{uri} to be in phase {phase}", seconds, self.tell)

    def tell(self) -> str:
        """Where the rollout stands, as a sentence."""
        status = self.status()
        return (
            f"It is in phase {status.get('phase', 'unknown')}:"
            f" {status.get('message') or 'the operator has written no status yet'}"
        )

    def canary(self) -> tuple[str, int] | None:
        """Revision and weight (0 to 100) in the canary Ingress; None without one."""
        path = (
            f"/apis/networking.k8s.io/v1/namespaces/{self.namespace}/ingresses/{self.name}-canary"
        )
        if (found := self.kube.get(path)) is None:
            return None
        service: str = found["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"]
        return service.removeprefix(f"{self.name}-"), int(found["metadata"]["annotations"][WEIGHT])

    def owned(self) -> dict[str, list[str]]:
        """Names of everything that exists for this rollout, by kind; no kind without any."""
        collections = {
            "Deployment": "/apis/apps/v1",
            "ReplicaSet": "/apis/apps/v1",
            "Pod": "/api/v1",
            "Service": "/api/v1",
            "Ingress": "/apis/networking.k8s.io/v1",
        }
        plural = {"Ingress": "ingresses"}
        found = {}
        for kind, root in collections.items():
            path = f"{root}/namespaces/{self.namespace}/{plural.get(kind, kind.lower() + 's')}"
            found[kind] = [
                o["metadata"]["name"] for o in self.kube.items(path, f"{GROUP}/rollout={self.name}")
            ]
        return {kind: names for kind, names in found.items() if names}


def fresh_namespace(
    kube: Kube, name: str, seconds: float = 180, security: str = "restricted"
) -> None:
    """Create the namespace, with this level of Pod Security enforced; one of that name is removed
    first, with everything in it.
    """
    path = f"/api/v1/namespaces/{name}"
    if kube.get(path) is not None:
        kube.delete(path)
        eventually(
            lambda: True if kube.get(path) is None else None,
            f"the old namespace {name} to go",
            seconds,
        )
    metadata = {"name": name, "labels": {"pod-security.kubernetes.io/enforce": security}}
    kube.create(
        "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    )


def verdict_of(status: Object, uri: str) -> Object:
    """The newest entry of history about `uri`; empty where there is none."""
    entry: dict[str, Any] = next((a for a in status.get("history", ()) if a["uri"] == uri), {})
    return entry
