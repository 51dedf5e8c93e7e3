"""Container images: built with buildah (or Docker, for kind) from Dockerfiles, keyed by what goes
into them.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from scripts.cluster import gobuild
from scripts.cluster.paths import CACHE, HERE, REPOSITORY
from scripts.cluster.progress import doing
from scripts.cluster.shell import run

ARCHIVES = CACHE / "images"
PASSED_ARGUMENTS = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CERT", "SSL_CERT_FILE")
PACKAGES = {
    "operator": (
        "operator/rollout_operator",
        "operator/rollout_bridge",
        "operator/rollout_cli",
        "operator/rollout_dashboard",
    ),
    "inference": (
        "inference/rollout_inference",
        "inference/rollout_labels",
        "inference/rollout_model",
    ),
}
"""What each image of ours has of the distribution's packages."""


@dataclass(frozen=True)
class Image:
    """An image of ours."""

    name: str
    """The last part of its repository: localhost/rollouts/NAME."""
    dockerfile: Path
    inputs: tuple[Path, ...]
    """Files and folders whose content is in the key, beside the Dockerfile."""
    programs: tuple[Callable[[], Path], ...] = ()
    """What builds each Go program in it; their files are in the key."""
    on_base: bool = True
    """Whether it is built on the base image with Python; else from scratch."""
    checkout: Path | None = None
    """What the Dockerfile may copy from; None for a folder with `inputs` and `programs`."""

    @cached_property
    def tag(self) -> str:
        """Name and content key, read once: sources that are edited while an image is built do not
        mix up two images.
        """
        key = content_key((self.dockerfile, *self.inputs, *(p() for p in self.programs)))
        return f"localhost/rollouts/{self.name}:{key}"

    @property
    def archive(self) -> Path:
        """Where the built image is kept."""
        return ARCHIVES / f"{self.name}-{self.tag.rsplit(':', 1)[1]}.tar"

    @property
    def variable(self) -> str:
        """The placeholder in the manifests."""
        return f"{self.name.upper()}_IMAGE"


def content_key(paths: Iterable[Path]) -> str:
    """Hash over names and contents of files; of large ones, over folder and size instead."""
    digest = hashlib.sha256()
    for path in paths:
        files = (
            [path]
            if path.is_file()
            else sorted(f for f in path.rglob("*") if f.is_file() and "__pycache__" not in f.parts)
        )
        for file in files:
            digest.update(f"{file.relative_to(path.parent)}\0".encode())
            size = file.stat().st_size
            digest.update(
                file.read_bytes() if size < 4_000_000 else f"{file.parent.name}/{size}".encode()
            )
    return digest.hexdigest()[:12]


def _built(name: str) -> Callable[[], Path]:
    return lambda: gobuild.program(name)


def ours(name: str, checkout: Path = REPOSITORY, called: str = "") -> Image:
    """The image of a checkout's Dockerfile.NAME; `called` otherwise where it is not this one's."""
    parts = ("pyproject.toml", "uv.lock", "scripts/sbom.py", *PACKAGES[name])
    return Image(
        called or name,
        checkout / f"Dockerfile.{name}",
        tuple(checkout / p for p in parts),
        checkout=checkout,
    )


PAUSE = Image(
    "pause", HERE / "images" / "pause.Dockerfile", (HERE / "images" / "pause.c",), on_base=False
)
IMAGES = (
    PAUSE,
    Image(
        "coredns", HERE / "images" / "coredns.Dockerfile", (), (_built("coredns"),), on_base=False
    ),
    Image(
        "traefik", HERE / "images" / "traefik.Dockerfile", (), (_built("traefik"),), on_base=False
    ),
    Image(
        "prometheus",
        HERE / "images" / "prometheus.Dockerfile",
        (),
        (_built("prometheus"),),
        on_base=False,
    ),
    Image(
        "mlflow",
        HERE / "images" / "mlflow.Dockerfile",
        (HERE / "images" / "mlflow-requirements.txt",),
    ),
    ours("operator"),
    ours("inference"),
)

ENVOY = (
    Image(
        "envoy",
        HERE / "images" / "envoy.Dockerfile",
        (HERE / "images" / "envoy-requirements.txt",),
    ),
    Image(
        "envoygateway",
        HERE / "images" / "envoygateway.Dockerfile",
        (),
        (_built("envoy-gateway"),),
        on_base=False,
    ),
)
"""For the cluster's part `envoy` only."""
METRICS_SERVER = (
    Image(
        "metricsserver",
        HERE / "images" / "metrics-server.Dockerfile",
        (),
        (_built("metrics-server"),),
        on_base=False,
    ),
)
"""For the cluster's part `metrics-server` only."""


