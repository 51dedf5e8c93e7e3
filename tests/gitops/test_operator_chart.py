"""The operator's chart as an Application, as the example has it: install, upgrade, drift and
uninstall.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import argo_cd
from tests.support.api_client import CRDS, ApiClient, wait_for
from tests.support.fake_kubelet import COUNTS
from tests.support.git_repository import GitRepository
from tests.support.kinds import manifest, path_of

CHART = Path(__file__).parents[2] / "charts" / "rollout-operator"
NAMESPACE = "rollouts-system"
NAME = "rollout-operator"
CRD = f"{CRDS}/modelrollouts.rollouts.mlops.dev"
DEPLOYMENT = path_of("Deployment", NAMESPACE, NAME)
POLICY = path_of("NetworkPolicy", NAMESPACE, NAME)
MODEL = "kept"


@pytest.fixture
def application(garbage: None, argo: Path, api: ApiClient) -> Iterator[argo_cd.OperatorChart]:
    one = argo_cd.OperatorChart(api, NAME, argo)
    yield one
    print(api.http.get(one.path).text)


def files(**chart: str) -> dict[str, str]:
    """The chart, with these fields of Chart.yaml."""
    found = {
        f"charts/{CHART.name}/{file.relative_to(CHART)}": file.read_text()
        for file in CHART.rglob("*")
        if file.is_file()
    }
    path = f"charts/{CHART.name}/Chart.yaml"
    return {**found, path: yaml.safe_dump({**yaml.safe_load(found[path]), **chart})}


def runs(api: ApiClient) -> None:
    """The operator's pods are Ready: nobody plays a kubelet here."""
    deployment = api.get(DEPLOYMENT)
    status: dict[str, Any] = dict.fromkeys(COUNTS, deployment["spec"]["replicas"])
    status["observedGeneration"] = deployment["metadata"]["generation"]
    api.patch(f"{DEPLOYMENT}/status", {"status": status}).raise_for_status()


def image(api: ApiClient) -> str:
    (container,) = api.get(DEPLOYMENT)["spec"]["template"]["spec"]["containers"]
    return str(container["image"])


def test_the_chart_is_installed_upgraded_mended_and_taken_away(
    api: ApiClient,
    ns: str,
    repository: GitRepository,
    application: argo_cd.OperatorChart,
) -> None:
    def healthy() -> bool:
        if api.http.get(DEPLOYMENT).is_success:
            runs(api)
        return application.says() == "Synced, Healthy"

    spec = {"modelUri": "models:/iris/1", "traffic": {"host": "kept.example.com"}}
    model = path_of("ModelRollout", ns, MODEL)
    api.apply(model, manifest("ModelRollout", MODEL, {"spec": spec})).raise_for_status()

    repository.commit(files(version="0.1.0", appVersion="0.1.0"))
    application.begin(repository)
    wait_for(healthy, "the operator to be installed", 120)
    assert image(api).endswith(
        f":{yaml.safe_load((CHART / 'Chart.yaml').read_text())['appVersion']}"
    )

    commit = repository.commit(files(version="0.2.0", appVersion="0.2.0"))
    application.look()
    wait_for(lambda: application.asked() == commit and healthy(), "the upgrade", 120)
    assert image(api).endswith(":0.2.0")

    api.patch(DEPLOYMENT, {"spec": {"replicas": 0}}).raise_for_status()
    api.patch(POLICY, {"spec": {"egress": []}}).raise_for_status()
    wait_for(lambda: api.get(DEPLOYMENT)["spec"]["replicas"] == 1, "the replicas to be mended")
    wait_for(lambda: api.get(POLICY)["spec"].get("egress"), "the NetworkPolicy to be mended")
    wait_for(healthy, "nothing to be left to do", 60)

    application.end()
    wait_for(lambda: api.http.get(application.path).status_code == 404, "the Application to go", 60)
    assert api.http.get(DEPLOYMENT).status_code == 404
    assert api.http.get(POLICY).status_code == 404
    crd = api.get(CRD)["metadata"]
    assert "deletionTimestamp" not in crd, "the CRD stays"
    assert api.get(model)["spec"]["modelUri"] == spec["modelUri"]
