"""What turns bad after its promotion: a real API server and operator process, played pods."""

import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from statistics import median
from typing import Any

import pytest

from tests.support.api_client import ApiClient, wait_for
from tests.support.fake_kubelet import KubeletThread
from tests.support.gateway_controller import Controller
from tests.support.lagging_router import LaggingRouter
from tests.support.operator_process import OperatorProcess
from tests.support.rollout import Rollout
from tests.support.scripted_world import ScriptedWorld, Workload
from tests.support.spec_cases import TRAFFIC

MANY = 10
BAD = 0.5
INTERVAL = 3
LOOKS = INTERVAL + 1
"""Groups of rollouts are looked at a second apart: of all groups, and of one that has begun."""
SPEC: dict[str, Any] = {
    "strategy": {
        "steps": [{"weight": 50, "hold": "1s"}],
        "progressDeadline": "60s",
        "scaleDownDelay": "2s",
        "watch": "24h",
    },
    # The played pods report no number of labels.
    "analysis": {
        "interval": f"{INTERVAL}s",
        "gates": [{"metric": "accuracy", "min": 0.7, "minSamples": 1000}],
    },
}


@pytest.fixture
def operator_settings() -> dict[str, str]:
    return {"ROUTER_DRAIN_SECONDS": "12"}


def turns_bad(world: ScriptedWorld, rollout: Rollout) -> None:
    world.overrides[Workload(rollout.ns, rollout.name, "2")] = BAD


def goes_back(rollout: Rollout) -> bool:
    return rollout.weight() == 100


def is_closed(rollout: Rollout) -> bool:
    return rollout.weight() is None


def is_told(rollout: Rollout, reason: str) -> bool:
    return any(
        (e["involvedObject"]["name"], e["reason"]) == (rollout.name, reason)
        for e in rollout.api.items("Event", rollout.ns)
    )


def figures(took: list[float]) -> str:
    """How long it took from bad to weight 0, beside the goal."""
    goal = INTERVAL + 2
    met = sum(seconds <= goal for seconds in took)
    return (
        f"{len(took)} returned; from bad to weight 0 within interval + 2 s ({goal} s):"
        f" {met} of {len(took)}; median {median(took):.1f} s, at most {max(took):.1f} s"
    )


def test_many_that_turn_bad_are_back_on_the_version_before(
    api: ApiClient,
    ns: str,
    operator: OperatorProcess,
    kubelet: KubeletThread,
    world: ScriptedWorld,
    record_property: Callable[[str, object], None],
) -> None:
    rollouts, took = [Rollout(api, ns, f"iris-{n}") for n in range(MANY)], list[float]()
    bad_since = dict[str, float]()
    for one in rollouts:
        one.apply("models:/iris/1", **SPEC)
    for one in rollouts:
        one.wait_phase("Promoted", 1, 120)
        one.apply("models:/iris/2", **SPEC)
    former = {one.name: one.wait_phase("Promoted", 2, 180)["watch"]["former"] for one in rollouts}
    for one in rollouts:
        began = bad_since[one.name] = time.time()
        turns_bad(world, one)
        wait_for(partial(goes_back, one), "all requests to go back")
        took.append(time.time() - began)
    said = figures(took)
    print(said)
    record_property("summary", said)
    for one in rollouts:
        status = one.wait_phase("RolledBack", 3, 120)
        assert status["stable"]["revision"] == former[one.name]
        assert one.condition("Stalled")["reason"] == "GateFailed"
        (returned, *_) = status["history"]
        assert (returned["verdict"], returned["attempt"]) == ("Returned", 3)
        assert (returned["uri"], returned["returnedTo"]) == ("models:/iris/2", "models:/iris/1")
        assert [r["uri"] for r in status["rejected"]] == ["models:/iris/2"]
        decided = datetime.fromisoformat(returned["started"]).timestamp()
        asked = sum(bad_since[one.name] <= at <= decided for at in world.measured)
        assert asked <= LOOKS, "it goes back at the first look that can see it"
        one.wait_reported(3)
        wait_for(partial(is_told, one, "GateFailed"), "the Event, which follows the status")
        wait_for(partial(is_closed, one), "the canary route to go")
    left = {f"iris-{n}-{former[f'iris-{n}']}" for n in range(MANY)}
    wait_for(
        lambda: {d["metadata"]["name"] for d in api.items("Deployment", ns)} == left,
        "the failed pods to go",
    )


def test_no_request_is_lost_on_the_way_back_by_a_router_that_lags(
    api: ApiClient,
    ns: str,
    started: OperatorProcess,
    kubelet: KubeletThread,
    controller: Controller,
    rollout: Rollout,
    world: ScriptedWorld,
) -> None:
    with LaggingRouter(api, ns, 0.2, 3) as router:
        rollout.apply("models:/iris/1", **SPEC, traffic=TRAFFIC)
        rollout.wait_phase("Promoted", 1)
        rollout.apply("models:/iris/2", **SPEC, traffic=TRAFFIC)
        promoted = rollout.wait_phase("Promoted", 2, seconds=120)
        turns_bad(world, rollout)
        back = rollout.wait_phase("RolledBack", 3, seconds=120)
        assert back["stable"]["revision"] == promoted["watch"]["former"]
        assert [d["phase"] for d in back["drains"]] == ["Shifting", "Switching", "Settling"]
        assert back["drains"][0]["known"], "requests have shown that routers follow"
        wait_for(lambda: not rollout.status().get("retiring"), "the failed pods to go")
        assert router.missed == []
