"""A URL for each view: filters, orders and pages of the table."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visits
from tests.support.seeded_board import People
from tests.support.seeds import TEAM_A, TEAM_B, Seed, seeds

SEEDS = {seed.place: seed for seed in seeds()}
VIEWS: dict[str, tuple[str, Callable[[Seed], bool]]] = {
    "a namespace": (f"namespace={TEAM_B}", lambda s: s.namespace == TEAM_B),
    "a phase": ("phase=Trial", lambda s: s.status.phase == "Trial"),
    "what waits for a person": (
        "phase=person",
        lambda s: s.name in {"fraud", "demand", "vision", "alerts"},
    ),
    "a part of a name": ("q=CHUR", lambda s: s.name == "churn"),
    "a version": ("q=prices%2F2", lambda s: s.name == "prices"),
    "two words": ("q=paused+team-a", lambda s: s.name == "demand"),
    "namespace and phase": (
        f"namespace={TEAM_A}&phase=RolledBack",
        lambda s: s.name == "prices",
    ),
    "nothing that is there": ("q=nothing-like-it", lambda _: False),
    "what cannot be read": ("sort=upwards&page=minus-one", lambda _: True),
}


def shown(page: Page) -> list[str]:
    """The rollouts on the screen, in order."""
    rows = page.locator("#rows tr").all()
    return [str(row.get_attribute("data-rollout")) for row in rows]


@pytest.mark.parametrize(("query", "fits"), VIEWS.values(), ids=VIEWS)
def test_a_url_filters(
    visit: Visits, people: People, query: str, fits: Callable[[Seed], bool]
) -> None:
    page = visit(people.watcher, f"/?{query}")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    assert set(shown(page)) == {place for place, seed in SEEDS.items() if fits(seed)}


@pytest.mark.parametrize(
    ("header", "sort", "key"),
    [
        ("Rollout", "name", lambda s: s.place),
        ("Phase", "phase", lambda s: s.status.phase),
    ],
    ids=["by name", "by phase"],
)
def test_a_header_sorts_and_the_url_says_so(
    visit: Visits, people: People, header: str, sort: str, key: Callable[[Seed], str]
) -> None:
    page = visit(people.watcher)
    page.get_by_role("link", name=header, exact=True).click()
    page.wait_for_url(f"**/?sort={sort}")
    order = [key(SEEDS[place]) for place in shown(page)]
    assert order == sorted(order)
    expect(page.locator("th[aria-sort]")).to_have_text(header)
    # The same for whom it is sent to.
    again = visit(people.watcher, page.url.removeprefix(page.url.split("/?")[0]))
    assert shown(again) == shown(page)


def test_a_filter_that_is_chosen_is_in_the_url(visit: Visits, people: People) -> None:
    page = visit(people.watcher)
    page.get_by_label("Namespace").select_option(TEAM_B)
    page.wait_for_url(f"**/?namespace={TEAM_B}")
    page.get_by_label("Text").fill("search")
    page.get_by_label("Text").press("Enter")
    page.wait_for_url("**/?q=search&namespace=team-b")
    assert shown(page) == [f"{TEAM_B}/search"]
    page.go_back()
    expect(page.locator("#rows tr")).to_have_count(
        sum(seed.namespace == TEAM_B for seed in SEEDS.values())
    )
    page.get_by_role("link", name="Clear").click()
    expect(page.locator("#rows tr")).to_have_count(len(SEEDS))


def test_what_is_not_there_is_said(visit: Visits, people: People) -> None:
    page = visit(people.watcher, "/?q=nothing-like-it")
    expect(page.locator("#empty")).to_contain_text("Nothing matches")
