"""From the release before to this one, and back: charts by Helm, operators as processes, on a real
API server. Pods are played: none is replaced where no Deployment's template changes.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from scripts.cluster.apiserver import apiserver
from tests.support import releases
from tests.support.api_client import ApiClient, wait_for
from tests.support.fake_kubelet import KubeletThread
from tests.support.operator_process import OperatorProcess
from tests.support.rollout import Rollout
from tests.support.scripted_world import ScriptedWorld, served

NS = "models"
LONG: dict[str, Any] = {
    "strategy": {
        "steps": [{"weight": 10, "hold": "1h"}, {"weight": 50, "hold": "1s"}],
        "scaleDownDelay": "1s",
    }
}
LOOK = 8.0
"""Seconds in which an operator that would roll something out anew has begun to."""


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiClient]:
    """The CRD is the chart's to install."""
    with apiserver(tmp_path_factory.mktemp("apiserver")) as kubeconfig:
        server = ApiClient(kubeconfig)
        server.namespace(NS)
        yield server


class Standing(NamedTuple):
    """What must not change."""

    attempts: dict[str, tuple[int, str, str, str]]
    """Of each rollout: its attempt, phase, stable and candidate revision."""
    pods: dict[str, tuple[str, int, int]]
    """Of each Deployment: its uid, generation (templates count in it) and replicas."""
    weights: dict[str, int | None]
    """Of each rollout: the candidate's."""


def standing(api: ApiClient, rollouts: list[Rollout]) -> Standing:
    deployments = api.items("Deployment", NS)
    return Standing(
        {one.name: releases.attempt_of(one.status()) for one in rollouts},
        {
            d["metadata"]["name"]: (
                d["metadata"]["uid"],
                d["metadata"]["generation"],
                d["spec"]["replicas"],
            )
            for d in deployments
        },
        {one.name: one.weight() for one in rollouts},
    )


def wait_ten(rollout: Rollout) -> None:
    wait_for(lambda: rollout.weight() == 10, f"{rollout.name} at 10 %", 60)


def wait_seen(process: OperatorProcess, rollouts: int) -> None:
    """Wait until it knows all rollouts, and long enough for it to begin what it should not."""
    wait_for(lambda: process.rollouts() == rollouts, "the operator to know all", 90)
    time.sleep(LOOK)


def test_nothing_is_rolled_out_anew_by_an_upgrade_nor_by_the_way_back(
    api: ApiClient, tmp_path: Path
) -> None:
    before, this = releases.before(tmp_path / "before"), releases.this()
    world = ScriptedWorld()
    resting, refused, on_trial, waiting = (
        Rollout(api, NS, name) for name in ("resting", "refused", "on-trial", "waiting")
    )
    rollouts = [resting, refused, on_trial, waiting]
    with served(world) as url, KubeletThread(api, world, NS):
        before.install(api, url)
        api.wait_served("ModelRollout")
        with before.running(api, url, tmp_path / "before.log"):
            for rollout in rollouts:
                rollout.apply("models:/iris/1", **LONG)
            for rollout in rollouts:
                rollout.wait_phase("Promoted", 1, 90)
            refused.apply("models:/iris/3", **LONG)
            refused.wait_phase("RolledBack", 2)
            for rollout in (on_trial, waiting):
                rollout.apply("models:/iris/2", **LONG)
                wait_ten(rollout)
            wait_for(lambda: len(api.items("Deployment", NS)) == 6, "only what is needed")
            for rollout in (resting, refused):
                rollout.wait_reported(rollout.status()["attempt"])
        stood = standing(api, rollouts)
        this.install(api, url)
        with this.running(api, url, tmp_path / "after.log") as process:
            wait_seen(process, len(rollouts))
            assert standing(api, rollouts) == stood
            # A trial goes on where it was: it is promoted as the same attempt.
            short: dict[str, Any] = {
                "strategy": {**LONG["strategy"], "steps": [{"weight": 10, "hold": "1s"}]}
            }
            on_trial.apply("models:/iris/2", **short)
            on_trial.wait_phase("Promoted", 2, 90)
            on_trial.wait_reported(2)
            wait_for(lambda: len(api.items("Deployment", NS)) == 5, "the old one to go")
        stood = standing(api, rollouts)
        before.install(api, url)
        with before.running(api, url, tmp_path / "back.log") as process:
            wait_seen(process, len(rollouts))
            assert standing(api, rollouts) == stood
            waiting.apply("models:/iris/1", **LONG)
            waiting.wait_phase("Promoted", 2, 90)
