"""Who is new types what the pages say, on the local cluster: nothing of ours runs there yet, and
containerd pulls the images from a registry of OCI's.
"""

import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from scripts.cluster import addons, gobuild, images
from scripts.cluster.paths import NAMESPACE, SOCKET
from scripts.demo.models import RECIPES, train
from scripts.demo.models import Registry as Models
from scripts.demo.rollout import Rollout, eventually, fresh_namespace
from scripts.demo.traffic import answers_on
from scripts.kube import Kube, Object
from scripts.release import command_line, files, publishing, version
from scripts.release.rehearsal import HOST, local_registry, make_keys, push_image
from scripts.release.tools import Registry, Signer
from tests.support.documents import commands
from tests.support.newcomer import QUICK_STARTS, ROOT, Newcomer

VERSION = version.here(ROOT)
CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/modelrollouts.rollouts.mlops.dev"
NAMED = {"monitoring": "prometheus", "mlflow": "mlflow"}
"""The namespaces in which the pages have these Services."""


@pytest.fixture
def kube() -> Iterator[Kube]:
    """A cluster with Prometheus, MLflow and a router, and without the operator; afterwards the
    operator that is checked out runs there again.
    """
    assert SOCKET.exists(), (
        "It takes a cluster that was built here: CLUSTER=local make test-release"
    )
    cluster, kubeconfig = Kube(), os.environ["KUBECONFIG"]
    rollouts = "/apis/rollouts.mlops.dev/v1alpha1/modelrollouts"
    asked_for = [r["metadata"]["name"] for r in cluster.items(rollouts)]
    assert not asked_for, f"The operator is installed anew: first delete the rollouts {asked_for}"
    helm = gobuild.program("helm")
    uninstall: list[str | Path] = [
        helm,
        "--kubeconfig",
        kubeconfig,
        "--namespace",
        NAMESPACE,
        "uninstall",
    ]
    subprocess.run([*uninstall, addons.OPERATOR, "--wait", "--ignore-not-found"], check=True)
    cluster.delete(CRD)
    eventually(lambda: True if cluster.get(CRD) is None else None, "the CRD to go", 60)
    for namespace, name in NAMED.items():
        fresh_namespace(cluster, namespace)
        path = f"/api/v1/namespaces/{namespace}/services/{name}"
        cluster.apply(path, _alias(namespace, name))
    Models(os.environ["MLFLOW_TRACKING_URI"]).forget("iris")
    try:
        yield cluster
    finally:
        tags = {i.variable: i.tag for i in images.IMAGES}
        addons.install_operator(helm, kubeconfig, tags)
        for namespace in NAMED:
            cluster.delete(f"/api/v1/namespaces/{namespace}")


