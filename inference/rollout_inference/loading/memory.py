"""What a model will need of the pod's memory, by the sizes of its files, and what the pod may have.

Factors of trees are measured (docs/operations/model-pods.md, Memory), on forests of 100 to 1,000
trees: anonymous memory, which is what a limit counts in the end. The others are estimates on the
safe side.
"""

import mmap
import zipfile
from dataclasses import dataclass
from pathlib import Path

from rollout_inference.control_group import CGROUPS, OWN, folders
from rollout_model.artifact import Artifact

MIB = 1024 * 1024
UNLIMITED = 2**60
"""Bytes from which on cgroup v1 means that there is no limit."""
SCHEMA, MOST_SCHEMA = "schema.json", 64 * MIB
"""What a skops file is made of, and how much of it is looked at."""


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes of memory."""

    usual: int
    """At its peak, as a rule."""
    least: int
    """Less than this no model of the kind was seen to do with."""


def serving(content: Path) -> Need:
    """What the server needs that serves this ONNX file: trees are unpacked to many times their
    size.
    """
    size = content.stat().st_size
    trees = _holds(content, b"TreeEnsemble")
    return Need(64 * MIB + size * (13 if trees else 4), 40 * MIB + size * (10 if trees else 2))


def reading(artifact: Artifact) -> Need:
    """What the server needs that serves by scikit-learn."""
    size, trees = _unpacked(artifact)
    return Need(
        180 * MIB + int(size * (3.5 if trees else 2.5)),
        140 * MIB + int(size * (2.5 if trees else 1)),
    )


def converting(artifact: Artifact) -> Need:
    """What server and converter need together: neighbours hold the distances of every row of the
    proof to every row of training.
    """
    size, trees = _unpacked(artifact)
    each = 70 if _holds(artifact.file, b"sklearn.neighbors") else 12 if trees else 6
    return Need(220 * MIB + size * each, 200 * MIB + size * 2)


def limit(root: Path = CGROUPS, own: Path = OWN) -> int | None:
    """Bytes that this process may have: the lowest limit of its control group and those around it;
    None where there is none. Version 2 first, then 1.
    """
    found = [_bytes(folder / "memory.max") for folder in folders(root, own)]
    found += [
        _bytes(folder / "memory.limit_in_bytes")
        for folder in folders(root / "memory", own, "memory")
    ]
    return min((one for one in found if one is not None), default=None)


def _bytes(path: Path) -> int | None:
    try:
        said = path.read_text().strip()
    except OSError:
        return None
    return int(said) if said.isdigit() and int(said) < UNLIMITED else None


def _unpacked(artifact: Artifact) -> tuple[int, bool]:
    """Bytes of the model file, unpacked, and whether it holds trees. What cannot be read counts as
    it is: reading it will say so.
    """
    size = artifact.file.stat().st_size
    if artifact.serialization != "skops":
        return size, _holds(artifact.file, b"sklearn.tree._tree")
    try:
        with zipfile.ZipFile(artifact.file) as archive, archive.open(SCHEMA) as schema:
            return sum(
                one.file_size for one in archive.infolist()
            ), b"sklearn.tree._tree" in schema.read(MOST_SCHEMA)
    except (OSError, KeyError, zipfile.BadZipFile):
        return size, False


def _holds(path: Path, word: bytes) -> bool:
    if not path.stat().st_size:
        return False
    with (
        path.open("rb") as stream,
        mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        return content.find(word) >= 0
