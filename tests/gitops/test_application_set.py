"""An ApplicationSet, as the example has it: two teams, whose models want one host."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import argo_cd
from tests.support.api_client import ApiClient, wait_for
from tests.support.fake_kubelet import KubeletThread
from tests.support.git_repository import GitRepository
from tests.support.gitops import MODEL
from tests.support.operator_process import OperatorProcess
from tests.support.rollout import Rollout
from tests.support.scripted_world import ScriptedWorld, served

TEAMS = ("team-a", "team-b")


@pytest.fixture
def teams(
    garbage: None, api: ApiClient, world: ScriptedWorld, tmp_path: Path
) -> Iterator[list[Rollout]]:
    """Each team's model; one operator looks after both namespaces."""
    for team in TEAMS:
        api.namespace(team)
    log = tmp_path / "operator.log"
    with (
        served(world) as url,
        OperatorProcess(api.kubeconfig, url, log, WATCH_NAMESPACES=",".join(TEAMS)),
        KubeletThread(api, world, TEAMS[0]),
        KubeletThread(api, world, TEAMS[1]),
    ):
        yield [Rollout(api, team) for team in TEAMS]
    print(log.read_text()[-4000:])


def test_each_folder_has_its_application_and_a_host_its_first_team(
    argo: Path, api: ApiClient, repository: GitRepository, teams: list[Rollout]
) -> None:
    older, younger = teams
    model = MODEL.read_text()
    repository.commit({f"teams/{older.ns}/iris.yaml": model})
    every = argo_cd.ApplicationSet(api, "models-set", argo)
    every.begin(repository)
    first, second = (every.made(one.ns) for one in teams)
    wait_says(first, "Synced, Healthy")
    # Creation is told in whole seconds.
    time.sleep(1.1)
    repository.commit({f"teams/{younger.ns}/iris.yaml": model})
    every.look()
    wait_says(second, "Synced, Degraded")
    wait_for(
        lambda: f"ModelRollout {older.ns}/iris" in second.why("iris"),
        "the tree to say whose the host is",
    )
    assert first.says() == "Synced, Healthy"
    other = model.replace("host: iris.example.com", "host: second.example.com")
    repository.commit({f"teams/{younger.ns}/iris.yaml": other})
    second.look()
    wait_says(second, "Synced, Healthy")
    repository.commit({f"teams/{younger.ns}/iris.yaml": None})
    every.look()
    wait_for(lambda: api.http.get(second.path).status_code == 404, "the Application to go")
    time.sleep(3)
    assert younger.status()["phase"] == "Promoted", "its model stays"
    every.end()


def wait_says(application: argo_cd.Application, said: str) -> None:
    def there() -> bool:
        found = application.api.http.get(application.path)
        return found.is_success and application.says() == said

    wait_for(there, f"{application.name}: {said}", 120)
