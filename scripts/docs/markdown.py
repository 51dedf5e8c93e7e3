"""Text as it stands in a page: cells of tables, lines of paragraphs and of lists."""

import textwrap
from pathlib import Path

COLUMNS = 100
"""What a line has at most."""


def cell(text: str) -> str:
    """A text as it stands in a cell."""
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def wrapped(text: str, mark: str = "") -> str:
    """A paragraph, or an item of a list that begins with `mark`, in lines that fit."""
    return textwrap.fill(
        text,
        COLUMNS,
        initial_indent=mark,
        subsequent_indent=" " * len(mark),
        break_long_words=False,
        break_on_hyphens=False,
    )


def with_part(page: Path, begin: str, end: str, part: str) -> str:
    """The page with what is between two of its lines made anew; raises ValueError where it has no
    such place.
    """
    text = page.read_text()
    if text.count(begin) != 1:
        raise ValueError(f"{page.name}: write one line {begin!r}, and {end!r} below it")
    before, rest = text.split(begin)
    _, after = rest.split(end, 1)
    return f"{before}{begin}\n\n{part}\n\n{end}{after}"
