"""Profiles on a real API server: what pods are asked for, who may use which, and that a change
replaces pods only where it is told to.
"""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from rollout_operator.domain.api.names import GROUP, TAKE_PROFILE
from rollout_operator.domain.profiles import profiles, settings_hash
from tests.support.api_client import ApiClient, merged, wait_for
from tests.support.fake_kubelet import KubeletThread
from tests.support.inspection import pod_of
from tests.support.kinds import path_of
from tests.support.mutating_webhook import CHANGES, add, webhook
from tests.support.operator_process import OperatorProcess
from tests.support.rollout import Rollout
from tests.support.scripted_world import ScriptedWorld

ZONE = "topology.kubernetes.io/zone"
TERM = {"topologyKey": "kubernetes.io/hostname"}
NODES = {"matchExpressions": [{"key": "gpu", "operator": "In", "values": ["a100"]}]}
EVERYTHING: dict[str, Any] = {
    "nodeSelector": {"pool": "gpu"},
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [NODES]}
        },
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 1, "podAffinityTerm": TERM}
            ]
        },
    },
    "topologySpreadConstraints": [{"topologyKey": ZONE, "whenUnsatisfiable": "ScheduleAnyway"}],
    "priorityClassName": "serving",
    "runtimeClassName": "nvidia",
    "imagePullSecrets": [{"name": "registry"}],
    "serviceAccountName": "models",
    "labels": {"team": "fraud"},
    "annotations": {"example.com/note": "a"},
    "securityContext": {},
    "terminationGracePeriodSeconds": 60,
    "resources": {"nvidia.com/gpu": "1"},
}
SMALL = {"nodeSelector": {"pool": "cpu"}}
Configuration = dict[str, dict[str, Any]]


@pytest.fixture
def configuration(ns: str) -> Configuration:
    return {
        "gpu": EVERYTHING,
        "cpu": SMALL,
        "large": {"nodeSelector": {"pool": "large"}},
        "plain": {"labels": {"a": "b"}},
        "theirs": {"namespaces": ["other-*"]},
    }


@pytest.fixture
def operator_settings(configuration: Configuration) -> dict[str, str]:
    return {"MODEL_PROFILES": json.dumps(configuration)}


def template(rollout: Rollout, version: str = "1") -> dict[str, Any]:
    found: dict[str, Any] = rollout.deployments()[version]["spec"]["template"]
    return found


def hash_of(profile: dict[str, Any]) -> str:
    given = profiles(json.dumps({"some": profile}))
    return settings_hash(given.choose("any", "some").settings)


def test_pods_have_what_the_profile_says_and_lose_it_with_the_profile(
    api: ApiClient, operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout
) -> None:
    rollout.promote("1", 1, profile="gpu")
    first = template(rollout)
    pod = first["spec"]
    for name in (
        "nodeSelector",
        "tolerations",
        "priorityClassName",
        "runtimeClassName",
        "imagePullSecrets",
        "serviceAccountName",
        "terminationGracePeriodSeconds",
    ):
        assert pod[name] == EVERYTHING[name], name
    assert pod["containers"][0]["resources"]["limits"] == {"nvidia.com/gpu": "1"}
    assert first["metadata"]["labels"]["team"] == "fraud"
    assert pod["securityContext"].keys() == {"runAsNonRoot", "seccompProfile"}
    before = rollout.deployments()["1"]["metadata"]["uid"]
    rollout.apply("models:/iris/1", profile="plain")
    wait_for(lambda: "nodeSelector" not in template(rollout)["spec"], "the profile to go")
    wait_for(lambda: rollout.says("Ready") is not None, "Ready")
    after = template(rollout)
    for name in (
        "nodeSelector",
        "tolerations",
        "affinity",
        "topologySpreadConstraints",
        "priorityClassName",
        "runtimeClassName",
        "imagePullSecrets",
        "serviceAccountName",
        "serviceAccount",
    ):
        assert name not in after["spec"], name
    assert after["spec"]["securityContext"]["runAsUser"] == 65532
    assert "limits" not in after["spec"]["containers"][0]["resources"]
    assert "team" not in after["metadata"]["labels"]
    rollout.apply("models:/iris/1")
    wait_for(lambda: "a" not in template(rollout)["metadata"]["labels"], "no profile at all")
    status = rollout.status()
    assert (status["attempt"], rollout.deployments()["1"]["metadata"]["uid"]) == (1, before)
    assert "profile" not in status["stable"]