def buildah(*words: str | Path) -> str:
    """buildah with a storage of its own in the cache."""
    store = CACHE / "buildah"
    return run(
        [
            "buildah",
            "--root",
            store / "root",
            "--runroot",
            "/run/model-rollouts/buildah",
            "--storage-driver",
            "vfs",
            *words,
        ]
    )


def emulated(architecture: str) -> bool:
    """Whether programs of this architecture, `amd64` or `arm64`, run here beside our own."""
    name = {"amd64": "x86_64", "arm64": "aarch64"}[architecture]
    return (Path("/proc/sys/fs/binfmt_misc") / f"qemu-{name}").exists()


def base_archive(architecture: str = "") -> Path:
    """A minimal Debian with Python, as a tar of its root file system; of this machine's
    architecture where none is given.
    """
    path = folder_of(architecture) / "base-bookworm-1.tar"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with doing(
            f"Making the base image: Debian bookworm with Python 3.11 {architecture}".rstrip()
        ):
            partial = path.with_suffix(".partial.tar")
            include = "--include=python3,python3-venv,ca-certificates"
            run(
                [
                    "mmdebstrap",
                    *([f"--architectures={architecture}"] if architecture else []),
                    "--variant=minbase",
                    include,
                    "--dpkgopt=path-exclude=/usr/share/doc/*",
                    "bookworm",
                    partial,
                ]
            )
            partial.rename(path)
    return path


def base_image(architecture: str = "") -> str:
    """The base image in buildah's storage; returns its name."""
    name = "-".join(filter(None, ("localhost/rollouts/base:1", architecture)))
    foreign = ["--arch", architecture] if architecture else []
    if not buildah("images", "--quiet", "--filter", f"reference={name}").strip():
        container = buildah("from", *foreign, "scratch").strip()
        buildah("add", "--quiet", container, base_archive(architecture), "/")
        buildah("commit", "--quiet", "--rm", container, name)
    return name


def folder_of(architecture: str) -> Path:
    """Where archives of an architecture are kept; of this machine's for ""."""
    return ARCHIVES / architecture if architecture else ARCHIVES


def build(image: Image, architecture: str = "") -> Path:
    """Build an image into its archive, unless it is there; for another architecture than this
    machine's where one is given, which must be `emulated`. Returns the archive.
    """
    archive = folder_of(architecture) / image.archive.name
    if archive.exists():
        return archive
    archive.parent.mkdir(parents=True, exist_ok=True)
    with doing(f"Building the image {image.name} {architecture}".rstrip()):
        base = base_image(architecture) if image.on_base else "scratch"
        with tempfile.TemporaryDirectory(dir=ARCHIVES) as work:
            context = _context(image, Path(work))
            words: list[str | Path] = [
                "bud",
                "--quiet",
                "--isolation",
                "chroot",
                "--no-cache",
                "--build-arg",
                f"BASE_IMAGE={base}",
                *(["--platform", f"linux/{architecture}"] if architecture else []),
            ]
            for name in PASSED_ARGUMENTS:
                if name in os.environ:
                    words += ["--build-arg", f"{name}={os.environ[name]}"]
            words += _mounts()
            buildah(*words, "-f", image.dockerfile, "-t", image.tag, context)
            partial = Path(work) / "image.tar"
            buildah("push", "--quiet", image.tag, f"docker-archive:{partial}:{image.tag}")
            buildah("rmi", "--force", image.tag)
            partial.rename(archive)
        for old in archive.parent.glob(f"{image.name}-*.tar"):
            if old != archive:
                old.unlink()
    return archive


def _context(image: Image, work: Path) -> Path:
    """What the Dockerfile may copy: a checkout, or a folder with the image's own files."""
    if image.checkout:
        return image.checkout
    context = work / "context"
    context.mkdir()
    for file in (*image.inputs, *(p() for p in image.programs)):
        shutil.copy(file, context)
    if image is PAUSE:
        run(["gcc", "-static", "-Os", "-s", "-o", "pause", "pause.c"], cwd=context)
    return context


def _mounts() -> list[str | Path]:
    """The host's certificates, index settings and package caches, for build steps only."""
    caches = {
        Path("/etc/ssl/certs"): "/etc/ssl/certs:ro",
        Path("/etc/pip.conf"): "/etc/pip.conf:ro",
        Path.home() / ".cache/uv": "/root/.cache/uv",
    }
    return [
        word
        for source, target in caches.items()
        if source.exists()
        for word in ("-v", f"{source}:{target}")
    ]
