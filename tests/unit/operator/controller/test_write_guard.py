"""What a pass may still write when time has gone by since it decided."""

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from rollout_operator.adapters.kubernetes_api import Cluster
from rollout_operator.controller.apply import PROVEN_FOR, WriteGuard
from rollout_operator.controller.cache import Store
from rollout_operator.controller.pass_memory import PassMemory
from rollout_operator.errors import CallFailed, Conflict, Gone
from tests.unit.operator.raw_objects import KEY, rollout


@dataclass
class Answers:
    """An API server that has the ModelRollout in this version; None: not any more."""

    version: int | None
    asked: list[str] = field(default_factory=list)

    async def read(self, kind: str, namespace: str, name: str) -> dict[str, Any]:
        self.asked.append(name)
        if self.version is None:
            raise Gone(f"{kind} {namespace}/{name}")
        return rollout(self.version)


def guard(there: Answers, decided: bool, later: float) -> tuple[WriteGuard, Store]:
    store = Store()
    store.put_rollout(rollout(9))
    return WriteGuard(
        rollout(9),
        store,
        cast("Cluster", there),
        PassMemory(),
        100.0 if decided else None,
        lambda: 100.0 + later,
    ), store


HOLDS = {
    "decided a moment ago": (True, 0.5 * PROVEN_FOR, []),
    "not decided, only seen": (False, 0.0, ["iris"]),
    "decided, and stood still since": (True, 60.0, ["iris"]),
}


@pytest.mark.parametrize(("decided", "later", "asked"), HOLDS.values(), ids=HOLDS.keys())
async def test_the_newest_is_followed(decided: bool, later: float, asked: list[str]) -> None:
    there = Answers(9)
    one, _ = guard(there, decided, later)
    await one.ensure_current()
    assert there.asked == asked
    await one.ensure_current()
    assert there.asked == asked, "what was just confirmed is not asked for again"


FAILS: dict[str, tuple[int | None, type[CallFailed]]] = {
    "another has written it": (10, Conflict),
    "it was deleted": (None, Gone),
}


@pytest.mark.parametrize(("version", "failure"), FAILS.values(), ids=FAILS.keys())
async def test_nothing_follows_what_is_not_the_newest(
    version: int | None, failure: type[CallFailed]
) -> None:
    there = Answers(version)
    one, store = guard(there, True, 60.0)
    with pytest.raises(failure):
        await one.ensure_current()
    known = store.rollout(KEY)
    assert known is not None
    assert known["metadata"]["resourceVersion"] == str(version or 9)
