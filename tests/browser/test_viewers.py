"""Viewers with different rights side by side, and one whose rights end."""

from playwright.sync_api import Page, expect

from rollout_cli.api.commands_patch import Verb
from tests.browser.conftest import Visits
from tests.support.seeded_board import People, SeededBoard
from tests.support.seeds import TEAM_A, TEAM_B
from tests.support.viewers import READS, dismiss, viewer


def namespaces(page: Page) -> set[str]:
    """The namespaces of the rollouts on the screen."""
    rows = page.locator("#rows tr")
    expect(rows.first).to_be_attached()
    return {str(row.get_attribute("data-rollout")).split("/")[0] for row in rows.all()}


def test_each_sees_what_he_may(visit: Visits, people: People) -> None:
    # Other tests of the same worker may have a namespace of their own.
    assert namespaces(visit(people.watcher)) >= {TEAM_A, TEAM_B}
    assert namespaces(visit(people.reader)) == {TEAM_A}
    nobody = visit(people.stranger)
    expect(nobody.locator("#rows tr")).to_have_count(0)
    expect(nobody.locator("#empty")).to_contain_text("You may not list ModelRollouts")


def test_a_change_reaches_only_those_who_may_see_it(
    visit: Visits, people: People, stage: SeededBoard
) -> None:
    seed = next(seed for seed in stage.seeds if seed.namespace == TEAM_B)
    watcher, reader = visit(people.watcher), visit(people.reader)
    before = reader.locator("#rows").inner_text()
    try:
        stage.api.patch(f"{seed.path}/status", {"status": {"waitsFor": "something secret"}})
        expect(watcher.locator("#rows")).to_contain_text("something secret")
        reader.reload()
        expect(reader.locator("#rows")).not_to_contain_text("something secret")
        assert reader.locator("#rows tr").count() == len(before.splitlines()) or before
    finally:
        seed.replant(stage.api)


def test_buttons_are_there_for_those_who_may_press_them(visit: Visits, people: People) -> None:
    path = f"/rollouts/{TEAM_A}/churn"
    expected = [Verb.ABORT, Verb.PROMOTE, Verb.SKIP, Verb.PAUSE]
    shown = {
        name: {
            str(button.get_attribute("data-action"))
            for button in visit(who, path).locator("[data-action]").all()
        }
        for name, who in (("admin", people.admin), ("reader", people.reader))
    }
    assert shown == {"admin": set(expected), "reader": set()}


def test_who_may_not_steer_is_told_so(visit: Visits, people: People) -> None:
    page = visit(people.reader, f"/rollouts/{TEAM_A}/churn/actions/abort")
    expect(page.locator("#refused")).to_contain_text("the right to patch ModelRollouts")
    expect(page.locator("form#confirm")).to_have_count(0)


def test_what_one_may_not_read_is_refused_in_words(visit: Visits, people: People) -> None:
    page = visit(people.reader)
    visit.excuse("403")
    page.goto(f"/rollouts/{TEAM_B}/search")
    expect(page.get_by_role("heading", level=1)).to_have_text("Refused")
    expect(page.locator("main")).not_to_contain_text("search/2")


def test_a_token_that_is_taken_back_ends_the_session(visit: Visits, stage: SeededBoard) -> None:
    who = viewer(stage.api, "leaving", READS, [TEAM_A])
    page = visit(who)
    expect(page.locator("#rows tr").first).to_be_attached()
    visit.excuse("401")
    dismiss(stage.api, who)
    # The page that is open learns it by itself, and nothing more comes.
    expect(page.locator("#expired")).to_contain_text("log in again", timeout=90_000)
    expect(page.locator("#live")).to_have_attribute("data-state", "login")
    page.goto(f"/rollouts/{TEAM_A}/churn")
    expect(page.get_by_label("Token")).to_be_visible()
    expect(page.locator("body")).not_to_contain_text("churn/2")
