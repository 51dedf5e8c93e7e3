"""The eight stories that faults are injected into (reference: reliability.md, "Promises, tests,
bars").
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tests.support.api_client import AsyncApiClient
from tests.support.fake_kubelet import FakeKubelet
from tests.support.kinds import Lists
from tests.support.scripted_world import ScriptedWorld, Workload

NAME = "iris"
CANNOT_LOAD = "5"
"""The version whose pods never become Ready."""


class When(StrEnum):
    """What an act waits for."""

    REST = "nothing changes any more"
    TRIAL = "the candidate gets requests"


class Deed(StrEnum):
    """What a person, or the world, does."""

    APPLY = "apply"
    LOSE = "the metrics of a version are lost"
    DELETE = "delete"


def kubelet_of(world: ScriptedWorld) -> FakeKubelet:
    """The cluster that all stories are played in."""
    kubelet = FakeKubelet(world)
    kubelet.broken.add(CANNOT_LOAD)
    return kubelet


@dataclass(frozen=True)
class Act:
    """One deed, once the time has come for it."""

    deed: Deed
    version: str = ""
    when: When = When.REST


@dataclass(frozen=True)
class Story:
    """One story, and how it must end."""

    name: str
    before: tuple[Act, ...]
    """How the rollout came to where the story begins, without faults."""
    then: tuple[Act, ...]
    """What is told with a fault in it."""
    ends: tuple[str, str] | None
    """Phase and stable version at the end; None where the rollout is gone."""


def _apply(version: str, when: When = When.REST) -> Act:
    return Act(Deed.APPLY, version, when)


STORIES = (
    Story("first deploy", (), (_apply("1"),), ("Promoted", "1")),
    Story("promotion", (_apply("1"),), (_apply("2"),), ("Promoted", "2")),
    Story("rollback on low accuracy", (_apply("1"),), (_apply("3"),), ("RolledBack", "1")),
    Story(
        "rollback on lost metrics",
        (_apply("1"),),
        (_apply("2"), Act(Deed.LOSE, "2", When.TRIAL)),
        ("RolledBack", "1"),
    ),
    Story(
        "another model mid-canary",
        (_apply("1"),),
        (_apply("2"), _apply("4", When.TRIAL)),
        ("Promoted", "4"),
    ),
    Story(
        "deleted mid-canary", (_apply("1"),), (_apply("2"), Act(Deed.DELETE, when=When.TRIAL)), None
    ),
    Story("a model that cannot load", (_apply("1"),), (_apply(CANNOT_LOAD),), ("RolledBack", "1")),
    Story(
        "a rejected version again",
        (_apply("1"), _apply("3"), _apply("1")),
        (_apply("3"),),
        ("RolledBack", "1"),
    ),
)


def spec(version: str, quick: bool, owner: str) -> dict[str, Any]:
    """A ModelRollout's spec; quick: times of seconds, for an operator that lives by the real clock;
    owner: who has the host.
    """
    times: dict[str, Any] = {
        "strategy": {
            "steps": [
                {"weight": 10, "hold": "5s" if quick else "60s"},
                {"weight": 50, "hold": "1s" if quick else "60s"},
            ],
            # Generous where time is real: a fault may take a while, and must not look like a model
            # that cannot load.
            "progressDeadline": "90s" if quick else "10m",
            "scaleDownDelay": "2s" if quick else "30s",
        },
        "analysis": {"interval": "1s" if quick else "15s", "maxHold": "6s" if quick else "10m"},
    }
    return {
        "modelUri": f"models:/iris/{version}",
        "traffic": {"host": f"{owner}.example.com"},
        **times,
    }


def due(act: Act, lists: Lists, resting: bool) -> bool:
    """Whether the time has come for an act."""
    if act.when is When.REST:
        return resting
    statuses = [r.get("status", {}) for r in lists["ModelRollout"]]
    return any(s.get("phase") == "Trial" and s.get("weight", 0) > 0 for s in statuses)


async def perform(
    act: Act, namespace: str, api: AsyncApiClient, world: ScriptedWorld, quick: bool = False
) -> None:
    """Do it."""
    match act.deed:
        case Deed.APPLY:
            await api.apply(
                "ModelRollout", namespace, NAME, {"spec": spec(act.version, quick, namespace)}
            )
        case Deed.LOSE:
            world.overrides[Workload(namespace, NAME, act.version)] = None
        case Deed.DELETE:
            await api.delete("ModelRollout", namespace, NAME)
