"""The operator goes on after every interruption, and what was changed meanwhile is set right."""

import json
import socket
import time
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from tests.support.api_client import ApiClient, wait_for
from tests.support.fake_kubelet import KubeletThread
from tests.support.kinds import OWNED_KINDS, WEIGHT, path_of
from tests.support.operator_process import OperatorProcess
from tests.support.rollout import Rollout
from tests.support.scripted_world import ScriptedWorld, served


def test_objects_from_before_deletion_was_held_back_get_it_and_no_pod_is_replaced(
    api: ApiClient, ns: str, operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout
) -> None:
    rollout.promote("1", 1)
    operator.kill()
    paths = [
        path_of(kind, ns, one["metadata"]["name"])
        for kind in OWNED_KINDS
        if kind != "EndpointSlice"
        for one in api.items(kind, ns)
    ]
    paths = [path for path in paths if api.get(path)["metadata"].get("ownerReferences")]
    assert len(paths) == 5
    for path in paths:
        (owner,) = api.get(path)["metadata"]["ownerReferences"]
        older = {k: v for k, v in owner.items() if k != "blockOwnerDeletion"}
        api.patch(path, {"metadata": {"ownerReferences": [older]}}).raise_for_status()
    before = {path: api.get(path)["metadata"].get("generation") for path in paths}
    operator.start()
    for path in paths:

        def held(path: str = path) -> Any:
            return api.get(path)["metadata"]["ownerReferences"][0].get("blockOwnerDeletion")

        wait_for(held, f"{path} to hold it back")
    assert before == {path: api.get(path)["metadata"].get("generation") for path in paths}


@pytest.mark.parametrize("asked", ["1", "2"], ids=["at rest", "and another model asked for"])
def test_a_status_removed_by_hand_takes_no_route_and_no_pod(
    asked: str,
    api: ApiClient,
    ns: str,
    operator: OperatorProcess,
    kubelet: KubeletThread,
    world: ScriptedWorld,
) -> None:
    rollout = Rollout(api, ns, f"removed-{asked}")
    rollout.apply("models:/iris/1", resources={"requests": {"cpu": "1000m", "memory": "256Mi"}})
    rollout.wait_phase("Promoted", 1)
    rollout.wait_reported(1)
    if asked != "1":
        operator.kill()
        rollout.apply(
            f"models:/iris/{asked}", resources={"requests": {"cpu": "1000m", "memory": "256Mi"}}
        )
    known = rollout.deployments()["1"]["metadata"]["uid"]
    paths = {
        kind: f"{path_of(kind, ns)}?watch=1&timeoutSeconds=1&resourceVersion="
        for kind in ("Service", "Ingress", "Deployment")
    }
    version = api.version("Service", ns)
    api.patch(f"{rollout.path}/status", {"status": None}).raise_for_status()
    if asked != "1":
        operator.start()
    wait_for(lambda: rollout.status().get("stable"), "a status")
    last = 1 if asked == "1" else 2
    wait_for(
        lambda: (
            (s := rollout.status()).get("phase") == "Promoted"
            and s["stable"]["version"] == asked
            and s["attempt"] == last
        ),
        "Promoted",
        90,
    )
    told = [
        json.loads(line)
        for path in paths.values()
        for line in api.http.get(path + version).text.splitlines()
    ]
    gone = {
        f"{e['object']['kind']} {e['object']['metadata']['name']}"
        for e in told
        if e["type"] == "DELETED"
    }
    assert not {g for g in gone if g in {f"Service {rollout.name}", f"Ingress {rollout.name}"}}
    if asked == "1":
        assert not gone
        assert rollout.deployments()["1"]["metadata"]["uid"] == known


def test_a_status_removed_in_mid_trial_takes_no_pod_that_a_router_may_send_requests_to(
    operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout, api: ApiClient, ns: str
) -> None:
    slow = {"steps": [{"weight": 10, "hold": "60s"}], "scaleDownDelay": "60s"}
    rollout.promote("1", 1)
    rollout.apply("models:/iris/2", strategy=slow)
    rollout.wait_phase("Trial", 2)
    wait_for(lambda: rollout.weight() == 10, "the weight")
    before = {v: one["metadata"]["uid"] for v, one in rollout.deployments().items()}
    services = {one["metadata"]["name"] for one in api.items("Service", ns)}
    operator.kill()
    # Back to what is stable: nobody asks for the candidate's pods any more.
    rollout.apply("models:/iris/1", strategy=slow)
    api.patch(f"{rollout.path}/status", {"status": None}).raise_for_status()
    operator.start()
    rollout.wait_phase("Promoted", 1)
    wait_for(lambda: rollout.weight() is None, "the canary Ingress to go")
    assert [r["version"] for r in rollout.status()["retiring"]] == ["2"]
    assert {v: one["metadata"]["uid"] for v, one in rollout.deployments().items()} == before
    assert services <= {one["metadata"]["name"] for one in api.items("Service", ns)}


def test_a_registry_that_is_down_is_waited_for(
    operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout, world: ScriptedWorld
) -> None:
    world.registry_down = True
    rollout.apply("models:/iris/1")
    wait_for(lambda: rollout.status().get("reason") == "RegistryUnreachable", "the reason")
    assert rollout.condition("Reconciling")["status"] == "True"
    world.registry_down = False
    rollout.wait_phase("Promoted", 1)


