"""The manifest by which krew installs `kubectl modelrollout`."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from scripts.release.command_line import NAME, PYTHONS, Platform

DESCRIPTION = """\
Shows what a ModelRollout does and why, steers it, and checks what it depends on.
The operator tries each version of a machine-learning model on real traffic, then
promotes it on evidence or takes it away.
"""
CAVEATS = f"""\
Needs Python {PYTHONS[0]} to {PYTHONS[-1]} on the PATH. `report` also needs matplotlib:
take the command line from the Python package for it.
"""


def manifest(
    version: str, homepage: str, files: str, archives: Mapping[Platform, Path]
) -> dict[str, Any]:
    """krew's Plugin; files: the URL of the folder with the archives."""
    return {
        "apiVersion": "krew.googlecontainertools.github.com/v1alpha2",
        "kind": "Plugin",
        "metadata": {"name": "modelrollout"},
        "spec": {
            "version": f"v{version}",
            "homepage": homepage,
            "shortDescription": "See, explain and steer rollouts of models",
            "description": DESCRIPTION,
            "caveats": CAVEATS,
            "platforms": [
                {
                    "selector": {"matchLabels": {"os": platform.os, "arch": platform.arch}},
                    "uri": f"{files}/{archive.name}",
                    "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
                    "bin": NAME,
                    "files": [{"from": NAME, "to": "."}, {"from": "LICENSE", "to": "."}],
                }
                for platform, archive in archives.items()
            ],
        },
    }


def text(plugin: Mapping[str, Any]) -> str:
    """The manifest as it is written to a file."""
    return yaml.safe_dump(dict(plugin), sort_keys=False, width=1000)
