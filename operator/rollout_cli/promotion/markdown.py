"""Markdown of pull requests, in which what a cluster says is text and nothing else."""

import re
from collections.abc import Iterator


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    """Lines of a table; all cells but the first of a row are quoted."""
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        yield f"| {row[0]} | {' | '.join(code(cell) for cell in row[1:])} |"


def code(text: str) -> str:
    """Text as a code span on one line: what a cluster says can mention nobody, link nowhere, and
    end no table.
    """
    flat = " ".join(text.split()).replace("|", "¦")
    fence = "`" * (max((len(run) for run in re.findall("`+", flat)), default=0) + 1)
    pad = " " if flat.startswith("`") or flat.endswith("`") else ""
    return f"{fence}{pad}{flat}{pad}{fence}" if flat else "-"
