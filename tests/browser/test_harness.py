"""What the other tests stand on: seeds that are as the operator's own, rights that hold, and a
browser whose axe-core finds what is wrong.
"""

from collections.abc import Sequence

import pytest
from playwright.sync_api import Browser

from rollout_operator.domain.api.names import GROUP, PLURAL
from rollout_operator.domain.api.words import Phase
from tests.support import chromium
from tests.support.api_client import ApiClient, wait_for
from tests.support.kinds import path_of
from tests.support.seeded_board import SeededBoard
from tests.support.seeds import TEAM_A, TEAM_B, seeds
from tests.support.viewers import READS, STEERS, Rule, dismiss, may, viewer


def test_every_phase_has_a_seed() -> None:
    assert {seed.status.phase for seed in seeds()} == set(Phase)


def test_the_api_server_keeps_seeds_whole(stage: SeededBoard) -> None:
    for seed in stage.seeds:
        seed.replant(stage.api)  # Another test may have changed it before.
        there = stage.api.get(seed.path)
        kept, generation = there["status"], there["metadata"]["generation"]
        meant = {**seed.status.to_api(), "observedGeneration": generation}
        assert {field for field in meant if kept.get(field) != meant[field]} == set(), seed.place


@pytest.mark.parametrize(
    ("rules", "namespaces", "verb", "namespace", "allowed"),
    [
        pytest.param((), None, "list", TEAM_A, False, id="nobody looks"),
        pytest.param(READS, [TEAM_A], "list", TEAM_A, True, id="a reader looks"),
        pytest.param(READS, [TEAM_A], "list", TEAM_B, False, id="a reader looks elsewhere"),
        pytest.param(READS, [TEAM_A], "patch", TEAM_A, False, id="a reader steers"),
        pytest.param(STEERS, [TEAM_A], "patch", TEAM_A, True, id="an admin steers"),
        pytest.param(STEERS, None, "patch", TEAM_B, True, id="an admin of all steers anywhere"),
    ],
)
def test_rights_hold(
    api: ApiClient,
    rules: Sequence[Rule],
    namespaces: list[str] | None,
    verb: str,
    namespace: str,
    allowed: bool,
    request: pytest.FixtureRequest,
) -> None:
    name = request.node.callspec.id.replace(" ", "-")
    who = viewer(api, name, rules, namespaces)
    wait_for(
        lambda: may(api, who.user, verb, PLURAL, GROUP, namespace) is allowed, "RBAC to be known"
    )


def test_a_token_of_a_deleted_account_is_refused(api: ApiClient) -> None:
    who = viewer(api, "leaver", READS)
    path, mine = path_of("ModelRollout"), {"Authorization": f"Bearer {who.token}"}
    wait_for(lambda: api.http.get(path, headers=mine).status_code == 200, "the token to be taken")
    dismiss(api, who)
    wait_for(lambda: api.http.get(path, headers=mine).status_code == 401, "it to be refused")


def test_axe_finds_what_is_wrong(browser: Browser) -> None:
    page = browser.new_page()
    page.set_content("<html lang=en><title>t</title><main><h1>t</h1><input></main></html>")
    assert [one.rule for one in chromium.complaints(page)] == ["label"]
