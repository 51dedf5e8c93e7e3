"""What routers are seen to do ends a wait for them: a real API server, and a Gateway's router of
two replicas that lag apart, which is played.
"""

from typing import Any

import pytest

from tests.support.api_client import ApiClient, wait_for
from tests.support.fake_kubelet import KubeletThread
from tests.support.gateway_controller import Controller
from tests.support.lagging_router import LaggingRouter
from tests.support.operator_process import OperatorProcess
from tests.support.rollout import Rollout
from tests.support.scripted_world import ScriptedWorld
from tests.support.spec_cases import TRAFFIC

FIXED = 12
"""Seconds that are waited where nobody can be asked; for what is seen, 5 s are long enough."""


@pytest.fixture
def operator_settings() -> dict[str, str]:
    return {"ROUTER_DRAIN_SECONDS": str(FIXED)}


def assert_waited_as_shown(drains: list[Any], phase: str) -> None:
    """That phase has shown how far the router lags, and what came after it waited so long."""
    assert [(d["phase"], d["known"]) for d in drains] == [
        (phase, True),
        ("Switching", False),
        ("Settling", False),
    ]
    for later in drains[1:]:
        assert drains[0]["lag"] + 5 <= later["seconds"] < FIXED, f"as {phase} has shown"


def test_a_wait_ends_when_every_replica_of_the_router_follows(
    api: ApiClient,
    ns: str,
    started: OperatorProcess,
    kubelet: KubeletThread,
    controller: Controller,
    rollout: Rollout,
    world: ScriptedWorld,
) -> None:
    with LaggingRouter(api, ns, 0.2, 3) as router:
        rollout.apply("models:/iris/1", traffic=TRAFFIC)
        rollout.wait_phase("Promoted", 1)
        assert rollout.status().get("drains", []) == [], "a first deploy waits for no older weight"
        rollout.apply("models:/iris/2", traffic=TRAFFIC)
        promoted = rollout.wait_phase("Promoted", 2, seconds=120)["drains"]
        assert_waited_as_shown(promoted, "Shifting")
        assert promoted[0]["lag"] > 1
        world.accuracy["3"] = 0.95
        steps = {"steps": [{"weight": 50, "hold": "10m"}]}
        rollout.apply("models:/iris/3", traffic=TRAFFIC, strategy=steps)
        wait_for(
            lambda: router.leads_to(rollout.status().get("candidate", {}).get("revision", "?")),
            "its share",
        )
        world.accuracy["3"] = 0.62
        (back,) = rollout.wait_phase("RolledBack", 3, seconds=120)["drains"]
        assert (back["phase"], back["known"]) == ("RollingBack", True)
        assert back["lag"] > 1
        assert back["answers"] >= 20
        assert router.missed == []


def test_a_step_of_all_requests_shows_how_far_the_router_lags(
    api: ApiClient,
    ns: str,
    started: OperatorProcess,
    kubelet: KubeletThread,
    controller: Controller,
    rollout: Rollout,
    world: ScriptedWorld,
) -> None:
    """No Shifting comes after it, though it is shorter than the fixed time; and nobody has to look
    at the rollout meanwhile.
    """
    with LaggingRouter(api, ns, 0.2, 2) as router:
        rollout.apply("models:/iris/1", traffic=TRAFFIC)
        rollout.wait_phase("Promoted", 1)
        steps = {"steps": [{"weight": 50, "hold": "1s"}, {"weight": 100, "hold": "10s"}]}
        seldom = {"interval": "60s"}
        rollout.apply("models:/iris/2", traffic=TRAFFIC, strategy=steps, analysis=seldom)
        promoted = rollout.wait_phase("Promoted", 2, seconds=120)["drains"]
        assert_waited_as_shown(promoted, "Trial")
        # The slower replica gives half of the right answers by chance.
        assert promoted[0]["lag"] > 0
        assert router.missed == []
