"""Parts that only some targets need: `python3 -m scripts.cluster run --with NAME -- COMMAND`."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.cluster import gobuild, images
from scripts.cluster.addons import MANIFESTS, Kubectl, render
from scripts.cluster.paths import ENVOY_URL, NAMESPACE
from scripts.cluster.progress import doing
from scripts.cluster.shell import run

Install = Callable[[Kubectl, Mapping[str, str], Path], None]
"""Installs a part, with its images by placeholder and the program helm; returns when it runs."""
ENVOY_NAMESPACE = "envoy-gateway-system"


@dataclass(frozen=True)
class Extra:
    """One such part, of the local cluster."""

    title: str
    """As progress names it."""
    component: gobuild.Component
    """Its Go programs."""
    images: tuple[images.Image, ...]
    """What its pods run."""
    install: Install
    """Called again whenever it is asked for."""
    environment: Mapping[str, str]
    """What those who use it need to know; on a cluster that is given, they say it themselves."""


def install_envoy(kubectl: Kubectl, tags: Mapping[str, str], helm: Path) -> None:
    """Envoy Gateway by its own chart, and a Gateway named envoy beside Traefik's."""
    chart = gobuild.ENVOY.folder / "chart"
    for crd in sorted((chart / "charts" / "crds" / "crds" / "generated").glob("*.yaml")):
        kubectl.apply(crd.read_text())
    run(
        [
            *(helm, "--kubeconfig", kubectl.kubeconfig, "upgrade", "--install"),
            *("envoy-gateway", chart, "--namespace", ENVOY_NAMESPACE, "--create-namespace"),
            *("--values", MANIFESTS / "envoy-values.yaml"),
            *("--set-string", f"global.images.envoyGateway.image={tags['ENVOYGATEWAY_IMAGE']}"),
            *("--wait", "--timeout", "240s"),
        ]
    )
    kubectl.apply(render((MANIFESTS / "envoy.yaml").read_text(), tags))
    kubectl(
        *("wait", "-n", NAMESPACE, "gateway/envoy"),
        *("--for=condition=Programmed", "--timeout=240s"),
    )


def install_metrics_server(kubectl: Kubectl, tags: Mapping[str, str], _: Path) -> None:
    """metrics-server, until it tells what pods use: HorizontalPodAutoscalers have something to go
    by then.
    """
    kubectl.apply(render((MANIFESTS / "metrics-server.yaml").read_text(), tags))
    kubectl(
        *("rollout", "status", "-n", "kube-system", "deployment/metrics-server"),
        "--timeout=240s",
    )
    # Only now: an API server that asks a Service that kube-proxy does not know yet reaches whoever
    # answers outside of the machine, and keeps that connection.
    kubectl.apply((MANIFESTS / "metrics-api.yaml").read_text())
    kubectl(
        *("wait", "apiservice/v1beta1.metrics.k8s.io", "--for=condition=Available"),
        "--timeout=120s",
    )


EXTRAS: Mapping[str, Extra] = {
    "envoy": Extra(
        "Envoy Gateway",
        gobuild.ENVOY,
        images.ENVOY,
        install_envoy,
        {"ENVOY_URL": ENVOY_URL},
    ),
    "metrics-server": Extra(
        "metrics-server",
        gobuild.METRICS_SERVER,
        images.METRICS_SERVER,
        install_metrics_server,
        {},
    ),
}


def build(wanted: Iterable[str]) -> None:
    """Programs and images, into the cache."""
    for name in wanted:
        gobuild.build(EXTRAS[name].component)
        for image in EXTRAS[name].images:
            images.build(image)


def install(wanted: Iterable[str], kubectl: Kubectl) -> None:
    """Install each in the cluster that runs, whose containerd has the images."""
    for name in wanted:
        extra = EXTRAS[name]
        with doing(f"Installing {extra.title}"):
            extra.install(
                kubectl, {i.variable: i.tag for i in extra.images}, gobuild.program("helm")
            )


def environment(wanted: Iterable[str]) -> dict[str, str]:
    """What those who use the parts need to know, on the local cluster."""
    return {k: v for name in wanted for k, v in EXTRAS[name].environment.items()}
