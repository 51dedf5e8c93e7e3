"""What the registry ends up knowing, in whatever order operators told it."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from rollout_operator.adapters.model_registry import ModelRegistry
from rollout_operator.controller import verdict_writeback
from rollout_operator.domain.api.status import Attempt, Status
from rollout_operator.domain.api.words import Phase, Verdict
from rollout_operator.domain.verdicts import Report, after
from rollout_operator.errors import CallFailed
from tests.support.builders import at, on_trial

KEY = ("default", "iris")


@dataclass
class Told:
    """A registry that remembers."""

    tags: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)

    async def set_tag(self, _: str, version: str, __: str, text: str) -> str:
        self.tags[version] = text
        return ""

    async def set_alias(self, _: str, version: str, alias: str) -> str:
        self.aliases[alias] = version
        return ""


def ended(attempt: int, version: int, verdict: Verdict = Verdict.PROMOTED) -> Attempt:
    said: dict[str, Any] = {
        "reason": "GatesPassed",
        "message": f"attempt {attempt}",
        "started": at(0),
        "ended": at(attempt),
    }
    return Attempt(
        attempt=attempt,
        uri=f"models:/iris/{version}",
        revision=f"r{version}",
        verdict=verdict,
        **said,
    )


def report(attempt: int, version: int) -> Report:
    [found] = after(Status(history=(ended(attempt, version),)), 0)
    return found


def told(
    monkeypatch: pytest.MonkeyPatch, moments: list[float], status: Status | None, failures: int = 0
) -> tuple[Told, list[int]]:
    """What the registry knows once attempt 1 was told; moments: of the clock at each look; status:
    what the API server has by then.
    """
    monkeypatch.setattr(verdict_writeback, "FIRST_RETRY", 0.0)
    clock, registry, asked = iter(moments), Told(), list[int]()

    async def newest(_: object, __: str, attempt: int) -> list[Report]:
        asked.append(attempt)
        if len(asked) <= failures:
            raise CallFailed("no answer")
        return [] if status is None else after(status, attempt)

    async def write() -> None:
        one = verdict_writeback.VerdictWriteback(
            cast("ModelRegistry", registry), "stable", newest, clock=lambda: next(clock)
        )
        one.write(KEY, "u", report(1, 1))
        one.write(KEY, "u", report(1, 1))
        await asyncio.gather(*one._tasks.values())
        assert one.written("u") == {1}

    asyncio.run(write())
    return registry, asked


AFTER = Status(history=(ended(3, 4), ended(2, 2, Verdict.SUPERSEDED), ended(1, 1)))
CASES = {
    "on time, nothing is read": ([0, 1], AFTER, 0, "1", []),
    "late, and nobody was quicker": ([0, 40, 40, 41], Status(history=(ended(1, 1),)), 0, "1", [1]),
    "late, and another operator has told newer ones": ([0, 40, 40, 41], AFTER, 0, "4", [1]),
    "late twice, and nothing new the second time": ([0, 40, 40, 80, 80], AFTER, 0, "4", [1, 1]),
    "late, and the rollout is gone": ([0, 40, 40, 41], None, 0, "1", [1]),
    "late, and the API server does not answer at first": (
        [0, 40, 40, 41],
        AFTER,
        2,
        "4",
        [1, 1, 1],
    ),
}


@pytest.mark.parametrize(
    ("moments", "status", "failures", "alias", "asked"), CASES.values(), ids=CASES.keys()
)
def test_the_alias_names_the_last_promotion(
    monkeypatch: pytest.MonkeyPatch,
    moments: list[float],
    status: Status | None,
    failures: int,
    alias: str,
    asked: list[int],
) -> None:
    registry, reads = told(monkeypatch, moments, status, failures)
    assert registry.aliases == {"stable": alias}
    assert reads == asked


def test_a_version_judged_again_keeps_the_last_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    registry, _ = told(
        monkeypatch,
        [0, 40, 40, 41],
        Status(history=(ended(2, 1, Verdict.ROLLED_BACK), ended(1, 1))),
    )
    assert '"attempt": 2' in registry.tags["1"]


def test_what_is_decided_and_not_yet_history_is_later_too() -> None:
    decided = on_trial(
        phase=Phase.ROLLING_BACK, verdict=Verdict.ROLLED_BACK, history=(ended(1, 1),), reported=2
    )
    assert [(one.attempt, one.promoted) for one in after(decided, 0)] == [(1, True), (2, False)]