@pytest.mark.parametrize(
    ("name", "said"),
    [("theirs", "has no profile theirs: write cpu"), ("gpus", "has no profile gpus: write cpu")],
    ids=["of other namespaces", "unknown"],
)
def test_a_profile_that_the_namespace_may_not_use_touches_nothing(
    name: str,
    said: str,
    api: ApiClient,
    operator: OperatorProcess,
    kubelet: KubeletThread,
    rollout: Rollout,
) -> None:
    rollout.promote("1", 1, profile="cpu")
    before = rollout.deployments()["1"]
    rollout.apply("models:/iris/2", profile=name)
    condition = rollout.wait_true("Stalled")
    assert condition["reason"] == "InvalidSpec"
    assert said in condition["message"]
    assert rollout.deployments() == {"1": before}
    rollout.promote("2", 2, profile="cpu")


def test_an_abort_is_obeyed_and_the_candidate_goes_while_the_profile_is_unknown(
    api: ApiClient,
    operator: OperatorProcess,
    kubelet: KubeletThread,
    rollout: Rollout,
) -> None:
    steps: dict[str, Any] = {
        "strategy": {"steps": [{"weight": 50, "hold": "1h"}], "scaleDownDelay": "1s"}
    }
    rollout.promote("1", 1, profile="cpu")
    rollout.apply("models:/iris/2", profile="cpu", **steps)
    wait_for(lambda: rollout.weight() == 50, "the trial")
    rollout.apply("models:/iris/2", profile="gpus", **steps)
    assert rollout.wait_true("Stalled")["reason"] == "InvalidSpec"
    assert rollout.weight() == 50
    api.patch(rollout.path, {"metadata": {"annotations": {f"{GROUP}/abort": "2"}}})
    rolled_back = rollout.wait_phase("RolledBack", 2)
    assert rolled_back["history"][0]["reason"] == "Aborted"
    assert rollout.condition("Stalled")["reason"] == "InvalidSpec"
    wait_for(lambda: rollout.deployments().keys() == {"1"}, "the candidate's pods to go")
    assert rollout.weight() is None


def test_a_profile_that_changes_waits_until_it_is_told_to(
    api: ApiClient,
    operator: OperatorProcess,
    kubelet: KubeletThread,
    rollout: Rollout,
    configuration: Configuration,
) -> None:
    rollout.promote("1", 1, profile="cpu")
    before = rollout.deployments()["1"]
    new = {"nodeSelector": {"pool": "new"}}
    operator.stop()
    operator.environment["MODEL_PROFILES"] = json.dumps({**configuration, "cpu": new})
    operator.start()
    told = wait_for(lambda: rollout.status().get("outdated"), "the change to be told")
    assert f"take-profile={hash_of(new)}" in told
    wait_for(
        lambda: [
            e
            for e in api.get(f"/api/v1/namespaces/{rollout.ns}/events")["items"]
            if e["reason"] == "ProfileChanged"
        ],
        "the Event",
    )
    after = rollout.deployments()["1"]
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    assert operator.applied("deployments") == 0
    annotations = {"metadata": {"annotations": {TAKE_PROFILE: hash_of(new)}}}
    api.send(merged(rollout.path, annotations))
    wait_for(
        lambda: template(rollout)["spec"]["nodeSelector"] == {"pool": "new"}, "the new settings"
    )
    wait_for(lambda: rollout.says("Ready") is not None, "Ready")
    status = rollout.status()
    assert (status["attempt"], status.get("outdated", "")) == (1, "")
    assert rollout.deployments()["1"]["metadata"]["uid"] == before["metadata"]["uid"]


