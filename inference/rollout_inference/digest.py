"""The content digest of a model's artifact folder. Standard library only: the trainer records what the server verifies."""

from hashlib import sha256
from pathlib import Path

LEFT_OUT = frozenset({"registered_model_meta"})
"""Written by MLflow into every download; no part of the model."""


def tree_digest(folder: Path) -> str:
    """`sha256:<hex>` over the sorted files below `folder`: for each its path, NUL, the hex sha256 of its content, newline.

    Raises ValueError where the folder has no file, or a symbolic link, whose target no digest could vouch for.
    """
    total = sha256()
    files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_symlink() or p.is_file())
    files = [name for name in files if name not in LEFT_OUT]
    if not files:
        raise ValueError(f"{folder} holds no file")
    for name in files:
        path = folder / name
        if path.is_symlink():
            raise ValueError(f"{name} is a symbolic link")
        content = sha256()
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                content.update(block)
        total.update(f"{name}\0{content.hexdigest()}\n".encode())
    return f"sha256:{total.hexdigest()}"
