"""Two releases of the operator: the one before, as Git has it, and this one; as processes with a
chart on an API server, or as pods of the local cluster.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.cluster import addons, gobuild, images, node
from scripts.cluster.paths import KUBECONFIG
from scripts.cluster.progress import doing
from tests.support.api_client import ApiClient
from tests.support.operator_process import OperatorProcess

ROOT = Path(__file__).parents[2]
FIRST = "e005e82"
"""The release before, as long as no tag names one: the last commit before the pages of CHANGELOG's
Unreleased began.
"""
RELEASE, NAMESPACE = "operator", "rollouts-system"


@dataclass(frozen=True)
class Release:
    """One release: its chart, and an environment that its operator is installed in."""

    name: str
    """The tag of its image of the model server, too."""
    folder: Path
    python: Path

    def install(self, api: ApiClient, url: str) -> None:
        """Install or upgrade its chart by Helm; `url` answers as Prometheus and as the registry."""
        values = {
            "prometheus.url": url,
            "mlflow.trackingUri": url,
            "inferenceImage.tag": self.name,
            "routerDrainSeconds": "1",
        }
        helm = str(gobuild.program("helm"))
        command = [helm, "upgrade", "--install", RELEASE, "--create-namespace"]
        command += ["--kubeconfig", str(api.kubeconfig), "--namespace", NAMESPACE]
        command += [str(self.folder / "charts" / "rollout-operator"), "--wait=hookOnly"]
        command += [f"--set={key}={value}" for key, value in values.items()]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    @contextmanager
    def running(self, api: ApiClient, url: str, log: Path) -> Iterator[OperatorProcess]:
        """Its operator, with what the Deployment of the chart that is installed gives it."""
        path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{RELEASE}-rollout-operator"
        (container,) = api.get(path)["spec"]["template"]["spec"]["containers"]
        given = {one["name"]: one["value"] for one in container["env"] if "value" in one}
        process = OperatorProcess(api.kubeconfig, url, log, **given)
        process.python = str(self.python)
        with process:
            yield process


def attempt_of(status: Mapping[str, Any]) -> tuple[int, str, str, str]:
    """Attempt, phase, stable and candidate revision ("" for none): what an upgrade keeps."""
    revisions = [(status.get(side) or {}).get("revision", "") for side in ("stable", "candidate")]
    return status["attempt"], status["phase"], *revisions


def this() -> Release:
    """What is checked out."""
    return Release("after", ROOT, Path(sys.executable))


@dataclass(frozen=True)
class PodRelease:
    """One release as the local cluster runs it."""

    checkout: Path
    operator: images.Image
    inference: images.Image
    values_of: Path
    """The checkout whose values its chart gets: what is upgraded keeps those that it had."""

    def install(self) -> None:
        """Install or upgrade the cluster's operator to it, and wait until it is Ready."""
        for image in (self.operator, self.inference):
            images.build(image)
        node.import_images((self.operator, self.inference))
        tags = {"OPERATOR_IMAGE": self.operator.tag, "INFERENCE_IMAGE": self.inference.tag}
        helm = gobuild.program("helm")
        with doing(f"Installing the operator {self.operator.tag}"):
            addons.install_operator(helm, KUBECONFIG, tags, self.checkout, self.values_of)


def this_in_pods() -> PodRelease:
    """What is checked out: the cluster that make brings up runs it."""
    return PodRelease(ROOT, images.ours("operator"), images.ours("inference"), ROOT)


def before_in_pods(folder: Path) -> PodRelease:
    """The release before this one, taken out of Git into `folder`. Its images are kept in the
    cache.
    """
    take_out(folder)
    return PodRelease(
        folder,
        images.ours("operator", folder, "operatorbefore"),
        images.ours("inference", folder, "inferencebefore"),
        folder,
    )


def before(folder: Path) -> Release:
    """The release before this one, taken out of Git into `folder`, installed from its own lock."""
    commit = take_out(folder)
    environment = {k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"}
    with doing(f"Installing the operator of {commit} from its own lock"):
        subprocess.run(
            ["uv", "sync", "--frozen", "--quiet", "--no-dev", "--extra", "operator"],
            cwd=folder,
            env=environment,
            check=True,
        )
    return Release("before", folder, folder / ".venv" / "bin" / "python")


def take_out(folder: Path) -> str:
    """Write what Git has of the release before this one into `folder`; returns its commit or
    tag.
    """
    # From the parent: what is tagged itself is this release.
    commit = _git("describe", "--tags", "--abbrev=0", "--match=v*", "HEAD^") or FIRST
    folder.mkdir(parents=True)
    archive = subprocess.run(
        ["git", "-C", str(ROOT), "archive", commit], capture_output=True, check=False
    )
    assert archive.returncode == 0, (
        f"Git has no {commit}, the release before this one: run git fetch --unshallow --tags"
    )
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return commit


def _git(*words: str) -> str:
    """What Git prints; "" where it fails."""
    done = subprocess.run(
        ["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else ""
