"""Text as it stands in a page: cells of tables, lines of paragraphs and of lists."""

import textwrap

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
