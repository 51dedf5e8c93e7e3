"""`make screenshots`: pictures of the dashboard's pages for docs/pictures, by Chromium, of seeded
rollouts; light, dark and on a phone.
"""

import io
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.browser.conftest import ColorScheme, log_in
from tests.support import chromium
from tests.support.seeded_board import SeededBoard, seeded_board
from tests.support.seeds import TEAM_A

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
COLOURS = 200
LARGEST = 150 * 1024
"""Bytes of a picture."""
CHURN, ATTEMPT = f"/rollouts/{TEAM_A}/churn", f"/rollouts/{TEAM_A}/prices/attempts/2"
WIDE, TALL = ViewportSize(width=1240, height=760), ViewportSize(width=1240, height=1500)


def _live(page: Page) -> None:
    expect(page.locator("#live")).to_have_attribute("data-state", "live")


def _drawn(page: Page) -> None:
    expect(page.locator("#plots canvas").first).to_be_visible()


def _asked(page: Page) -> None:
    page.locator('[data-action="promote"]').click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Why?").fill("The labels that are missing are of one customer only.")


@dataclass(frozen=True)
class Shot:
    """One picture."""

    name: str
    """Of the file, without dashboard- and .png."""
    path: str
    """Of the page."""
    window: ViewportSize
    """What of it is seen."""
    scheme: ColorScheme
    """Light or dark."""
    ready: Callable[[Page], None]
    """Waits until it is as it is to be."""
    who: str = "admin"
    """One of People; "" for nobody."""


SHOTS = (
    Shot("rollouts", "/", WIDE, "light", _live, "watcher"),
    Shot("rollouts-dark", "/", WIDE, "dark", _live, "watcher"),
    Shot("rollout", CHURN, TALL, "light", _drawn),
    Shot("attempt-dark", ATTEMPT, TALL, "dark", _drawn),
    Shot("command", CHURN, WIDE, "light", _asked),
    Shot("login-dark", "/login", WIDE, "dark", lambda _: None, who=""),
    Shot("rollouts-phone", "/", chromium.PHONE, "light", _live, "watcher"),
    Shot("rollout-phone-dark", CHURN, chromium.PHONE, "dark", _drawn),
)


def small(png: bytes) -> bytes:
    """The same picture with few colours."""
    picture = Image.open(io.BytesIO(png)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True)
    return out.getvalue()


def take(browser: Browser, stage: SeededBoard, shot: Shot) -> bytes:
    """One picture, as PNG."""
    context = browser.new_context(
        base_url=stage.board.url,
        viewport=shot.window,
        color_scheme=shot.scheme,
        reduced_motion="reduce",
        locale="en-GB",
        timezone_id="UTC",
    )
    if shot.who:
        log_in(context, stage.board.url, getattr(stage.people, shot.who))
    page = context.new_page()
    page.goto(shot.path)
    shot.ready(page)
    page.wait_for_load_state()
    png = page.screenshot(animations="disabled", caret="hide")
    context.close()
    return small(png)


def main() -> int:
    with (
        tempfile.TemporaryDirectory(prefix="screenshots-") as place,
        seeded_board(Path(place)) as stage,
        chromium.browser() as browser,
    ):
        for shot in SHOTS:
            file, png = FOLDER / f"dashboard-{shot.name}.png", take(browser, stage, shot)
            assert len(png) <= LARGEST, f"{file.name} has {len(png)} bytes"
            file.write_bytes(png)
            print(f"{file.name}: {len(png) / 1024:.0f} KiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
