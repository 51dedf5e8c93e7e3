"""Callers inside the cluster, by real kube-proxy: a pod that asks the Service all the time."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest

from scripts.demo.rollout import Rollout, eventually
from scripts.demo.traffic import FLOWERS
from tests.e2e.harness import PATIENCE, Trained, hold, kubectl, version_of

CALLER = "caller"
PROGRAM = """
import json, sys, time, urllib.request
body = json.dumps({"instances": [json.loads(sys.argv[2])]}).encode()
while True:
    request = urllib.request.Request(sys.argv[1], body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            said = answer.headers["X-Model-Version"]
            answer.read()
    except Exception as failure:
        said = repr(failure)
    print(json.dumps(said), flush=True)
    time.sleep(0.04)
"""
"""One connection for each request."""


@dataclass
class Caller:
    """A pod that asks the rollout's Service again and again."""

    rollout: Rollout
    began: int = 0
    """Requests before every node was known to lead to the first version."""

    def heard(self) -> list[str]:
        """The version that each request was answered by, or what came instead, in order."""
        lines = kubectl("logs", "-n", self.rollout.namespace, CALLER).splitlines()
        return [json.loads(line) for line in lines]

    def next(self, requests: int) -> Counter[str]:
        """Who answers so many requests from now on."""
        before = len(self.heard())

        def enough() -> list[str] | None:
            later = self.heard()[before:]
            return later[:requests] if len(later) >= requests else None

        return Counter(eventually(enough, f"{requests} more requests", PATIENCE))


def pod(rollout: Rollout, image: str) -> dict[str, Any]:
    url = f"http://{rollout.name}.{rollout.namespace}/predict/"
    command = ["python", "-c", PROGRAM, url, json.dumps(FLOWERS[0])]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": CALLER, "namespace": rollout.namespace},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": CALLER,
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": command,
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
        },
    }


@pytest.fixture
def caller(rollout: Rollout, models: Trained) -> Caller:
    """With the modest version promoted on two pods."""
    rollout.settings |= {"traffic": {"provider": "None"}, "replicas": 2}
    hold(rollout, 900)
    rollout.apply(models.modest)
    status = rollout.wait("Promoted", models.modest, PATIENCE)
    made = pod(rollout, status["stable"]["image"])
    kubectl("apply", "-f", "-", stdin=json.dumps(made))
    mine = Caller(rollout)
    old = version_of(models.modest)
    eventually(lambda: mine.heard()[-20:] == [old] * 20 or None, "the caller", PATIENCE)
    mine.began = len(mine.heard())
    return mine


def test_connections_are_divided_by_pods_and_none_fails(
    rollout: Rollout, models: Trained, caller: Caller
) -> None:
    new, old = version_of(models.good), version_of(models.modest)
    rollout.apply(models.good)
    rollout.wait("Trial", models.good, PATIENCE)

    def divided() -> int | None:
        status = rollout.status()
        return status["share"] if new in caller.next(20) and "share" in status else None

    share = eventually(divided, "the candidate to be asked", PATIENCE)
    assert share == 33, "one pod of three, for a weight of 20"
    found = caller.next(600)
    assert found[new] + found[old] == 600
    # Five standard deviations of a draw.
    assert abs(found[new] - 200) < 60
    revision = rollout.status()["candidate"]["revision"]
    own = f"/api/v1/namespaces/{rollout.namespace}/services/{rollout.name}-{revision}"
    assert rollout.kube.get(own) is not None, "testers ask the candidate's own"

    hold(rollout, 4)
    rollout.apply(models.good)
    rollout.wait("Promoted", models.good, PATIENCE)
    assert caller.next(50) == {new: 50}

    rollout.apply(models.bad)
    rollout.wait("RolledBack", models.bad, PATIENCE)
    assert caller.next(50) == {new: 50}
    heard = caller.heard()
    answered = {old, new, version_of(models.bad)}
    assert [n for n, one in enumerate(heard) if n >= caller.began and one not in answered] == []
    every = Counter(heard[caller.began :])
    print(f"{sum(every.values())} requests, {dict(every)}; of 600 on trial {found[new]} by the new")
