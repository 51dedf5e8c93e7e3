"""Models that were fetched before: found by their content, and by nothing else."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from rollout_inference.loading.fetch_model import fetched
from rollout_inference.loading.model_cache import LEFT_BEHIND, ModelCache
from rollout_inference.settings import Settings
from rollout_model.digest import file_digest, tree_digest


def model(folder: Path, text: str, size: int = 100) -> tuple[str, Path]:
    """The digest and the folder of some files."""
    made = folder / text
    (made / "data").mkdir(parents=True)
    (made / "MLmodel").write_text(text)
    (made / "data" / "weights").write_bytes(b"0" * size)
    return tree_digest(made), made


@pytest.fixture
def cache(tmp_path: Path) -> ModelCache:
    return ModelCache(tmp_path / "cache", 1_000)


def empty(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_what_was_kept_is_found_again(cache: ModelCache, tmp_path: Path) -> None:
    digest, files = model(tmp_path, "one")
    target = empty(tmp_path / "target")
    assert not cache.copied(digest, target)
    cache.keep(digest, files)
    assert cache.copied(digest, target)
    assert tree_digest(target) == digest


def test_a_volume_keeps_its_mode(cache: ModelCache, tmp_path: Path) -> None:
    """It is root's in a pod: the step's user may not set it."""
    digest, files = model(tmp_path, "one")
    files.chmod(0o700)
    target = empty(tmp_path / "target")
    target.chmod(0o2777)
    cache.keep(digest, files)
    (cache.folder / digest.replace(":", "-")).chmod(0o700)
    assert cache.copied(digest, target)
    assert target.stat().st_mode & 0o7777 == 0o2777


def change(kept: Path) -> None:
    (kept / "MLmodel").write_text("another")


def add(kept: Path) -> None:
    (kept / "more.py").write_text("")


def halve(kept: Path) -> None:
    (kept / "data" / "weights").unlink()


def link(kept: Path) -> None:
    (kept / "passwd").symlink_to("/etc/passwd")


def clear(kept: Path) -> None:
    for path in sorted(kept.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


@pytest.mark.parametrize("spoil", [change, add, halve, link, clear])
def test_what_was_changed_is_not_used_and_leaves_nothing(
    cache: ModelCache, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    digest, files = model(tmp_path, "one")
    cache.keep(digest, files)
    (kept,) = (p for p in cache.folder.iterdir() if p.is_dir())
    spoil(kept)
    target = empty(tmp_path / "target")
    assert not cache.copied(digest, target)
    assert list(target.iterdir()) == []


def test_a_change_makes_room_for_what_is_right(cache: ModelCache, tmp_path: Path) -> None:
    digest, files = model(tmp_path, "one")
    cache.keep(digest, files)
    change(next(p for p in cache.folder.iterdir() if p.is_dir()))
    assert not cache.copied(digest, empty(tmp_path / "target"))
    cache.keep(digest, files)
    assert cache.copied(digest, empty(tmp_path / "again"))


def test_the_least_recently_used_makes_room(cache: ModelCache, tmp_path: Path) -> None:
    known = [model(tmp_path, name, 300) for name in ("one", "two", "three", "four")]
    for age, (digest, files) in enumerate(known[:3]):
        cache.keep(digest, files)
        os.utime(cache.folder / digest.replace(":", "-"), (1_000 + age, 1_000 + age))
    assert cache.copied(known[0][0], empty(tmp_path / "used"))
    cache.keep(*known[3])
    found = [bool(cache.copied(digest, empty(tmp_path / digest))) for digest, _ in known]
    assert found == [True, False, True, True]


def test_what_is_taken_out_is_read_once(
    cache: ModelCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest, files = model(tmp_path, "one")
    cache.keep(digest, files)
    read = list[Path]()

    def counted(path: Path) -> str:
        read.append(path)
        return file_digest(path)

    monkeypatch.setattr("rollout_model.digest.file_digest", counted)
    settings = Settings(
        model_uri="models:/iris/7", model_digest=digest, model_cache=cache.folder, cache_bytes=1_000
    )
    target = empty(tmp_path / "target")
    assert fetched(settings, target) == digest
    assert sorted(read) == [target / "MLmodel", target / "data" / "weights"]


def test_what_is_larger_than_all_is_not_kept(cache: ModelCache, tmp_path: Path) -> None:
    small, large = model(tmp_path, "small"), model(tmp_path, "large", 2_000)
    cache.keep(*small)
    cache.keep(*large)
    assert cache.copied(small[0], empty(tmp_path / "target"))
    assert not cache.copied(large[0], empty(tmp_path / "other"))


def test_what_somebody_left_half_made_goes(cache: ModelCache, tmp_path: Path) -> None:
    digest, files = model(tmp_path, "one")
    old, new = cache.folder / ".new-old", cache.folder / ".new-new"
    old.mkdir(parents=True)
    new.mkdir()
    long_ago = old.stat().st_mtime - 2 * LEFT_BEHIND
    os.utime(old, (long_ago, long_ago))
    cache.keep(digest, files)
    assert not old.exists()
    assert new.exists(), "somebody may still be at it"


def test_a_folder_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = ModelCache(tmp_path / "file" / "cache", 1_000)
    digest, files = model(tmp_path, "one")
    with cache.alone(digest):
        cache.keep(digest, files)
        assert not cache.copied(digest, empty(tmp_path / "target"))


def test_of_many_at_once_one_fetches(cache: ModelCache, tmp_path: Path) -> None:
    digest, files = model(tmp_path, "one")
    fetches, found = list[str](), list[bool]()

    def pod(name: str) -> None:
        target = empty(tmp_path / name)
        with cache.alone(digest):
            if not cache.copied(digest, target):
                fetches.append(name)
                cache.keep(digest, files)
                cache.copied(digest, target)
        found.append(tree_digest(target) == digest)

    pods = [threading.Thread(target=pod, args=(f"pod-{n}",)) for n in range(8)]
    for one in pods:
        one.start()
    for one in pods:
        one.join()
    assert len(fetches) == 1
    assert found == [True] * 8
