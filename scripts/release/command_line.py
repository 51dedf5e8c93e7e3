"""`kubectl modelrollout` as one file for each platform, by PEX: it wants a Python on the PATH and
nothing else.

What it needs comes from uv.lock, by hash, as wheels. matplotlib is left out, which only `report`
draws with: it and numpy would make the file five times as large.
"""

import json
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

from packaging import tags

from scripts.cluster.paths import REPOSITORY
from scripts.cluster.shell import run

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PACKAGES = (
    "rollout_cli@operator",
    "rollout_dashboard@operator",
    "rollout_labels@inference",
    "rollout_operator@operator",
)
"""What of ours is in it, each with the folder that it is in."""
NAME = "kubectl-modelrollout"


@dataclass(frozen=True, slots=True)
class Platform:
    """What a file runs on, in Go's words and in Python's."""

    os: str
    """linux or darwin."""
    arch: str
    """amd64 or arm64."""
    machine: str
    """x86_64, aarch64 or arm64."""

    @property
    def tags(self) -> list[str]:
        """Platform tags of wheels, the best first: glibc 2.28 and macOS 12 are the oldest."""
        if self.os == "darwin":
            return list(tags.mac_platforms((12, 0), self.machine))
        minors = range(28, 16, -1)
        return [
            *(f"manylinux_2_{minor}_{self.machine}" for minor in minors),
            f"manylinux2014_{self.machine}",
            f"linux_{self.machine}",
        ]

    def target(self, python: str) -> dict[str, object]:
        """What PEX wants to know of an interpreter of another machine."""
        major, minor = map(int, python.split("."))
        interpreter = f"cp{major}{minor}"
        compatible = [
            *tags.cpython_tags((major, minor), platforms=self.tags),
            *tags.compatible_tags((major, minor), interpreter, self.tags),
        ]
        return {
            "marker_environment": {
                "implementation_name": "cpython",
                "implementation_version": f"{python}.0",
                "os_name": "posix",
                "platform_machine": self.machine,
                "platform_python_implementation": "CPython",
                "platform_release": "",
                "platform_system": self.os.capitalize(),
                "platform_version": "",
                "python_full_version": f"{python}.0",
                "python_version": python,
                "sys_platform": self.os,
            },
            "compatible_tags": [str(tag) for tag in compatible],
        }


PLATFORMS = (
    Platform("linux", "amd64", "x86_64"),
    Platform("linux", "arm64", "aarch64"),
    Platform("darwin", "amd64", "x86_64"),
    Platform("darwin", "arm64", "arm64"),
)


def lock(uv: str) -> str:
    """What the file needs, as pylock.toml, without source archives: nothing is built."""
    words = ("--frozen", "--no-dev", "--extra", "cli", "--prune", "matplotlib", "--quiet")
    told = run(
        [uv, "export", *words, "--no-emit-project", "--format", "pylock.toml"], cwd=REPOSITORY
    )
    return "".join(x for x in told.splitlines(keepends=True) if not x.startswith("sdist = "))


def build(platform: Platform, locked: str, work: Path, into: Path) -> Path:
    """The file for a platform, in `into`."""
    (work / "pylock.toml").write_text(locked)
    words: list[str | Path] = ["--pylock", work / "pylock.toml", "--no-build", "--venv"]
    for python in PYTHONS:
        described = work / f"{platform.os}-{platform.arch}-{python}.json"
        described.write_text(json.dumps(platform.target(python)))
        words += ["--complete-platform", described]
    for package in PACKAGES:
        words += ["-P", package]
    file = into / f"{NAME}-{platform.os}-{platform.arch}"
    words += ["-e", "rollout_cli.__main__:main", "--python-shebang", "/usr/bin/env python3"]
    run([sys.executable, "-m", "pex", *words, "-o", file], cwd=REPOSITORY)
    return file


def archived(file: Path) -> Path:
    """FILE.tar.gz with the plugin under its own name and the licence, as krew wants it."""
    archive = file.with_name(f"{file.name}.tar.gz")

    def plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
        info.uid = info.gid = info.mtime = 0
        info.uname = info.gname = ""
        return info

    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        tar.add(file, NAME, filter=plain)
        tar.add(REPOSITORY / "LICENSE", "LICENSE", filter=plain)
    return archive
