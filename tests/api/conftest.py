"""One real API server for the whole run; a namespace, a world and an operator of its own for each
test.
"""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
import yaml

from scripts.cluster import addons, gobuild
from scripts.cluster.apiserver import apiserver
from tests.support.api_client import ApiClient
from tests.support.fake_kubelet import KubeletThread
from tests.support.gateway_controller import Controller
from tests.support.operator_process import OperatorProcess
from tests.support.rollout import Rollout
from tests.support.scripted_world import ScriptedWorld, served

MUTATING_POLICIES = (
    "--runtime-config=admissionregistration.k8s.io/v1beta1=true",
    "--feature-gates=MutatingAdmissionPolicy=true",
)
"""Flags of an API server that serves MutatingAdmissionPolicies, which are beta in its version."""


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiClient]:
    # As on OpenShift: who sets blockOwnerDeletion must be allowed to.
    flags = ["--enable-admission-plugins=OwnerReferencesPermissionEnforcement", *MUTATING_POLICIES]
    with apiserver(tmp_path_factory.mktemp("apiserver"), flags=flags) as kubeconfig:
        server = ApiClient(kubeconfig)
        server.install_crd()
        yield server


@pytest.fixture
def ns(api: ApiClient, request: pytest.FixtureRequest) -> str:
    """A namespace for each test and case: they may follow one another on one API server."""
    story, _, case = request.node.name.partition("[")
    name: str = story.replace("_", "-")[-51:].strip("-")
    if case:
        name += f"-{sha256(case.encode()).hexdigest()[:8]}"
    api.namespace(name)
    return name


@pytest.fixture
def world() -> ScriptedWorld:
    return ScriptedWorld(accuracy={"1": 0.91, "2": 0.95, "3": 0.62})


@pytest.fixture
def operator_settings() -> dict[str, str]:
    """Variables of the operator's configuration, for a module to say its own."""
    return {}


@pytest.fixture
def operator(
    api: ApiClient,
    ns: str,
    world: ScriptedWorld,
    tmp_path: Path,
    operator_settings: dict[str, str],
) -> Iterator[OperatorProcess]:
    log = tmp_path / "operator.log"
    with (
        served(world) as url,
        OperatorProcess(
            api.kubeconfig, url, log, WATCH_NAMESPACES=ns, **operator_settings
        ) as running,
    ):
        yield running
    print((tmp_path / "operator.log").read_text()[-4000:])  # pytest shows it where the test fails


@pytest.fixture
def kubelet(api: ApiClient, ns: str, world: ScriptedWorld) -> Iterator[KubeletThread]:
    with KubeletThread(api, world, ns) as working:
        yield working


@pytest.fixture
def rollout(api: ApiClient, ns: str) -> Rollout:
    return Rollout(api, ns)


@pytest.fixture(scope="session")
def gateway_api(api: ApiClient) -> None:
    """Gateway API's CRDs, as they lie in its Go module."""
    gobuild.build(next(c for c in gobuild.COMPONENTS if c.name == "traefik"))
    kinds = ("HTTPRoute", "Gateway")
    for file in addons.gateway_crds():
        for crd in yaml.safe_load_all(file.read_text()):
            if crd["kind"] == "CustomResourceDefinition" and crd["spec"]["names"]["kind"] in kinds:
                api.install(crd)
    for kind in kinds:
        api.wait_served(kind)


@pytest.fixture
def controller(api: ApiClient, ns: str, gateway_api: None) -> Iterator[Controller]:
    with Controller(api, ns) as working:
        yield working


# The CRDs must be there before the operator looks which APIs there are.
@pytest.fixture
def started(controller: Controller, operator: OperatorProcess) -> OperatorProcess:
    return operator