def test_prometheus_that_is_down_is_waited_for(
    operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout, world: ScriptedWorld
) -> None:
    rollout.apply("models:/iris/1", analysis={"interval": "1s", "maxHold": "60s"})
    rollout.wait_phase("Promoted", 1)
    world.prometheus_down = True
    rollout.apply("models:/iris/2", analysis={"interval": "1s", "maxHold": "60s"})
    wait_for(lambda: rollout.status().get("reason") == "WaitingForEvidence", "the reason")
    time.sleep(3)
    assert rollout.weight() == 10
    world.prometheus_down = False
    rollout.wait_phase("Promoted", 2)


def slowed(operator: OperatorProcess) -> None:
    """Started anew so that phases that wait for the router last 5 s: one of 1 s may be over before
    anybody has seen it.
    """
    operator.kill()
    operator.environment["ROUTER_DRAIN_SECONDS"] = "5"
    operator.start()


@pytest.mark.parametrize("phase", ["Starting", "Trial", "Shifting", "Switching"])
def test_killed_and_restarted_while(
    phase: str,
    api: ApiClient,
    ns: str,
    operator: OperatorProcess,
    kubelet: KubeletThread,
    world: ScriptedWorld,
) -> None:
    rollout, hold = Rollout(api, ns, f"iris-{phase.lower()}"), "5s" if phase == "Trial" else "1s"
    slowed(operator)
    rollout.apply("models:/iris/1")
    rollout.wait_phase("Promoted", 1)
    # Pods that are Ready at once could end Starting before anybody has seen it.
    kubelet.broken |= {"2"} if phase == "Starting" else set()
    rollout.apply(
        "models:/iris/2",
        strategy={"steps": [{"weight": 10, "hold": hold}, {"weight": 50, "hold": hold}]},
    )
    wait_for(lambda: rollout.status()["phase"] == phase, phase)
    operator.kill()
    kubelet.broken.clear()
    operator.start()
    done = rollout.wait_phase("Promoted", 2)
    assert [h["verdict"] for h in done["history"]] == ["Promoted", "Promoted"]


def test_killed_and_restarted_while_rolling_back(
    operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout
) -> None:
    slowed(operator)
    rollout.apply("models:/iris/1")
    rollout.wait_phase("Promoted", 1)
    rollout.apply("models:/iris/3")
    wait_for(lambda: rollout.status()["phase"] == "RollingBack", "RollingBack")
    operator.kill()
    operator.start()
    done = rollout.wait_phase("RolledBack", 2)
    assert [h["verdict"] for h in done["history"]] == ["RolledBack", "Promoted"]
    wait_for(lambda: set(rollout.deployments()) == {"1"}, "the candidate's pods to go")


def test_killed_after_every_decision(
    operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout, world: ScriptedWorld
) -> None:
    """SIGKILL as soon as a new status is seen, whatever was under way, from the first deploy on,
    until there were ten kills.
    """
    world.accuracy["3"] = 0.95
    version, others, asked, kills = "1", cycle("23"), 1, 0
    rollout.apply("models:/iris/1")
    seen = rollout.status()
    while True:
        rollout.wait_change(seen, 40)
        operator.kill()
        kills += 1
        seen = rollout.status()
        if seen.get("phase") == "Promoted" and seen["stable"]["version"] == version:
            if kills >= 10 and version != "1":
                break
            version = next(others)
            rollout.apply(f"models:/iris/{version}")
            asked += 1
        operator.start()
    assert [h["verdict"] for h in seen["history"]] == ["Promoted"] * asked
    operator.start()
    wait_for(lambda: set(rollout.deployments()) == {version}, "the old pods to go")


def test_drift_is_repaired(
    api: ApiClient,
    ns: str,
    operator: OperatorProcess,
    kubelet: KubeletThread,
    rollout: Rollout,
    world: ScriptedWorld,
) -> None:
    rollout.apply("models:/iris/1")
    rollout.wait_phase("Promoted", 1)
    world.accuracy["2"] = None
    rollout.apply("models:/iris/2", analysis={"interval": "1s", "maxHold": "10m"})
    wait_for(lambda: rollout.weight() == 10, "weight 10")
    canary = path_of("Ingress", ns, "iris-canary")
    before = rollout.status()
    api.patch(canary, {"metadata": {"annotations": {WEIGHT: "90"}}})
    wait_for(lambda: rollout.weight() == 10, "the weight to be repaired")
    api.http.delete(canary)
    wait_for(lambda: rollout.weight() == 10, "the canary Ingress to be made again")
    after = rollout.status()
    for what in ("phase", "attempt", "step", "stepSince", "weight", "candidate"):
        assert after[what] == before[what], "nothing of it is taken for progress"


@pytest.mark.parametrize("variable", ["METRICS_PORT", "HEALTH_PORT"])
def test_the_operator_ends_where_a_port_is_taken(
    variable: str, api: ApiClient, ns: str, world: ScriptedWorld, tmp_path: Path
) -> None:
    with socket.create_server(("", 0)) as taken, served(world) as url:
        operator = OperatorProcess(
            api.kubeconfig, url, tmp_path / "operator.log", WATCH_NAMESPACES=ns
        )
        operator.environment[variable] = str(port := taken.getsockname()[1])
        with operator:
            assert operator.process is not None
            assert operator.process.wait(60) == 1
    said = (tmp_path / "operator.log").read_text()
    assert said.rstrip().endswith(
        f"The operator ends: {variable}={port} cannot be opened: Address already in use. Write"
        " another port, or end what listens there."
    )
