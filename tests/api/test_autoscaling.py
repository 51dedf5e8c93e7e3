"""`spec.autoscaling` on a real API server: an autoscaler for each revision, whose numbers nobody
fights.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.refusals import refusing
from tests.support.api_client import ApiClient, wait_for
from tests.support.fake_autoscaler import AutoscalerThread
from tests.support.fake_kubelet import KubeletThread
from tests.support.operator_process import OperatorProcess
from tests.support.rollout import Rollout

SCALING = {"min": 2, "max": 12, "metric": "cpu", "target": 70}
STEPS = [{"weight": 10, "hold": "1s"}, {"weight": 50, "hold": "10m"}]
MERGE = {"Content-Type": "application/merge-patch+json"}


@pytest.fixture
def autoscaler(api: ApiClient, ns: str) -> Iterator[AutoscalerThread]:
    with AutoscalerThread(api, ns) as working:
        yield working


def sizes(rollout: Rollout) -> dict[str, int]:
    """Pods that the Deployments ask for, by version."""
    return {v: one["spec"]["replicas"] for v, one in rollout.deployments().items()}


def told(rollout: Rollout) -> dict[str, tuple[int, str]]:
    """What the autoscalers are told by version: pods at least, and whether they may take any
    away.
    """
    names = {one["metadata"]["name"]: v for v, one in rollout.deployments().items()}
    found = rollout.api.items("HorizontalPodAutoscaler", rollout.ns)
    return {
        names[one["metadata"]["name"]]: (
            one["spec"]["minReplicas"],
            one["spec"]["behavior"]["scaleDown"]["selectPolicy"],
        )
        for one in found
    }


def becomes(rollout: Rollout, expected: dict[str, int]) -> None:
    wait_for(lambda: sizes(rollout) == expected or None, f"{expected}, not {sizes(rollout)}")


def test_what_an_autoscaler_has_set_is_nobody_elses_once_it_is_deleted(
    api: ApiClient,
    operator: OperatorProcess,
    kubelet: KubeletThread,
    autoscaler: AutoscalerThread,
    rollout: Rollout,
) -> None:
    rollout.promote("1", 1, autoscaling=SCALING)
    name = rollout.deployments()["1"]["metadata"]["name"]
    autoscaler.load[name] = 7
    becomes(rollout, {"1": 7})
    before = api.version("ModelRollout", rollout.ns)
    with refusing(api, rollout.ns, "deployments", "apps", ("CREATE", "UPDATE")):
        rollout.apply("models:/iris/1", replicas=3)
        wait_for(lambda: told(rollout) == {} or None, "its autoscaler to go")
        wait_for(
            lambda: "no deployments here" in str(rollout.status()) or None,
            "the status to say who refuses it",
            90,
        )
        assert sizes(rollout) == {"1": 7}
    becomes(rollout, {"1": 3})
    rollout.wait_true("Ready")
    assert {s.get("scaled", "") for s in rollout.statuses_since(before)} == {""}


def test_each_revision_is_scaled_for_itself_through_a_whole_promotion(
    api: ApiClient,
    operator: OperatorProcess,
    kubelet: KubeletThread,
    autoscaler: AutoscalerThread,
    rollout: Rollout,
) -> None:
    rollout.promote("1", 1, autoscaling=SCALING)
    first = rollout.deployments()["1"]["metadata"]["name"]
    assert told(rollout) == {"1": (2, "Max")}
    autoscaler.load[first] = 6
    becomes(rollout, {"1": 6})
    wait_for(lambda: api.get(f"{rollout.path}/scale")["status"]["replicas"] == 6 or None, "status")
    strategy = {"steps": STEPS, "scaleDownDelay": "2s"}
    rollout.apply("models:/iris/2", autoscaling=SCALING, strategy=strategy)
    wait_for(lambda: rollout.weight() == 10 or None, "the first step")
    assert (sizes(rollout), told(rollout)["1"]) == ({"1": 6, "2": 1}, (2, "Disabled"))
    autoscaler.load[first] = 3
    wait_for(lambda: rollout.weight() == 50 or None, "the second step, once its pods are there")
    assert sizes(rollout) == {"1": 6, "2": 3}, "stable gives no pods away in a trial"
    autoscaler.load[first] = 10
    becomes(rollout, {"1": 10, "2": 3})
    meta = {"metadata": {"annotations": {"rollouts.mlops.dev/promote": "2"}}}
    assert api.http.patch(rollout.path, json=meta, headers=MERGE).status_code == 200
    rollout.wait_phase("Promoted", 2)
    assert sizes(rollout)["2"] == 10, "it takes over with what stable had"
    wait_for(lambda: told(rollout) == {"2": (2, "Max")} or None, "the least of the spec again")
    wait_for(lambda: rollout.deployments().keys() == {"2"} or None, "the replaced pods to go")
    name = rollout.deployments()["2"]["metadata"]["name"]
    autoscaler.load[name] = 1
    becomes(rollout, {"2": 2})
    assert not rollout.status().get("scaled"), "nobody has fought"


def test_the_operator_writes_nothing_where_an_autoscaler_moves(
    api: ApiClient,
    operator: OperatorProcess,
    kubelet: KubeletThread,
    autoscaler: AutoscalerThread,
    rollout: Rollout,
) -> None:
    rollout.promote("1", 1, autoscaling=SCALING)
    name = rollout.deployments()["1"]["metadata"]["name"]
    before = operator.applied("deployments")
    for pods in (5, 9, 4):
        autoscaler.load[name] = pods
        becomes(rollout, {"1": pods})
        rollout.wait_true("Ready")
    assert operator.applied("deployments") == before
    assert autoscaler.writes == [(name, 5), (name, 9), (name, 4)]


def test_a_number_and_an_autoscaler_take_turns_and_nothing_begins_anew(
    api: ApiClient,
    operator: OperatorProcess,
    kubelet: KubeletThread,
    autoscaler: AutoscalerThread,
    rollout: Rollout,
) -> None:
    rollout.promote("1", 1, replicas=4)
    rollout.apply("models:/iris/1", replicas=4, autoscaling=SCALING)
    wait_for(lambda: told(rollout) or None, "its autoscaler")
    assert sizes(rollout) == {"1": 4}, "with the pods that there are"
    name = rollout.deployments()["1"]["metadata"]["name"]
    autoscaler.load[name] = 7
    becomes(rollout, {"1": 7})
    rollout.apply("models:/iris/1", replicas=3)
    becomes(rollout, {"1": 3})
    assert told(rollout) == {}
    rollout.wait_true("Ready")
    status = rollout.status()
    assert (status["attempt"], status["replicas"], status["scaled"]) == (1, 3, "")


REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "kubectl scale": ("/scale", {"spec": {"replicas": 5}}),
    "a number beside": ("", {"spec": {"replicas": 5}}),
}


@pytest.mark.parametrize(("place", "body"), REFUSED.values(), ids=REFUSED.keys())
def test_a_number_beside_an_autoscaler_is_refused_with_what_to_write(
    api: ApiClient, rollout: Rollout, place: str, body: dict[str, Any]
) -> None:
    rollout.apply("models:/iris/1", autoscaling=SCALING).raise_for_status()
    reply = api.http.patch(f"{rollout.path}{place}", json=body, headers=MERGE)
    assert reply.status_code == 422
    assert (
        "the number of pods is autoscaling's: change autoscaling.min and autoscaling.max"
        in reply.json()["message"]
    )
    both = {"spec": {"replicas": 5, "autoscaling": None}}
    assert api.http.patch(rollout.path, json=both, headers=MERGE).status_code == 200


def test_a_first_deploy_is_not_ready_before_its_autoscaler_is_accepted(
    api: ApiClient,
    ns: str,
    operator: OperatorProcess,
    kubelet: KubeletThread,
    autoscaler: AutoscalerThread,
) -> None:
    rollout = Rollout(api, ns, "no-autoscaler")
    before = api.version("ModelRollout", ns)
    with refusing(api, ns, "horizontalpodautoscalers", "autoscaling"):
        rollout.apply("models:/iris/1", autoscaling=SCALING)
        wait_for(
            lambda: "no horizontalpodautoscalers here" in str(rollout.status()) or None,
            "the status to say who refuses it",
            90,
        )
        conditions = [c for s in rollout.statuses_since(before) for c in s.get("conditions", ())]
        assert ("Ready", "True") not in {(c["type"], c["status"]) for c in conditions}
    rollout.wait_true("Ready", seconds=90)
    becomes(rollout, {"1": 2})
