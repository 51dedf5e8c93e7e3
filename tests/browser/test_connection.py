"""The connection is lost and found again: between dashboard and API server, and between browser and
dashboard.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visits
from tests.support.api_client import Address
from tests.support.dashboard_process import DashboardProcess
from tests.support.relay import Relay
from tests.support.seeded_board import People, SeededBoard
from tests.support.seeds import TEAM_A, Seed

NAMESPACES = {"NAMESPACES": TEAM_A}


@pytest.fixture
def iris(stage: SeededBoard) -> Iterator[Seed]:
    """A rollout at rest, which is as it was again when the test is over."""
    seed = next(seed for seed in stage.seeds if seed.name == "iris")
    yield seed
    seed.replant(stage.api)


def changed(stage: SeededBoard, seed: Seed, message: str) -> None:
    """Something happens to a rollout."""
    shortage = {"ready": 1, "wanted": 2, "since": "2026-11-29T00:00:00Z", "message": message}
    reply = stage.api.patch(f"{seed.path}/status", {"status": {"shortage": shortage}})
    assert reply.status_code == 200, reply.text


def is_live(page: Page, live: bool = True) -> None:
    """Wait until the page says so."""
    expect(page.locator("#live")).to_have_attribute("data-state", "live" if live else "lost")


def test_the_api_server_goes_away_and_comes_back(
    visit: Visits, stage: SeededBoard, people: People, place: Path, iris: Seed
) -> None:
    kubeconfig = stage.api.kubeconfig
    target = urlsplit(Address.of(kubeconfig).server).port
    assert target is not None
    with Relay(target) as relay:
        url = f"https://127.0.0.1:{relay.port}"
        log = place / "cut-off.log"
        with DashboardProcess(kubeconfig, log, url, **NAMESPACES) as board:
            page = visit(people.reader, url=board.url)
            is_live(page)
            visit.excuse("ERR_CONNECTION_REFUSED")  # when the dashboard ends
            relay.cut()
            is_live(page, False)
            expect(page.locator("#live")).to_contain_text("did not answer")
            # What was seen last stays on the screen.
            expect(page.locator(f'tr[data-rollout="{iris.place}"]')).to_be_visible()
            changed(stage, iris, "1 of 2 pods is Ready: while nobody looked")
            relay.mend()
            is_live(page)
            expect(page.locator("#rows")).to_contain_text("while nobody looked")


def test_the_browser_is_cut_off_and_catches_up(
    visit: Visits, stage: SeededBoard, people: People, place: Path, iris: Seed
) -> None:
    board = DashboardProcess(stage.api.kubeconfig, place / "behind.log", **NAMESPACES)
    with Relay(board.port) as relay:
        url = f"http://127.0.0.1:{relay.port}"
        board.environment["PUBLIC_URL"] = url
        with board:
            page = visit(people.reader, url=url)
            is_live(page)
            visit.excuse("ERR_")
            relay.cut()
            is_live(page, False)
            changed(stage, iris, "1 of 2 pods is Ready: while we were away")
            relay.mend()
            is_live(page)
            expect(page.locator("#rows")).to_contain_text("while we were away")


def test_a_dashboard_that_was_restarted_asks_to_log_in_and_leads_back(
    visit: Visits, stage: SeededBoard, people: People, place: Path
) -> None:
    with DashboardProcess(stage.api.kubeconfig, place / "restarted.log", **NAMESPACES) as board:
        page = visit(people.reader, f"/rollouts/{TEAM_A}/churn", url=board.url)
        is_live(page)
        visit.excuse("ERR_", "401")
        board.stop()
        is_live(page, False)
        board.start()
        page.reload()
        page.get_by_label("Token").fill(people.reader.token)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("churn")
        is_live(page)


def test_one_rollout_is_live_again_too(
    visit: Visits, stage: SeededBoard, people: People, place: Path, iris: Seed
) -> None:
    board = DashboardProcess(stage.api.kubeconfig, place / "one.log", **NAMESPACES)
    with Relay(board.port) as relay:
        url = f"http://127.0.0.1:{relay.port}"
        board.environment["PUBLIC_URL"] = url
        with board:
            page = visit(people.reader, f"/rollouts/{TEAM_A}/iris", url=url)
            is_live(page)
            visit.excuse("ERR_")
            relay.cut()
            is_live(page, False)
            later = replace(iris, status=iris.status.model_copy(update={"message": "meanwhile"}))
            stage.api.patch(f"{iris.path}/status", {"status": later.status.to_api()})
            relay.mend()
            expect(page.locator("#status")).to_contain_text("meanwhile")
