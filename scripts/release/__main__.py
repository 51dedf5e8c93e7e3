"""`python -m scripts.release`: the steps of a release, as scripts/steps/release.sh calls them."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from scripts.cluster import images
from scripts.cluster.paths import REPOSITORY
from scripts.cluster.progress import say
from scripts.cluster.shell import CommandFailed
from scripts.release import changelog, command_line, files, publishing, rehearsal, version
from scripts.release.tools import Registry, Signer

DIST = REPOSITORY / "dist"
NOTES = REPOSITORY / "build" / "notes.md"


def main() -> int:
    """Run one step; returns the exit code."""
    asked = _arguments()
    try:
        {"build": _build, "parts": _parts, "publish": _publish, "rehearse": _rehearse}[asked.step](
            asked
        )
    except (CommandFailed, FileNotFoundError, ValueError, TimeoutError) as wrong:
        print(f"error: {wrong}", file=sys.stderr)
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    reader = argparse.ArgumentParser(prog="python -m scripts.release", description=__doc__)
    steps = reader.add_subparsers(dest="step", required=True)
    for step, does in (
        ("build", "write the files into dist/, and build/notes.md"),
        ("publish", "join the images, push the charts, sign all"),
    ):
        one = steps.add_parser(step, help=does)
        one.add_argument("version")
        one.add_argument("registry", help="HOST/PATH of images and charts")
        one.add_argument("homepage", help="URL of the project")
    one = steps.add_parser("parts", help="attach and sign the list of parts of a pushed image")
    one.add_argument("registry")
    one.add_argument("name", choices=publishing.IMAGES)
    one.add_argument("digest")
    one.add_argument("file", type=Path)
    one = steps.add_parser("rehearse", help="all of it on this machine, with a registry of its own")
    one.add_argument(
        "--only-here", action="store_true", help="files and images of this machine's kind only"
    )
    one.add_argument(
        "--kubeconfig", type=Path, help="of a cluster of `make cluster` here: install on it, too"
    )
    return reader.parse_args()


def _release(version: str, registry: str, homepage: str) -> files.Release:
    told = (REPOSITORY / "CHANGELOG.md").read_text()
    notes = changelog.section(told, version)
    return files.Release(version, registry, homepage.rstrip("/"), notes)


def _build(asked: argparse.Namespace) -> None:
    release = _release(asked.version, asked.registry, asked.homepage)
    NOTES.parent.mkdir(exist_ok=True)
    NOTES.write_text(f"{release.notes}\n")
    files.build(release, DIST, _uv(), command_line.PLATFORMS)


def _parts(asked: argparse.Namespace) -> None:
    registry = Registry(asked.registry)
    publishing.describe_parts(registry, Signer(registry), asked.name, asked.digest, asked.file)


def _publish(asked: argparse.Namespace) -> None:
    registry = Registry(asked.registry)
    signer = Signer(registry)
    for name in publishing.IMAGES:
        digest = publishing.index(registry, signer, name, asked.version, ("amd64", "arm64"))
        _output(f"{name}_image", registry.image(name))
        _output(f"{name}_digest", digest)
    for name, digest in publishing.push_charts(
        registry, signer, sorted(DIST.glob("*.tgz"))
    ).items():
        identity = os.environ.get(f"ARTIFACTHUB_ID_{name.replace('-', '_').upper()}", "")
        publishing.describe_repository(
            registry, name, REPOSITORY / "artifacthub-repo.yml", identity
        )
        _output(f"{name.replace('-', '_')}_chart_digest", digest)
    signer.file(DIST / files.SUMS)


def _rehearse(asked: argparse.Namespace) -> None:
    here = version.here(REPOSITORY)
    told = (REPOSITORY / "CHANGELOG.md").read_text()
    notes = changelog.section(told, here) or changelog.section(told, "Unreleased")
    foreign = [a for a in ("amd64", "arm64") if a != rehearsal.HOST]
    wanted = [a for a in foreign if not asked.only_here and images.emulated(a)]
    for missing in () if asked.only_here else set(foreign) - set(wanted):
        say(f"No images for {missing}: they need qemu-user-static and binfmt_misc here.")
    platforms = [
        p
        for p in command_line.PLATFORMS
        if not asked.only_here or (p.os, p.arch) == ("linux", rehearsal.HOST)
    ]
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        with rehearsal.local_registry(work) as registry:
            release = files.Release(here, registry.place, "https://example.com/project", notes)
            architectures = [rehearsal.HOST, *wanted]
            extent = rehearsal.Extent(platforms, architectures, asked.kubeconfig)
            rehearsal.rehearse(release, registry, extent, DIST, work, uv=_uv())
    NOTES.parent.mkdir(exist_ok=True)
    NOTES.write_text(f"{notes}\n")
    say(f"Rehearsed: {len(list(DIST.iterdir()))} files in dist/.")


def _uv() -> str:
    return os.environ.get("UV", "uv")


def _output(name: str, value: str) -> None:
    with Path(os.environ.get("GITHUB_OUTPUT", "/dev/stdout")).open("a") as told:
        told.write(f"{name}={value}\n")


if __name__ == "__main__":
    sys.exit(main())
