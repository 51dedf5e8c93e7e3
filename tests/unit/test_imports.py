"""How tests are laid out: what they share stands in tests/support, or beside them."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


def imported(file: Path) -> Iterator[str]:
    """Every module that a file imports, as it is written."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def is_test(module: str) -> bool:
    """Whether it is one of ours that pytest collects."""
    path = TESTS.parent.joinpath(*module.split(".")).with_suffix(".py")
    return path.name.startswith("test_") and path.is_relative_to(TESTS) and path.exists()


FILES = sorted(TESTS.rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(TESTS).as_posix())
def test_nothing_imports_from_a_test(file: Path) -> None:
    tests = {module for module in imported(file) if is_test(module)}
    assert tests == set(), "move what both need to tests/support, or beside them"


def test_the_support_needs_no_suite() -> None:
    """`tests/support` is below all suites: it imports nothing else of tests."""
    others = {
        (file.name, module)
        for file in (TESTS / "support").glob("*.py")
        for module in imported(file)
        if module.startswith("tests.") and not module.startswith("tests.support")
    }
    assert others == set()
