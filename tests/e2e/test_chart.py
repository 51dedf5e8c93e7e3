"""The charts by Helm on the real cluster: installed, tested, upgraded, taken away; in namespaces
that enforce Pod Security `restricted`.
"""

import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.demo.rollout import Rollout, eventually, fresh_namespace
from scripts.demo.traffic import answers_on
from scripts.kube import Kube, KubeError, Object
from tests.e2e.conftest import setting
from tests.e2e.harness import (
    PATIENCE,
    SETTINGS,
    SYSTEM,
    Trained,
    image,
    kubectl,
    running,
    version_of,
    who_answers,
)
from tests.support.charts import CHARTS, tool

CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/modelrollouts.rollouts.mlops.dev"
ENFORCE = "pod-security.kubernetes.io/enforce"


@dataclass
class Release:
    """A Helm release in a namespace of its own;
    `values` are given with every command that renders.
    """

    chart: str
    name: str
    values: Object

    def __call__(self, verb: str, *words: str, values: Object | None = None) -> str:
        command: list[str | Path] = [
            tool("helm"),
            "--kubeconfig",
            setting("KUBECONFIG"),
            "--namespace",
            self.name,
            verb,
            self.name,
        ]
        given = ""
        if verb in {"install", "upgrade"}:
            command += [
                CHARTS / self.chart,
                "--values",
                "-",
                "--wait",
                "--timeout",
                f"{PATIENCE:.0f}s",
            ]
            given = json.dumps({**self.values, **(values or {})})
        done = subprocess.run(
            [*command, *words], input=given, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"helm {verb}: {done.stderr}\n{done.stdout}\n{self.tell()}"
        return done.stdout

    def tell(self) -> str:
        """What stands in the release's namespace."""
        done = subprocess.run(
            ["kubectl", "get", "pods,events", "-n", self.name],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout + done.stderr


@pytest.fixture
def models_namespace(kube: Kube) -> Iterator[str]:
    name = "e2e-chart-models"
    fresh_namespace(kube, name)
    yield name
    kube.delete(f"/api/v1/namespaces/{name}")


def metrics(kube: Kube, pod: Object, port: int) -> str:
    meta = pod["metadata"]
    name = f"{meta['name']}:{port}"
    place = f"/api/v1/namespaces/{meta['namespace']}/pods/{name}/proxy/metrics"
    return kubectl("get", "--raw", place)


def test_the_operators_chart_from_install_to_uninstall(
    kube: Kube, models: Trained, models_namespace: str
) -> None:
    """In namespaced mode, beside the cluster's own operator; the CRD and what is rolled out outlive
    the release.
    """
    container, env = running(kube)
    fresh_namespace(kube, "e2e-chart")
    helm = Release(
        "rollout-operator",
        "e2e-chart",
        {
            "image": {**image(container["image"]), "pullPolicy": "IfNotPresent"},
            "inferenceImage": image(env["INFERENCE_IMAGE"]),
            "prometheus": {"url": env["PROMETHEUS_URL"]},
            "mlflow": {"trackingUri": env["MLFLOW_TRACKING_URI"]},
            "watchNamespaces": [models_namespace],
            "rbac": {"aggregateClusterRoles": False},
        },
    )
    # The cluster's own release has the CRD; both have the same one.
    helm("install", "--take-ownership")
    helm("test")
    before = kube.get(CRD)
    assert before is not None
    assert before["metadata"]["annotations"]["meta.helm.sh/release-name"] == "e2e-chart"

    rollout = Rollout(kube, models_namespace, settings=json.loads(json.dumps(SETTINGS)))
    rollout.apply(models.good)
    rollout.wait("Promoted", models.good, PATIENCE)

    def own() -> Object | None:
        pods = kube.items(
            "/api/v1/namespaces/e2e-chart/pods", "app.kubernetes.io/name=rollout-operator"
        )
        return pods[0] if len(pods) == 1 else None

    pod = eventually(own, "one operator pod", PATIENCE)
    eventually(
        lambda: (
            f'namespace="{models_namespace}",phase="Promoted"' in metrics(kube, pod, 8081) or None
        ),
        "the operator with Roles only to tell of the rollout",
        PATIENCE,
        lambda: metrics(kube, pod, 8081),
    )
    told = set(re.findall(r'modelrollout_phase\{.*namespace="([^"]+)"', metrics(kube, pod, 8081)))
    assert told == {models_namespace}, "it sees the namespaces that it was given, and no other"

    helm("upgrade", values={"logLevel": "DEBUG", "podLabels": {"upgraded": "yes"}})
    helm("test")
    pod = eventually(own, "one operator pod", PATIENCE)
    assert pod["metadata"]["labels"]["upgraded"] == "yes"
    assert {"name": "LOG_LEVEL", "value": "DEBUG"} in pod["spec"]["containers"][0]["env"]
    stable = rollout.status()["stable"]

    helm("uninstall", "--wait")
    after = kube.get(CRD)
    assert after is not None, "the CRD is kept"
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert not kube.items("/apis/apps/v1/namespaces/e2e-chart/deployments")
    assert not kube.items(f"/apis/rbac.authorization.k8s.io/v1/namespaces/{models_namespace}/roles")
    assert rollout.status()["stable"] == stable, "the ModelRollout is kept"
    eventually(
        lambda: answers_on(setting("INGRESS_URL"), rollout.host) or None,
        "its pods to answer",
        PATIENCE,
    )
    kube.delete("/api/v1/namespaces/e2e-chart")


def test_a_model_without_the_operator(kube: Kube, models: Trained) -> None:
    """The model chart: a canary with a share of the requests, then without."""
    _, env = running(kube)
    fresh_namespace(kube, "e2e-model")
    host = "iris.e2e-model.example.com"
    values: Object = {
        "image": {**image(env["INFERENCE_IMAGE"]), "pullPolicy": "IfNotPresent"},
        "mlflow": {"trackingUri": env["MLFLOW_TRACKING_URI"]},
        "stable": {"modelUri": models.modest, "replicas": 1},
        "canary": {"enabled": True, "modelUri": models.good, "weight": 30},
        "ingress": {"host": host},
        "resources": {"requests": {"cpu": "50m", "memory": "192Mi"}},
    }
    helm = Release("model", "e2e-model", values)
    helm("install")
    counted = Counter[str]()

    def split() -> bool | None:
        counted.clear()
        counted.update(who_answers(setting("INGRESS_URL"), host, 50))
        return (
            True
            if counted == {version_of(models.modest): 35, version_of(models.good): 15}
            else None
        )

    eventually(
        split, "30 % of 50 requests to go to the canary", PATIENCE, lambda: f"It was {counted}"
    )
    helm(
        "upgrade",
        values={"stable": {"modelUri": models.good, "replicas": 1}, "canary": {"enabled": False}},
    )
    eventually(
        lambda: (
            who_answers(setting("INGRESS_URL"), host, 50) == {version_of(models.good): 50} or None
        ),
        "all requests to go to the new stable",
        PATIENCE,
    )
    helm("uninstall", "--wait")
    kube.delete("/api/v1/namespaces/e2e-model")


def test_every_pod_of_ours_runs_where_pod_security_is_enforced(kube: Kube) -> None:
    """And a namespace that enforces it refuses a pod that asks for more; without that nothing would
    be shown.
    """
    ours = {
        p["metadata"]["namespace"]
        for p in kube.items("/api/v1/pods", "app.kubernetes.io/managed-by=rollouts.mlops.dev")
    }
    enforced = {
        n["metadata"]["name"]: n["metadata"].get("labels", {}).get(ENFORCE)
        for n in kube.items("/api/v1/namespaces")
    }
    assert enforced[SYSTEM] == "restricted"
    # Of the tests that run beside this one, those namespaces that are not gone by now.
    assert {enforced[name] for name in ours & enforced.keys() if name.startswith("e2e-")} <= {
        "restricted"
    }
    names = {
        p["metadata"]["labels"].get("app.kubernetes.io/name")
        for p in kube.items(f"/api/v1/namespaces/{SYSTEM}/pods")
    }
    assert {"rollout-operator", "traefik", "prometheus", "mlflow"} <= names
    greedy: Object = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "greedy"},
        "spec": {
            "containers": [
                {"name": "greedy", "image": "greedy", "securityContext": {"runAsUser": 0}}
            ]
        },
    }
    with pytest.raises(KubeError, match='violates PodSecurity "restricted'):
        kube.create(f"/api/v1/namespaces/{SYSTEM}/pods?dryRun=All", greedy)


