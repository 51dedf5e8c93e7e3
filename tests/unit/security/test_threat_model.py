"""The threat model names a test for every boundary, and the test is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ROWS = re.findall(
    r"^\| (\d+) \|.*\| ([^|]*) \|$",
    (ROOT / "docs" / "operations" / "threat-model.md").read_text(),
    re.MULTILINE,
)


def test_the_boundaries_are_numbered() -> None:
    assert [int(number) for number, _ in ROWS] == list(range(1, len(ROWS) + 1))
    assert len(ROWS) >= 12


@pytest.mark.parametrize(
    ("number", "tests"), ROWS, ids=[f"boundary {number}" for number, _ in ROWS]
)
def test_a_boundary_has_its_test(number: str, tests: str) -> None:
    named = re.findall(r"`(tests/[^`]+)`", tests)
    assert named, f"boundary {number}"
    assert [name for name in named if not (ROOT / name).is_file()] == []
