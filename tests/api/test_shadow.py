"""Trials that begin with copies of stable's requests, on a real API server: stable's pods are told,
and what they count decides.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.cli import Cli
from tests.support.api_client import ApiClient, wait_for
from tests.support.copying_pods import CopyingWorld, pods_of
from tests.support.fake_kubelet import KubeletThread
from tests.support.operator_process import OperatorProcess
from tests.support.rollout import Rollout

SPEC: dict[str, Any] = {
    "strategy": {
        "steps": [{"weight": 0, "shadow": 100, "hold": "1s"}, {"weight": 50, "hold": "1s"}],
        "progressDeadline": "60s",
        "scaleDownDelay": "2s",
    },
    "analysis": {
        "interval": "1s",
        "maxHold": "20s",
        "gates": [{"metric": "disagreement", "max": 0.1}, {"metric": "accuracy", "min": 0.7}],
    },
}


@pytest.fixture
def world() -> CopyingWorld:
    accuracy: dict[str, float | None] = {"1": 0.91, "2": 0.95, "3": 0.94}
    return CopyingWorld(accuracy=accuracy, different=frozenset({"3"}))


@pytest.fixture
def kubelet(api: ApiClient, ns: str, world: CopyingWorld) -> Iterator[KubeletThread]:
    with pods_of(world) as place:
        working = KubeletThread(api, world, ns)
        working.place = place
        with working:
            yield working


def promoted(rollout: Rollout, world: CopyingWorld) -> str:
    """Have version 1 stable; the version of the API server's objects then."""
    rollout.apply("models:/iris/1", **SPEC)
    world.uid = rollout.api.get(rollout.path)["metadata"]["uid"]
    rollout.wait_phase("Promoted", 1)
    rollout.wait_reported(1)
    return str(rollout.api.get(rollout.path)["metadata"]["resourceVersion"])


def test_an_equal_version_is_promoted_by_copies_and_requests(
    operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout, world: CopyingWorld
) -> None:
    since = promoted(rollout, world)
    rollout.apply("models:/iris/2", **SPEC)
    status = rollout.wait_phase("Promoted", 2)
    (stable,) = [r for r, w in world.revisions.items() if w.version == "2"]
    assert {(o.candidate, o.percent) for o in world.heard} == {(stable, 100), (stable, 0)}
    wait_for(lambda: world.heard[-1].percent == 0 or None, "copies to end")
    weights = [s["weight"] for s in rollout.statuses_since(since) if s.get("step") is not None]
    assert {0, 50} <= set(weights)
    assert status["history"][0]["verdict"] == "Promoted"
    (gate,) = [g for g in status["history"][0]["gates"] if g["metric"] == "disagreement"]
    assert (gate["measurement"], gate["value"]) == ("Pass", 0)
    (policy,) = rollout.api.items("NetworkPolicy", rollout.ns)
    ports = [rule.get("ports") for rule in policy["spec"]["egress"] if "to" in rule]
    assert [{"port": 8080, "protocol": "TCP"}] in ports


def test_a_version_that_answers_otherwise_is_gone_before_it_answered_a_user(
    operator: OperatorProcess,
    kubelet: KubeletThread,
    rollout: Rollout,
    world: CopyingWorld,
    tmp_path: Path,
) -> None:
    world.differences = [
        {
            "outcome": "different",
            "stable": '{"predict":"setosa"}',
            "candidate": '{"predict":"virginica"}',
            "at": time.time(),
            "shown": {"petal_length": "1.4"},
            "masked": ["name"],
        }
    ]
    since = promoted(rollout, world)
    rollout.apply("models:/iris/3", **SPEC)
    status = rollout.wait_phase("RolledBack", 2)
    assert "copies answered alike" in status["message"]
    assert {s["weight"] for s in rollout.statuses_since(since)} == {0}
    # What differed stands in the status, and in the report of whoever may read that.
    (one,) = rollout.status()["differences"]
    assert (one["sent"], one["masked"]) == ([{"field": "petal_length", "value": "1.4"}], ["name"])
    cli = Cli(rollout.api.kubeconfig, rollout.ns)
    cli.ok("report", "iris", "-f", str(tmp_path / "report.html"))
    written = (tmp_path / "report.html").read_text()
    assert "Copies that were answered otherwise" in written
    assert "petal_length <code>1.4</code>" in written
    assert "virginica" in written
    routes = rollout.api.events_since("Ingress", rollout.ns, since)
    assert not [e for e in routes if e["object"]["metadata"]["name"] == "iris-canary"]
    wait_for(lambda: world.heard[-1].percent == 0 or None, "copies to end")


def test_the_next_operator_goes_on_telling(
    operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout, world: CopyingWorld
) -> None:
    steps = [{"weight": 0, "shadow": 20, "hold": "10m"}, {"weight": 50, "hold": "1s"}]
    promoted(rollout, world)
    rollout.apply("models:/iris/2", **{**SPEC, "strategy": {"steps": steps}})
    wait_for(lambda: world.heard or None, "an order")
    operator.kill()
    told = len(world.heard)
    operator.start()
    wait_for(lambda: len(world.heard) > told or None, "another order", 60)
    assert {o.percent for o in world.heard} == {20}


def test_a_server_that_makes_no_copies_is_told_of_with_what_helps(
    operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout, world: CopyingWorld
) -> None:
    world.status = 404
    promoted(rollout, world)
    rollout.apply("models:/iris/2", **SPEC)
    sentence = "promote a version with this operator's image first"
    wait_for(lambda: sentence in rollout.status().get("message", "") or None, "the sentence", 30)
    assert rollout.status()["weight"] == 0
