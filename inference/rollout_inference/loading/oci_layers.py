"""The layers of an image, or of an artifact, as a folder of files.

Nothing of an archive is trusted: regular files and folders inside of the model's folder, no links,
no modes, no owners, and no more bytes than allowed, however well they were compressed. That is
less than tarfile's own `data` filter lets through.
"""

import shutil
import tarfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from rollout_inference.loading.store_failures import too_large
from rollout_model.artifact import MOST_FILES
from rollout_model.errors import LoadFailed
from rollout_model.flavors import MLMODEL

MODELS = "models"
"""KServe's folder of a modelcar: kserve.github.io, Storage with OCI."""
_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"


@dataclass(slots=True)
class Tree:
    """The files that come out of layers."""

    source: str
    """The version's."""
    folder: Path
    """Where they are written; it is made."""
    most: int
    """Bytes of all of them."""
    _size: int = field(default=0, init=False)
    _count: int = field(default=0, init=False)

    def write(self, name: PurePosixPath, content: IO[bytes]) -> None:
        """A file below the folder. Raises LoadFailed."""
        self._one_more()
        self._folder(name.parent)
        target = self.folder / name
        if target.is_dir():
            shutil.rmtree(target)
        with target.open("wb") as file:
            while part := content.read(1024 * 1024):
                self._size += len(part)
                if self._size > self.most:
                    raise LoadFailed(too_large(self.source, self.most, MOST_FILES))
                file.write(part)

    def _one_more(self) -> None:
        self._count += 1
        if self._count > MOST_FILES:
            raise LoadFailed(too_large(self.source, self.most, MOST_FILES))

    def layer(self, file: BinaryIO, inside: str, *, image: bool) -> None:
        """Lay a tar archive over what is there: of an image what is in its folder `inside`; of an
        artifact everything, which must be there. Raises LoadFailed.
        """
        try:
            for whiteouts in (True, False) if image else (False,):
                with _opened(file) as archive:
                    for member in archive:
                        self._member(archive, member, inside, image=image, whiteouts=whiteouts)
        except (tarfile.TarError, zlib.error, EOFError, ValueError) as failure:
            raise LoadFailed(
                f"{self.source} could not be read: a layer is no tar archive, or one that is"
                " compressed otherwise than by gzip."
            ) from failure

    def _member(
        self,
        archive: tarfile.TarFile,
        member: tarfile.TarInfo,
        inside: str,
        *,
        image: bool,
        whiteouts: bool,
    ) -> None:
        path = PurePosixPath(member.name.lstrip("/"))
        if image and path.name.startswith(_WHITEOUT):
            if whiteouts:
                self._without(path, inside)
            return
        if whiteouts or not path.parts:
            return
        below = path.is_relative_to(inside)
        if image and not below:
            return
        name = path.relative_to(inside) if image else self.named(member.name)
        if not below or ".." in path.parts:
            raise self._outside(member.name)
        if member.isdir():
            self._one_more()
            self._folder(name)
        elif member.isreg() and name.parts and (content := archive.extractfile(member)):
            self.write(name, content)
        else:
            raise LoadFailed(
                f"{self.source} holds what is neither a file nor a folder: {member.name[:200]}"
            )

    def named(self, title: str) -> PurePosixPath:
        """The path that a title or a member of an artifact is. Raises LoadFailed."""
        path = PurePosixPath(title)
        if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in title:
            raise self._outside(title)
        return path

    def _outside(self, name: str) -> LoadFailed:
        return LoadFailed(f"{self.source} holds a file that would be outside: {name[:200]}")

    def _without(self, path: PurePosixPath, inside: str) -> None:
        """What a whiteout takes away of the layers before (opencontainers/image-spec, layer.md)."""
        opaque = path.name == _OPAQUE
        gone = path.parent if opaque else path.parent / path.name.removeprefix(_WHITEOUT)
        if ".." in gone.parts:
            raise self._outside(str(path))
        if PurePosixPath(inside).is_relative_to(gone):
            target = self.folder
        elif gone.is_relative_to(inside):
            target = self.folder / gone.relative_to(inside)
        else:
            return
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)

    def _folder(self, name: PurePosixPath) -> None:
        """Make a folder, also where a layer before had a file."""
        for folder in (*reversed(name.parents), name):
            if (path := self.folder / folder).is_file():
                path.unlink()
            path.mkdir(parents=True, exist_ok=True)

    def model(self) -> Path:
        """The folder with MLmodel, or its only sub-folder with it. Raises LoadFailed."""
        below = list(self.folder.iterdir()) if self.folder.is_dir() else []
        places = [self.folder, *below] if len(below) == 1 else [self.folder]
        for place in places:
            if (place / MLMODEL).is_file():
                return place
        raise LoadFailed(
            f"{self.source} holds no model: neither is it an image with {MLMODEL} in /{MODELS}, or"
            " in the only folder there, nor an artifact whose layers are named files, one of them"
            f" {MLMODEL}."
        )


def _opened(file: BinaryIO) -> tarfile.TarFile:
    file.seek(0)
    compressed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    if compressed:
        return tarfile.open(fileobj=file, mode="r|gz")
    return tarfile.open(fileobj=file, mode="r|")
