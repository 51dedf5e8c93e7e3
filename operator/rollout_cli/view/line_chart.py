"""A line chart of a few rows: values over time against a threshold,
named at the end of each line.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from rich.text import Text

from rollout_cli.view.formatting import Marks

Point = tuple[float, float]
"""Unix time in seconds, value."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart; drawn over those before it."""

    name: str
    """Stands at its end, after the newest value."""
    style: str
    """A style of rich."""
    points: Sequence[Point]
    """In ascending time; without any it is not drawn."""

    def columns(self, start: float, end: float, width: int) -> list[float | None]:
        """One value for each column: the newest of its time, None where there is none."""
        found: list[float | None] = [None] * width
        for at, value in self.points:
            if start <= at <= end:
                found[min(width - 1, int((at - start) / (end - start) * width))] = value
        return _bridged(found)


def _bridged(values: list[float | None]) -> list[float | None]:
    """Short gaps, which come from samples further apart than columns, are filled with the value
    before them.
    """
    known = [i for i, v in enumerate(values) if v is not None]
    if len(known) < 2:
        return values
    usual = sorted(b - a for a, b in pairwise(known))[len(known) // 2 - (len(known) > 1)]
    for before, after in pairwise(known):
        if after - before <= 2 * usual + 1:
            values[before:after] = [values[before]] * (after - before)
    return values


def bounds(values: Sequence[float]) -> tuple[float, float]:
    """Lowest and highest value shown: all of them, with some air, within 0 and 1."""
    low, high = min(values), max(values)
    air = max(0.02, (high - low) * 0.15)
    return max(0.0, low - air), min(1.0, high + air)


@dataclass(frozen=True, slots=True)
class Frame:
    """Size and time of a chart."""

    width: int
    """Columns."""
    height: int
    """Rows, without the time axis below."""
    start: float
    """Unix seconds."""
    end: float
    """Unix seconds."""
    since: str
    """Name of the start."""


def chart(lines: Sequence[Line], threshold: float, frame: Frame, marks: Marks) -> list[Text]:
    """The rows of the chart, from above."""
    lines = [line for line in lines if line.points]
    low, high = bounds([v for line in lines for _, v in line.points] + [threshold])
    ends = [
        (line.points[-1][1], f"{line.points[-1][1]:.3f} {line.name}", line.style) for line in lines
    ]
    ends.append((threshold, f"{threshold:.3f} asked", "bold"))

    def row(value: float) -> int:
        return round((high - value) / (high - low) * (frame.height - 1))

    labels: dict[int, list[tuple[str, str]]] = {}
    for value, named, style in ends:
        labels.setdefault(row(value), []).append((named, style))
    room = max(sum(len(t) + 2 for t, _ in texts) for texts in labels.values())
    across = max(10, frame.width - 8 - room)
    cells = [[(" ", "")] * across for _ in range(frame.height)]
    cells[row(threshold)] = [(marks.gate, "bold")] * across
    for line in lines:
        _draw(
            cells,
            [None if v is None else row(v) for v in line.columns(frame.start, frame.end, across)],
            line.style,
            marks,
        )
    drawn = []
    for n, line_cells in enumerate(cells):
        axis = f"{high:.2f}" if n == 0 else f"{low:.2f}" if n == frame.height - 1 else ""
        text = Text(f"{axis:>6} ", style="dim", no_wrap=True).append(marks.axis, style="dim")
        for style, same in groupby(line_cells, key=lambda cell: cell[1]):
            text.append("".join(character for character, _ in same), style=style)
        for named, colour in labels.get(n, ()):
            text.append(f"  {named}", style=colour)
        drawn.append(text)
    drawn.append(
        Text(
            f"       {marks.corner}{frame.since}{'now':>{max(4, across - len(frame.since))}}",
            style="dim",
            no_wrap=True,
        )
    )
    return drawn


def _draw(
    cells: list[list[tuple[str, str]]], rows: Sequence[int | None], style: str, marks: Marks
) -> None:
    """Draw one line into the cells; `rows` has its row for each column."""
    up_right, right_down, down_right, right_up, vertical = marks.turns
    before: int | None = None
    for x, here in enumerate(rows):
        if here is not None and before is not None and here != before:
            above, below = min(here, before), max(here, before)
            cells[above][x] = (up_right if here < before else right_down, style)
            cells[below][x] = (right_up if here < before else down_right, style)
            for between in range(above + 1, below):
                cells[between][x] = (vertical, style)
        elif here is not None:
            cells[here][x] = (marks.level, style)
        before = here
