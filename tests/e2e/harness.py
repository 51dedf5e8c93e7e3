"""What the end-to-end tests share: short times, the registry's odd entries, and SIGKILL for the
operator.
"""

import subprocess
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import httpx

from scripts.demo.models import Registry
from scripts.demo.rollout import Rollout, eventually, fresh_namespace
from scripts.demo.traffic import FLOWERS, TIMEOUT, Traffic
from scripts.kube import Kube, KubeError, Object

PATIENCE = 480.0
"""Seconds to wait for anything; no test asserts how long something takes."""
SYSTEM = "rollouts-system"
OPERATOR = f"/api/v1/namespaces/{SYSTEM}/pods"
SIGKILL = "rollouts-sigkill"
NOTHING: Mapping[str, str] = MappingProxyType({})
DIGEST_TAG = "rollouts.mlops.dev/digest"
SIGNATURE_TAG = "rollouts.mlops.dev/signature"
SETTINGS: Object = {
    "replicas": 1,
    "resources": {"requests": {"cpu": "50m", "memory": "192Mi"}},
    "strategy": {
        "steps": [{"weight": 20, "hold": "4s"}, {"weight": 50, "hold": "4s"}],
        # Longer than PATIENCE: no attempt ends by it, but where a test asks for that.
        "progressDeadline": "10m",
        "scaleDownDelay": "5s",
    },
    "analysis": {"interval": "2s"},
}


@dataclass(frozen=True, slots=True)
class Trained:
    """MODEL_URIs: two that pass the gate, one that fails it, one whose content is not what was
    registered.
    """

    modest: str
    good: str
    bad: str
    tampered: str


def copy_of(registry: Registry, uri: str) -> str:
    """Register the artifacts of `uri` once more, as they are; returns the new MODEL_URI."""
    name, version = uri.removeprefix("models:/").split("/")
    known = registry.call("GET", "model-versions/get", name=name, version=version)["model_version"]
    made = registry.call(
        "POST", "model-versions/create", name=name, source=known["source"], run_id=known["run_id"]
    )["model_version"]
    for tag in known.get("tags", ()):
        if tag["key"] in {DIGEST_TAG, SIGNATURE_TAG}:
            registry.call(
                "POST",
                "model-versions/set-tag",
                name=name,
                version=made["version"],
                key=tag["key"],
                value=tag["value"],
            )
    return f"models:/{name}/{made['version']}"


def register_with_wrong_digest(registry: Registry, uri: str) -> str:
    """Register the artifacts of `uri` once more, with a digest tag that they do not have; returns
    the new MODEL_URI.
    """
    name, version = uri.removeprefix("models:/").split("/")
    known = registry.call("GET", "model-versions/get", name=name, version=version)["model_version"]
    made = registry.call(
        "POST", "model-versions/create", name=name, source=known["source"], run_id=known["run_id"]
    )["model_version"]
    digest = "sha256:" + "0" * 64
    registry.call(
        "POST",
        "model-versions/set-tag",
        name=name,
        version=made["version"],
        key=DIGEST_TAG,
        value=digest,
    )
    return f"models:/{name}/{made['version']}"


