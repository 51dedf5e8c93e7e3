"""From what a terminal was sent to what stood on its screen: frames of styled lines."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pyte

from scripts.recording.cast import Cast

FAINT, GREY = 2, 90
SETTLED = 0.15
"""Seconds without output after which a screen counts as drawn."""


@dataclass(frozen=True, slots=True)
class Run:
    """Characters of one style."""

    column: int
    """Of the first character, from 0."""
    text: str
    """Without spaces at its ends."""
    colour: str = "default"
    """pyte's name for it."""
    bold: bool = False
    """As the terminal was told."""


Line = tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """A screen that stood still for a moment."""

    at: float
    """Seconds since the start."""
    lines: tuple[Line, ...]
    """From the top; an empty one has no runs."""


class _Screen(pyte.Screen):
    def select_graphic_rendition(self, *attrs: int, **kwargs: Any) -> None:
        # pyte knows no faint letters: they are grey here.
        super().select_graphic_rendition(*(GREY if a == FAINT else a for a in attrs), **kwargs)


def frames(cast: Cast) -> list[Frame]:
    """Every screen that stood still for a moment and differs from the one before."""
    screen = _Screen(cast.columns, cast.rows)
    stream = pyte.Stream(screen)
    found: list[Frame] = []
    for (at, text), after in zip(cast.events, _starts_of_next(cast.events), strict=True):
        stream.feed(text)
        if after - at < SETTLED:
            continue
        lines = tuple(_line(screen.buffer[row], cast.columns) for row in range(cast.rows))
        if not found or found[-1].lines != lines:
            found.append(Frame(at, lines))
    return found


def _starts_of_next(events: Sequence[tuple[float, str]]) -> Iterator[float]:
    yield from (at for at, _ in events[1:])
    if events:
        yield float("inf")


def _line(cells: Any, columns: int) -> Line:
    runs, column = [], 0
    styled = ((cells[c].data, (cells[c].fg, bool(cells[c].bold))) for c in range(columns))
    for (colour, bold), group in groupby(styled, key=lambda cell: cell[1]):
        text = "".join(data for data, _ in group)
        if text.strip():
            shown = text.rstrip()
            before = len(shown) - len(shown.lstrip())
            runs.append(Run(column + before, shown.lstrip(), colour, bold))
        column += len(text)
    return tuple(runs)
