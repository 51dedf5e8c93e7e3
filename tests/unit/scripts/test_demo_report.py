"""The demo's claims, its figures and its tables."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from scripts.demo.models import RECIPES, Model
from scripts.demo.report import Outcome, Report
from scripts.demo.shares import Share
from scripts.demo.traffic import Answer

GOOD = Answer(0.0, 0.1, "2", "abc", "")
MODELS = [
    Model(f"models:/iris/{n}", accuracy, recipe)
    for n, (accuracy, recipe) in enumerate(zip((0.75, 0.95, 0.3), RECIPES, strict=True), 1)
]


def outcome(model: Model, verdict: str) -> Outcome:
    return Outcome(
        model, verdict, verdict, "GatesPassed", "accuracy 0.95 is at least 0.7", 31.0, [GOOD]
    )


REPORT = Report(
    outcomes=[
        outcome(m, v) for m, v in zip(MODELS, ("Promoted", "Promoted", "RolledBack"), strict=True)
    ],
    answers=[GOOD] * 3,
    shares=[Share("2", 10, "2", 10, 9.5, 400), Share("2", 10, "1", 90, 90.5, 400)],
    counted={"2": 3},
)


def test_a_good_run_breaks_no_claim() -> None:
    assert REPORT.broken() == []


@pytest.mark.parametrize(
    ("report", "sentence"),
    [
        pytest.param(
            replace(REPORT, outcomes=[replace(REPORT.outcomes[2], verdict="Promoted")]),
            "models:/iris/3 was to be RolledBack, but is Promoted",
            id="a bad model promoted",
        ),
        pytest.param(
            replace(REPORT, answers=[GOOD, replace(GOOD, failure="HTTP 502")]),
            "1 of 2 predict requests failed: 1 x HTTP 502",
            id="a request failed",
        ),
        pytest.param(
            replace(REPORT, shares=[Share("2", 10, "2", 10, 30, 400)]),
            "At weight 10 version 2 served 30.0 % of 400 requests, asked were 10 %",
            id="a share missed",
        ),
        pytest.param(
            replace(REPORT, shares=[]), "no served share was measured", id="nothing measured"
        ),
    ],
)
def test_a_broken_claim_is_a_sentence(report: Report, sentence: str) -> None:
    assert [s for s in report.broken() if sentence in s]


def test_the_figures_are_written(tmp_path: Path) -> None:
    REPORT.write(tmp_path / "build" / "demo.json")
    figures = json.loads((tmp_path / "build" / "demo.json").read_text())
    assert figures["requests"] == {"sent": 3, "failed": 0}
    assert [(v["uri"], v["verdict"], v["seconds"]) for v in figures["versions"]][2] == (
        "models:/iris/3",
        "RolledBack",
        31.0,
    )
    assert {"weight": 10, "asked": 10, "served": 9.5, "requests": 400}.items() <= figures["shares"][
        0
    ].items()


@pytest.mark.parametrize("width", [80, 160])
def test_the_tables_fit_the_terminal(width: int) -> None:
    console = Console(file=io.StringIO(), width=width)
    REPORT.show(console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(len(line) for line in text.splitlines()) <= width
    assert "Promoted" in text
    assert "RolledBack" in text
    assert "…" not in text
