"""What docs/guides/gitops.md shows of what `make test-gitops` saw."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.docs.markdown import cell, with_part

SEEN = Path(__file__).with_suffix(".json")
"""The table: by what is done, what each tool says."""
AT_REST = Path(__file__).with_name("gitops_at_rest.json")
"""How long nothing was synced at rest, of what, and applied in which ways."""
PAGE = Path(__file__).parents[2] / "docs" / "guides" / "gitops.md"
BEGIN, END = "<!-- made by `make test-gitops` -->", "<!-- end -->"


def page() -> str:
    """The guide, with its table made anew."""
    parts = [
        text
        for file, text_of in ((SEEN, _table), (AT_REST, _rest))
        if file.exists() and (text := text_of(json.loads(file.read_text())))
    ]
    return with_part(PAGE, BEGIN, END, "\n\n".join(parts))


def _table(rows: Mapping[str, Mapping[str, str]]) -> str:
    tools = [*dict.fromkeys(tool for seen in rows.values() for tool in seen)]
    if not tools:
        return ""
    lines = [["what is done", *tools], ["---"] * (1 + len(tools))]
    lines += [[done, *(seen.get(tool, "") for tool in tools)] for done, seen in rows.items()]
    return "\n".join(f"| {' | '.join(map(cell, line))} |" for line in lines)


def _rest(seen: Mapping[str, Any]) -> str:
    ways, models = seen["ways"], seen["models"]
    return (
        f"Argo CD at rest for {seen['minutes']} minutes, looking at Git every five seconds:\n"
        f"{seen['said']}, and {seen['syncs']} syncs, in each way to apply"
        f" ({', '.join(ways)}).\nOne ModelRollout of each: {', '.join(models)}."
    )
