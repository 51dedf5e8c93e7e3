"""One real API server for the run; FAULTS=all tries every write, else a sample of them. The figures
go to build/faults.json.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from scripts.cluster.apiserver import apiserver
from tests.faults.in_process import Ending
from tests.support.api_client import ApiClient

FIGURES = Path("build/faults.json")


@dataclass(frozen=True)
class Figure:
    """One row of build/faults.json: what was measured, and whether it is what was promised."""

    metric: str
    value: float
    unit: str
    goal: float
    met: bool
    against: str


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """Record (metric, value, unit, goal); values and goals of the same metric are summed over the
    run.

    A goal is reached by at least so much; with "at most" after it, by at most so much.
    """

    def record(*row: object) -> None:
        record_property("figure", json.dumps(row))

    return record


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Write the figures, and say them."""
    reports = [
        r
        for kind in ("passed", "failed")
        for r in terminalreporter.stats.get(kind, ())
        if "tests/faults/" in r.nodeid
    ]
    if not reports:
        return
    sums: dict[tuple[str, str, bool], tuple[float, float]] = {}
    for report in reports:
        for metric, value, unit, goal, *at_most in (
            json.loads(str(said)) for name, said in report.user_properties if name == "figure"
        ):
            had, wanted = sums.get((metric, unit, bool(at_most)), (0.0, 0.0))
            sums[metric, unit, bool(at_most)] = had + value, wanted + goal
    failed = len(terminalreporter.stats.get("failed", ()))
    figures = [
        Figure(
            m,
            round(v, 3),
            unit,
            round(goal, 3),
            v <= goal if at_most else v >= goal,
            "reference run without faults",
        )
        for (m, unit, at_most), (v, goal) in sorted(sums.items())
    ]
    figures.append(
        Figure(
            "tests in which a run ended otherwise, or broke an invariant",
            failed,
            "tests",
            0,
            not failed,
            "reference run",
        )
    )
    FIGURES.parent.mkdir(exist_ok=True)
    FIGURES.write_text(json.dumps([asdict(one) for one in figures], indent=2) + "\n")
    terminalreporter.section("faults")
    for one in figures:
        terminalreporter.write_line(
            f"{one.value:>8g} {one.unit:<8} of {one.goal:>6g}  {one.metric}"
        )


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with apiserver(tmp_path_factory.mktemp("apiserver")) as path:
        ApiClient(path).install_crd()
        yield path


@pytest.fixture(scope="session")
def references() -> dict[str, Ending]:
    """What each story comes to without faults, filled when it is first needed."""
    return {}
