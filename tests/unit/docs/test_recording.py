"""The recording: what a terminal was sent becomes screens, and these a picture that plays."""

import itertools
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from scripts.recording.__main__ import PICTURE, SPEED, picture
from scripts.recording.cast import Cast, NotRecorded
from scripts.recording.drawing import LONGEST, REST, times
from scripts.recording.screens import Frame, Run, frames

SVG = "{http://www.w3.org/2000/svg}"


def cast(*events: tuple[float, str]) -> Cast:
    return Cast(20, 3, "kubectl modelrollout get iris -w", events)


SCREENS = {
    "plain text": (["hello"], [(Run(0, "hello"),), (), ()]),
    "colours and bold, apart by what is between": (
        ["\x1b[32m✔\x1b[0m good \x1b[1mloud\x1b[0m"],
        [(Run(0, "✔", "green"), Run(2, "good"), Run(7, "loud", "default", bold=True)), (), ()],
    ),
    "faint letters are grey": (
        ["\x1b[2mquiet\x1b[0m"],
        [(Run(0, "quiet", "brightblack"),), (), ()],
    ),
    "a faint colour keeps the colour": (
        ["\x1b[2;36mquiet\x1b[0m"],
        [(Run(0, "quiet", "cyan"),), (), ()],
    ),
    "a line drawn over": (
        ["weight 10 %", "\r\x1b[2Kweight 50 %"],
        [(Run(0, "weight 50 %"),), (), ()],
    ),
    "the cursor goes up": (
        ["one\r\ntwo\r\n", "\x1b[2A\x1b[2Kthree"],
        [(Run(0, "three"),), (Run(0, "two"),), ()],
    ),
}


@pytest.mark.parametrize(("sent", "lines"), SCREENS.values(), ids=SCREENS.keys())
def test_the_screen_is_what_a_terminal_shows(sent: list[str], lines: list[tuple[Run, ...]]) -> None:
    shown = frames(cast(*((float(n), text) for n, text in enumerate(sent))))
    assert [*shown[-1].lines] == lines
    assert len(shown) == len(sent)


def test_a_screen_that_is_being_drawn_is_not_shown_and_one_that_does_not_change_is_shown_once() -> (
    None
):
    shown = frames(cast((0.0, "a"), (1.0, "\r\x1b[2K"), (1.05, "b"), (2.0, "\rb"), (3.0, "\rc")))
    assert [(f.at, f.lines[0][0].text) for f in shown] == [(0.0, "a"), (1.05, "b"), (3.0, "c")]


def test_time_is_quickened_and_pauses_are_cut_short() -> None:
    shown = [Frame(at, ()) for at in (0.0, 6.0, 600.0)]
    assert times(shown, 6.0) == [(0, 1), (1, 1 + LONGEST), (1 + LONGEST, 1 + LONGEST + REST)]


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = cast((0.5, "✔ \x1b[1mone\x1b[0m\r\n"), (1.25, "two"))
    (tmp_path / "a.cast").write_text(written.text())
    assert Cast.of(tmp_path / "a.cast") == Cast(20, 3, written.command, [*written.events])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "run `make recording`"),
        ("no JSON", "no asciicast"),
        ('{"version": 1}', "it is of version 1"),
        ("", "no asciicast"),
    ],
    ids=["missing", "not JSON", "another version", "empty"],
)
def test_what_is_no_recording_is_told(text: str | None, told: str, tmp_path: Path) -> None:
    path = tmp_path / "a.cast"
    if text is not None:
        path.write_text(text)
    with pytest.raises(NotRecorded, match=told):
        Cast.of(path)


def test_a_recording_without_output_is_told() -> None:
    with pytest.raises(NotRecorded, match="wrote nothing"):
        picture(cast())


def shown_at(root: ET.Element, percent: float) -> list[str]:
    """The frames that are visible at a time of the animation, by its own style sheet."""
    style = root.findtext(f"{SVG}style") or ""
    seen = []
    for name, steps in re.findall(r"@keyframes k(\d+)\{((?:[\d.]+%\{[^}]*\})+)\}", style):
        states = [
            (float(at), state) for at, state in re.findall(r"([\d.]+)%\{visibility:(\w+)\}", steps)
        ]
        if [state for at, state in states if at <= percent][-1] == "visible":
            seen.append(name)
    return seen


def test_the_picture_shows_one_frame_at_any_time_and_loops() -> None:
    root = ET.fromstring(picture(cast(*((float(n), f"\r{n}") for n in range(9)))))
    assert "infinite" in (root.findtext(f"{SVG}style") or "")
    order = [shown_at(root, percent) for percent in (n / 7 for n in range(700))]
    assert all(len(seen) == 1 for seen in order)
    assert [seen for seen, _ in itertools.groupby(order)] == [[str(n)] for n in range(9)]


def test_text_is_escaped_and_named_for_those_who_do_not_see() -> None:
    root = ET.fromstring(picture(cast((0.0, "a < b & c"))))
    assert "a < b & c" in "".join(root.itertext())
    assert root.attrib["role"] == "img"
    labels = [root.find(f"{SVG}{tag}") for tag in ("title", "desc")]
    said = root.attrib["aria-labelledby"].split()
    assert said == [one.attrib["id"] for one in labels if one is not None]


def test_the_picture_in_the_documents_is_a_whole_run() -> None:
    root = ET.fromstring((Path(__file__).parents[3] / PICTURE).read_text())
    assert f"{SPEED:g} times as fast" in "".join(root.itertext())
    # The letters of one line, one after the other.
    said = "\n".join("".join(text.itertext()) for text in root.iter(f"{SVG}text"))
    for word in ("candidate 10 %", "candidate 50 %", "Promoted", "RolledBack"):
        assert word in said, word
    used = {use.attrib["href"].removeprefix("#") for use in root.iter(f"{SVG}use")}
    assert used == {text.attrib["id"] for text in root.iter(f"{SVG}text") if "id" in text.attrib}


def test_a_command_is_recorded_in_a_terminal_of_the_size_asked_for_and_ended_by_ctrl_c() -> None:
    from scripts.recording.terminal import Terminal

    code = (
        "import os, sys, time; print(sys.stdout.isatty(), *os.get_terminal_size(), '✔',"
        " flush=True); time.sleep(60)"
    )
    with Terminal([sys.executable, "-c", code], {"PYTHONUTF8": "1"}, 44, 11) as terminal:
        while not terminal.pieces:
            pass
    assert "".join(text for _, text in terminal.pieces) == "True 44 11 ✔\r\n"