def _alias(namespace: str, name: str) -> Object:
    """A Service that leads to the cluster's own of that name."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"type": "ExternalName", "externalName": f"{name}.{NAMESPACE}.svc.cluster.local"},
    }


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    """An empty one; what containerd has pulled from it goes with it."""
    folder = tmp_path / "registry"
    folder.mkdir()
    with local_registry(folder) as one:
        yield one
    ctr = ["ctr", "-a", str(SOCKET), "-n", "k8s.io", "images"]
    listed = subprocess.run([*ctr, "list", "--quiet"], capture_output=True, text=True, check=True)
    for pulled in listed.stdout.split():
        if pulled.startswith(one.place):
            subprocess.run([*ctr, "remove", pulled], check=True, capture_output=True)


def images_of(kube: Kube, namespace: str, labels: str) -> set[str]:
    """What pods run."""
    pods = kube.items(f"/api/v1/namespaces/{namespace}/pods", labels)
    return {c["image"] for pod in pods for c in pod["spec"]["containers"]}


@pytest.mark.parametrize("page", QUICK_STARTS)
def test_the_quick_start_with_helm_works_word_for_word(
    page: str, kube: Kube, registry: Registry, tmp_path: Path
) -> None:
    reader = Newcomer(tmp_path, os.environ["KUBECONFIG"])
    own = {
        "REGISTRY": registry.place,
        "https://mlflow.example.com": os.environ["MLFLOW_TRACKING_URI"],
    }
    headings, number = QUICK_STARTS[page]
    blocks = commands(reader.checkout / page, *headings)
    printed = reader.types(blocks, own, until=f"attempt {number}  Promoted")

    assert any("STATUS: deployed" in block for block in printed)
    assert [*dict.fromkeys(re.findall(r"^models:/.*$", "".join(printed), re.M))] == [
        f"models:/iris/{n + 1}" for n in range(number)
    ]
    assert Rollout(kube, "default").status()["stable"]["uri"] == f"models:/iris/{number}"
    eventually(
        lambda: answers_on(os.environ["INGRESS_URL"], "iris.example.com") or None,
        "the model to answer",
        60,
    )
    assert images_of(kube, NAMESPACE, "app.kubernetes.io/name=rollout-operator") == {
        f"{registry.place}/operator:v1"
    }
    assert images_of(kube, "default", "rollouts.mlops.dev/rollout=iris") == {
        f"{registry.place}/inference:v1"
    }
    clear_away(reader, kube)


def clear_away(reader: Newcomer, kube: Kube) -> None:
    """As the page says; what must go then does."""
    reader.types(commands(ROOT / "docs/getting-started/quickstart-helm.md", "Clear away"), {})
    pods = "/api/v1/namespaces/default/pods"
    eventually(
        lambda: True if not kube.items(pods, "rollouts.mlops.dev/rollout") else None,
        "the model's pods to go",
        120,
    )
    assert kube.get(CRD) is not None, "it is kept, and every ModelRollout with it"


@contextmanager
def page_of_releases(folder: Path) -> Iterator[str]:
    """The files of a folder at a URL."""
    handler = partial(SimpleHTTPRequestHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def test_a_release_is_installed_word_for_word(
    kube: Kube, registry: Registry, tmp_path: Path
) -> None:
    """Chart and images from the registry, the command line from the release's page: by its sum,
    and by krew.
    """
    reader = Newcomer(tmp_path, os.environ["KUBECONFIG"])
    dist = tmp_path / "site" / "project" / "releases" / "download" / f"v{VERSION}"
    dist.mkdir(parents=True)
    uv = shutil.which("uv")
    assert uv, "make puts uv on the PATH"
    train(Models(os.environ["MLFLOW_TRACKING_URI"]), "iris", RECIPES[1])
    signer = Signer(registry, make_keys(tmp_path).private)
    here = [p for p in command_line.PLATFORMS if (p.os, p.arch) == ("linux", HOST)]
    with page_of_releases(tmp_path / "site") as url:
        release = files.Release(VERSION, registry.place, f"{url}/project", "")
        files.build(release, dist, uv, here)
        for name in publishing.IMAGES:
            push_image(registry, name, HOST, VERSION, tmp_path / f"{name}.cdx.json")
            publishing.index(registry, signer, name, VERSION, [HOST])
        publishing.push_charts(registry, signer, sorted(dist.glob("*.tgz")))
        own = {
            "REGISTRY": registry.place,
            "https://github.com/OWNER/REPOSITORY": f"{url}/project",
            "1.2.3": VERSION,
            "linux-amd64": f"linux-{HOST}",
        }
        blocks = commands(reader.checkout / "docs/guides/install.md", "Install a release")
        reader.types(blocks, own)
    plugin = reader.folder / ".krew" / "bin" / "kubectl-modelrollout"
    assert plugin.exists()
    asks = "kubectl apply -f docs/examples/iris.yaml\nkubectl modelrollout status iris --wait\n"
    assert "Promoted: models:/iris/1 is stable" in reader.types([asks], {})[0]
    assert images_of(kube, NAMESPACE, "app.kubernetes.io/name=rollout-operator") == {
        f"{registry.image('operator')}:{VERSION}"
    }
    assert images_of(kube, "default", "rollouts.mlops.dev/rollout=iris") == {
        f"{registry.image('inference')}:{VERSION}"
    }
    clear_away(reader, kube)
