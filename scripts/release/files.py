"""The files of a release, in dist/: packages, command line, charts, lists of parts, checksums."""

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.cluster.paths import REPOSITORY
from scripts.cluster.shell import run
from scripts.release import changelog, charts, command_line, krew
from scripts.release.tools import program

SUMS = "SHA256SUMS"


@dataclass(frozen=True, slots=True)
class Release:
    """What is released, and where it will be found."""

    version: str
    """Without v."""
    registry: str
    """HOST/PATH of images and charts."""
    homepage: str
    """The project's page; the files are below /releases/download/vVERSION of it."""
    notes: str
    """The changelog's section."""


def build(
    release: Release, into: Path, uv: str, platforms: Sequence[command_line.Platform]
) -> list[Path]:
    """All files, in `into`; the last one is SHA256SUMS over the others."""
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        run([uv, "build", "--quiet", "--out-dir", into], cwd=REPOSITORY)
        for junk in into.glob(".gitignore"):
            junk.unlink()
        locked = command_line.lock(uv)
        archives = {}
        for platform in platforms:
            file = command_line.build(platform, locked, work, into)
            archives[platform] = command_line.archived(file)
        downloads = f"{release.homepage}/releases/download/v{release.version}"
        plugin = krew.manifest(release.version, release.homepage, downloads, archives)
        (into / "modelrollout.yaml").write_text(krew.text(plugin))
        new = changelog.changes(release.notes)
        for chart in sorted((REPOSITORY / "charts").iterdir()):
            copy = charts.stamped(chart, work, release.registry, release.version, new)
            charts.packaged(program("helm"), copy, into)
    (into / "modelrollouts.yaml").write_bytes(
        (REPOSITORY / "crds" / "modelrollouts.yaml").read_bytes()
    )
    for name, words in parts().items():
        run([uv, "export", *words, "--output-file", into / name], cwd=REPOSITORY)
    return [*_files(into), sums(into)]


def parts() -> dict[str, list[str]]:
    """What `uv export` is asked for each list of parts, by its file."""
    common = ["--frozen", "--no-dev", "--quiet", "--format", "cyclonedx1.5"]
    return {
        "model-rollouts.cdx.json": [*common, "--all-extras"],
        f"{command_line.NAME}.cdx.json": [*common, "--extra", "cli", "--prune", "matplotlib"],
    }


def sums(folder: Path) -> Path:
    """Write SHA256SUMS over all other files of a folder, as `sha256sum --check` reads it."""
    lines = [f"{hashlib.sha256(f.read_bytes()).hexdigest()}  {f.name}\n" for f in _files(folder)]
    file = folder / SUMS
    file.write_text("".join(lines))
    return file


def _files(folder: Path) -> list[Path]:
    return sorted(f for f in folder.iterdir() if f.is_file() and f.name != SUMS)
