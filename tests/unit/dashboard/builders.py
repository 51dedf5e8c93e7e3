"""Rows and gates of tests, with what a test does not care about filled in."""

from typing import Any

from rollout_dashboard.rows import Row
from rollout_dashboard.waiting import Group
from rollout_operator.domain.api.gate_results import GateStatus
from tests.support.builders import at


def row(name: str = "iris", **changes: Any) -> Row:
    """A row of a rollout that is promoted."""
    values: dict[str, Any] = {
        "namespace": "models",
        "name": name,
        "phase": "Promoted",
        "tone": "good",
        "group": Group.REST,
        "stable": "iris/1",
        "candidate": "",
        "weight": None,
        "gate": "",
        "gate_tone": "open",
        "nearness": 0.0,
        "waits": "",
        "since": at(0),
        "version": "1",
    }
    return Row(**{**values, **changes})


def gate(**changes: Any) -> GateStatus:
    """A Reported accuracy of 0.9, at least 0.7 asked."""
    values: dict[str, Any] = {
        "metric": "accuracy",
        "value": 0.9,
        "threshold": 0.7,
        "samples": 100,
        "measurement": "Pass",
        "message": "accuracy: 0.9 is at least 0.7",
        "at": at(0),
        "revision": "r2",
    }
    return GateStatus(**{**values, **changes})
