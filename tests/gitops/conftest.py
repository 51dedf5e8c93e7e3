"""Real GitOps tools before a real API server and operator; pods are played, as in tests/api."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rollout_operator.domain.api.api_types import parse_duration
from scripts.cluster import gobuild
from scripts.cluster.apiserver import running
from scripts.docs import gitops
from tests.api.conftest import (
    api,
    controller,
    gateway_api,
    kubelet,
    ns,
    operator,
    operator_settings,
    rollout,
    started,
    world,
)
from tests.support import argo_cd, flux
from tests.support.api_client import ApiClient
from tests.support.fake_kubelet import KubeletThread
from tests.support.git_repository import GitRepository, served_repository
from tests.support.gitops import Seen, Team
from tests.support.operator_process import OperatorProcess
from tests.support.rollout import Rollout

__all__ = [
    "api",
    "controller",
    "gateway_api",
    "kubelet",
    "ns",
    "operator",
    "operator_settings",
    "rollout",
    "started",
    "world",
]
Client = argo_cd.Application | flux.Kustomization
CLIENTS: dict[str, tuple[type[Client], str]] = {
    one.title: (one, runs)
    for one, runs in (
        (argo_cd.Application, "argo"),
        (argo_cd.ThreeWaves, "argo"),
        (flux.Kustomization, "fluxes"),
        (flux.WithWait, "fluxes"),
    )
}
"""By its title: a tool as the examples set it up, and the fixture that runs it."""
OTHERS = {flux.WithDependents.title: (flux.WithDependents, "fluxes")}
"""The same, of tools that have tests of their own."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--hold", type=parse_duration, default="30s", help="How long nothing may be synced: 30m."
    )


@pytest.fixture(scope="session")
def seen() -> Iterator[Seen]:
    """What the tests saw; the guide's table is written anew at their end."""
    table = Seen([*CLIENTS])
    yield table
    table.write(gitops.SEEN)
    gitops.PAGE.write_text(gitops.page())


@pytest.fixture(scope="session")
def garbage(api: ApiClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Kubernetes' own: Argo CD prunes in the foreground, which ends when all is collected, and
    waits for the status of a PodDisruptionBudget.
    """
    command = [
        str(gobuild.program("kube-controller-manager")),
        f"--kubeconfig={api.kubeconfig}",
        "--controllers=garbage-collector-controller,disruption-controller",
        "--leader-elect=false",
        "--secure-port=0",
    ]
    with running(command, tmp_path_factory.mktemp("garbage") / "collector.log"):
        yield


@pytest.fixture(scope="session")
def argo(api: ApiClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("argo-cd")
    with argo_cd.argo_cd(api, folder):
        yield folder


@pytest.fixture(scope="session")
def fluxes(api: ApiClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("flux")
    with flux.flux(api, folder):
        yield folder


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[GitRepository]:
    with served_repository(tmp_path) as served:
        yield served


@pytest.fixture
def tool(request: pytest.FixtureRequest) -> tuple[type[Client], Path]:
    """The test's parameter, a title of CLIENTS or OTHERS: how it is set up, and its logs."""
    kind, runs = {**CLIENTS, **OTHERS}[request.param]
    return kind, request.getfixturevalue(runs)


# The tool first: what is not built yet is built before an operator runs.
@pytest.fixture
def team(
    tool: tuple[type[Client], Path],
    api: ApiClient,
    ns: str,
    repository: GitRepository,
    rollout: Rollout,
    operator: OperatorProcess,
    kubelet: KubeletThread,
    garbage: None,
    seen: Seen,
) -> Iterator[Team]:
    """One with version 1 stable."""
    kind, logs = tool
    working = Team(kind(api, ns, logs), repository, rollout, seen)
    try:
        commit = working.begin()
        working.deployed_after = working.seconds_after_fetch(
            commit, lambda: rollout.found().get("phase") == "Promoted"
        )
        yield working
    finally:
        # pytest shows it where the test fails.
        print(api.http.get(working.client.path).text)
        for log in sorted(logs.glob("*.log")):
            print(f"{log.name}: {log.read_text()[-3000:]}")
        working.client.end()
