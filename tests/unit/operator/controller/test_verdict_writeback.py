"""What the registry ends up knowing, in whatever order operators told it."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from rollout_operator.adapters.model_registry import ModelRegistry
from rollout_operator.controller import verdict_writeback
from rollout_operator.domain.api.names import DIGEST_TAG, SIGNATURE_TAG
from rollout_operator.domain.api.status import Attempt, Status
from rollout_operator.domain.api.words import Phase, Verdict
from rollout_operator.domain.observed import (
    RegistryUnreachable,
    Resolution,
    Resolved,
    Unpinned,
)
from rollout_operator.domain.verdicts import Pinned, Report, after
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
    assert [(one.attempt, one.alias) for one in after(decided, 0)] == [
        (1, ("iris", "1")),
        (2, None),
    ]


PINNED = Pinned("iris", "7", "sha256:" + "a" * 64, "[]")
UNPINNED = Unpinned("models:/iris/7", "7")
OTHER = Resolved("models:/iris/7", "7", "sha256:" + "b" * 64)
BOTH = [(SIGNATURE_TAG, "[]"), (DIGEST_TAG, PINNED.digest)]


@dataclass
class Answering:
    """A registry that gives these answers, the last one again and again."""

    answers: list[Resolution]
    failures: list[str]
    """What goes wrong with each tag, one after the other; nothing once they are over."""
    tags: list[tuple[str, str]] = field(default_factory=list)

    async def resolve(self, _: str) -> Resolution:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    async def set_tag(self, _: str, __: str, key: str, value: str) -> str:
        failure = self.failures.pop(0) if self.failures else ""
        if not failure:
            self.tags.append((key, value))
        return failure


DIGESTS: dict[str, tuple[list[Resolution], list[str], list[tuple[str, str]], list[str]]] = {
    "the digest comes last": ([UNPINNED], [], BOTH, []),
    "what is recorded already stays": ([OTHER], [], [], []),
    "somebody is quicker while it is tried again": ([UNPINNED, OTHER], ["HTTP 500"], [], []),
    "the registry is away at first": ([RegistryUnreachable("no answer"), UNPINNED], [], BOTH, []),
    "the digest fails once": ([UNPINNED], ["", "HTTP 500"], [BOTH[0], *BOTH], []),
    "a refusal is taken for one": ([UNPINNED], ["HTTP 400 no"] * 2, [], ["HTTP 400 no"]),
    "rights that never come end it": ([UNPINNED], ["HTTP 403"] * 50, [], ["HTTP 403"]),
}


@pytest.mark.parametrize(
    ("answers", "failures", "tags", "told"), DIGESTS.values(), ids=DIGESTS.keys()
)
def test_a_digest_is_recorded_once_and_overwrites_nothing(
    monkeypatch: pytest.MonkeyPatch,
    answers: list[Resolution],
    failures: list[str],
    tags: list[tuple[str, str]],
    told: list[str],
) -> None:
    monkeypatch.setattr(verdict_writeback, "FIRST_RETRY", 0.0)
    registry, events = Answering(list(answers), list(failures)), list[str]()

    async def tell(key: object, pinned: object, why: str) -> None:
        assert (key, pinned) == (KEY, PINNED)
        events.append(why)

    async def pin() -> None:
        one = verdict_writeback.VerdictWriteback(cast("ModelRegistry", registry), unrecorded=tell)
        one.pin(KEY, PINNED)
        await asyncio.gather(*one._pinning)

    asyncio.run(pin())
    assert registry.tags == tags
    assert events == told
