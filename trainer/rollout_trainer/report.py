"""What was found in data, for people: a table in the terminal, and one HTML file without any link
to elsewhere.
"""

from html import escape

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rollout_trainer.checks import Examined, Finding
from rollout_trainer.contract import Contract, span

BARS = 24
WIDTH, HEIGHT = 240, 48
STYLE = """
:root { color-scheme: light dark; --line: #8885; --bar: #4878cf; --bad: #c23b22; --good: #2a7f3f; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0 2rem; }
th, td { text-align: left; padding: .35rem .6rem; vertical-align: middle; }
th, td { border-bottom: 1px solid var(--line); }
.verdict { font-size: 1.15rem; padding: .6rem .9rem; border-left: .4rem solid; }
.pass { color: var(--good); } .fail { color: var(--bad); font-weight: 600; }
svg { display: block; } rect { fill: var(--bar); } td.number { font-variant-numeric: tabular-nums; }
td:not(:nth-last-child(-n+2)) { white-space: nowrap; }
"""


def show(console: Console, name: str, examined: Examined) -> None:
    """Print every finding as a table; what did not pass stands out without colour too."""
    table = Table(
        title=Text(name, style="table.title"),
        title_justify="left",
        show_edge=False,
        header_style="bold",
    )
    for heading in ("", "check", "column", "found", "allowed"):
        table.add_column(heading, overflow="fold")
    for finding in examined.findings:
        style = None if finding.passed else "red"
        # Text, because what stands in the data is no markup of rich's.
        cells = (
            Text(cell) for cell in (finding.check, finding.column, finding.found, finding.allowed)
        )
        table.add_row("✔" if finding.passed else "✖", *cells, style=style)
    console.print(table)


def verdict(name: str, examined: Examined) -> str:
    """One sentence."""
    if not examined.broken:
        return f"{name} meets its contract: {len(examined.findings)} checks passed."
    return (
        f"{name} breaks its contract: {len(examined.broken)} of {len(examined.findings)} checks"
        " failed."
    )


def html(name: str, examined: Examined, table: pd.DataFrame, contract: Contract) -> str:
    """The findings, and how every feature is distributed, as one HTML page."""
    kind = "fail" if examined.broken else "pass"
    rows = "\n".join(map(_row, examined.findings))
    columns = [column for column in contract.columns if column in table.columns]
    distributions = "".join(_distribution(table, column, contract) for column in columns)
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{escape(name)}</title>
<style>{STYLE}</style>
<h1>{escape(name)}</h1>
<p class="verdict {kind}">{escape(verdict(name, examined))}</p>
<table><tr><th></th><th>check</th><th>column</th><th>found</th><th>allowed</th></tr>
{rows}
</table>
<h2>Distributions</h2>
<table><tr><th>feature</th><th>values</th><th>least</th><th>median</th><th>greatest</th>
<th>the range that the contract allows, end to end</th></tr>
{distributions}
</table>
</html>
"""


def _row(finding: Finding) -> str:
    style, outcome = ("pass", "✔ passed") if finding.passed else ("fail", "✖ failed")
    texts = (finding.check, finding.column, finding.found, finding.allowed)
    cells = "".join(f"<td>{escape(text)}</td>" for text in texts)
    return f'<tr><td class="{style}">{outcome}</td>{cells}</tr>'


def _distribution(table: pd.DataFrame, name: str, contract: Contract) -> str:
    values = pd.to_numeric(table[name], errors="coerce").dropna().to_numpy(float)
    figures = (
        [f"{f:.4g}" for f in (np.min(values), np.median(values), np.max(values))]
        if len(values)
        else ["none"] * 3
    )
    limits = contract.features[name]
    counts, _ = np.histogram(values, bins=BARS, range=(limits.min, limits.max))
    cells = "".join(f'<td class="number">{f}</td>' for f in (len(values), *figures))
    bars = _bars(counts.tolist(), f"{name}: {span(limits.min, limits.max)}")
    return f"<tr><td>{escape(name)}</td>{cells}<td>{bars}</td></tr>\n"


def _bars(counts: list[int], title: str) -> str:
    most, width = max([*counts, 1]), WIDTH / BARS
    drawn = "".join(
        f'<rect x="{i * width:.1f}" y="{HEIGHT * (1 - c / most):.1f}" width="{width - 1:.1f}"'
        f' height="{HEIGHT * c / most:.1f}"/>'
        for i, c in enumerate(counts)
        if c
    )
    line = f'<line x1="0" y1="{HEIGHT}" x2="{WIDTH}" y2="{HEIGHT}" stroke="currentColor"/>'
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT + 1}"'
        f' role="img"><title>{escape(title)}</title>{drawn}{line}</svg>'
    )
