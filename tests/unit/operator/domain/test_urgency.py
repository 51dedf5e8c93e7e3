"""Whose look comes first under load."""

from typing import Any

import pytest

from rollout_operator.domain.urgency import is_urgent

A, B = {"revision": "a"}, {"revision": "b"}
CASES: dict[str, tuple[dict[str, Any], bool]] = {
    "nothing is known of it yet": ({}, False),
    "a new attempt": ({"phase": "Pending", "stable": A, "candidate": B}, False),
    "a first weight": ({"phase": "Starting", "stable": A, "candidate": B}, True),
    "a step": ({"phase": "Trial", "stable": A, "candidate": B}, True),
    "a promotion that is carried out": ({"phase": "Switching", "stable": A, "candidate": B}, True),
    "a rollback": ({"phase": "RollingBack", "stable": A, "candidate": B}, True),
    "it rests": ({"phase": "Promoted", "stable": B}, False),
    "what it replaced is taken away": ({"phase": "Promoted", "stable": B, "retiring": [A]}, False),
    "it is watched after its promotion": (
        {"phase": "Promoted", "stable": B, "watch": {"since": "2026-01-01T00:00:00Z"}},
        True,
    ),
    "it was rolled back": ({"phase": "RolledBack", "stable": A}, False),
}


@pytest.mark.parametrize(("status", "urgent"), CASES.values(), ids=CASES)
def test_what_is_urgent(status: dict[str, Any], urgent: bool) -> None:
    assert is_urgent(status) is urgent
