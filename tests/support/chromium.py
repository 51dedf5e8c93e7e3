"""Debian's Chromium, driven by Playwright, and axe-core inside its pages.

No browser is downloaded: the one of the system is used, and installed where it is missing.
axe-core lies beside this file as its authors publish it (MPL-2.0, `axe/LICENSE`); its one file is
given to pages by the browser, and is no part of anything that is shipped.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, sync_playwright

from scripts.cluster.debian import apt_get

AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text()
SERIOUS = frozenset({"serious", "critical"})
"""Impacts by axe-core's words that no page may have."""
PATIENCE = 30_000.0
"""Milliseconds to wait for anything on a page; no test asserts how long something takes."""
PHONE = ViewportSize(width=390, height=844)
DESK = ViewportSize(width=1280, height=900)
VARIABLE = "CHROMIUM"
PACKAGES = ("chromium", "fonts-dejavu-core", "fonts-liberation")
"""The browser, and fonts that it has letters and widths from."""


class NoBrowserError(RuntimeError):
    """There is no Chromium, and none can be installed; the message says what helps."""


def executable() -> Path:
    """The browser that CHROMIUM names, or the system's; installed by apt where it is missing.

    Raises NoBrowserError.
    """
    if named := os.environ.get(VARIABLE):
        if not (found := shutil.which(named)):
            raise NoBrowserError(f"{VARIABLE}={named} is no program: name a Chromium or Chrome.")
        return Path(found)
    if (there := _found()) is not None:
        return there
    if os.name != "posix" or os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise NoBrowserError(
            "The browser tests need Chromium, and none is installed: `sudo apt-get install"
            f" {' '.join(PACKAGES)}`, or set {VARIABLE} to the path of a Chromium or Chrome."
        )
    apt_get(lambda: () if _found() else PACKAGES)
    if (there := _found()) is None:
        raise NoBrowserError("apt-get has installed chromium, and no such program is on PATH.")
    return there


def _found() -> Path | None:
    names = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
    return next((Path(p) for name in names if (p := shutil.which(name))), None)


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """A browser without windows. Raises NoBrowserError."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=executable(),
            # Root has no sandbox; /dev/shm is small in containers.
            args=["--no-sandbox", "--disable-dev-shm-usage"],
        )
        try:
            yield running
        finally:
            running.close()


@dataclass(frozen=True)
class Complaint:
    """One rule of axe-core that a page breaks."""

    rule: str
    """Its id: color-contrast."""
    impact: str
    """minor, moderate, serious or critical."""
    help: str
    """What should be."""
    where: tuple[str, ...]
    """Selectors of the elements that break it, and why, at most five."""


def complaints(page: Page) -> list[Complaint]:
    """What axe-core says against a page as it is now: what it calls serious or critical."""
    # The page's own policy lets no script in: this one comes by the browser's debugger.
    page.evaluate(AXE)
    found: dict[str, Any] = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        Complaint(
            one["id"],
            one["impact"],
            one["help"],
            tuple(
                f"{node['target']}: {' '.join(node['failureSummary'].split())}"
                for node in one["nodes"][:5]
            ),
        )
        for one in found["violations"]
        if one["impact"] in SERIOUS
    ]


def overflow(page: Page) -> int:
    """Pixels by which a page is wider than its window."""
    wider: int = page.evaluate(
        "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return wider


@dataclass
class Witness:
    """What a context's pages did that they should not: asked other hosts, broke their policy."""

    context: BrowserContext
    home: str
    """The only origin that may be asked."""
    strangers: list[str]
    """URLs of other hosts that were asked."""
    errors: list[str]
    """What the console calls an error, broken Content-Security-Policy included."""
    excused: tuple[str, ...] = ()
    """What errors may say where a test causes them."""

    @classmethod
    def of(cls, context: BrowserContext, home: str) -> "Witness":
        """One that looks from now on."""
        made = cls(context, home, [], [])
        context.on("request", lambda request: made._asked(request.url))
        context.on("console", lambda said: made._said(said.type, said.text))
        context.on("weberror", lambda error: made.errors.append(str(error.error)))
        return made

    def unexcused(self) -> list[str]:
        """The errors that no test has caused."""
        return [e for e in self.errors if not any(word in e for word in self.excused)]

    def _asked(self, url: str) -> None:
        if not url.startswith((f"{self.home}/", "data:", "blob:")):
            self.strangers.append(url)

    def _said(self, kind: str, text: str) -> None:
        if kind == "error":
            self.errors.append(text)