def test_the_pod_that_looks_at_a_version_follows_the_profile(
    api: ApiClient,
    world: ScriptedWorld,
    operator: OperatorProcess,
    kubelet: KubeletThread,
    rollout: Rollout,
) -> None:
    world.undigested.add("1")
    rollout.apply("models:/iris/1", profile="cpu")

    def pool() -> str | None:
        pod = pod_of(api, rollout)
        return pod["spec"]["nodeSelector"]["pool"] if pod is not None else None

    wait_for(lambda: pool() == "cpu", "the pod on the first pool")
    rollout.apply("models:/iris/1", profile="large")
    wait_for(lambda: pool() == "large", "the pod on the other pool")


def test_a_pod_that_looks_at_a_version_and_is_refused_is_told(
    world: ScriptedWorld, operator: OperatorProcess, kubelet: KubeletThread, rollout: Rollout
) -> None:
    """There is no such PriorityClass: it is not tried in silence for ever."""
    world.undigested.add("1")
    rollout.apply("models:/iris/1", deadline="5s", profile="gpu")

    def told() -> bool:
        status = rollout.status()
        refused = "no PriorityClass with name serving" in status.get("message", "")
        return refused and status["reason"] == "ModelCannotServe"

    wait_for(told, "the refusal to be told")


PARTS = {
    **{name: EVERYTHING[name] for name in ("nodeSelector", "tolerations", "imagePullSecrets")},
    "topologySpreadConstraints": [
        {"topologyKey": ZONE, "whenUnsatisfiable": "ScheduleAnyway", "maxSkew": 1}
    ],
}


def looked_at(rollout: Rollout, generation: int) -> bool:
    return bool(rollout.status()["observedGeneration"] == generation)


WITH_PROFILE = {
    "tolerations": lambda n: add("tolerations/-", {"key": f"k{n}", "operator": "Exists"}),
    "a node selector": lambda n: add("nodeSelector/added", f"n{n}"),
    "pull secrets": lambda n: add("imagePullSecrets/-", {"name": f"s{n}"}),
    "a spread": lambda n: add(
        "topologySpreadConstraints/-",
        {"topologyKey": f"k{n}", "whenUnsatisfiable": "ScheduleAnyway", "maxSkew": 1},
    ),
    "a sidecar": CHANGES["a sidecar"],
}


@pytest.mark.parametrize("kind", WITH_PROFILE)
def test_a_webhook_and_a_profile_do_not_fight(
    kind: str,
    api: ApiClient,
    ns: str,
    operator: OperatorProcess,
    kubelet: KubeletThread,
    tmp_path: Path,
) -> None:
    rollout = Rollout(api, ns, f"both-{list(WITH_PROFILE).index(kind)}")
    with webhook(api, ns, tmp_path, WITH_PROFILE[kind], PARTS):
        rollout.promote("1", 1, replicas=1, profile="gpu")
        path = path_of("Deployment", ns, rollout.deployments()["1"]["metadata"]["name"])
        known, applied = api.get(path), operator.applied("deployments")
        assert applied == 1, "what the API server made of it is what this cluster makes of it"
        since = api.version("Deployment", ns)
        # Every look at it would write, were there anything to write.
        for n in range(3):
            api.send(merged(rollout.path, {"metadata": {"annotations": {"example.com/n": str(n)}}}))
            rollout.apply("models:/iris/1", replicas=1, profile="gpu", paused=n % 2 == 0)
            asked = api.get(rollout.path)["metadata"]["generation"]
            wait_for(partial(looked_at, rollout, asked), "another look")
        assert operator.applied("deployments") == applied
        assert api.get(path)["metadata"]["generation"] == known["metadata"]["generation"]
        specs = [e["object"]["spec"] for e in api.events_since("Deployment", ns, since)]
        assert all(spec == known["spec"] for spec in specs)
        operator.kill()
        operator.start()
        rollout.apply("models:/iris/1", replicas=1, profile="gpu", paused=False)
        asked = api.get(rollout.path)["metadata"]["generation"]
        wait_for(partial(looked_at, rollout, asked), "a new process to look")
        assert operator.applied("deployments") == 0
        assert api.get(path)["spec"] == known["spec"]
        api.http.delete(rollout.path).raise_for_status()
