"""The chart of a few rows."""

from rollout_cli.view.formatting import PLAIN, PRETTY
from rollout_cli.view.line_chart import Frame, Line, chart

FRAME = Frame(width=48, height=6, start=0, end=20, since="20 s ago")


def rows(*lines: Line, frame: Frame = FRAME) -> list[str]:
    return [text.plain.rstrip() for text in chart(lines, 0.7, frame, PRETTY)]


def test_a_step_up_is_drawn_against_the_threshold() -> None:
    drawn = rows(Line("candidate", "", [(n, 0.72 if n < 10 else 0.9) for n in range(21)]))
    assert drawn == [
        "  0.93 ┤",
        "       ┤           ╭───────────  0.900 candidate",
        "       ┤           │",
        "       ┤           │",
        "       ┤───────────╯╌╌╌╌╌╌╌╌╌╌╌  0.700 asked",
        "  0.67 ┤",
        "       └20 s ago            now",
    ]


def test_two_values_on_one_row_are_both_named() -> None:
    drawn = "\n".join(
        rows(Line("stable", "", [(1, 0.701)]), Line("candidate", "", [(1, 0.99), (2, 0.99)]))
    )
    assert "0.701 stable  0.700 asked" in drawn


def test_long_gaps_stay_gaps_and_short_ones_are_bridged() -> None:
    line = Line("stable", "", [(0, 0.8), (2, 0.8), (4, 0.8), (15, 0.8), (17, 0.8)])
    columns = line.columns(0, 20, 20)
    assert columns[:5] == [0.8] * 5
    assert columns[8] is None
    assert columns[15:18] == [0.8] * 3


def test_it_stays_within_its_width_and_within_ascii() -> None:
    for width in (40, 71, 151):
        drawn = chart(
            [Line("stable", "", [(0, 0.2), (9, 0.9)])], 0.7, Frame(width, 6, 0, 10, "then"), PLAIN
        )
        assert all(len(text.plain.rstrip()) <= width for text in drawn)
        assert all(text.plain.isascii() for text in drawn)
