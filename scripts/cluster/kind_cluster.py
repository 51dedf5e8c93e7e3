"""The kind way: the same manifests in a kind cluster. It could not be tried where it was written:
no container engine.
"""

import json
import shutil
import subprocess

from scripts.cluster import images
from scripts.cluster.paths import KUBECONFIG, STATE
from scripts.cluster.progress import doing
from scripts.cluster.shell import run

NAME = "model-rollouts"
PORTS = (30080, 30090, 30050)


def engine() -> str | None:
    """The container engine that answers, docker or podman; None where there is none or only a
    client.
    """
    for name in ("docker", "podman"):
        if (
            shutil.which(name)
            and subprocess.run(
                [name, "info"], capture_output=True, check=False, timeout=30
            ).returncode
            == 0
        ):
            return name
    return None


def up() -> None:
    """Create the cluster, unless it is there."""
    STATE.mkdir(parents=True, exist_ok=True)
    if NAME in run(["kind", "get", "clusters"]).split():
        return
    mapped = [{"containerPort": p, "hostPort": p, "listenAddress": "127.0.0.1"} for p in PORTS]
    config = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "nodes": [{"role": "control-plane", "extraPortMappings": mapped}],
    }
    (STATE / "kind.json").write_text(json.dumps(config))
    with doing("Creating the kind cluster"):
        run(
            [
                "kind",
                "create",
                "cluster",
                "--name",
                NAME,
                "--kubeconfig",
                KUBECONFIG,
                "--config",
                STATE / "kind.json",
                "--wait",
                "180s",
            ]
        )


def load_images() -> dict[str, str]:
    """Build the images with the engine and load them; returns image by placeholder. The parts'
    published images are pulled by the node.
    """
    program = engine() or "docker"
    found = {
        "TRAEFIK_IMAGE": "traefik:v3.7.13",
        "PROMETHEUS_IMAGE": "prom/prometheus:v3.5.0",
        "MLFLOW_IMAGE": "",
        "COREDNS_IMAGE": "",
    }
    for image in images.IMAGES:
        if image.name in {"operator", "inference", "mlflow"}:
            context = image.checkout or image.dockerfile.parent
            with doing(f"Building the image {image.name} with {program}"):
                run([program, "build", "-f", image.dockerfile, "-t", image.tag, context])
                run(["kind", "load", "docker-image", "--name", NAME, image.tag])
            found[image.variable] = image.tag
    return found


def down() -> None:
    """Delete the cluster."""
    run(["kind", "delete", "cluster", "--name", NAME])
    shutil.rmtree(STATE, ignore_errors=True)
