"""Every manifest that no chart renders, those that the operator writes among them: schemas,
kube-score, Pod Security, admission.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from rollout_operator.desired.build import build
from rollout_operator.desired.common import Gateways, Owner
from rollout_operator.domain.feedback_stores import FeedbackStore
from scripts.cluster import addons
from scripts.cluster.images import ENVOY, IMAGES, METRICS_SERVER
from tests.support.api_client import ApiClient
from tests.support.builders import UID, on_trial, spec
from tests.support.charts import ROOT, Manifest, pods, tool
from tests.support.kinds import GROUP, path_of

FOLDERS = ("crds", "docs/examples", "gitops", "monitoring", "scripts/cluster/manifests")
NOT_MANIFESTS = {
    "monitoring/rules.yaml": "Prometheus's own format: tests/api/test_monitoring.py",
    "monitoring/rules.test.yaml": "promtool's own format",
    "monitoring/prometheus-adapter.yaml": "values of prometheus-adapter's chart",
    "scripts/cluster/manifests/operator-values.yaml": (
        "a chart's values: the cluster is installed with it"
    ),
    "scripts/cluster/manifests/envoy-values.yaml": (
        "values of Envoy Gateway's chart: its target installs it with them"
    ),
}
TRAFFIC = {"provider": "HTTPRoute", "host": "iris.example.com", "parentRefs": [{"name": "public"}]}
CA = {"configMap": "company-ca"}
OTHERS = (
    "argoproj.io/",
    "kustomize.toolkit.fluxcd.io/",
    "source.toolkit.fluxcd.io/",
    "monitoring.coreos.com/",
    "gateway.networking.k8s.io/",
    "gateway.envoyproxy.io/",
    GROUP,
)
"""API groups whose kinds Kubernetes itself does not know."""


def found() -> Iterator[tuple[str, list[Manifest]]]:
    for folder in FOLDERS:
        for file in sorted((ROOT / folder).rglob("*.yaml")):
            if (name := str(file.relative_to(ROOT))) not in NOT_MANIFESTS:
                yield name, read(file)
    status = on_trial()
    owner = Owner(UID, "iris", "models")
    yield (
        "what the operator writes for an Ingress",
        build(owner, spec("models:/iris/2"), status, {"MLFLOW_TRACKING_URI": "http://m"}),
    )
    routed = build(
        owner,
        spec("models:/iris/2", traffic=TRAFFIC),
        status,
        {},
        Gateways("gateways", mirrors=True),
    )
    yield "what the operator writes for an HTTPRoute", routed
    stores = {"a volume": {"claim": "feedback"}, "a database": {"secret": "labels", "ca": CA}}
    for what, given in stores.items():
        store = FeedbackStore.model_validate(given)
        yield (
            f"what the operator writes where labels are kept in {what}",
            build(owner, spec("models:/iris/2"), status, {}, store=store),
        )


def read(file: Path) -> list[Manifest]:
    images = {i.variable: f"example.com/{i.name}:1" for i in (*IMAGES, *ENVOY, *METRICS_SERVER)}
    documents = [d for d in yaml.safe_load_all(addons.render(file.read_text(), images)) if d]
    # A patch of Argo CD's own ConfigMap; whole, it is one.
    patched = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-cm"}}
    return [{**patched, **d} if file.name == "argocd-cm.yaml" else d for d in documents]


ALL = dict(found())
each = pytest.mark.parametrize("manifests", ALL.values(), ids=ALL.keys())


def test_none_is_left_out() -> None:
    assert {name for name in NOT_MANIFESTS if not (ROOT / name).exists()} == set()
    assert len(ALL) >= 12
    for manifests in ALL.values():
        assert manifests
        assert all({"apiVersion", "kind", "metadata"} <= m.keys() for m in manifests)


@each
def test_kubernetes_knows_every_field(manifests: list[Manifest]) -> None:
    for manifest in manifests:
        if not manifest["apiVersion"].startswith(OTHERS):
            kubernetes_validate.validate(manifest, "1.34", strict=True)


LEFT_TO_THE_NAMESPACE = {
    "container-resources": "spec.resources and the namespace's LimitRange",
    "container-ephemeral-storage-request-and-limit": "the namespace's LimitRange",
    "container-image-pull-policy": "the image is pinned in each attempt",
    "deployment-has-host-podantiaffinity": "the scheduler's own default spreading",
    "deployment-replicas": "a canary of 10 % needs no second pod",
    "pod-networkpolicy": (
        "who may ask: docs/examples/model-networkpolicy.yaml; whom the pods may ask, the operator"
        " writes"
    ),
}
"""What kube-score misses in what the operator writes, and whose it is. In everything else nothing
is left out but by annotation.
"""


@pytest.mark.parametrize("name", ALL)
def test_kube_score_finds_nothing(name: str) -> None:
    left = LEFT_TO_THE_NAMESPACE if name.startswith("what the operator writes") else {}
    command: list[str | Path] = [tool("kube-score"), "score", "-", "--output-format", "ci"]
    command += [word for test in left for word in ("--ignore-test", test)]
    done = subprocess.run(
        command, input=yaml.safe_dump_all(ALL[name]), capture_output=True, text=True, check=False
    )
    assert [
        line for line in done.stdout.splitlines() if not line.startswith(("[OK]", "[SKIPPED]"))
    ] == []
    assert done.returncode == 0, done.stderr


@each
def test_pod_security_restricted_takes_every_pod(api: ApiClient, manifests: list[Manifest]) -> None:
    name = "restricted-manifests"
    api.namespace(name)
    api.patch(
        f"/api/v1/namespaces/{name}",
        {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}},
    )
    for number, found in enumerate(pods(manifests)):
        pod_spec: dict[str, Any] = {**found}
        for given in (
            "priorityClassName",
            "serviceAccountName",
        ):  # what a bare API server does not have
            pod_spec.pop(given, None)
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"p{number}"},
            "spec": pod_spec,
        }
        reply = api.http.post(
            f"/api/v1/namespaces/{name}/pods",
            json=pod,
            params={"dryRun": "All", "fieldValidation": "Strict"},
        )
        assert reply.status_code == 201, reply.text


def test_the_examples_are_admitted(api: ApiClient) -> None:
    examples = [m for manifests in ALL.values() for m in manifests if m["kind"] == "ModelRollout"]
    assert examples
    for example in examples:
        reply = api.http.post(
            path_of("ModelRollout", "default"),
            json=example,
            params={"dryRun": "All", "fieldValidation": "Strict"},
        )
        assert reply.status_code == 201, reply.text
