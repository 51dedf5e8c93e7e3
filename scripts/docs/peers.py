"""What docs/comparison.md shows of what `make bench-peers` measured."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.docs.markdown import cell, with_part

SEEN = Path(__file__).with_suffix(".json")
"""How many waves, and of each figure and number of rollouts the day and what each tool took."""
PAGE = Path(__file__).parents[2] / "docs" / "comparison.md"
BEGIN, END = "<!-- made by `make bench-peers` -->", "<!-- end -->"
TOOLS: Mapping[str, str] = {
    "ours": "Model rollouts",
    "argo-rollouts": "Argo Rollouts",
    "flagger": "Flagger",
}
CLEARLY = 1.05
"""By how much less the least must be than the next one to be told as such."""


def page() -> str:
    """The comparison, with its table made anew."""
    return with_part(PAGE, BEGIN, END, table(json.loads(SEEN.read_text())))


def table(seen: Mapping[str, Any]) -> str:
    """A line for each figure and number of rollouts; what is clearly least is bold."""
    lines = [
        ["each tool's median", "rollouts at once", *TOOLS.values()],
        ["---"] * (2 + len(TOOLS)),
    ]
    said = ""
    for row in seen["rows"]:
        values = [float(row["values"][tool]) for tool in TOOLS]
        name = row["figure"] if row["figure"] != said else "…"
        said = row["figure"]
        unit = f" {row['unit']}" if row["unit"] else ""
        lines.append([name, str(row["rollouts"]), *_cells(values, unit)])
    drawn = "\n".join(f"| {' | '.join(map(cell, line))} |" for line in lines)
    days, waves = _days(seen["rows"]), seen["waves"]
    return f"Measured on {days}, {waves} waves of each, on two cores.\n\n{drawn}"


def _days(rows: Sequence[Mapping[str, Any]]) -> str:
    """The day; of more than one, how many rollouts were measured on each."""
    counts = dict[str, list[int]]()
    for row in rows:
        counts.setdefault(row["day"], []).append(row["rollouts"])
    if len(counts) == 1:
        return next(iter(counts))
    said = (
        f"{day} ({', '.join(map(str, sorted(set(found))))} at once)"
        for day, found in sorted(counts.items())
    )
    return " and ".join(said)


def _cells(values: Sequence[float], unit: str) -> list[str]:
    least, next_one = sorted(values)[:2]
    bold = least * CLEARLY < next_one
    return [
        f"**{number(value)}{unit}**" if bold and value == least else f"{number(value)}{unit}"
        for value in values
    ]


def number(value: float) -> str:
    """As people read it: whole above 100, else one digit behind the point, two below 1."""
    if value >= 100 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2f}"
