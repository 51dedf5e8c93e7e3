"""A model inside the image: served where its digest is asked for, and only there."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rollout_inference.loading.baked import FOLDER, baked
from rollout_inference.settings import Settings
from rollout_model.digest import tree_digest
from scripts.cluster.paths import REPOSITORY


def asked(digest: str) -> Settings:
    return Settings(model_uri="models:/iris/7", model_digest=digest)


def test_the_files_that_are_asked_for_are_served_from_the_image(copy: Path) -> None:
    assert baked(asked(tree_digest(copy)), copy) == copy


def leave(_: Path) -> None:
    """The files are as they were."""


def change(folder: Path) -> None:
    (folder / "MLmodel").write_text("another")


def link(folder: Path) -> None:
    (folder / "passwd").symlink_to("/etc/passwd")


def clear(folder: Path) -> None:
    (folder / "MLmodel").unlink()


OTHERS: dict[str, tuple[Callable[[Path], None], bool]] = {
    "no digest is asked for": (leave, False),
    "another model": (change, True),
    "a link": (link, True),
    "an image without a model": (clear, True),
}


@pytest.mark.parametrize(("spoil", "known"), OTHERS.values(), ids=OTHERS.keys())
def test_all_others_are_fetched(copy: Path, spoil: Callable[[Path], None], known: bool) -> None:
    digest = tree_digest(copy) if known else ""
    spoil(copy)
    assert baked(asked(digest), copy) is None


def test_the_image_has_it_where_the_server_looks() -> None:
    text = (REPOSITORY / "Dockerfile.inference").read_text()
    assert f"rollout_inference.loading.fetch_model {FOLDER};" in text
    assert f"COPY --from=model {FOLDER.parent} {FOLDER.parent}" in text
