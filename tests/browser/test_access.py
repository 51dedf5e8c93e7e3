"""For everybody: axe-core on each page, in light and dark, on a desk and on a phone; and all of it
by the keyboard alone.
"""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.browser.conftest import ColorScheme, Visits
from tests.support import chromium
from tests.support.seeded_board import People
from tests.support.seeds import TEAM_A
from tests.support.viewers import Viewer

CHURN = f"/rollouts/{TEAM_A}/churn"
Choose = Callable[[People], Viewer | None]
Prepare = Callable[[Page], None]


def _nothing(page: Page) -> None:
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def _drawn(page: Page) -> None:
    expect(page.locator("#plots canvas").first).to_be_visible()


def _unfolded(page: Page) -> None:
    page.get_by_role("button", name="Measure now").click()
    expect(page.locator("#evidence article").first).to_be_visible()
    page.get_by_text("As YAML").click()


def _asked(page: Page) -> None:
    page.locator('[data-action="abort"]').click()
    expect(page.get_by_role("dialog")).to_be_visible()


PAGES: dict[str, tuple[Choose, str, Prepare]] = {
    "login": (lambda _: None, "/login", _nothing),
    "all rollouts": (lambda p: p.watcher, "/", _nothing),
    "no rollouts": (lambda p: p.stranger, "/", _nothing),
    "nothing matches": (lambda p: p.watcher, "/?q=nothing-like-it", _nothing),
    "one rollout": (lambda p: p.admin, CHURN, _drawn),
    "one rollout, all of it": (lambda p: p.admin, CHURN, _unfolded),
    "one that failed": (lambda p: p.admin, f"/rollouts/{TEAM_A}/prices", _drawn),
    "one that is invalid": (lambda p: p.admin, f"/rollouts/{TEAM_A}/vision", _nothing),
    "one attempt": (lambda p: p.admin, f"/rollouts/{TEAM_A}/prices/attempts/2", _drawn),
    "a command, as a page": (lambda p: p.admin, f"{CHURN}/actions/promote", _nothing),
    "a command, as a dialog": (lambda p: p.admin, CHURN, _asked),
    "a command that is refused": (lambda p: p.reader, f"{CHURN}/actions/promote", _nothing),
}
WINDOWS = {"desk": chromium.DESK, "phone": chromium.PHONE}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
@pytest.mark.parametrize(("who", "path", "prepare"), PAGES.values(), ids=PAGES)
def test_axe_finds_nothing_serious(
    visit: Visits,
    people: People,
    who: Choose,
    path: str,
    prepare: Prepare,
    window: ViewportSize,
    scheme: ColorScheme,
) -> None:
    page = visit(who(people), path, viewport=window, scheme=scheme)
    prepare(page)
    assert chromium.complaints(page) == []
    assert chromium.overflow(page) <= 0, "the page is wider than the window"


def test_dark_is_dark_and_can_be_chosen(visit: Visits, people: People) -> None:
    page = visit(people.watcher)

    def light() -> float:
        """Of the background, from 0 to 765."""
        value: float = page.evaluate(
            "() => getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g)"
            ".slice(0, 3).map(Number).reduce((a, b) => a + b)"
        )
        return value

    assert light() > 600
    page.get_by_role("button", name="Change between light and dark").click()
    assert light() < 200
    # It stays for the next page.
    page.goto(CHURN)
    assert light() < 200


def pressed(page: Page, key: str, until: str, most: int = 60) -> None:
    """Press a key until the element that a selector names has the focus."""
    for _ in range(most):
        if page.evaluate("s => document.activeElement?.matches(s)", until):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{most} times {key} do not lead to {until}")


def test_all_of_it_by_the_keyboard(visit: Visits, people: People) -> None:
    page = visit(people.admin)
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    pressed(page, "Tab", '#filter input[name="q"]')
    page.keyboard.type("churn")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?q=churn")
    pressed(page, "Tab", '#rows a[href$="/churn"]')
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{CHURN}")
    pressed(page, "Tab", '[data-action="abort"]')
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Why?")).to_be_focused()
    # The focus stays inside as long as it is open, and is back where it was afterwards.
    for _ in range(8):
        page.keyboard.press("Tab")
        outside = "() => !document.activeElement.closest('dialog') &&"
        assert not page.evaluate(f"{outside} document.activeElement !== document.body")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.locator('[data-action="abort"]')).to_be_focused()


def test_what_has_the_focus_shows_it(visit: Visits, people: People) -> None:
    page = visit(people.admin, CHURN)
    for _ in range(12):
        page.keyboard.press("Tab")
        seen = page.evaluate(
            "() => { const s = getComputedStyle(document.activeElement);"
            " return s.outlineStyle !== 'none' || s.boxShadow !== 'none'"
            " || document.activeElement === document.body; }"
        )
        assert seen, page.evaluate("() => document.activeElement.outerHTML")
