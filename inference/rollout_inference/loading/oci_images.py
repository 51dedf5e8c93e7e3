"""Models in OCI registries (`oci://REGISTRY/REPOSITORY:TAG`), in the two forms that are used.

| form | what the layers are |
| --- | --- |
| an image with the model in /models: KServe's modelcar | tar archives, the later over the former |
| an artifact, as `oras push` makes it | a file each, named by `org.opencontainers.image.title` |

The client is oci_registry.py; how layers become files, oci_layers.py.
"""

import platform
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rollout_inference.loading.oci_layers import MODELS, Tree
from rollout_inference.loading.oci_registry import Registry, reference
from rollout_inference.loading.store_failures import too_large
from rollout_model.artifact import MOST_FILES
from rollout_model.errors import LoadFailed

TITLE = "org.opencontainers.image.title"
UNPACK = "io.deis.oras.content.unpack"
"""oras-go: the layer is a folder in a tar archive, whose members' names begin with the title."""
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def download(source: str, folder: Path, most: int, env: Mapping[str, str]) -> Path:
    """The folder with the files of an `oci://` source, below `folder`, which is made.

    most: bytes of all layers, and of all files. Raises LoadFailed.
    """
    place = reference(source)
    registry = Registry(place, env)
    manifest = registry.manifest(place.name)
    if "manifests" in manifest:
        manifest = registry.manifest(child(source, manifest, platform.machine()))
    tree = Tree(source, folder, most)
    folder.parent.mkdir(parents=True, exist_ok=True)
    chosen = list(layers(source, manifest, most))
    artifact = any(title for _, _, title, _ in chosen)
    for digest, size, title, unpack in chosen:
        if artifact and not title:
            continue
        with tempfile.TemporaryFile(dir=folder.parent) as file:
            registry.blob(digest, size, file)
            file.seek(0)
            if not artifact:
                tree.layer(file, MODELS, image=True)
            elif unpack:
                tree.layer(file, str(tree.named(title)), image=False)
            else:
                tree.write(tree.named(title), file)
    return tree.model()


def child(source: str, index: Mapping[str, Any], machine: str) -> str:
    """Digest of the image that an index has for this machine, for linux/amd64, or at all; models
    are the same on all. machine: as `uname -m` says. Raises LoadFailed.
    """
    try:
        found = {
            f"{of.get('os')}/{of.get('architecture')}": str(one["digest"])
            for one in reversed(index["manifests"])
            if (of := one.get("platform") or {}).get("os") != "unknown"
        }
    except (TypeError, KeyError, AttributeError):
        found = {}
    ours = (f"linux/{_MACHINES.get(machine, machine)}", "linux/amd64", *found)
    digest = next((found[name] for name in ours if name in found), "")
    if not digest.startswith("sha256:"):
        raise LoadFailed(f"{source} could not be read: its index names no image by sha256.")
    return digest


def layers(
    source: str, manifest: Mapping[str, Any], most: int
) -> Iterator[tuple[str, int, str, bool]]:
    """Digest, bytes, title ("" for none) of each layer, and whether it is to be unpacked. Raises
    LoadFailed.
    """
    total = count = 0
    try:
        for one in manifest["layers"]:
            said = one.get("annotations") or {}
            size, count = int(one["size"]), count + 1
            total += max(size, 0)
            if total > most or count > MOST_FILES:
                raise LoadFailed(too_large(source, most, MOST_FILES))
            yield str(one["digest"]), size, str(said.get(TITLE, "")), said.get(UNPACK) == "true"
    except (TypeError, KeyError, AttributeError, ValueError) as failure:
        raise LoadFailed(
            f"{source} could not be read: its manifest does not list layers."
        ) from failure
