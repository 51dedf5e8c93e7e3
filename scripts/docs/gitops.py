"""The table of docs/guides/gitops.md, from what `make test-gitops` saw."""

import json
from collections.abc import Mapping
from pathlib import Path

from scripts.docs.markdown import cell, with_part

SEEN = Path(__file__).with_suffix(".json")
PAGE = Path(__file__).parents[2] / "docs" / "guides" / "gitops.md"
BEGIN, END = "<!-- made by `make test-gitops` -->", "<!-- end -->"


def page() -> str:
    """The guide, with its table made anew."""
    rows: Mapping[str, Mapping[str, str]] = json.loads(SEEN.read_text())
    tools = [*next(iter(rows.values()))]
    lines = [["what is done", *tools], ["---"] * (1 + len(tools))]
    lines += [[done, *(seen[tool] for tool in tools)] for done, seen in rows.items()]
    return with_part(
        PAGE, BEGIN, END, "\n".join(f"| {' | '.join(map(cell, line))} |" for line in lines)
    )
