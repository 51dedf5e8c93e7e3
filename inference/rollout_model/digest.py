"""The content digest of a model's artifact folder. Standard library only: the trainer records what
the server verifies.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
"""How a digest is written."""
LEFT_OUT = frozenset({"registered_model_meta"})
"""Written by MLflow into every download; no part of the model."""


def tree_digest(folder: Path) -> str:
    """`sha256:<hex>` over the files below `folder`; raises ValueError as `file_digests`."""
    return digest_of(file_digests(folder))


def digest_of(files: Mapping[str, str]) -> str:
    """`sha256:<hex>` over what `file_digests` gave: for each its path, NUL, the hex sha256 of its
    content, newline; sorted by path.
    """
    total = hashlib.sha256()
    for name in sorted(files):
        total.update(f"{name}\0{files[name]}\n".encode())
    return f"sha256:{total.hexdigest()}"


def file_digests(folder: Path) -> dict[str, str]:
    """The hex sha256 of the content of every file below `folder`, by path.

    Raises ValueError where the folder has no file, or a symbolic link, whose target no digest could
    vouch for.
    """
    files = sorted(
        p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_symlink() or p.is_file()
    )
    files = [name for name in files if name not in LEFT_OUT]
    if not files:
        raise ValueError(f"{folder} holds no file")
    found = {}
    for name in files:
        path = folder / name
        if path.is_symlink():
            raise ValueError(f"{name} is a symbolic link")
        found[name] = file_digest(path)
    return found


def file_digest(path: Path) -> str:
    """The hex sha256 of a file's content, however large it is."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
