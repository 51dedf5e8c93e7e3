"""What was found in data, for people: a table in the terminal, and one HTML file without any link
to elsewhere.
"""

from html import escape

import numpy as np
import numpy.typing as npt
import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rollout_trainer import columns
from rollout_trainer.checks import Examined, Finding
from rollout_trainer.columns import said
from rollout_trainer.contract import Contract

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
    column = contract.features[name]
    values = column.typed(table[name], contract.missing).dropna()
    about = f"{name}: {column.allowed}"
    match column:
        case columns.Range():
            numbers = values.to_numpy(float)
            figures, counts = _figures(numbers), _histogram(numbers, column.min, column.max)
        case columns.Datetime():
            numbers = values.map(pd.Timestamp.timestamp).to_numpy(float)
            limits = (pd.Timestamp(one).timestamp() for one in (column.min, column.max))
            counts, shown = _histogram(numbers, *limits), values.sort_values().dt.floor("s")
            figures = [said(shown.iloc[n]) for n in (0, len(shown) // 2, -1) if len(shown)]
        case columns.Text(values=None):
            numbers, about = values.map(len).to_numpy(float), f"{name}: characters"
            figures = _figures(numbers)
            counts = _histogram(numbers, 0, float(max([*numbers, 1])))
        case columns.Text(values=words):
            figures, counts = [], _counted(values, words or ())
        case columns.Boolean():
            figures, counts = [], _counted(values.astype(str), ("False", "True"))
    shown_figures = (len(values), *(figures or [""] * 3))
    cells = "".join(f'<td class="number">{f}</td>' for f in shown_figures)
    return f"<tr><td>{escape(name)}</td>{cells}<td>{_bars(counts, about)}</td></tr>\n"


def _histogram(numbers: npt.NDArray[np.float64], low: float, high: float) -> list[int]:
    counts, _ = np.histogram(numbers, bins=BARS, range=(low, high))
    return [int(one) for one in counts]


def _counted(values: pd.Series, words: tuple[str, ...]) -> list[int]:
    counts = values.value_counts()
    return [int(counts.get(word, 0)) for word in words[:BARS]]


def _figures(numbers: npt.NDArray[np.float64]) -> list[str]:
    """Least, median and greatest."""
    if not len(numbers):
        return ["none"] * 3
    return [f"{f:.4g}" for f in (np.min(numbers), np.median(numbers), np.max(numbers))]


def _bars(counts: list[int], title: str) -> str:
    most, width = max([*counts, 1]), WIDTH / max(1, len(counts))
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