LISTED = """
import importlib.metadata, json, pathlib
def normal(name):
    return name.lower().replace("_", "-").replace(".", "-")
installed = importlib.metadata.distributions()
bom = json.loads(pathlib.Path("/opt/venv/sbom.cdx.json").read_text())
print(json.dumps({
    "listed": {c["name"]: c["version"] for c in bom["components"]},
    "installed": {normal(d.metadata["Name"]): d.version for d in installed},
    "format": bom["bomFormat"],
}))
"""


@pytest.mark.parametrize("which", ["operator", "inference"])
def test_an_image_carries_a_list_of_exactly_what_is_in_it(which: str, kube: Kube) -> None:
    container, env = running(kube)
    name = f"e2e-sbom-{which}"
    fresh_namespace(kube, name)
    pod: Object = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "list", "namespace": name},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "list",
                    "image": {"operator": container["image"], "inference": env["INFERENCE_IMAGE"]}[
                        which
                    ],
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["/opt/venv/bin/python", "-c", LISTED],
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
        },
    }
    pods = f"/api/v1/namespaces/{name}/pods"
    # A create without an answer may have made the pod.
    eventually(
        lambda: kube.get(f"{pods}/list") or kube.create(pods, pod), "the pod to be taken", PATIENCE
    )

    def ended() -> str | None:
        phase: str = (kube.get(f"{pods}/list") or {}).get("status", {}).get("phase", "")
        return phase if phase in {"Succeeded", "Failed"} else None

    eventually(ended, "the pod to end", PATIENCE)
    told = json.loads(kubectl("logs", "-n", name, "list"))
    assert told["format"] == "CycloneDX"
    installed = {n: v for n, v in told["installed"].items() if n != "model-rollouts"}
    assert len(installed) > 20
    assert told["listed"] == installed
    kube.delete(f"/api/v1/namespaces/{name}")
