"""The content digest of a model's artifact folder. Standard library only: the trainer records what the server verifies."""

import hashlib
from pathlib import Path

LEFT_OUT = frozenset({"registered_model_meta"})
"""Written by MLflow into every download; no part of the model."""


def tree_digest(folder: Path) -> str:
    """`sha256:<hex>` over the sorted files below `folder`: for each its path, NUL, the hex sha256 of its content, newline.

    Raises ValueError where the folder has no file, or a symbolic link, whose target no digest could vouch for.
    """
    total = hashlib.sha256()
    files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_symlink() or p.is_file())
    files = [name for name in files if name not in LEFT_OUT]
    if not files:
        raise ValueError(f"{folder} holds no file")
    for name in files:
        path = folder / name
        if path.is_symlink():
            raise ValueError(f"{name} is a symbolic link")
        total.update(f"{name}\0{file_digest(path)}\n".encode())
    return f"sha256:{total.hexdigest()}"


def file_digest(path: Path) -> str:
    """The hex sha256 of a file's content, however large it is."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
