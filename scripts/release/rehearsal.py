"""A release on this machine alone: everything is built, published to a registry that lives as long
as the rehearsal, signed by a key of its own, and installed from there.

What only the real one can show: the workflow's identity as signer, the upload to GitHub and to the
package index, the transparency log.
"""

import json
import os
import platform
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scripts.cluster import gobuild, images
from scripts.cluster.apiserver import free_port
from scripts.cluster.paths import NAMESPACE, REPOSITORY
from scripts.cluster.progress import doing, say
from scripts.cluster.shell import run
from scripts.release import command_line, files, publishing
from scripts.release.tools import Registry, Signer, program

HOST = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
LOADED = {"operator": "rollout_operator.handlers", "inference": "rollout_inference.app"}
"""What each image must be able to load, native libraries and all. Not tried by emulation: ONNX
Runtime ends qemu-user 7.2 with a segmentation fault.
"""
_ELF_MACHINE = {"amd64": 62, "arm64": 183}
SBOM_IN_IMAGE = "opt/venv/sbom.cdx.json"
REHEARSAL = "release-rehearsal"
"""Name of the Helm release, and of its namespace."""
REQUIRED = "prometheus.url=http://prometheus:9090,mlflow.trackingUri=http://mlflow:5000"


@contextmanager
def local_registry(folder: Path) -> Iterator[Registry]:
    """An OCI registry on a free port of this machine."""
    host = f"127.0.0.1:{free_port()}"
    config = {
        "version": 0.1,
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "registry")}},
        "http": {"addr": host},
    }
    (folder / "registry.yml").write_text(json.dumps(config))
    with (folder / "registry.log").open("w") as log:
        process = subprocess.Popen(
            [program("registry"), "serve", folder / "registry.yml"],
            stdout=log,
            stderr=log,
            env={**os.environ, "OTEL_TRACES_EXPORTER": "none"},
        )
    try:
        _wait(f"http://{host}/v2/")
        yield Registry(f"{host}/model-rollouts", plain=True)
    finally:
        process.terminate()
        process.wait()


def _wait(url: str) -> None:
    for _ in range(100):
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"{url} did not answer within 10 s.")


@dataclass(frozen=True, slots=True)
class Keys:
    """The rehearsal's own pair."""

    private: Path
    public: Path


def make_keys(folder: Path) -> Keys:
    """A pair of keys without a password, in `folder`."""
    run([program("cosign"), "generate-key-pair"], cwd=folder, env={"COSIGN_PASSWORD": ""})
    return Keys(folder / "cosign.key", folder / "cosign.pub")


def push_image(registry: Registry, name: str, architecture: str, version: str, sbom: Path) -> str:
    """Push NAME:VERSION-ARCH, built by the cluster's own way, and write its list of parts to a
    file; returns the digest. Raises CommandFailed or ValueError where the image cannot load what
    it is for.
    """
    ours = next(image for image in images.IMAGES if image.name == name)
    archive = images.build(ours, "" if architecture == HOST else architecture)
    local = _last(images.buildah("pull", "--quiet", f"docker-archive:{archive}"))
    container = _last(images.buildah("from", "--pull-never", local))
    try:
        mounted = Path(_last(images.buildah("mount", container)))
        sbom.write_bytes((mounted / SBOM_IN_IMAGE).read_bytes())
        if strangers := foreign_libraries(mounted / "opt/venv", architecture):
            raise ValueError(f"The image {name} for {architecture} has {', '.join(strangers[:5])}.")
        if architecture == HOST:
            python = ("--", "/opt/venv/bin/python", "-c", f"import {LOADED[name]}")
            images.buildah("run", "--isolation", "chroot", container, *python)
        target = f"{registry.image(name)}:{version}-{architecture}"
        words = ("--quiet", "--tls-verify=false", "--format", "oci")
        images.buildah("push", *words, local, f"docker://{target}")
    finally:
        images.buildah("rm", container)
        images.buildah("rmi", "--force", local)
    return registry.digest(target)


def foreign_libraries(folder: Path, architecture: str) -> list[str]:
    """Libraries below a folder that are of another architecture, by their ELF headers."""
    found = []
    for file in sorted(folder.rglob("*.so*")):
        if not file.is_file() or file.is_symlink():
            continue
        with file.open("rb") as opened:
            head = opened.read(20)
        machine = int.from_bytes(head[18:20], "little")
        if head.startswith(b"\x7fELF") and machine != _ELF_MACHINE[architecture]:
            found.append(str(file.relative_to(folder)))
    return found


def _last(told: str) -> str:
    """What buildah answers; lines before it warn of an image for another machine."""
    return told.strip().splitlines()[-1]


def verified(keys: Keys, *words: str | Path) -> None:
    """Have cosign check a signature by the rehearsal's key; raises CommandFailed."""
    run([program("cosign"), *words, "--key", keys.public, "--insecure-ignore-tlog=true"])


def installed(release: files.Release, registry: Registry, into: Path, work: Path) -> None:
    """Install what was released as a newcomer would: chart, package, command line, plugin."""
    chart = f"oci://{registry.chart('rollout-operator')}"
    told = run(
        [
            *(program("helm"), "template", "rehearsal", chart, "--version", release.version),
            *("--plain-http", "--set", REQUIRED),
        ]
    )
    for name in publishing.IMAGES:
        if f"{registry.image(name)}:{release.version}" not in told:
            raise ValueError(f"The released chart does not name the released image of {name}.")
    file = into / f"{command_line.NAME}-linux-{HOST}"
    elsewhere = {"HOME": str(work), "PEX_ROOT": str(work / "pex"), "KREW_ROOT": str(work / "krew")}
    run([file, "lint", REPOSITORY / "docs/examples/iris.yaml"], env=elsewhere)
    krew: list[str | Path] = [program("krew"), "install"]
    krew += [f"--manifest={into / 'modelrollout.yaml'}", f"--archive={file}.tar.gz"]
    run(krew, env=elsewhere)
    run([work / "krew/bin/kubectl-modelrollout", "--help"], env=elsewhere)


