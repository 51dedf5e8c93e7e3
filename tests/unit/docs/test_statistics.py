"""The tables in docs/concepts/statistics.md are what the gates' own code comes to."""

import pytest

from tests.bench.gate_rules import RULES, Rule
from tests.bench.gates import DOCUMENT, SHARES, at_the_threshold, cell


@pytest.fixture(scope="module")
def document() -> str:
    return DOCUMENT.read_text()


@pytest.fixture(scope="module")
def comparison() -> str:
    return (DOCUMENT.parents[1] / "comparison.md").read_text()


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.name)
def test_each_row_is_exact(rule: Rule, document: str, comparison: str) -> None:
    row = f"| {rule.name} | {' | '.join(cell(rule, share) for share in SHARES)} |"
    assert row in document
    assert row in comparison


def test_the_chances_at_the_threshold(document: str) -> None:
    assert at_the_threshold() in document
