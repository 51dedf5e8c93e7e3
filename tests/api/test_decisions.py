"""What people decide, by the operator itself: approvals with names, and windows that are open."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.api.cli import Cli
from tests.support.api_client import ApiClient, wait_for
from tests.support.fake_kubelet import KubeletThread
from tests.support.operator_process import OperatorProcess
from tests.support.rollout import Rollout
from tests.support.scripted_world import ScriptedWorld


@pytest.fixture
def operator_settings() -> dict[str, str]:
    return {"REQUESTER_POLICY": "true"}


def strategy(**changes: Any) -> dict[str, Any]:
    return {
        "steps": [{"weight": 10, "hold": "1s"}, {"weight": 50, "hold": "1s"}],
        "progressDeadline": "60s",
        "scaleDownDelay": "2s",
        **changes,
    }


def test_a_last_step_waits_for_a_person(
    api: ApiClient, operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout
) -> None:
    asked = strategy(approval="Required")
    rollout.apply("models:/iris/1")
    rollout.wait_phase("Promoted", 1)
    rollout.apply("models:/iris/2", strategy=asked)

    def waits() -> dict[str, Any] | None:
        status = rollout.status()
        return status if "approvalSince" in status else None

    status = wait_for(waits, "the wait for a person", 60)
    assert (status["reason"], status["weight"]) == ("WaitingForApproval", 50)
    told = Cli(api.kubeconfig, rollout.ns).ok("approve", rollout.name, "--reason", "well done")
    assert "Asked the operator to approve attempt 2 (models:/iris/2)." in told
    ended = rollout.wait_phase("Promoted", 2)["history"][0]
    assert ended["reason"] == "GatesPassed"
    (act,) = ended["acts"]
    assert (act["by"], act["verified"], act["reason"]) == ("admin", True, "well done")


def test_a_frozen_window_holds_a_step_and_no_rollback(
    api: ApiClient,
    operator: OperatorProcess,
    kubelet: KubeletThread,
    rollout: Rollout,
    world: ScriptedWorld,
) -> None:
    rollout.apply("models:/iris/1")
    rollout.wait_phase("Promoted", 1)
    rollout.apply("models:/iris/2", strategy=strategy(steps=[{"weight": 10, "hold": "1h"}]))
    rollout.wait_phase("Trial", 2)
    start = datetime.now(UTC) - timedelta(minutes=5)
    window = {"schedule": "FREQ=DAILY", "start": f"{start:%Y-%m-%dT%H:%M}", "duration": "1h"}
    rollout.apply("models:/iris/2", strategy=strategy(windows=[window]))
    said = rollout.wait_true("Frozen")
    assert said["message"].startswith("Frozen until ")
    wait_for(lambda: rollout.status()["reason"] == "Frozen", "the step to be held", 60)
    assert rollout.status()["weight"] == 10
    world.accuracy["2"] = 0.1
    back = rollout.wait_phase("RolledBack", 2)
    assert back["reason"] == "GateFailed"
    assert (back["frozen"], "frozenUntil" in back) == ("", False)


def test_a_rule_that_never_occurs_is_told(
    operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout
) -> None:
    window = {"schedule": "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "start": "2026-01-01T12:00"}
    asked = strategy(windows=[window | {"duration": "1h"}])
    assert rollout.apply("models:/iris/1", strategy=asked).status_code == 201
    stalled = rollout.wait_true("Stalled")
    assert stalled["reason"] == "InvalidSpec"
    assert "does not occur within four years" in stalled["message"]
