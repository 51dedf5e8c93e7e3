"""One real API server for the whole run; a namespace, a world and an operator of its own for each
test.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.cluster.apiserver import apiserver
from tests.api.harness import Api, Hands, Operator, Rollout, World, served


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    # As on OpenShift: who sets blockOwnerDeletion must be allowed to.
    flags = ["--enable-admission-plugins=OwnerReferencesPermissionEnforcement"]
    with apiserver(tmp_path_factory.mktemp("apiserver"), flags=flags) as kubeconfig:
        server = Api(kubeconfig)
        server.install_crd()
        yield server


@pytest.fixture
def ns(api: Api, request: pytest.FixtureRequest) -> str:
    name: str = request.node.name.split("[")[0].replace("_", "-")[-60:].strip("-")
    api.namespace(name)
    return name


@pytest.fixture
def world() -> World:
    return World(accuracy={"1": 0.91, "2": 0.95, "3": 0.62})


@pytest.fixture
def operator(api: Api, ns: str, world: World, tmp_path: Path) -> Iterator[Operator]:
    with served(world) as url, Operator(api, url, ns, tmp_path / "operator.log") as running:
        yield running
    print((tmp_path / "operator.log").read_text()[-4000:])  # pytest shows it where the test fails


@pytest.fixture
def hands(api: Api, ns: str, world: World) -> Iterator[Hands]:
    with Hands(api, world, ns) as working:
        yield working


@pytest.fixture
def rollout(api: Api, ns: str) -> Rollout:
    return Rollout(api, ns)
