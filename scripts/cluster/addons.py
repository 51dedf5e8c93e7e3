"""What every kind of cluster gets: DNS where it has none, Traefik, Prometheus, MLflow, the CRD and
the operator.
"""

import json
import re
import time
from collections.abc import Mapping
from pathlib import Path

from scripts.cluster import gobuild
from scripts.cluster.paths import HERE, NAMESPACE, REPOSITORY
from scripts.cluster.progress import doing
from scripts.cluster.shell import CommandFailed, run

MANIFESTS = HERE / "manifests"
PARTS = ("traefik", "prometheus", "mlflow")
OPERATOR = "rollout-operator"
"""The chart, its release and its Deployment."""


def render(manifest: str, images: Mapping[str, str]) -> str:
    """Fill in the image placeholders; raises KeyError for one that has no image."""
    return re.sub(r"\$\{([A-Z]+_IMAGE)\}", lambda match: images[match[1]], manifest)


class Kubectl:
    """kubectl against one kubeconfig."""

    def __init__(self, program: Path | str, kubeconfig: Path | str) -> None:
        self.kubeconfig = kubeconfig
        self._command = [str(program), "--kubeconfig", str(kubeconfig)]

    def __call__(self, *words: str | Path, stdin: str | None = None) -> str:
        return run([*self._command, *words], stdin=stdin)

    def apply(self, manifest: str) -> None:
        """Server-side apply, repeated while the API server is not ready for it yet."""
        for attempt in range(5):
            try:
                self("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=manifest)
            except CommandFailed:
                if attempt == 4:
                    raise
                time.sleep(1)
            else:
                return


def install_operator(
    helm: Path | str,
    kubeconfig: Path | str,
    images: Mapping[str, str],
    checkout: Path = REPOSITORY,
    values_of: Path = REPOSITORY,
) -> None:
    """Install or upgrade the operator, and with it the CRD, from the chart of a checkout.

    values_of: the checkout whose values it gets, which an upgrade leaves as they are.
    """
    values = []
    for name, variable in (("image", "OPERATOR_IMAGE"), ("inferenceImage", "INFERENCE_IMAGE")):
        repository, tag = images[variable].rsplit(":", 1)
        values += ["--set-string", f"{name}.repository={repository},{name}.tag={tag}"]
    chart = checkout / "charts" / OPERATOR
    settings = values_of / MANIFESTS.relative_to(REPOSITORY) / "operator-values.yaml"
    words: list[str | Path] = [
        "upgrade",
        "--install",
        OPERATOR,
        chart,
        "--namespace",
        NAMESPACE,
        "--values",
        settings,
        *values,
    ]
    run(
        [
            helm,
            "--kubeconfig",
            kubeconfig,
            *words,
            "--take-ownership",
            "--wait",
            "--timeout",
            "240s",
        ]
    )


def install(
    kubectl: Kubectl, images: Mapping[str, str], helm: Path | str, *, with_dns: bool
) -> None:
    """Apply everything and wait until it runs."""
    with doing("Installing Traefik, Prometheus, MLflow and the operator"):
        kubectl.apply((MANIFESTS / "namespace.yaml").read_text())
        if with_dns:
            kubectl.apply(render((MANIFESTS / "coredns.yaml").read_text(), images))
        for crd in gateway_crds():
            kubectl.apply(crd.read_text())
        kubectl.apply(json.dumps(rules()))
        for part in PARTS:
            kubectl.apply(render((MANIFESTS / f"{part}.yaml").read_text(), images))
        if with_dns:
            kubectl(
                "rollout", "status", "-n", "kube-system", "deployment/coredns", "--timeout=180s"
            )
        for part in PARTS:
            kubectl("rollout", "status", "-n", NAMESPACE, f"deployment/{part}", "--timeout=240s")
        install_operator(helm, kubectl.kubeconfig, images)
        kubectl(
            "wait",
            "--for=condition=Established",
            "--timeout=30s",
            "crd/modelrollouts.rollouts.mlops.dev",
        )


def rules() -> dict[str, object]:
    """The project's recording rules and alerts, for the cluster's Prometheus."""
    text = (REPOSITORY / "monitoring" / "rules.yaml").read_text()
    metadata = {"name": "prometheus-rules", "namespace": NAMESPACE}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "data": {"rules.yaml": text},
    }


def gateway_crds() -> list[Path]:
    """Gateway API's CRDs, as they lie in the Go module that Traefik is built with."""
    (component,) = (c for c in gobuild.COMPONENTS if c.name == "traefik")
    return sorted((component.folder / "gateway-api").glob("gateway.networking.k8s.io_*s.yaml"))
