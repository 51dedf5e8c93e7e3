"""Every query of the dashboard, against a real Prometheus: `python -m tests.e2e.panels [NAMESPACE]`
prints what each of them returns.

No Grafana is needed: its variables are filled in as it would fill them.
"""

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

DASHBOARD = Path(__file__).parents[2] / "monitoring" / "dashboard.json"
RANGE = 900
"""Seconds that are looked back on."""
STEP = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """What one query returned: panel and query, series, and values in them that are numbers."""

    panel: str
    query: str
    series: int
    values: int


def queries() -> Iterator[tuple[str, str]]:
    """Panel and expression of every query, of the variables and of the annotations too."""
    dashboard = json.loads(DASHBOARD.read_text())
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for annotation in dashboard["annotations"]["list"]:
        yield f"annotation: {annotation['name']}", annotation["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield (
                f"variable: {variable['label']}",
                variable["definition"].removeprefix("label_values(").rsplit(",", 1)[0],
            )


def filled(expression: str, namespace: str, name: str) -> str:
    """The expression with Grafana's variables filled in; intervals are those of a dashboard that is
    open for RANGE.
    """
    values = {
        "$__rate_interval": "60s",
        "$__interval": f"{STEP}s",
        "$__range": f"{RANGE}s",
        "$namespace": namespace,
        "$name": name,
    }
    for variable, value in values.items():
        expression = expression.replace(variable, value)
    return expression


def ask(url: str, namespace: str, name: str = ".*") -> list[Answer]:
    """Run every query over the last RANGE seconds; raises AssertionError with Prometheus's own
    words where it refuses one.
    """
    found = []
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as http:
        for panel, expression in queries():
            query = filled(expression, namespace, name)
            assert "$" not in query, f"{panel}: a variable that is not known here in {query}"
            end = time.time()
            reply = http.get(
                "/api/v1/query_range",
                params={"query": query, "start": end - RANGE, "end": end, "step": STEP},
            )
            answer: dict[str, Any] = reply.json()
            assert answer["status"] == "success", f"{panel}: {answer.get('error')}"
            result = answer["data"]["result"]
            numbers = sum(
                math.isfinite(float(value)) for series in result for _, value in series["values"]
            )
            found.append(Answer(panel, query, len(result), numbers))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.panels", description=__doc__)
    parser.add_argument(
        "namespace",
        nargs="?",
        default="rollouts-demo",
        help="namespace of the rollouts; the demo's, where none is given",
    )
    wanted = parser.parse_args()
    if not (url := os.environ.get("PROMETHEUS_URL")):
        print("PROMETHEUS_URL is not set: export what `make cluster` prints", file=sys.stderr)
        return 1
    answers = ask(url, wanted.namespace)
    table = Table("panel", "series", "values", "query")
    for one in answers:
        table.add_row(one.panel, str(one.series), str(one.values), one.query[:90])
    Console(width=180).print(table)
    return 0 if all(one.values for one in answers) else 1


if __name__ == "__main__":
    sys.exit(main())
