"""docs/reference/models.md: what it says of each model is what the server does with it."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.unit.inference.served_models import CASES, DATA, served, versions

FOUND = json.loads(DATA.read_text())
WRITE = "write it again: python -m tests.unit.inference.served_models, then make docs"


@pytest.mark.parametrize(("number", "name"), enumerate(CASES), ids=[*CASES])
def test_the_page_says_what_the_server_does(tmp_path: Path, number: int, name: str) -> None:
    assert asdict(served(name, tmp_path / "model")) == FOUND["models"][number], WRITE


def test_the_page_names_the_versions_and_all_that_was_asked() -> None:
    assert FOUND["versions"] == versions(), WRITE
    assert len(FOUND["models"]) == len(CASES), WRITE


def test_no_model_is_answered_otherwise_than_by_mlflow() -> None:
    assert not [row["model"] for row in FOUND["models"] if row["differ"]]
