"""A rollout from first deploy to promotion and rollback, under traffic. Invariants are asserted,
not times.
"""

from collections.abc import Callable

from scripts.demo.rollout import Rollout, eventually, verdict_of
from scripts.demo.traffic import Traffic
from tests.e2e.harness import PATIENCE, Trained, hold, kubectl, only_serves, version_of, versions


def test_first_deploy(rollout: Rollout, models: Trained, traffic: Callable[[], Traffic]) -> None:
    """What a new user does: apply, wait with kubectl, send a request."""
    rollout.apply(models.good)
    kubectl(
        "wait",
        "--for=condition=Ready",
        f"mro/{rollout.name}",
        "-n",
        rollout.namespace,
        f"--timeout={PATIENCE:.0f}s",
    )
    status = rollout.status()
    assert (status["phase"], status["stable"]["uri"]) == ("Promoted", models.good)
    assert verdict_of(status, models.good)["verdict"] == "Promoted"
    gate = status["gates"][0]
    assert (gate["measurement"], gate["revision"]) == ("Pass", status["stable"]["revision"])
    assert gate["value"] >= gate["threshold"] == 0.7
    printed = kubectl("get", "mro", "-n", rollout.namespace)
    assert "Promoted" in printed
    assert models.good in printed
    sent = traffic()
    eventually(lambda: len(sent.answers) >= 20 or None, "twenty answers", PATIENCE)
    assert not sent.failed
    assert versions(sent) == {version_of(models.good)}
    only_serves(rollout, models.good)


def test_first_deploy_of_a_bad_model(rollout: Rollout, models: Trained) -> None:
    """The gate that needs no traffic is held before the host answers at all."""
    rollout.apply(models.bad)
    status = rollout.wait("RolledBack", models.bad, PATIENCE)
    assert verdict_of(status, models.bad)["reason"] == "GateFailed"
    assert not status.get("stable")
    eventually(
        lambda: None if rollout.owned() else True,
        "nothing to be left",
        PATIENCE,
        lambda: f"There is {rollout.owned()}",
    )


def test_promote(rollout: Rollout, models: Trained, stable: Traffic) -> None:
    # Weights are seen by polling: each stands long enough for that.
    rollout.settings["strategy"]["steps"] = [
        {"weight": 20, "hold": "15s"},
        {"weight": 50, "hold": "15s"},
    ]
    weights = set()
    rollout.apply(models.good)

    def promoted() -> bool | None:
        if canary := rollout.canary():
            weights.add(canary[1])
        return True if verdict_of(rollout.status(), models.good) else None

    eventually(promoted, f"a verdict about {models.good}", PATIENCE, rollout.tell)
    status = rollout.wait("Promoted", models.good, PATIENCE)
    assert verdict_of(status, models.good)["verdict"] == "Promoted"
    assert {20, 50, 100} <= weights
    assert "0.7" in rollout.condition("Ready")["message"], "the verdict names value and threshold"
    only_serves(rollout, models.good)
    answered = len(stable.answers)
    eventually(
        lambda: len(stable.answers) >= answered + 20 or None, "twenty more answers", PATIENCE
    )
    assert {a.version for a in stable.answers[answered + 10 :]} == {version_of(models.good)}
    assert not stable.failed


def test_roll_back_on_low_accuracy(rollout: Rollout, models: Trained, stable: Traffic) -> None:
    before = rollout.status()["stable"]
    rollout.apply(models.bad)
    status = rollout.wait("RolledBack", models.bad, PATIENCE)
    assert status["stable"] == before, "the stable pods are not touched"
    stalled = rollout.condition("Stalled")
    assert (stalled["status"], stalled["reason"]) == ("True", "GateFailed")
    assert models.bad in stalled["message"]
    assert "below 0.7" in stalled["message"]
    assert [r["uri"] for r in status["rejected"]] == [models.bad]
    only_serves(rollout, models.modest)
    answered = len(stable.answers)
    eventually(
        lambda: len(stable.answers) >= answered + 20 or None, "twenty more answers", PATIENCE
    )
    assert {a.version for a in stable.answers[answered + 10 :]} == {version_of(models.modest)}
    assert not stable.failed


def test_model_uri_changed_mid_trial(rollout: Rollout, models: Trained, stable: Traffic) -> None:
    """A new attempt for the new model; the baseline stays what was promoted last."""
    hold(rollout, 120)
    rollout.apply(models.good)
    rollout.wait("Trial", models.good, PATIENCE)
    rollout.apply(models.bad)
    status = rollout.wait("RolledBack", models.bad, PATIENCE)
    assert verdict_of(status, models.good)["verdict"] == "Superseded"
    assert verdict_of(status, models.bad)["verdict"] == "RolledBack"
    assert status["stable"]["uri"] == models.modest
    assert [a["attempt"] for a in status["history"]] == [3, 2, 1]
    only_serves(rollout, models.modest)
    assert not stable.failed
