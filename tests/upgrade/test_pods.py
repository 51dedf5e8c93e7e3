"""From the release before to this one, and back, on the local cluster: operators by charts and
images, models in pods, and requests through the router all the time.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from scripts.cluster.paths import SOCKET
from scripts.demo.models import RECIPES, Registry, train
from scripts.demo.rollout import Rollout, eventually, fresh_namespace
from scripts.demo.traffic import answers_on
from scripts.kube import Kube, Object
from tests.bench.load import Load
from tests.bench.traffic_figures import Figure, keep, print_table
from tests.e2e.harness import PATIENCE, SETTINGS, operator_pod, version_of
from tests.support import releases

NS, MODEL = "upgrade", "iris-upgrade"
TARGET = Path("build/upgrade.json")
RATE, REQUESTS = 25.0, 20_000
"""Requests a second to each rollout, and how many there must be in all."""
LOOK = 20.0
"""Seconds in which an operator that would roll something out anew has begun to."""
STEP_OF_AN_HOUR = [{"weight": 10, "hold": "1h"}, {"weight": 50, "hold": "1s"}]
SHORT_STEP = [{"weight": 10, "hold": "2s"}]
ENDED = ("Promoted", "RolledBack")
ANY, DEFAULT = [{"metric": "accuracy", "min": 0.1}], [{"metric": "accuracy", "min": 0.7}]


class Standing(NamedTuple):
    """What an upgrade must not change."""

    attempts: dict[str, tuple[int, str, str, str]]
    """Of each rollout: its attempt, phase, stable and candidate revision."""
    shares: dict[str, tuple[str, int] | None]
    """Of each rollout: the candidate's revision and weight in the route."""
    deployments: dict[str, int]
    """The generation of each; its template counts in it."""
    pods: dict[str, tuple[str, int]]
    """Of each pod: uid, and how often its container was started again."""


@dataclass
class Fleet:
    """Rollouts of one namespace, under load."""

    kube: Kube
    rollouts: Mapping[str, Rollout]
    loads: Mapping[str, Load]

    def ask(self, name: str, uri: str, steps: list[Object], gates: list[Object]) -> None:
        rollout = self.rollouts[name]
        rollout.settings["strategy"]["steps"] = steps
        rollout.settings["analysis"]["gates"] = gates
        rollout.apply(uri)

    def wait_ended(self, name: str, attempt: int, phase: str) -> None:
        """Wait until the attempt has ended; it must have ended so."""
        rollout = self.rollouts[name]

        def ended() -> str | None:
            status = rollout.status()
            there = status.get("attempt") == attempt and status.get("phase") in ENDED
            return status["phase"] if there else None

        found = eventually(ended, f"attempt {attempt} of {name} to end", PATIENCE, rollout.tell)
        assert found == phase, rollout.tell()

    def wait_ten(self, name: str) -> None:
        rollout = self.rollouts[name]
        eventually(
            lambda: (rollout.canary() or ("", 0))[1] == 10 or None,
            f"{name} at 10 %",
            PATIENCE,
            rollout.tell,
        )

    def wait_pods(self, wanted: Mapping[str, int]) -> None:
        """Wait until each rollout has so many pods, all Ready, none on its way out."""

        def settled() -> bool | None:
            return True if self.ready_pods() == wanted else None

        eventually(settled, f"{wanted} pods", PATIENCE, lambda: f"There are {self.ready_pods()}")

    def ready_pods(self) -> dict[str, int]:
        """Pods of each rollout; -1 where one is not Ready, or goes."""
        counted = dict.fromkeys(self.rollouts, 0)
        for pod in self.pods():
            name = pod["metadata"]["labels"]["rollouts.mlops.dev/rollout"]
            containers = pod["status"].get("containerStatuses", [])
            well = containers and all(c["ready"] for c in containers)
            going = "deletionTimestamp" in pod["metadata"]
            counted[name] = counted[name] + 1 if well and not going and counted[name] >= 0 else -1
        return counted

    def pods(self) -> list[Object]:
        return self.kube.items(f"/api/v1/namespaces/{NS}/pods", "rollouts.mlops.dev/rollout")

    def standing(self) -> Standing:
        statuses = {name: one.status() for name, one in self.rollouts.items()}
        deployments = self.kube.items(f"/apis/apps/v1/namespaces/{NS}/deployments")
        return Standing(
            {name: releases.attempt_of(status) for name, status in statuses.items()},
            {name: one.canary() for name, one in self.rollouts.items()},
            {d["metadata"]["name"]: d["metadata"]["generation"] for d in deployments},
            {
                pod["metadata"]["name"]: (
                    pod["metadata"]["uid"],
                    sum(c["restartCount"] for c in pod["status"]["containerStatuses"]),
                )
                for pod in self.pods()
            },
        )

    def install(self, release: releases.PodRelease) -> None:
        """Upgrade or downgrade, and give the operator that runs then time to do what it should
        not: nothing may change.
        """
        stood, asked = self.standing(), self.asked()
        release.install()
        eventually(
            lambda: (
                operator_pod(self.kube)["spec"]["containers"][0]["image"] == release.operator.tag
                or None
            ),
            "the operator of that release to be the only one",
            PATIENCE,
        )
        time.sleep(LOOK)
        assert self.standing() == stood
        assert not self.lost()
        assert self.asked() > asked

    def asked(self) -> int:
        return sum(len(load.answers) for load in self.loads.values())

    def lost(self) -> list[str]:
        return [f"{name}: {a.failure}" for name, one in self.loads.items() for a in one.failed]


