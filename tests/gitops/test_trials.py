"""What docs/guides/gitops.md, argo-cd.md and flux.md say of a trial, with the tools themselves."""

import time
from collections import Counter

import pytest

from tests.gitops.conftest import CLIENTS
from tests.support.api_client import ApiClient, wait_for
from tests.support.gitops import (
    DEPLOYED,
    FILE,
    HALTED,
    IN_MID_TRIAL,
    LONG,
    MADE_AGAIN,
    PAUSED,
    PROMOTED,
    PRUNED,
    REVERTED,
    ROLLED_BACK,
    SUSPENDED,
    TAKEN_BACK,
    TRIAL,
    UNREGISTERED,
    Team,
)
from tests.support.scripted_world import ScriptedWorld

with_each = pytest.mark.parametrize("tool", CLIENTS, indirect=True)
SAID = {
    "Argo CD": {
        "promoted": "Synced, Healthy",
        "on trial": "Synced, Progressing",
        "rolled back": "Synced, Degraded",
        "halted": "Synced, Suspended",
        "not registered": "Synced, Degraded",
        "paused": "Synced, Suspended",
    },
    "Flux": dict.fromkeys(
        ("promoted", "on trial", "rolled back", "halted", "not registered", "paused"),
        "ReconciliationSucceeded",
    ),
    "Flux, wait: true": {
        "promoted": "ReconciliationSucceeded",
        "on trial": "Progressing",
        "rolled back": "HealthCheckFailed",
        "halted": "HealthCheckFailed",
        "not registered": "HealthCheckFailed",
        "paused": "Progressing",
    },
}
SAID["Argo CD, three waves"] = SAID["Argo CD"]
WHEN = {title: "at once" if "Argo" in title else "at the next apply" for title in CLIENTS}
SENTENCE = "accuracy 0.62 is below 0.7"
WHY = {title: SENTENCE for title in CLIENTS if "Argo" in title} | {
    "Flux": "Applied revision",
    "Flux, wait: true": "status: 'Failed'",
}
"""What each says of a rollback: Flux never the sentence."""
AT_ONCE = 10.0
"""Seconds from the fetch of a revert to weight 0."""


def says(team: Team, state: str) -> str:
    said = SAID[team.client.title][state]
    team.waits_to_say(said)
    return said


@with_each
def test_a_good_version_is_promoted_and_the_tool_says_how_far_it_is(team: Team) -> None:
    team.note(DEPLOYED, says(team, "promoted"), team.deployed_after)
    team.push("2", hold="15s")
    team.on_trial_at(10, "2")
    team.note(TRIAL, says(team, "on trial"))
    team.stable_on("2")
    team.note(PROMOTED, says(team, "promoted"))


@with_each
def test_a_bad_version_is_rolled_back_and_a_revert_makes_the_tool_content(team: Team) -> None:
    team.push("3")
    team.rollout.wait_phase("RolledBack", 2)
    team.note(ROLLED_BACK, says(team, "rolled back"))
    wait_for(lambda: SENTENCE in team.event("GateFailed"), "an Event with the sentence")
    wait_for(lambda: WHY[team.client.title] in team.why(), "the tool to say why")
    before = team.rollout.deployments()["1"]["metadata"]["uid"]
    commit = team.push("1")
    seconds = team.seconds_after_fetch(
        commit, lambda: team.rollout.status().get("phase") == "Promoted"
    )
    assert seconds < 30, "within half a minute"
    team.note(REVERTED, says(team, "promoted"), seconds)
    assert team.rollout.deployments()["1"]["metadata"]["uid"] == before, "without a trial"


@with_each
def test_a_revert_in_mid_trial_is_applied_at_once(team: Team) -> None:
    """Five times: pushed at 10 %, and weight 0 within ten seconds of the fetch."""
    took = []
    for _ in range(5):
        team.push("2", hold=LONG)
        team.on_trial_at(10, "2")
        commit = team.push("1", hold=LONG)
        took.append(team.seconds_after_fetch(commit, lambda: team.rollout.weight() in {None, 0}))
        team.stable_on("1")
    print(team.client.title, [f"{seconds:.1f} s" for seconds in took])
    assert max(took) < AT_ONCE
    team.note(IN_MID_TRIAL, "cancelled", max(took))
    verdicts = Counter(past["verdict"] for past in team.rollout.status()["history"])
    assert verdicts == {"Promoted": 1, "Cancelled": 5}


