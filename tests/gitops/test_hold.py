"""Synced and Healthy, and no sync, as long as `--hold` says: each way to apply by Argo CD, of
manifests whose lists and fields are shorter than what the API server might make of them.
"""

import json
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.docs import gitops
from tests.support.api_client import ApiClient, wait_for
from tests.support.argo_cd import Application
from tests.support.fake_kubelet import KubeletThread
from tests.support.git_repository import GitRepository
from tests.support.kinds import manifest
from tests.support.operator_process import OperatorProcess
from tests.support.scripted_world import ScriptedWorld

HEALTHY = "Synced, Healthy"
WORTH_TELLING = timedelta(minutes=10)
SERVER_SIDE = ["ServerSideApply=true"]
DIFF = {"argocd.argoproj.io/compare-options": "ServerSideDiff=true"}
WAYS: dict[str, tuple[list[str], dict[str, str]]] = {
    "client-side": ([], {}),
    "server-side": (SERVER_SIDE, {}),
    "server-side-diff": (SERVER_SIDE, DIFF),
}
"""By name: sync options and annotations of the Application."""
SPECS: dict[str, dict[str, Any]] = {
    "gates": {
        "analysis": {
            "gates": [
                {"metric": "accuracy", "min": 0.7},
                {"metric": "errorRate", "max": 0.01},
                {"metric": "latencyP95Seconds", "max": 0.25},
            ]
        }
    },
    "steps": {"strategy": {"steps": [{"weight": 10}, {"weight": 50, "hold": "5m"}]}},
    "labels": {
        "analysis": {
            "gates": [
                {"metric": "accuracy", "min": 0.7},
                {"metric": "accuracy", "min": 0.7, "evidence": "Labelled"},
            ]
        }
    },
    "alias": {"modelUri": "models:/iris@champion"},
    "tls": {"traffic": {"tlsSecret": "iris-tls"}},
    "mirror": {
        "traffic": {
            "provider": "HTTPRoute",
            "parentRefs": [{"name": "public"}],
            "mirrorPercent": 20,
        }
    },
}


@dataclass(frozen=True)
class Held(Application):
    """An Application of one folder of many."""

    way: str = ""

    @property
    def path(self) -> str:
        return f"{super().path}-{self.way}"

    def manifest(self, repository: GitRepository) -> dict[str, Any]:
        options, annotations = WAYS[self.way]
        changed = super().manifest(repository)
        changed["metadata"] |= {"name": f"{self.name}-{self.way}", "annotations": annotations}
        changed["spec"]["source"]["path"] = self.way
        changed["spec"]["syncPolicy"]["syncOptions"] = options
        return changed


def models(way: str) -> str:
    """One ModelRollout of each kind."""
    documents = []
    for case, spec in SPECS.items():
        traffic = {"host": f"{case}-{way}.example.com", **spec.get("traffic", {})}
        whole = {"modelUri": "models:/iris/1", **spec, "traffic": traffic}
        documents.append(manifest("ModelRollout", f"{way}-{case}", {"spec": whole}))
    return yaml.safe_dump_all(documents)


@pytest.fixture
def operator_settings() -> dict[str, str]:
    return {"GATEWAY_MIRRORS": "true"}


def wait_healthy(application: Held) -> None:
    wait_for(lambda: application.says() == HEALTHY, f"{application.way} to be Healthy", 180)


def test_at_rest_nothing_is_synced(
    argo: Path,
    api: ApiClient,
    ns: str,
    world: ScriptedWorld,
    started: OperatorProcess,
    kubelet: KubeletThread,
    repository: GitRepository,
    request: pytest.FixtureRequest,
) -> None:
    hold: timedelta = request.config.getoption("--hold")
    world.aliases["champion"] = "1"
    repository.commit({f"{way}/models.yaml": models(way) for way in WAYS})
    applications = [Held(api, ns, argo, way=way) for way in WAYS]
    for application in applications:
        application.begin(repository)
    for application in applications:
        wait_healthy(application)
    operations = {one.way: one.operation() for one in applications}
    end = time.monotonic() + hold.total_seconds()
    while time.monotonic() < end:
        for application in applications:
            application.look()
        time.sleep(5)
        said = {application.way: application.says() for application in applications}
        assert said == dict.fromkeys(WAYS, HEALTHY)
    # One that began before is Argo CD's own: in the second after its first sync it may not see yet
    # what it has made, and syncs all of it once more.
    assert {one.way: one.operation() for one in applications} == operations
    if hold >= WORTH_TELLING:
        told = {
            "minutes": hold // timedelta(minutes=1),
            "said": HEALTHY,
            "syncs": 0,
            "ways": [*WAYS],
            "models": [*SPECS],
        }
        gitops.AT_REST.write_text(json.dumps(told, indent=2) + "\n")
        gitops.PAGE.write_text(gitops.page())
    for application in applications:
        application.end()
