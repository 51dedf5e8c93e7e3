"""Policies that change what is written, of every kind of object: by the API server's audit log the
operator writes as often as without them, and at rest nothing.
"""

import contextlib
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from scripts.cluster.apiserver import apiserver
from tests.support.api_client import ApiClient, wait_for
from tests.support.audit_log import WRITER, AuditLog, Write
from tests.support.fake_autoscaler import AutoscalerThread
from tests.support.fake_kubelet import KubeletThread
from tests.support.mutating_webhook import CHANGES, Change, Patch, add, together, webhook
from tests.support.operator_process import OperatorProcess
from tests.support.rollout import Rollout
from tests.support.scripted_world import ScriptedWorld, served

REST = 60.0
"""Seconds."""


def labelled(n: int) -> Patch:
    """A label more."""
    return [{"op": "add", "path": "/metadata/labels/team", "value": f"team-{n}"}]


def replaced(path: str, value: str) -> Change:
    """A value of ours becomes another; `{}` stands for the number."""

    def change(n: int) -> Patch:
        said = value.format(n)
        return [
            *labelled(n),
            {"op": "replace", "path": path, "value": int(said) if said.isdigit() else said},
        ]

    return change


def egress(n: int) -> Patch:
    """Somewhere else that pods may connect to, as policies for DNS have it."""
    ports = [{"port": 5300 + n, "protocol": "UDP"}]
    return [{"op": "add", "path": "/spec/egress/-", "value": {"ports": ports}}]


ISSUE = together(
    *(CHANGES[name] for name in ("a variable", "a sidecar", "the image of a mirror", "tolerations"))
)
"""Env, sidecar, mirror image and tolerations at once."""


class Policy(NamedTuple):
    """What is done to each kind."""

    deployments: Change
    others: Mapping[str, Change]
    scaled: bool = False
    """Whether autoscalers have the numbers of pods."""


POLICIES: dict[str, Policy] = {
    "env, sidecar, mirror, tolerations": Policy(lambda _: ISSUE(1), {}),
    "the same, never twice alike": Policy(ISSUE, {}),
    "what is ours, of every kind": Policy(
        together(ISSUE, lambda n: add("terminationGracePeriodSeconds", 40 + n)),
        {
            "Service": replaced("/spec/ports/0/targetPort", "{}"),
            "Ingress": replaced("/spec/rules/0/http/paths/0/pathType", "ImplementationSpecific"),
            "NetworkPolicy": together(labelled, egress),
            "PodDisruptionBudget": replaced("/spec/maxUnavailable", "{}"),
        },
    ),
    "autoscalers as well": Policy(
        ISSUE, {"HorizontalPodAutoscaler": replaced("/spec/maxReplicas", "1{}")}, scaled=True
    ),
}
WITHOUT = {False: "none", True: "none, with autoscalers"}
"""By whether autoscalers have the numbers of pods."""
SCALING = {"min": 2, "max": 4, "metric": "cpu", "target": 70}


class Scene(NamedTuple):
    """One rollout in a namespace of its own."""

    namespace: str
    policy: Policy | None
    scaled: bool

    def promote(self, api: ApiClient, version: str) -> None:
        """To the end, when the version before has no pods any more."""
        rollout = Rollout(api, self.namespace, self.namespace)  # no two of them have one host
        more = {"autoscaling": SCALING} if self.scaled else {}
        rollout.promote(version, int(version), 120, **more)
        wait_for(lambda: rollout.deployments().keys() == {version}, "the replaced pods to go")
        wait_for(lambda: rollout.condition("Ready").get("status") == "True", "the end", 60)


SCENES = {
    name: Scene(f"policy-{n}", policy, policy.scaled)
    for n, (name, policy) in enumerate(POLICIES.items())
} | {name: Scene(f"no-policy-{scaled:d}", None, scaled) for scaled, name in WITHOUT.items()}
Counts = dict[str, Counter[Write]]
"""By the scene's name."""


class Counted(NamedTuple):
    """Writes of the operator."""

    in_trial: Counts
    """From the first version's rest to the second's."""
    at_rest: Counts
    """In a minute after it."""


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counted]:
    home = tmp_path_factory.mktemp("audited")
    log = AuditLog(home)
    flags = ["--enable-admission-plugins=OwnerReferencesPermissionEnforcement", *log.flags]
    with apiserver(home / "server", users=[WRITER], flags=flags) as kubeconfig:
        api = ApiClient(kubeconfig)
        api.install_crd()
        yield _story(api, kubeconfig.with_name(f"kubeconfig.{WRITER}"), log, home)


def _story(api: ApiClient, operators: Path, log: AuditLog, home: Path) -> Counted:
    world = ScriptedWorld()
    with contextlib.ExitStack() as stack:
        for scene in SCENES.values():
            api.namespace(scene.namespace)
            stack.enter_context(KubeletThread(api, world, scene.namespace))
            if scene.scaled:
                stack.enter_context(AutoscalerThread(api, scene.namespace))
            if scene.policy is not None:
                (folder := home / scene.namespace).mkdir()
                others = scene.policy.others
                stack.enter_context(
                    webhook(api, scene.namespace, folder, scene.policy.deployments, None, others)
                )
        url = stack.enter_context(served(world))
        watched = ",".join(scene.namespace for scene in SCENES.values())
        output = home / "operator.log"
        stack.enter_context(OperatorProcess(operators, url, output, WATCH_NAMESPACES=watched))
        with ThreadPoolExecutor(len(SCENES)) as all_at_once:

            def promote(version: str) -> None:
                list(all_at_once.map(lambda one: one.promote(api, version), SCENES.values()))

            def counts() -> Counts:
                return {name: log.writes(scene.namespace) for name, scene in SCENES.items()}

            promote("1")
            first = counts()
            promote("2")
            second = counts()
            time.sleep(REST)
            third = counts()
    print(output.read_text()[-4000:])
    return Counted(
        {name: second[name] - first[name] for name in SCENES},
        {name: third[name] - second[name] for name in SCENES},
    )


STATUS = Write("update", "modelrollouts/status")


@pytest.mark.parametrize("name", POLICIES)
def test_a_trial_takes_as_many_writes_as_without(counted: Counted, name: str) -> None:
    without = counted.in_trial[WITHOUT[POLICIES[name].scaled]]
    ours = Counter(counted.in_trial[name])
    assert {write.resource for write in without} >= {"deployments", "services", "ingresses"}
    # A look may fall before or after a pod is Ready, or a step is over: its status says so, or not.
    assert ours.pop(STATUS) <= without[STATUS] + 2
    assert ours == Counter({write: n for write, n in without.items() if write != STATUS})


@pytest.mark.parametrize("name", SCENES)
def test_at_rest_nothing_is_written(counted: Counted, name: str) -> None:
    assert not counted.at_rest[name]
