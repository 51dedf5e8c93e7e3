"""Argo CD itself, as processes before an API server: its controllers, repo-server and Redis."""

import gzip
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import yaml

from scripts.cluster import debian, gobuild
from scripts.cluster.apiserver import free_port, running
from tests.support.api_client import ApiClient
from tests.support.git_repository import EXAMPLE_URL, PROJECT_URL, GitRepository
from tests.support.served import install_crds, wait_collection, wait_port

ROOT = Path(__file__).parents[2]
NAMESPACE = "argocd"
EXAMPLES = ROOT / "docs" / "examples" / "gitops" / "argo-cd"
SETTINGS = ROOT / "gitops" / "argo-cd" / "argocd-cm.yaml"
SOCKET = "redis.sock"
_ARGO = f"/apis/argoproj.io/v1alpha1/namespaces/{NAMESPACE}"


@dataclass(frozen=True)
class Application:
    """One Application, made from the example, with an interface that Flux' Kustomization shares."""

    title: ClassVar = "Argo CD"
    example: ClassVar = "application.yaml"
    api: ApiClient
    name: str
    """Of the Application, and of the namespace that it applies to."""
    folder: Path
    """What `argo_cd` was given."""

    @property
    def path(self) -> str:
        """Of the Application."""
        return f"{_ARGO}/applications/{self.name}"

    def begin(self, repository: GitRepository) -> None:
        """Apply the example; only its names and the address of the repository are changed."""
        reply = self.api.apply(self.path, self.manifest(repository))
        assert reply.status_code == 201, reply.text

    def manifest(self, repository: GitRepository) -> dict[str, Any]:
        """The Application as it is applied."""
        text = (EXAMPLES / self.example).read_text()
        for url in (EXAMPLE_URL, PROJECT_URL):
            text = text.replace(url, repository.url)
        text = text.replace("name: models", f"name: {self.name}")
        text = text.replace('name: "models-', f'name: "{self.name}-')
        text = text.replace("namespace: models", f"namespace: {self.name}")
        manifest: dict[str, Any] = yaml.safe_load(text)
        return manifest

    def end(self) -> None:
        """Delete it, and leave what it applied."""
        self.api.http.delete(self.path)

    def look(self) -> None:
        """Look at the repository now, as it does at a webhook."""
        self._annotate("argocd.argoproj.io/refresh", "normal")

    def apply_again(self) -> None:
        """What is applied without a new commit: by self-healing, so nothing is to do."""

    def _annotate(self, key: str, value: str) -> None:
        self.api.patch(self.path, {"metadata": {"annotations": {key: value}}}).raise_for_status()

    def suspend(self) -> None:
        """Apply no commit until it is resumed."""
        self._change({"syncPolicy": {"automated": {"enabled": False}}})

    def resume(self) -> None:
        """Apply what has come meanwhile."""
        self._change({"syncPolicy": {"automated": {"enabled": True}}})
        self.look()

    def _change(self, spec: dict[str, Any]) -> None:
        self.api.patch(self.path, {"spec": spec}).raise_for_status()

    def terminate(self) -> None:
        """End the operation that runs, as `argocd app terminate-op` does."""
        self.api.patch(
            self.path, {"status": {"operationState": {"phase": "Terminating"}}}
        ).raise_for_status()

    def status(self) -> dict[str, Any]:
        """As it stands."""
        found: dict[str, Any] = self.api.get(self.path).get("status", {})
        return found

    def says(self) -> str:
        """Its state of sync and its health, as the list of applications shows them."""
        status = self.status()
        sync, health = status.get("sync", {}), status.get("health", {})
        return f"{sync.get('status', 'Unknown')}, {health.get('status', 'Missing')}"

    def why(self, model: str) -> str:
        """What its resource tree says of the health of this ModelRollout: from Redis, which is
        where Argo CD's server has it from.
        """
        redis = ["redis-cli", "-s", str(self.folder / SOCKET), "--raw"]

        def ask(*words: str) -> bytes:
            return subprocess.run([*redis, *words], capture_output=True, check=True).stdout[:-1]

        (key,) = ask("KEYS", f"app|resources-tree|{self.name}|*").decode().splitlines()
        nodes = json.loads(gzip.decompress(ask("GET", key)))["nodes"]
        messages = (
            node.get("health", {}).get("message", "")
            for node in nodes
            if (node["kind"], node["name"]) == ("ModelRollout", model)
        )
        return next(messages, "")

    def asked(self) -> str:
        """The commit that it has seen last."""
        return str(self.status().get("sync", {}).get("revision", ""))

    def operation(self) -> str:
        """When its last operation began; self-healing is one, too."""
        return str(self.status().get("operationState", {}).get("startedAt", ""))


class ThreeWaves(Application):
    """The same; what it applies comes in three waves."""

    title: ClassVar = "Argo CD, three waves"


class OperatorChart(Application):
    """The example that applies the operator's chart."""

    example: ClassVar = "operator.yaml"


