"""Models that were fetched before, by their content: replicas and restarts fetch once.

A folder that several pods share, of one node or of a volume claim:

| path | what it is |
| --- | --- |
| `sha256-HEX` | files of one digest, whole: made elsewhere, renamed; its time is its last use |
| `sha256-HEX.lock` | held by who fetches it |
| `.new-…`, `.old-…` | being made, being removed |

What is taken out is verified by its digest: nothing in here is trusted. A cache that fails in any
way is done without.
"""

import fcntl
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from rollout_model.digest import digest_of, file_digests

log = logging.getLogger(__name__)

LEFT_BEHIND = 24 * 3600.0
"""Seconds after which what somebody was making or removing is nobody's any more."""


@dataclass(frozen=True, slots=True)
class ModelCache:
    """The folder, and how much it may hold."""

    folder: Path
    """Shared by pods; need not exist yet."""
    most: int
    """Bytes of all models in it; the least recently used make room."""

    def copied(self, digest: str, target: Path) -> dict[str, str]:
        """Copy the files of a digest into `target`, an empty folder; the digest of each, by path,
        as `file_digests` of the copies. Empty where they are not there, or are others by now.
        """
        kept = self._place(digest)
        try:
            if not kept.is_dir():
                return {}
            copy_files(kept, target)
            if found := _digests(target, digest):
                os.utime(kept)
                return found
            log.warning("%s has other files than it had: it is fetched again", kept)
            self._remove(kept)
        except (OSError, shutil.Error) as failure:
            log.warning("%s cannot be used: %s", kept, failure)
        for left in target.iterdir():
            shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
        return {}

    def keep(self, digest: str, files: Path) -> None:
        """Have the verified files of a digest for later."""
        kept = self._place(digest)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if kept.is_dir() or _size(files) > self.most:
                return
            made = Path(tempfile.mkdtemp(dir=self.folder, prefix=".new-"))
            try:
                (made / "files").mkdir()
                copy_files(files, made / "files")
                with suppress(OSError):  # somebody was quicker
                    (made / "files").rename(kept)
                os.utime(kept)
            finally:
                shutil.rmtree(made, ignore_errors=True)
            self._make_room(kept)
        except (OSError, shutil.Error) as failure:
            log.warning("%s cannot be kept: %s", kept, failure)

    @contextmanager
    def alone(self, digest: str) -> Iterator[None]:
        """Wait for others who fetch the same; where locks do not work, nobody waits."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = self._place(digest).with_suffix(".lock").open("a")
        except OSError as failure:
            log.warning("%s cannot be written: %s", self.folder, failure)
            yield
            return
        with lock:
            with suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _place(self, digest: str) -> Path:
        return self.folder / digest.replace(":", "-")

    def _make_room(self, newest: Path) -> None:
        """Remove the least recently used, and what others have left behind."""
        known = [path for path in self.folder.glob("sha256-*") if path.is_dir()]
        sizes = {path: _size(path) for path in known}
        total = sum(sizes.values())
        for path in sorted(set(known) - {newest}, key=_used):
            if total <= self.most:
                break
            self._remove(path)
            total -= sizes[path]
        for left in (*self.folder.glob(".new-*"), *self.folder.glob(".old-*")):
            if time.time() - _used(left) > LEFT_BEHIND:
                shutil.rmtree(left, ignore_errors=True)

    def _remove(self, kept: Path) -> None:
        """Under another name first: nobody finds half of it."""
        gone = Path(tempfile.mkdtemp(dir=self.folder, prefix=".old-"))
        with suppress(OSError):  # somebody was quicker
            kept.rename(gone / "files")
        shutil.rmtree(gone, ignore_errors=True)
        with suppress(OSError):
            kept.with_suffix(".lock").unlink()


def copy_files(source: Path, target: Path) -> None:
    """Copy what is in a folder into another, and nothing of modes and times: a pod's volume is
    root's, whose mode its own user may not set. Raises OSError.
    """
    for path in sorted(source.rglob("*")):
        copy = target / path.relative_to(source)
        if path.is_symlink():
            copy.symlink_to(path.readlink())
        elif path.is_dir():
            copy.mkdir()
        else:
            shutil.copyfile(path, copy)


def _digests(folder: Path, digest: str) -> dict[str, str]:
    """Of the files, where they have this digest together; else empty."""
    try:
        found = file_digests(folder)
    except ValueError:  # no file at all, or a link
        return {}
    return found if digest_of(found) == digest else {}


def _used(path: Path) -> float:
    """When it was used last, in seconds of the epoch; 0 where it is gone."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _size(folder: Path) -> int:
    """Bytes of all files below it, as far as they are still there."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.lstat().st_size if not path.is_dir() else 0
    return total
