"""What goes to the registry: an index of images for each name, the charts, and their signatures."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.cluster.shell import run
from scripts.release.tools import Registry, Signer, program

IMAGES = ("operator", "inference")
SBOM = "application/vnd.cyclonedx+json"
"""Type of an image's list of parts, which refers to it in the registry."""
_HUB_CONFIG = "application/vnd.cncf.artifacthub.config.v1+yaml"
_HUB_LAYER = "application/vnd.cncf.artifacthub.repository-metadata.layer.v1.yaml"


def describe_parts(registry: Registry, signer: Signer, name: str, digest: str, sbom: Path) -> None:
    """Attach the list of parts to an image of one platform, and sign that it is its list."""
    reference = f"{registry.image(name)}@{digest}"
    registry.oras(
        "attach",
        "--artifact-type",
        SBOM,
        reference,
        f"{sbom.name}:{SBOM}",
        cwd=sbom.parent,
    )
    signer.statement(reference, "cyclonedx", sbom)


def index(
    registry: Registry, signer: Signer, name: str, version: str, architectures: Sequence[str]
) -> str:
    """Join NAME:VERSION-ARCH to NAME:VERSION, and sign all; returns the index's digest."""
    repository = registry.image(name)
    digests = [registry.digest(f"{repository}:{version}-{arch}") for arch in architectures]
    registry.oras("manifest", "index", "create", f"{repository}:{version}", *digests)
    digest = registry.digest(f"{repository}:{version}")
    signer.image(f"{repository}@{digest}")
    return digest


def push_charts(registry: Registry, signer: Signer, charts: Iterable[Path]) -> dict[str, str]:
    """Push the packaged charts and sign them; digest of each by its name."""
    pushed = {}
    plain = ["--plain-http"] if registry.plain else []
    for chart in charts:
        name, version = chart.name.removesuffix(".tgz").rsplit("-", 1)
        run([program("helm"), "push", chart, f"oci://{registry.place}/charts", *plain])
        digest = registry.digest(f"{registry.chart(name)}:{version}")
        signer.image(f"{registry.chart(name)}@{digest}")
        pushed[name] = digest
    return pushed


def describe_repository(registry: Registry, chart: str, metadata: Path, identity: str) -> None:
    """Push artifacthub-repo.yml beside a chart, with the id that it has there, where it has one."""
    with TemporaryDirectory() as work:
        file = Path(work) / "artifacthub-repo.yml"
        own = f"repositoryID: {json.dumps(identity)}\n" if identity else ""
        file.write_text(own + metadata.read_text())
        registry.oras(
            "push",
            f"{registry.chart(chart)}:artifacthub.io",
            "--config",
            f"/dev/null:{_HUB_CONFIG}",
            f"{file.name}:{_HUB_LAYER}",
            cwd=file.parent,
        )
