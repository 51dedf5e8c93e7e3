"""Flux itself, as processes before an API server: source-controller and kustomize-controller."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import yaml

from scripts.cluster import gobuild
from scripts.cluster.apiserver import free_port, running
from tests.support.api_client import ApiClient
from tests.support.git_repository import EXAMPLE_URL, GitRepository
from tests.support.served import install_crds, wait_collection, wait_port

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples" / "gitops" / "flux"
NAMESPACE = "flux-system"
PLURALS = {"GitRepository": "gitrepositories", "Kustomization": "kustomizations"}
GATE = "CancelHealthCheckOnNewRevision=true"
"""What the example with `wait: true` says that kustomize-controller must have."""


def _collection(group: str, kind: str) -> str:
    return f"/apis/{group}.toolkit.fluxcd.io/v1/namespaces/{NAMESPACE}/{PLURALS[kind]}"


@dataclass(frozen=True)
class Kustomization:
    """One GitRepository and its Kustomization, made from the example."""

    title: ClassVar = "Flux"
    example: ClassVar = "models.yaml"
    api: ApiClient
    name: str
    """Of both, and of the namespace that they apply to."""
    folder: Path
    """What `flux` was given."""

    @property
    def path(self) -> str:
        """Of the Kustomization."""
        return f"{_collection('kustomize', 'Kustomization')}/{self.name}"

    @property
    def apps(self) -> str:
        """The name of the Kustomization that waits for it, where the example has one. Flux labels
        all that it applies with it, and a label has at most 63 characters.
        """
        return f"{self.name[-58:].strip('-')}-apps"

    @property
    def apps_path(self) -> str:
        """Of that one."""
        return f"{_collection('kustomize', 'Kustomization')}/{self.apps}"

    @property
    def source(self) -> str:
        """Of the GitRepository."""
        return f"{_collection('source', 'GitRepository')}/{self.name}"

    def begin(self, repository: GitRepository) -> None:
        """Apply the example; only its names and the address of the repository are changed."""
        text = (EXAMPLES / self.example).read_text().replace(EXAMPLE_URL, repository.url)
        text = text.replace("name: models", f"name: {self.name}")
        text = text.replace("targetNamespace: models", f"targetNamespace: {self.name}")
        text = text.replace("name: apps", f"name: {self.apps}")
        for manifest in yaml.safe_load_all(text):
            group = manifest["apiVersion"].partition(".")[0]
            path = f"{_collection(group, manifest['kind'])}/{manifest['metadata']['name']}"
            reply = self.api.apply(path, manifest)
            assert reply.status_code == 201, reply.text

    def end(self) -> None:
        """Delete all of it, and leave what it applied."""
        for path in (self.apps_path, self.path):
            self.api.patch(path, {"spec": {"prune": False}})
        for path in (self.apps_path, self.path, self.source):
            self.api.http.delete(path)

    def look(self) -> None:
        """Look at the repository now, as at a webhook and by `flux reconcile source git`."""
        self._request(self.source)

    def apply_again(self) -> None:
        """Apply what lies in Git once more, as every `interval`."""
        self._request(self.path)

    def _request(self, path: str) -> None:
        asked = {"reconcile.fluxcd.io/requestedAt": str(time.time())}
        self.api.patch(path, {"metadata": {"annotations": asked}}).raise_for_status()

    def suspend(self) -> None:
        """Apply no commit until it is resumed, as by `flux suspend kustomization`."""
        self.api.patch(self.path, {"spec": {"suspend": True}}).raise_for_status()

    def resume(self) -> None:
        """Apply what has come meanwhile."""
        self.api.patch(self.path, {"spec": {"suspend": False}}).raise_for_status()
        self.look()

    def status(self) -> dict[str, Any]:
        """As it stands."""
        found: dict[str, Any] = self.api.get(self.path).get("status", {})
        return found

    def says(self) -> str:
        """The reason of the condition Ready."""
        return ready_reason(self.status())

    def why(self, model: str) -> str:
        """The message of the condition Ready, whichever model it is about."""
        return str(ready(self.status()).get("message", ""))

    def apps_say(self) -> str:
        """The same of the Kustomization that waits for it."""
        return ready_reason(self.api.get(self.apps_path).get("status", {}))

    def asked(self) -> str:
        """The commit that it has seen last."""
        return str(self.status().get("lastAttemptedRevision", "")).rpartition(":")[2]


class WithWait(Kustomization):
    """The same with `wait: true`."""

    title: ClassVar = "Flux, wait: true"
    example: ClassVar = "models-with-wait.yaml"


class WithDependents(Kustomization):
    """The same, for which another one waits; a rollback counts as an end."""

    title: ClassVar = "Flux, dependsOn"
    example: ClassVar = "models-and-dependents.yaml"


def ready(status: dict[str, Any]) -> dict[str, Any]:
    """The condition Ready; empty where there is none yet."""
    conditions = status.get("conditions", ())
    return next((c for c in conditions if c["type"] == "Ready"), {})


def ready_reason(status: dict[str, Any]) -> str:
    """The reason of the condition Ready."""
    return str(ready(status).get("reason", "Unknown"))


@contextmanager
def flux(api: ApiClient, folder: Path) -> Iterator[None]:
    """Run both controllers with the flags of their own manifests and the gate of the example."""
    gobuild.build(gobuild.FLUX)
    source = gobuild.program("source-controller")
    install_crds(api, source.parent / "crds")
    for group, kind in (("source", "GitRepository"), ("kustomize", "Kustomization")):
        wait_collection(api, _collection(group, kind))
    api.namespace(NAMESPACE)
    storage = free_port()
    environment = {
        "KUBECONFIG": str(api.kubeconfig),
        "RUNTIME_NAMESPACE": NAMESPACE,
        "TMPDIR": str(folder / "tmp"),
        "NO_PROXY": "127.0.0.1",
    }
    for name in ("tmp", "storage"):
        (folder / name).mkdir()
    address = f"127.0.0.1:{storage}"
    flags = {
        "source-controller": [
            f"--storage-path={folder / 'storage'}",
            f"--storage-addr={address}",
            f"--storage-adv-addr={address}",
        ],
        "kustomize-controller": [f"--feature-gates={GATE}"],
    }
    with ExitStack() as stack:
        for name, own in flags.items():
            health = free_port()
            command = [str(source.parent / name), *own, "--watch-all-namespaces"]
            command += [f"--metrics-addr=127.0.0.1:{free_port()}"]
            command += [f"--health-addr=127.0.0.1:{health}"]
            stack.enter_context(running(command, folder / f"{name}.log", environment))
            wait_port(health, name)
        wait_port(storage, "source-controller's files")
        yield