def _answers(url: str, host: str) -> bool | None:
    return answers_on(url, host) or None


@contextmanager
def under_load(fleet: Fleet, url: str) -> Iterator[None]:
    """Requests to all rollouts, until there are enough."""
    with ExitStack() as stack:
        for rollout, load in zip(fleet.rollouts.values(), fleet.loads.values(), strict=True):
            eventually(
                partial(_answers, url, rollout.host),
                f"{rollout.host} to answer",
                PATIENCE,
            )
            stack.enter_context(load)
        yield
        eventually(
            lambda: fleet.asked() >= REQUESTS or None, f"{REQUESTS} requests", PATIENCE, pause=1
        )


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    """Rollouts that are not applied yet, in a namespace that stays where a test fails. Afterwards
    the cluster has the operator that is checked out.
    """
    assert SOCKET.exists(), (
        "It takes a cluster that was built here: CLUSTER=local make test-upgrade"
    )
    kube = Kube()
    fresh_namespace(kube, NS)
    names = ("resting", "refused", "good", "bad", "waiting")
    rollouts = {
        name: Rollout(kube, NS, name, settings=json.loads(json.dumps(SETTINGS))) for name in names
    }
    url = os.environ["INGRESS_URL"]
    loads = {name: Load(url, one.host, RATE) for name, one in rollouts.items()}
    try:
        yield Fleet(kube, rollouts, loads)
    finally:
        releases.this_in_pods().install()


def told(fleet: Fleet, replaced: int, seconds: float) -> Sequence[Figure]:
    """The figures, for those who read and for releasing.md."""
    asked, lost = fleet.asked(), len(fleet.lost())
    return [
        Figure("requests", asked, "", f">= {REQUESTS}", asked >= REQUESTS, "open loop"),
        Figure("requests lost", lost, "", "0", lost == 0, ""),
        Figure("pods replaced at rest", replaced, "", "0", replaced == 0, ""),
        Figure("duration under load", round(seconds), "s", "", True, ""),
    ]


def test_no_pod_is_replaced_and_no_request_is_lost_by_an_upgrade_nor_by_the_way_back(
    fleet: Fleet, tmp_path: Path
) -> None:
    before = releases.before_in_pods(tmp_path / "before")
    this = replace(releases.this_in_pods(), values_of=before.values_of)
    registry = Registry(os.environ["MLFLOW_TRACKING_URI"])
    modest, good, bad = (train(registry, MODEL, recipe).uri for recipe in RECIPES)
    before.install()
    for name in fleet.rollouts:
        fleet.ask(name, modest, STEP_OF_AN_HOUR, DEFAULT)
    for name in fleet.rollouts:
        fleet.wait_ended(name, 1, "Promoted")
    began = time.monotonic()
    with under_load(fleet, os.environ["INGRESS_URL"]):
        fleet.ask("refused", bad, STEP_OF_AN_HOUR, DEFAULT)
        fleet.wait_ended("refused", 2, "RolledBack")
        fleet.ask("good", good, STEP_OF_AN_HOUR, DEFAULT)
        fleet.ask("bad", bad, STEP_OF_AN_HOUR, ANY)
        fleet.ask("waiting", good, STEP_OF_AN_HOUR, DEFAULT)
        for name in ("good", "bad", "waiting"):
            fleet.wait_ten(name)
        fleet.wait_pods({"resting": 1, "refused": 1, "good": 2, "bad": 2, "waiting": 2})
        at_rest = fleet.standing().pods

        fleet.install(this)
        # A trial goes on where it was, and ends as the same attempt.
        fleet.ask("good", good, SHORT_STEP, DEFAULT)
        fleet.ask("bad", bad, STEP_OF_AN_HOUR, DEFAULT)
        fleet.wait_ended("good", 2, "Promoted")
        fleet.wait_ended("bad", 2, "RolledBack")
        fleet.wait_pods({"resting": 1, "refused": 1, "good": 1, "bad": 1, "waiting": 2})
        # One that this release begins, for the one before to end.
        fleet.ask("good", modest, STEP_OF_AN_HOUR, DEFAULT)
        fleet.wait_ten("good")
        fleet.wait_pods({"resting": 1, "refused": 1, "good": 2, "bad": 1, "waiting": 2})

        fleet.install(before)
        fleet.ask("waiting", good, SHORT_STEP, DEFAULT)
        fleet.ask("good", modest, SHORT_STEP, DEFAULT)
        fleet.wait_ended("waiting", 2, "Promoted")
        fleet.wait_ended("good", 3, "Promoted")
        fleet.wait_pods(dict.fromkeys(fleet.rollouts, 1))
    seconds = time.monotonic() - began

    left = fleet.standing().pods
    # What may be gone was on trial, or what it took the place of.
    kept = {n: p for n, p in at_rest.items() if n.startswith(("resting-", "refused-"))}
    replaced = sum(left.get(name) != pod for name, pod in kept.items())
    found = told(fleet, replaced, seconds)
    keep(TARGET, found)
    print_table(found)
    assert [f for f in found if not f.met] == [], fleet.lost()[:5]
    # Requests did reach what was on trial.
    reached = {a.version for a in fleet.loads["waiting"].answers}
    assert reached == {version_of(modest), version_of(good)}
    fleet.kube.delete(f"/api/v1/namespaces/{NS}")
