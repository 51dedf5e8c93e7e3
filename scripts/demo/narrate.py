"""What the demo says while it goes on: a line for each change, and on a terminal one live line
below them.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from scripts.kube import Object

COLOURS = {
    "Promoted": "green",
    "RollingBack": "red",
    "RolledBack": "red",
    "Invalid": "red",
    "Trial": "yellow",
}
PLAIN_WIDTH = 140
HEARTBEAT = 15.0
"""Seconds between two signs of life where there is no terminal to animate."""
BAR = 20


class Narrator:
    """Writes to the terminal; plain lines without colour or motion where there is none,
    or in CI.
    """

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        self.moves = self.console.is_terminal and not os.environ.get("CI")
        if not self.moves:
            self.console = Console(
                highlight=False, width=PLAIN_WIDTH, force_terminal=False, color_system=None
            )
        self._started = time.monotonic()
        self._weight = 0

    def title(self, text: str) -> None:
        """A new part of the story."""
        self.console.print()
        self.console.print(f"[bold]{escape(text)}[/]")

    def say(self, text: str, mark: str = "", style: str = "cyan") -> None:
        """One line: seconds since the start, a mark of at most 12 characters, a sentence that wraps
        under itself.
        """
        at = f"{time.monotonic() - self._started:.0f} s"
        if not self.moves:
            self.console.print(f"{at:>6} {escape(mark):<12} {text}", soft_wrap=True)
            return
        grid = Table.grid(padding=(0, 1), expand=True)
        grid.add_column(width=5, justify="right", style="dim")
        grid.add_column(width=12, style=style, no_wrap=True)
        grid.add_column(ratio=1, overflow="fold")
        grid.add_row(at, escape(mark), text)
        self.console.print(grid)

    def status(self, status: Object) -> None:
        """A status of the rollout that says something new; a changed weight is drawn."""
        phase, weight = str(status.get("phase", "")), int(status.get("weight", 0))
        if weight != self._weight:
            self._weight = weight
            filled = round(weight * BAR / 100)
            self.say(
                f"[yellow]{'█' * filled}[/][dim]{'░' * (BAR - filled)}[/] {weight} %",
                "weight",
                "yellow",
            )
        self.say(escape(str(status.get("message", ""))), phase, COLOURS.get(phase, "cyan"))

    @contextmanager
    def busy(self, what: Callable[[], str]) -> Iterator[None]:
        """While the body runs, keep saying `what()`: on a live line on a terminal, in a line now
        and then elsewhere.
        """
        done = threading.Event()

        def tick() -> None:
            if self.moves:
                with self.console.status("") as live:
                    while not done.wait(0.3):
                        live.update(f"[dim]{escape(what())}[/]")
            else:
                while not done.wait(HEARTBEAT):
                    self.say(f"… {escape(what())}")

        ticker = threading.Thread(target=tick, name="narrator", daemon=True)
        ticker.start()
        try:
            yield
        finally:
            done.set()
            ticker.join(5)