def kubectl(*arguments: str, stdin: str = "") -> str:
    """Run kubectl as a user would; raises KubeError with what it said where it fails."""
    done = subprocess.run(
        ["kubectl", *arguments], input=stdin, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise KubeError(f"kubectl {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def hold(rollout: Rollout, seconds: int) -> None:
    """Make every step of later trials last this long, so that there is time to interfere."""
    rollout.settings["strategy"]["steps"] = [
        {"weight": 20, "hold": f"{seconds}s"},
        {"weight": 50, "hold": "4s"},
    ]


def versions(traffic: Traffic) -> set[str]:
    """The versions that have answered so far."""
    return {a.version for a in list(traffic.answers) if a.ok}


def version_of(uri: str) -> str:
    return uri.rsplit("/", 1)[1]


def who_answers(
    url: str, host: str, requests: int, headers: Mapping[str, str] = NOTHING
) -> Counter[str]:
    """Which version answered how many of so many predict requests to `url`; what is no prediction
    counts as what it is.
    """
    with httpx.Client(timeout=TIMEOUT, trust_env=False) as http:
        place, body = f"{url.rstrip('/')}/predict/", {"instances": [FLOWERS[0]]}
        replies = [
            http.post(place, json=body, headers={"Host": host, **headers}) for _ in range(requests)
        ]
    return Counter(
        r.headers["X-Model-Version"] if r.status_code == 200 else f"HTTP {r.status_code}"
        for r in replies
    )


def only_serves(rollout: Rollout, uri: str) -> None:
    """Wait until exactly the pods of `uri` are left, and the stable route selects them."""
    revision = rollout.status()["stable"]["revision"]
    assert rollout.status()["stable"]["uri"] == uri

    def alone() -> bool | None:
        owned = rollout.owned()
        services = owned.get("Service") == [rollout.name] and owned.get("Ingress") == [rollout.name]
        return (
            True
            if services
            and owned.get("Deployment") == [f"{rollout.name}-{revision}"]
            and len(owned.get("Pod", ())) == 1
            else None
        )

    eventually(
        alone,
        f"only the pods of {uri} to be left",
        PATIENCE,
        lambda: f"There are {rollout.owned()}",
    )


def operator_pod(kube: Kube) -> Object:
    """The operator's pod, with a container that has started."""

    def one() -> Object | None:
        pods = kube.items(OPERATOR, "app.kubernetes.io/name=rollout-operator")
        ready = [
            p for p in pods if p.get("status", {}).get("containerStatuses", [{}])[0].get("ready")
        ]
        return ready[0] if len(ready) == 1 else None

    return eventually(one, "one operator pod to be Ready", PATIENCE)


def running(kube: Kube) -> tuple[Object, dict[str, str]]:
    """The container of the cluster's own operator, and its environment."""
    container = operator_pod(kube)["spec"]["containers"][0]
    return container, {e["name"]: e.get("value", "") for e in container["env"]}


KILL = """
import os, pathlib, signal, sys

def inside(cgroup):
    try:
        return sys.argv[1] in cgroup.read_text()
    except OSError:  # the process has ended meanwhile
        return False

found = [int(c.parent.name) for c in pathlib.Path("/proc").glob("[0-9]*/cgroup") if inside(c)]
print("SIGKILL", found)
[os.kill(pid, signal.SIGKILL) for pid in found]
sys.exit(not found)
"""


def kill_operator(kube: Kube) -> None:
    """SIGKILL to the operator's process: by a pod in the node's PID namespace, because inside its
    own it is PID 1 and immune.

    Works wherever pods run, whatever runs them. Returns when the kubelet has noted exit code 137.
    The pod has a namespace of its own: the operator's enforces Pod Security, which would refuse it.
    """
    pod = operator_pod(kube)
    status = pod["status"]["containerStatuses"][0]
    container = status["containerID"].rsplit("/", 1)[1]
    path = f"/api/v1/namespaces/{SIGKILL}/pods"
    fresh_namespace(kube, SIGKILL, security="privileged")
    killer: Object = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": SIGKILL, "namespace": SIGKILL},
        "spec": {
            "hostPID": True,
            "nodeName": pod["spec"]["nodeName"],
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {
                    "name": SIGKILL,
                    "image": pod["spec"]["containers"][0]["image"],
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["/opt/venv/bin/python", "-c", KILL, container],
                    "securityContext": {"runAsUser": 0},
                }
            ],
        },
    }
    # A new namespace takes pods when its service account has been made; a create without an answer
    # may have made the pod.
    eventually(
        lambda: kube.get(f"{path}/{SIGKILL}") or kube.create(path, killer),
        "the sigkill pod to be taken",
        PATIENCE,
    )

    def restarted() -> bool | None:
        now = kube.get(f"{OPERATOR}/{pod['metadata']['name']}")
        assert now is not None, "the operator's pod is gone; only its process was to be killed"
        container_now = now["status"]["containerStatuses"][0]
        last = container_now.get("lastState", {}).get("terminated", {})
        return (
            True
            if container_now["restartCount"] > status["restartCount"]
            and last.get("exitCode") == 137
            else None
        )

    def told() -> str:
        found = kube.get(f"{path}/{SIGKILL}") or {}
        return f"The sigkill pod says {found.get('status')}"

    eventually(restarted, "the operator to have died of SIGKILL", PATIENCE, told)
    kube.delete(f"/api/v1/namespaces/{SIGKILL}")


def image(of: str) -> Object:
    """An image by name and tag as the charts' values have it; pods run what the node has."""
    repository, tag = of.rsplit(":", 1)
    return {"repository": repository, "tag": tag}
