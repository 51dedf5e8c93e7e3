"""What the end-to-end tests share: short times, the registry's odd entries, and SIGKILL for the
operator.
"""

import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
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
        return any(container in cgroup.read_text() for container in sys.argv[1:])
    except OSError:  # the process has ended meanwhile
        return False

found = [int(c.parent.name) for c in pathlib.Path("/proc").glob("[0-9]*/cgroup") if inside(c)]
print("SIGKILL", found)
[os.kill(pid, signal.SIGKILL) for pid in found]
sys.exit(not found)
"""


def kill_operator(kube: Kube) -> None:
    """SIGKILL to the operator's process; returns when the kubelet has noted it."""
    sigkill(kube, [operator_pod(kube)])


def sigkill(kube: Kube, pods: list[Object]) -> None:
    """SIGKILL to the first container of each of the pods, of one node: by a pod in the node's PID
    namespace, because inside its own a process is PID 1 and immune.

    Works wherever pods run, whatever runs them. Returns when the kubelet has noted exit code 137.
    """
    before = {_path(pod): pod["status"]["containerStatuses"][0] for pod in pods}
    names = [one["containerID"].rsplit("/", 1)[1] for one in before.values()]
    # One for each namespace: tests run side by side.
    place = f"{SIGKILL}-{pods[0]['metadata']['namespace']}"[:63]
    killer = as_root(kube, place, pods[0]["spec"]["nodeName"], KILL, names)

    def restarted(path: str, was: Object) -> bool:
        now = kube.get(path)
        assert now is not None, f"{path} is gone; only its process was to be killed"
        container = now["status"]["containerStatuses"][0]
        last = container.get("lastState", {}).get("terminated", {})
        again = bool(container["restartCount"] > was["restartCount"])
        return again and last.get("exitCode") == 137

    eventually(
        lambda: all(restarted(path, was) for path, was in before.items()) or None,
        "the containers to have died of SIGKILL",
        PATIENCE,
        lambda: f"The sigkill pod says {(kube.get(killer) or {}).get('status')}",
    )
    kube.delete(f"/api/v1/namespaces/{place}")


def _path(pod: Object) -> str:
    meta = pod["metadata"]
    return f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"


def as_root(
    kube: Kube,
    name: str,
    node: str,
    program: str,
    arguments: Sequence[str] = (),
    folder: str = "",
) -> str:
    """Run a Python program as root on the node, which sees all of its processes, and `folder`,
    made where it is not there, as /folder; returns the path of its pod.

    The pod has a namespace of its own, of this name, which whoever asks removes: others enforce Pod
    Security, which would refuse it.
    """
    path = f"/api/v1/namespaces/{name}/pods"
    fresh_namespace(kube, name, security="privileged")
    image_of_ours = operator_pod(kube)["spec"]["containers"][0]["image"]
    host = {"path": folder, "type": "DirectoryOrCreate"}
    pod: Object = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": name},
        "spec": {
            "hostPID": True,
            "nodeName": node,
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {
                    "name": name,
                    "image": image_of_ours,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["/opt/venv/bin/python", "-c", program, *arguments],
                    "securityContext": {"runAsUser": 0},
                    "volumeMounts": [{"name": "f", "mountPath": "/folder"}] if folder else [],
                }
            ],
            "volumes": [{"name": "f", "hostPath": host}] if folder else [],
        },
    }
    # A new namespace takes pods when its service account has been made; a create without an answer
    # may have made the pod.
    eventually(
        lambda: kube.get(f"{path}/{name}") or kube.create(path, pod),
        f"the pod {name} to be taken",
        PATIENCE,
    )
    return f"{path}/{name}"


def image(of: str) -> Object:
    """An image by name and tag as the charts' values have it; pods run what the node has."""
    repository, tag = of.rsplit(":", 1)
    return {"repository": repository, "tag": tag}
