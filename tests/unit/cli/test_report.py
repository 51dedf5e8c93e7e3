"""The HTML report: self-contained, and true to what was gathered."""

import re
from dataclasses import replace
from typing import Any

import pytest

from rollout_cli.report.attempt_record import AttemptRecord, KubeEvent, TimeSeries
from rollout_cli.report.html_page import html
from rollout_cli.report.svg_plots import bands
from rollout_operator.domain.api.differences import Difference
from rollout_operator.domain.api.status import Act, Attempt
from rollout_operator.domain.api.words import Phase, Verdict
from tests.support.builders import at, on_trial, revision, spec
from tests.unit.cli.builders import gate, rollout

STABLE, CANDIDATE = revision(1).revision, revision(2).revision
START = at(0).timestamp()


def line(value: float) -> list[tuple[float, float]]:
    return [(START + n, value) for n in range(0, 60, 2)]


RANGES = TimeSeries(
    accuracy={STABLE: line(0.7556), CANDIDATE: line(0.8889)},
    errors={CANDIDATE: [(START, float("nan")), *line(0.001)]},
    p95={CANDIDATE: line(0.03)},
    share={CANDIDATE: line(0.098), STABLE: line(0.902)},
    weight=line(10),
    phases={
        "Starting": [(START, 1), (START + 2, 1)],
        "Trial": [(START + n, 1) for n in range(4, 40, 2)],
        "Promoted": [(START + 40, 1)],
    },
)


def record(**changes: Any) -> AttemptRecord:
    ended = {
        "verdict": Verdict.PROMOTED,
        "reason": "GatesPassed",
        "message": "said",
        "started": at(0),
        "ended": at(40),
    }
    history = tuple(
        Attempt(attempt=n, uri=f"models:/iris/{n}", revision=r, **ended)
        for n, r in ((2, CANDIDATE), (1, STABLE))
    )
    status = on_trial(phase=Phase.PROMOTED, stable=revision(2), candidate=None, history=history)
    of = spec(
        "models:/iris/2",
        analysis__gates=[{"metric": "accuracy", "min": 0.7}, {"metric": "errorRate", "max": 0.01}],
    )
    values: dict[str, Any] = {
        "rollout": rollout(status, of),
        "now": at(60),
        "attempt": 2,
        "uri": "models:/iris/2",
        "candidate": CANDIDATE,
        "stable": STABLE,
        "verdict": Verdict.PROMOTED,
        "reason": "GatesPassed",
        "message": "models:/iris/2 is stable: accuracy 0.8889 is at least 0.7, 45 samples.",
        "started": at(0),
        "ended": at(40),
        "gates": (gate(),),
        "acts": (Act(verb="approve", by="ann", reason="labels look right", at=at(30)),),
        "events": (KubeEvent(at(4), False, "Measuring", "Step 1 of 2."),),
        "series": RANGES,
    }
    return AttemptRecord(**(values | changes))


def test_it_says_everything_and_needs_nothing_else() -> None:
    text = html(record(), "Prometheus (here)")
    for part in (
        "promoted",
        "models:/iris/2",
        CANDIDATE,
        "≥ 0.7",
        "0.8889",
        "Step 1 of 2.",
        "<svg",
        "Accuracy",
        "at least 0.7",
        "candidate",
        "models:/iris/1",
        "approve by ann (unverified), 2026-11-23 12:00:30 UTC: labels look right",
    ):
        assert part in text
    outside = re.findall(r'(?:src|href)\s*=\s*"(?!#)([^"]+)"', text)
    assert outside == [], "nothing is loaded from anywhere"
    assert "<script" not in text


def test_what_others_wrote_is_shown_and_not_run() -> None:
    bad = "<script>alert(1)</script>"
    acts = (Act(verb="abort", by=bad, reason=bad, at=at(30)),)
    events = (KubeEvent(at(4), True, "GateFailed", bad),)
    text = html(record(message=bad, events=events, acts=acts))
    assert "<script" not in text
    assert text.count("&lt;script&gt;alert(1)") == 4


SEEN: dict[str, Any] = {
    "outcome": "different",
    "stable": '{"predict":"a"}',
    "candidate": "<script>alert(1)</script>",
    "sent": ({"field": "<b>age", "value": "41</td>"},),
    "masked": ("income", "<i>name"),
}
NOT_SEEN: dict[str, Any] = {"outcome": "failed", "candidate": "HTTP 500"}


def test_copies_that_differ_are_shown_with_what_may_be_seen_and_not_run() -> None:
    found = tuple(
        Difference.model_validate({"revision": CANDIDATE, "at": at(n), **one})
        for n, one in enumerate((SEEN, NOT_SEEN))
    )
    text = html(record(differences=found))
    assert "Copies that were answered otherwise" in text
    for part in (
        "{&#34;predict&#34;:&#34;a&#34;}",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "&lt;b&gt;age <code>41&lt;/td&gt;</code>",
        "masked: income, &lt;i&gt;name",
        "HTTP 500",
        "12:00:01",
    ):
        assert part in text
    assert not re.search("<script|<b>|<i>", text)
    assert "answered otherwise" not in html(record())


OTHER: dict[str, tuple[dict[str, Any], str]] = {
    "on trial": ({"verdict": None, "ended": None}, "Still going on after"),
    "rolled back": ({"verdict": Verdict.ROLLED_BACK}, "rolled back"),
    "a first deploy": ({"stable": None}, "nothing: the first deploy"),
    "no Prometheus": (
        {"series": TimeSeries(), "trouble": "Prometheus did not answer."},
        "No plots: Prometheus did not answer.",
    ),
    "an empty Prometheus": ({"series": TimeSeries()}, "no samples"),
    "Events that are gone": ({"events": ()}, "Kubernetes keeps Events for an hour"),
    "an earlier attempt": ({"gates": ()}, "keeps the measurements of the last attempt only"),
}


@pytest.mark.parametrize(("changes", "part"), OTHER.values(), ids=OTHER.keys())
def test_other_states(changes: dict[str, Any], part: str) -> None:
    assert part in html(record(**changes))


def test_the_same_evidence_gives_the_same_file() -> None:
    assert html(record()) == html(record())


def test_phases_become_bands() -> None:
    parts = [(name, begin - START, end - START) for name, begin, end in bands(record())]
    assert parts == [("Starting", 0, 4), ("Trial", 4, 40)]
    assert bands(replace(record(), series=TimeSeries())) == []
