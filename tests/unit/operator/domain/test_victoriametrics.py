"""VictoriaMetrics in Prometheus' place, by its measured behaviour: a series ends in NaN at the
scrape after its pod's end, where Prometheus shows no sample; the measurements are the same.
"""

import itertools
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from rollout_operator.domain.api.analysis import Gate
from rollout_operator.domain.api.gate_results import Measurement
from rollout_operator.domain.gates import promql
from rollout_operator.domain.gates.gate_status import Trial
from rollout_operator.domain.gates.reported_gate import measure
from rollout_operator.domain.gates.samples import fresh
from rollout_operator.domain.observed import MetricsUnreachable, Series
from tests.support.builders import START, at
from tests.support.scraping import GATES, V2, Scrapes, looks, values

Lives = Mapping[str, list[tuple[float, float]]]
"""When each pod's containers ran, in seconds; between two of them the pod is scraped in vain."""
EVER = 10_000.0
STORIES: dict[str, Lives] = {
    "nothing happens": {"a": [(-10, EVER)]},
    "a pod goes": {"a": [(-10, EVER)], "b": [(-10, 300)]},
    "a pod goes between the scrapes of two jobs": {"a": [(-10, EVER)], "b": [(-10, 306)]},
    "a pod takes another's place": {"a": [(-10, 310)], "b": [(270, EVER)]},
    "a container starts again": {"a": [(-10, 300), (340, EVER)]},
    "a container starts again between two scrapes": {"a": [(-10, 300), (303, EVER)]},
}


def samples(
    one: Scrapes, lives: list[tuple[float, float]], moments: list[float], marked: bool
) -> Iterator[tuple[float, Mapping[tuple[str, str, str, str], float] | None]]:
    """What each scrape saw of a pod; None for a marker of its end."""
    was_there = False
    for moment in moments:
        begun = next((begin for begin, end in lives if begin <= moment < end), None)
        if begun is not None:
            yield moment, values(moment - begun - 10, one.good)
        elif was_there and marked:
            yield moment, None
        was_there = begun is not None


def answer(one: Scrapes, story: Lives, now: float, back: float, *, marked: bool) -> bytes:
    """The reply to the operator's query, by VictoriaMetrics (marked) or by Prometheus."""
    result = []
    for (pod, lives), job in itertools.product(story.items(), range(one.jobs)):
        scraped = samples(one, lives, one.times(job), marked)
        shown = [s for s in scraped if now - back < s[0] <= now]
        for name, le, outcome, of in values(0, one.good):
            labels = {
                "__name__": name,
                "namespace": "models",
                "revision": "r",
                "pod": pod,
                "instance": f"{pod}:8080",
                "job": f"pods-{job}",
                "le": le,
                "outcome": outcome,
                "bin": of,
            }
            points = [
                [START.timestamp() + t, "NaN" if v is None else str(v[name, le, outcome, of])]
                for t, v in shown
            ]
            if points:
                result.append({"metric": labels, "values": points})
    data = {"resultType": "matrix", "result": result}
    return json.dumps({"status": "success", "data": data}).encode()


def told(gate: Gate, story: Lives, good: bool, jobs: int, *, marked: bool) -> list[Measurement]:
    def ask(one: Scrapes, now: float, back: float) -> tuple[Series, ...]:
        found = promql.read(200, answer(one, story, now, back, marked=marked))
        assert not isinstance(found, MetricsUnreachable)
        return found.get(("models", "r"), ())

    # Looks fall between the scrapes of the two jobs.
    ours, theirs = Scrapes(15, 8, jobs, good), Scrapes(15, 1, jobs, good=True)
    return [said.measurement for _, said in looks(gate, 15, ours, theirs, ask)]


@pytest.mark.parametrize("jobs", [1, 2], ids=["one job", "two jobs"])
@pytest.mark.parametrize("good", [True, False], ids=["good", "bad"])
@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("gate", GATES.values(), ids=GATES.keys())
def test_the_same_measurements_as_on_prometheus(
    gate: dict[str, Any], story: str, good: bool, jobs: int
) -> None:
    asked = Gate.model_validate(gate)
    theirs = told(asked, STORIES[story], good, jobs, marked=False)
    ours = told(asked, STORIES[story], good, jobs, marked=True)
    assert ours[-1] == theirs[-1] == (Measurement.PASS if good else Measurement.FAIL)
    differing = [(a, b) for a, b in zip(ours, theirs, strict=True) if a != b]
    if story.startswith("a container starts again"):
        # Nobody is there meanwhile: what Prometheus still shows is what was.
        assert len(differing) <= 4
        assert {a for a, _ in differing} <= {Measurement.NO_EVIDENCE}
    else:
        assert not differing


def test_an_accuracy_that_takes_the_place_of_another_counts_at_once() -> None:
    """From the value of the training to that of labels: one series ends where the next begins."""
    now = at(9).timestamp()
    old = Series("ml_model_accuracy", "a", now, math.nan, "training", instance="i", job="z")
    new = Series("ml_model_accuracy", "a", now, 0.9, "live", instance="i", job="a")
    served = Series("ml_predictions_total", "a", now, 12.0, instance="i")
    for series in ([old, new, served], [new, old, served]):
        assert fresh(series, START, at(10)) == [new, served]
    said = measure(
        Gate.model_validate(GATES["accuracy"]),
        (old, new, served),
        (),
        Trial(V2, None, START, at(10)),
    )
    assert said.measurement is Measurement.PASS