class ApplicationSet(Application):
    """The example that makes an Application of each folder."""

    example: ClassVar = "applicationset.yaml"

    @property
    def path(self) -> str:
        return f"{_ARGO}/applicationsets/{self.name}"

    def look(self) -> None:
        self._annotate("argocd.argoproj.io/application-set-refresh", "true")

    def made(self, folder: str) -> Application:
        """The Application of this folder."""
        return Application(self.api, f"{self.name}-{folder}", self.folder)


@contextmanager
def argo_cd(api: ApiClient, folder: Path) -> Iterator[None]:
    """Run it with the settings of gitops/argo-cd, and flags as they are by default."""
    debian.install({"redis-server": "redis-server", "git": "git"})
    gobuild.build(gobuild.ARGOCD)
    program = gobuild.program("argocd")
    gobuild.build(next(one for one in gobuild.COMPONENTS if one.name == "helm"))
    helm = gobuild.program("helm").parent
    install_crds(api, program.parent / "crds")
    for kind in ("applications", "appprojects", "applicationsets"):
        wait_collection(api, f"{_ARGO}/{kind}")
    api.namespace(NAMESPACE)
    _settings(api)
    redis, repo, repo_metrics, metrics, sets = (free_port() for _ in range(5))
    environment = {
        "KUBECONFIG": str(api.kubeconfig),
        "ARGOCD_FAKE_IN_CLUSTER": "true",
        "ARGOCD_GPG_ENABLED": "false",
        "ARGOCD_TLS_DATA_PATH": str(folder / "tls"),
        "ARGOCD_SSH_DATA_PATH": str(folder / "ssh"),
        "ARGOCD_PLUGINSOCKFILEPATH": str(folder / "plugins"),
        "HOSTNAME": "argocd-application-controller-0",
        "TMPDIR": str(folder / "tmp"),
        "NO_PROXY": "127.0.0.1",
        # Git asks `argocd` for passwords; charts are rendered by `helm`.
        "PATH": f"{program.parent}:{helm}:{os.environ['PATH']}",
    }
    (folder / "tmp").mkdir()
    common = ["--redis", f"127.0.0.1:{redis}", "--logformat", "text"]
    store = ["redis-server", "--port", str(redis), "--bind", "127.0.0.1", "--save", ""]
    store += ["--unixsocket", str(folder / SOCKET), "--dir", str(folder)]
    server = [str(program), "--address", "127.0.0.1", "--port", str(repo)]
    # Its default is refused beside --disable-tls.
    server += ["--disable-tls", "--client-ca-path", ""]
    server += ["--metrics-address", "127.0.0.1", "--metrics-port", str(repo_metrics), *common]
    controller = [str(program), "--repo-server", f"127.0.0.1:{repo}", "--repo-server-plaintext"]
    controller += ["--metrics-port", str(metrics), "--namespace", NAMESPACE, *common]
    maker = [str(program), "--argocd-repo-server", f"127.0.0.1:{repo}", "--repo-server-plaintext"]
    maker += ["--metrics-addr", f"127.0.0.1:{sets}", "--probe-addr", "0", "--logformat", "text"]
    maker += ["--webhook-addr", f"127.0.0.1:{free_port()}", "--namespace", NAMESPACE]
    with ExitStack() as stack:
        stack.enter_context(running(store, folder / "redis.log"))
        named = {**environment, "ARGOCD_BINARY_NAME": "argocd-repo-server"}
        stack.enter_context(running(server, folder / "repo-server.log", named))
        wait_port(redis, "Redis")
        wait_port(repo, "the repo-server")
        named = {**environment, "ARGOCD_BINARY_NAME": "argocd-application-controller"}
        stack.enter_context(running(controller, folder / "controller.log", named))
        wait_port(metrics, "the application controller")
        named = {**environment, "ARGOCD_BINARY_NAME": "argocd-applicationset-controller"}
        stack.enter_context(running(maker, folder / "applicationsets.log", named))
        wait_port(sets, "the ApplicationSet controller")
        yield


def _settings(api: ApiClient) -> None:
    """What an installation of Argo CD has: its settings with ours in them, and the project
    `default`, which its server makes.
    """
    labels = {"app.kubernetes.io/part-of": "argocd"}
    core = f"/api/v1/namespaces/{NAMESPACE}"
    data = yaml.safe_load(SETTINGS.read_text())["data"]
    objects = {
        f"{core}/configmaps/argocd-cm": ("v1", "ConfigMap", {"data": data}),
        f"{core}/configmaps/argocd-rbac-cm": ("v1", "ConfigMap", {}),
        f"{core}/secrets/argocd-secret": (
            "v1",
            "Secret",
            {"stringData": {"server.secretkey": "of-this-test"}},
        ),
        f"{_ARGO}/appprojects/default": (
            "argoproj.io/v1alpha1",
            "AppProject",
            {
                "spec": {
                    "sourceRepos": ["*"],
                    "destinations": [{"namespace": "*", "server": "*"}],
                    "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
                }
            },
        ),
    }
    for path, (version, kind, body) in objects.items():
        meta = {"name": path.rsplit("/", 1)[1], "namespace": NAMESPACE, "labels": labels}
        reply = api.apply(path, {"apiVersion": version, "kind": kind, "metadata": meta, **body})
        assert reply.status_code in {200, 201}, reply.text