@with_each
def test_a_halted_trial_waits_for_a_person(team: Team) -> None:
    team.push("3", on_failure="Pause")
    wait_for(lambda: team.rollout.status().get("halted"), "the verdict", 60)
    team.note(HALTED, says(team, "halted"))
    team.push("1")
    team.stable_on("1")
    says(team, "promoted")


@with_each
def test_a_version_that_is_registered_later_is_tried_then(team: Team, world: ScriptedWorld) -> None:
    team.push("9")
    wait_for(
        lambda: team.rollout.condition("Stalled").get("reason") == "ModelVersionNotFound",
        "the operator to say that it is not registered",
    )
    said = says(team, "not registered")
    world.accuracy["9"] = 0.95
    team.stable_on("9")
    says(team, "promoted")
    team.note(UNREGISTERED, f"{said}, then promoted")


@with_each
def test_a_pause_in_git_holds_until_git_takes_it_back(team: Team) -> None:
    team.push("2", hold="20s")
    team.on_trial_at(10, "2")
    team.push("2", hold="20s", paused=True)
    wait_for(lambda: team.rollout.status().get("pausedSince"), "the pause")
    said = says(team, "paused")
    time.sleep(25)
    assert team.rollout.weight() == 10, "longer than the hold"
    team.push("2", hold="20s", paused=False)
    team.stable_on("2")
    team.note(PAUSED, f"{said}, then promoted")


@with_each
def test_a_suspended_tool_applies_nothing(team: Team) -> None:
    team.client.suspend()
    team.push("2")
    time.sleep(5)
    assert "2" not in team.rollout.deployments()
    team.client.resume()
    team.stable_on("2")
    team.note(SUSPENDED, "nothing is applied")


@with_each
def test_what_another_wrote_is_taken_back(team: Team, api: ApiClient) -> None:
    """Of what Git has; Argo CD by self-healing, Flux when it applies again."""
    api.patch(team.rollout.path, {"spec": {"modelUri": "models:/iris/2"}}).raise_for_status()
    team.client.apply_again()
    wait_for(
        lambda: api.get(team.rollout.path)["spec"]["modelUri"] == "models:/iris/1",
        "Git's version to be back",
    )
    team.note(TAKEN_BACK, WHEN[team.client.title])
    team.stable_on("1")


@with_each
def test_what_another_deleted_is_made_again(team: Team, api: ApiClient) -> None:
    before = api.get(team.rollout.path)
    api.http.delete(team.rollout.path).raise_for_status()

    def again() -> bool:
        found = api.http.get(team.rollout.path)
        return found.is_success and found.json()["metadata"]["uid"] != before["metadata"]["uid"]

    team.client.apply_again()
    wait_for(again, "it to be there again")
    assert api.get(team.rollout.path)["spec"] == before["spec"]
    team.note(MADE_AGAIN, WHEN[team.client.title])


@with_each
def test_a_model_that_is_taken_out_of_git_goes_in_mid_trial_too(team: Team, api: ApiClient) -> None:
    team.push("2", hold=LONG)
    team.on_trial_at(10, "2")
    commit = team.repository.commit({FILE: None})
    team.client.look()
    seconds = team.seconds_after_fetch(
        commit, lambda: api.http.get(team.rollout.path).status_code == 404
    )
    team.note(PRUNED, "deleted", seconds)


@with_each
def test_at_rest_the_tool_has_nothing_to_do(team: Team, api: ApiClient) -> None:
    """Synced and Healthy, and no write to the ModelRollout, while it is applied again."""
    says(team, "promoted")
    team.rollout.wait_reported(1)
    before = api.get(team.rollout.path)
    for _ in range(5):
        team.client.look()
        team.client.apply_again()
        time.sleep(2)
        says(team, "promoted")
    after = api.get(team.rollout.path)
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
