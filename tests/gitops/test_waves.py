"""What waits for a model: a later sync wave of Argo CD's, and Flux' `dependsOn`."""

import time
from collections.abc import Callable

import pytest

from rollout_operator.domain.api.names import GROUP
from tests.support.api_client import ApiClient, wait_for
from tests.support.argo_cd import Application
from tests.support.flux import WithDependents
from tests.support.gitops import FILE, LONG, Team, settings

AFTER = "models/after.yaml"


def there(api: ApiClient, team: Team, name: str) -> bool:
    path = f"/api/v1/namespaces/{team.rollout.ns}/configmaps/{name}"
    return api.http.get(path).status_code == 200


def terminated(team: Team, api: ApiClient) -> None:
    assert isinstance(team.client, Application)
    team.client.terminate()


def aborted(team: Team, api: ApiClient) -> None:
    attempt = str(team.rollout.status()["attempt"])
    body = {"metadata": {"annotations": {f"{GROUP}/abort": attempt}}}
    api.patch(team.rollout.path, body).raise_for_status()


LETS_IN: dict[str, Callable[[Team, ApiClient], None]] = {
    "the operation is terminated": terminated,
    "the trial is aborted": aborted,
}


@pytest.mark.parametrize("let_in", LETS_IN.values(), ids=LETS_IN.keys())
@pytest.mark.parametrize("tool", [Application.title], indirect=True)
def test_with_a_wave_after_the_model_a_revert_waits_until_it_is_let_in(
    team: Team, api: ApiClient, let_in: Callable[[Team, ApiClient], None]
) -> None:
    team.wave = 0
    after = settings("after", 1)
    team.repository.commit({FILE: team.manifest("2", LONG), AFTER: after})
    team.client.look()
    team.on_trial_at(10, "2")
    assert not there(api, team, "after"), "the later wave waits for the trial"
    team.push("1", LONG)
    time.sleep(15)
    assert team.rollout.weight() == 10, "the revert waits too"
    let_in(team, api)
    began = time.monotonic()
    wait_for(lambda: team.rollout.weight() in {None, 0}, "weight 0")
    assert time.monotonic() - began < 10
    team.stable_on("1")
    wait_for(lambda: there(api, team, "after"), "the later wave", 120)


@pytest.mark.parametrize("tool", [WithDependents.title], indirect=True)
def test_what_depends_on_models_waits_for_the_trial_and_goes_on_after_a_rollback(
    team: Team, api: ApiClient
) -> None:
    client = team.client
    assert isinstance(client, WithDependents)
    app = {"apps/app.yaml": settings("app")}
    team.repository.commit({FILE: team.manifest("2", "20s"), **app})
    client.look()
    team.on_trial_at(10, "2")
    wait_for(lambda: client.apps_say() == "DependencyNotReady", "apps to wait")
    team.stable_on("2")
    wait_for(lambda: there(api, team, "app"), "apps to be applied", 90)
    team.push("3")
    team.rollout.wait_phase("RolledBack", 3)
    team.waits_to_say("ReconciliationSucceeded")
    wait_for(lambda: client.apps_say() == "ReconciliationSucceeded", "apps to go on", 90)
