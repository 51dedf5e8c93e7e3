"""One browser, and one dashboard before seeded rollouts, for the whole run of a worker; pages of
its own for each test.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

from tests.support import chromium
from tests.support.api_client import ApiClient
from tests.support.audit_log import AuditLog
from tests.support.board_client import BoardClient
from tests.support.chromium import Witness
from tests.support.dashboard_process import DashboardProcess
from tests.support.seeded_board import People, SeededBoard, seeded_board
from tests.support.viewers import Viewer

ColorScheme = Literal["light", "dark"]
expect.set_options(timeout=chromium.PATIENCE)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium.browser() as running:
        yield running


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("browser")


@pytest.fixture(scope="session")
def stage(place: Path) -> Iterator[SeededBoard]:
    with seeded_board(place) as running:
        yield running
        print(running.board.tail())  # pytest shows it where the last test fails


@pytest.fixture
def api(stage: SeededBoard) -> ApiClient:
    return stage.api


@pytest.fixture
def audit(stage: SeededBoard) -> AuditLog:
    return stage.audit


@pytest.fixture
def people(stage: SeededBoard) -> People:
    return stage.people


@pytest.fixture
def board(stage: SeededBoard) -> DashboardProcess:
    return stage.board


class Visits:
    """Opens pages for people, in a browser context of their own, and watches over all of them."""

    def __init__(self, browser: Browser, board: DashboardProcess) -> None:
        self._browser, self._board = browser, board
        self.witnesses: list[Witness] = []

    def __call__(
        self,
        who: Viewer | None,
        path: str = "/",
        url: str = "",
        viewport: ViewportSize = chromium.DESK,
        scheme: ColorScheme = "light",
    ) -> Page:
        """A page of somebody who is logged in, or of nobody.

        url: where the dashboard is reached, for one that is not the usual one.
        """
        home = url or self._board.url
        context = self._browser.new_context(
            base_url=home, viewport=viewport, color_scheme=scheme, reduced_motion="reduce"
        )
        context.set_default_timeout(chromium.PATIENCE)
        if who is not None:
            log_in(context, home, who)
        self.witnesses.append(Witness.of(context, home))
        page = context.new_page()
        page.goto(path)
        return page

    def excuse(self, *words: str) -> None:
        """Errors of the console that say one of these are to be expected from now on."""
        for witness in self.witnesses:
            witness.excused += words


def log_in(context: BrowserContext, url: str, who: Viewer) -> None:
    """Give a browser the session of somebody who has logged in."""
    for cookie in BoardClient.of(url, who.token).http.cookies.jar:
        context.add_cookies([{"name": cookie.name, "value": cookie.value or "", "url": url}])


@pytest.fixture
def visit(browser: Browser, board: DashboardProcess) -> Iterator[Visits]:
    """No test is passed whose pages have asked another host, or broken their own policy."""
    visits = Visits(browser, board)
    yield visits
    for witness in visits.witnesses:
        witness.context.close()
        assert witness.strangers == []
        assert witness.unexcused() == []
