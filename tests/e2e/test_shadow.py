"""Copies of real requests between real pods: what answers otherwise is gone before a user gets an
answer of it, and what answers alike is promoted.
"""

from scripts.demo.models import Registry
from scripts.demo.rollout import Rollout
from scripts.demo.traffic import Traffic
from tests.e2e.conftest import setting
from tests.e2e.harness import PATIENCE, Trained, copy_of, version_of, versions

STEPS = [{"weight": 0, "shadow": 100, "hold": "4s"}, {"weight": 50, "hold": "4s"}]
GATES = [{"metric": "disagreement", "max": 0.1}, {"metric": "errorRate", "max": 0.05}]


def test_copies_decide_before_a_user_gets_an_answer(
    rollout: Rollout, models: Trained, stable: Traffic
) -> None:
    rollout.settings["strategy"]["steps"] = STEPS
    rollout.settings["analysis"] = {"interval": "2s", "gates": GATES}
    rollout.apply(models.bad)
    status = rollout.wait("RolledBack", models.bad, PATIENCE)
    assert "copies answered alike" in status["message"]
    assert version_of(models.bad) not in versions(stable)

    equal = copy_of(Registry(setting("MLFLOW_TRACKING_URI")), models.modest)
    rollout.apply(equal)
    status = rollout.wait("Promoted", equal, PATIENCE)
    gates = {g["metric"]: g for g in status["history"][0]["gates"]}
    assert gates["disagreement"]["measurement"] == "Pass"
    assert gates["disagreement"]["samples"] > 0
    assert not stable.failed
