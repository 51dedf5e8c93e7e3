"""A release's files and what is published of them, in a real registry, signed by a real cosign:
what was changed, is unsigned, or signed by somebody else, is refused.
"""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.cluster.shell import CommandFailed, run
from scripts.release import changelog, command_line, files, publishing, version
from scripts.release.rehearsal import HOST, Keys, installed, local_registry, make_keys, verified
from scripts.release.tools import Registry, Signer

ROOT = Path(__file__).parents[2]
VERSION = version.here(ROOT)
CONFIG = "application/vnd.oci.image.config.v1+json"


@dataclass(frozen=True, slots=True)
class Published:
    """A release, published."""

    release: files.Release
    registry: Registry
    dist: Path
    keys: Keys
    digests: dict[str, str]
    """Of each repository below the registry."""


def small_image(registry: Registry, work: Path, name: str, arch: str) -> str:
    """Push NAME:VERSION-ARCH, with one file in it; the digest. A real one takes minutes, and
    `release.sh --dry-run` has them.
    """
    (work / "config.json").write_text(json.dumps({"architecture": arch, "os": "linux"}))
    (work / "content").write_text(f"{name} {arch}")
    target = f"{registry.image(name)}:{VERSION}-{arch}"
    registry.oras("push", target, "--config", f"config.json:{CONFIG}", "content", cwd=work)
    return registry.digest(target)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    """One release for all tests: it is built in half a minute."""
    work, dist = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("dist")
    uv = shutil.which("uv")
    assert uv, "make puts uv on the PATH"
    notes = changelog.section((ROOT / "CHANGELOG.md").read_text(), "Unreleased")
    here = [p for p in command_line.PLATFORMS if (p.os, p.arch) == ("linux", HOST)]
    with local_registry(work) as registry:
        keys = make_keys(work)
        signer = Signer(registry, keys.private)
        release = files.Release(VERSION, registry.place, "https://example.com/project", notes)
        files.build(release, dist, uv, here)
        digests = {}
        for name in publishing.IMAGES:
            for arch in ("amd64", "arm64"):
                digest = small_image(registry, work, name, arch)
                parts = work / f"{name}-{arch}.cdx.json"
                shutil.copy(dist / "kubectl-modelrollout.cdx.json", parts)
                publishing.describe_parts(registry, signer, name, digest, parts)
                digests[f"{name}-{arch}"] = digest
            digests[name] = publishing.index(registry, signer, name, VERSION, ("amd64", "arm64"))
        charts = publishing.push_charts(registry, signer, sorted(dist.glob("*.tgz")))
        digests |= {f"charts/{name}": digest for name, digest in charts.items()}
        signer.file(dist / files.SUMS)
        yield Published(release, registry, dist, keys, digests)


def check(of: Published, keys: Keys, repository: str, digest: str) -> None:
    verified(keys, "verify", "--allow-http-registry", f"{of.registry.place}/{repository}@{digest}")


@pytest.mark.parametrize(
    "name",
    ["operator", "inference", "operator-arm64", "charts/rollout-operator", "charts/model"],
)
def test_all_that_is_published_is_signed(published: Published, name: str) -> None:
    repository = name.removesuffix("-arm64")
    check(published, published.keys, repository, published.digests[name])


def test_the_index_names_each_architecture(published: Published) -> None:
    told = json.loads(
        published.registry.oras(
            "manifest", "fetch", f"{published.registry.image('operator')}:{VERSION}"
        )
    )
    assert {m["platform"]["architecture"]: m["digest"] for m in told["manifests"]} == {
        arch: published.digests[f"operator-{arch}"] for arch in ("amd64", "arm64")
    }


def test_each_image_has_its_list_of_parts_and_a_signed_statement_of_it(
    published: Published,
) -> None:
    reference = f"{published.registry.image('operator')}@{published.digests['operator-arm64']}"
    listed = json.loads(
        published.registry.oras(
            "discover", "--format", "json", "--artifact-type", publishing.SBOM, reference
        )
    )
    assert len(listed["referrers"]) == 1
    words = ("--type", "cyclonedx", "--allow-http-registry")
    verified(published.keys, "verify-attestation", *words, reference)


def test_what_somebody_else_signed_is_refused(published: Published, tmp_path: Path) -> None:
    with pytest.raises(CommandFailed):
        check(published, make_keys(tmp_path), "operator", published.digests["operator"])


def test_what_nobody_signed_is_refused(published: Published, tmp_path: Path) -> None:
    digest = small_image(published.registry, tmp_path, "operator", "s390x")
    with pytest.raises(CommandFailed):
        check(published, published.keys, "operator", digest)


def changed_sum(dist: Path) -> None:
    sums = dist / files.SUMS
    sums.write_text(sums.read_text().replace("0", "1", 1))


def changed_file(dist: Path) -> None:
    with (dist / "modelrollouts.yaml").open("a") as file:
        file.write("\n")


def taken_file(dist: Path) -> None:
    (dist / f"model-{VERSION}.tgz").unlink()


@pytest.mark.parametrize("spoil", [changed_sum, changed_file, taken_file])
def test_a_spoiled_download_is_noticed(
    published: Published, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    dist = tmp_path / "dist"
    shutil.copytree(published.dist, dist)

    def hold() -> None:
        sums = dist / files.SUMS
        bundle = sums.with_name(f"{sums.name}.sigstore.json")
        verified(published.keys, "verify-blob", "--bundle", bundle, sums)
        run(["sha256sum", "--check", "--quiet", "--strict", files.SUMS], cwd=dist)

    hold()
    spoil(dist)
    with pytest.raises(CommandFailed):
        hold()


def test_a_newcomer_installs_from_it(published: Published, tmp_path: Path) -> None:
    installed(published.release, published.registry, published.dist, tmp_path)


def test_krew_refuses_another_archive(published: Published, tmp_path: Path) -> None:
    dist = tmp_path / "dist"
    shutil.copytree(published.dist, dist)
    archive = dist / f"kubectl-modelrollout-linux-{HOST}.tar.gz"
    archive.write_bytes(archive.read_bytes() + b"\0")
    with pytest.raises(CommandFailed, match="checksum"):
        installed(published.release, published.registry, dist, tmp_path)


def test_the_file_needs_nothing_but_a_python(published: Published, tmp_path: Path) -> None:
    """From an empty folder, in an environment with a PATH and a home only."""
    file = published.dist / f"kubectl-modelrollout-linux-{HOST}"
    done = subprocess.run(
        [file, "report", "iris"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={
            "PATH": "/usr/bin:/bin:" + str(Path(shutil.which("python3") or "").parent),
            "HOME": str(tmp_path),
        },
    )
    assert done.returncode == 64, done.stderr
    assert "pip install 'model-rollouts[cli]'" in done.stderr