def on_cluster(
    release: files.Release, registry: Registry, into: Path, kubeconfig: Path, work: Path
) -> None:
    """Install the chart from the registry on a cluster of `make cluster`, which pulls the images
    from there too; then roll out a model, told of by the released file. The cluster's own operator,
    which looks after all namespaces, is stopped meanwhile.
    """
    place: list[str | Path] = ["--kubeconfig", kubeconfig, "--namespace", REHEARSAL]
    helm = [program("helm"), *place]
    kubectl = [gobuild.program("kubectl"), *place]
    values = {
        "prometheus": {"url": "http://prometheus.rollouts-system.svc:9090"},
        "mlflow": {"trackingUri": "http://mlflow.rollouts-system.svc:5000"},
        "watchNamespaces": [REHEARSAL],
        "rbac": {"aggregateClusterRoles": False},
        "crds": {"enabled": False},
    }
    chart = f"oci://{registry.chart('rollout-operator')}"
    system: list[str | Path] = ["--kubeconfig", kubeconfig, "--namespace", NAMESPACE]
    own = [gobuild.program("kubectl"), *system]
    try:
        run([*own, "scale", "deployment/rollout-operator", "--replicas=0"])
        of_own = ["pod", "--selector", "app.kubernetes.io/name=rollout-operator"]
        run([*own, "wait", "--for=delete", *of_own, "--timeout=120s"])
        with doing(f"Installing {chart} on the cluster"):
            run(
                [
                    *(*helm, "install", REHEARSAL, chart, "--version", release.version),
                    *("--plain-http", "--create-namespace", "--wait", "--timeout", "300s"),
                    *("--values", "-"),
                ],
                stdin=json.dumps(values),
            )
            run([*helm, "test", REHEARSAL])
        with doing("Rolling out models:/iris/1"):
            example = (REPOSITORY / "docs/examples/iris.yaml").read_text()
            ours = example.replace("namespace: default", f"namespace: {REHEARSAL}")
            run([*kubectl, "apply", "-f", "-"], stdin=ours.replace("iris.example", REHEARSAL))
            file = into / f"{command_line.NAME}-linux-{HOST}"
            words = ("status", "iris", "--wait", "--timeout", "5m")
            say(
                run([file, *words, *place], env={"PEX_ROOT": str(work / "pex")})
                .strip()
                .splitlines()[-1]
            )
        pulled = run(
            [*kubectl, "get", "pods", "-o", "jsonpath={.items[*].spec.containers[0].image}"]
        )
        for name in publishing.IMAGES:
            if f"{registry.image(name)}:{release.version}" not in pulled.split():
                raise ValueError(f"No pod runs the released image of {name}: {pulled}")
    finally:
        subprocess.run([*helm, "uninstall", REHEARSAL, "--ignore-not-found"], check=False)
        subprocess.run(
            [*kubectl, "delete", "namespace", REHEARSAL, "--ignore-not-found"], check=False
        )
        subprocess.run([*own, "scale", "deployment/rollout-operator", "--replicas=1"], check=False)


@dataclass(frozen=True, slots=True)
class Extent:
    """What is rehearsed."""

    platforms: Sequence[command_line.Platform]
    """Of the command line."""
    architectures: Sequence[str]
    """Of the images: amd64, arm64."""
    kubeconfig: Path | None = None
    """Of a cluster of `make cluster` on this machine, to install on; None for none."""


def rehearse(
    release: files.Release, registry: Registry, extent: Extent, into: Path, work: Path, *, uv: str
) -> None:
    """Everything; raises CommandFailed or ValueError with what does not hold."""
    architectures = extent.architectures
    keys = make_keys(work)
    signer = Signer(registry, keys.private)
    with doing("Building packages, command line and charts"):
        files.build(release, into, uv, extent.platforms)
    for name in publishing.IMAGES:
        for arch in architectures:
            sbom = work / f"{name}-{arch}.cdx.json"
            digest = push_image(registry, name, arch, release.version, sbom)
            publishing.describe_parts(registry, signer, name, digest, sbom)
        digest = publishing.index(registry, signer, name, release.version, architectures)
        say(f"{registry.image(name)}:{release.version} is {digest}")
        verified(keys, "verify", "--allow-http-registry", f"{registry.image(name)}@{digest}")
    charts = publishing.push_charts(registry, signer, sorted(into.glob("*.tgz")))
    for name, digest in charts.items():
        say(f"oci://{registry.chart(name)} is {digest}")
        verified(keys, "verify", "--allow-http-registry", f"{registry.chart(name)}@{digest}")
        publishing.describe_repository(
            registry, name, REPOSITORY / "artifacthub-repo.yml", identity=""
        )
    bundle = signer.file(into / files.SUMS)
    verified(keys, "verify-blob", "--bundle", bundle, into / files.SUMS)
    run(["sha256sum", "--check", "--quiet", "--strict", files.SUMS], cwd=into)
    with tempfile.TemporaryDirectory(dir=work) as clean:
        installed(release, registry, into, Path(clean))
        if extent.kubeconfig is not None:
            on_cluster(release, registry, into, extent.kubeconfig, Path(clean))
