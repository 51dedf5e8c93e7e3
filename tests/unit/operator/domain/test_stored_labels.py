"""Labels that a store has counted: every pod tells the same, and corrections take back."""

import itertools
from datetime import timedelta

import pytest

from rollout_operator.domain.api.analysis import Gate
from rollout_operator.domain.gates.label_counters import (
    counts,
    design_effect,
    fresh_evidence,
    gained,
    grown,
)
from rollout_operator.domain.gates.samples import (
    IN_STORE,
    RETRACTED,
    STORED,
    TAKEN_BACK,
    NoEvidence,
    in_store,
)
from rollout_operator.domain.observed import Series
from tests.support.builders import START, revision

NOW = START
CANDIDATE = revision(2, ready_at=START)
GATE = Gate.model_validate({"metric": "accuracy", "min": 0.8, "evidence": "Labelled"})


def told(
    pod: str, at: float, right: float, wrong: float, right_back: float = 0, wrong_back: float = 0
) -> list[Series]:
    """What one pod says of a store."""
    return [
        Series(STORED, pod, at, right, outcome="correct"),
        Series(STORED, pod, at, wrong, outcome="wrong"),
        Series(RETRACTED, pod, at, right_back, outcome="correct"),
        Series(RETRACTED, pod, at, wrong_back, outcome="wrong"),
    ]


def own(pod: str, at: float, predictions: float) -> list[Series]:
    """The counters that are each pod's own."""
    return [
        Series("ml_feedback_total", pod, at, 0, outcome="correct"),
        Series("ml_feedback_total", pod, at, 0, outcome="wrong"),
        Series("ml_predictions_total", pod, at, predictions),
    ]


def test_what_all_pods_tell_is_counted_once_as_the_newest_has_it() -> None:
    series = [*told("a", 100, 40, 5), *told("b", 103, 42, 5, 1, 0), *told("c", 90, 30, 5)]
    stored, back = in_store(series)
    assert (stored.pod, stored.good, stored.total, stored.at) == (IN_STORE, 42, 47, 103)
    assert (back.pod, back.good, back.total) == (TAKEN_BACK, 1, 1)


def test_pods_keep_their_own_predictions_beside_the_store() -> None:
    found = {
        one.pod: one
        for one in counts(
            GATE,
            [
                *told("a", 100, 40, 5),
                *own("a", 100, 60),
                *told("b", 101, 41, 5),
                *own("b", 101, 70),
            ],
        )
    }
    assert {pod: (one.good, one.total, one.predicted) for pod, one in found.items()} == {
        IN_STORE: (41, 46, 0),
        TAKEN_BACK: (0, 0, 0),
        "a": (0, 0, 60),
        "b": (0, 0, 70),
    }


def test_pods_that_are_replaced_bring_nothing_anew() -> None:
    before = counts(GATE, [*told("a", 100, 40, 5), *own("a", 100, 60)])
    after = counts(GATE, [*told("new", 200, 41, 6), *own("new", 200, 3)])
    gain = gained(before, after, first_counts=True)
    assert (gain.good, gain.total, gain.predicted, gain.corrected) == (1, 2, 3, 0)


def test_a_pod_that_has_read_long_ago_takes_nothing_back() -> None:
    before = counts(GATE, [*told("a", 100, 40, 5, 2, 1), *own("a", 100, 60)])
    after = counts(GATE, [*told("b", 130, 30, 5), *told("a", 131, 40, 5, 2, 1), *own("a", 131, 60)])
    gain = gained(before, after, first_counts=True)
    assert (gain.good, gain.total, gain.corrected) == (0, 0, 0)


CHANGES = {
    "labels alone": ((40, 10, 0, 0), (60, 15, 0, 0), (20, 25, 0)),
    "one that was right is wrong": ((40, 10, 0, 0), (40, 11, 1, 0), (-1, 0, -1)),
    "one that was wrong is right": ((40, 10, 0, 0), (41, 10, 0, 1), (1, 0, 1)),
    "labels and corrections at once": ((40, 10, 0, 0), (50, 16, 4, 1), (6, 11, -3)),
}


@pytest.mark.parametrize(("before", "after", "came"), CHANGES.values(), ids=CHANGES.keys())
def test_a_correction_moves_a_label_and_is_no_restart(
    before: tuple[float, ...], after: tuple[float, ...], came: tuple[float, ...]
) -> None:
    gain = gained(counts(GATE, told("a", 100, *before)), counts(GATE, told("a", 115, *after)), True)
    assert (gain.good, gain.total, gain.corrected) == came
    assert 0 <= gain.fresh <= gain.total, "what came anew is a count of its own"


def test_the_evidence_of_a_gate_is_what_stands() -> None:
    """Scrape by scrape, with corrections between: good, total, and how much scrapes differ."""
    seen = [
        (0, 0, 0, 0),
        (18, 2, 0, 0),
        (36, 4, 0, 0),
        (54, 9, 3, 0),
        (54, 12, 6, 0),
        (55, 12, 6, 1),
    ]
    evidence = fresh_evidence(GATE, CANDIDATE, None, NOW)
    for n, (right, wrong, right_back, wrong_back) in enumerate(seen):
        at = NOW.timestamp() + 15 * n
        series = [*told("a", at, right, wrong, right_back, wrong_back), *own("a", at, 100)]
        evidence = grown(evidence, GATE, counts(GATE, series), (), NOW + timedelta(seconds=15 * n))
    right, wrong, right_back, wrong_back = seen[-1]
    assert evidence.good == right - right_back
    assert evidence.total == right + wrong - right_back - wrong_back
    assert evidence.scrapes == 3, "corrections alone are no scrape with labels"


def test_corrections_do_not_make_scrapes_differ() -> None:
    """The same labels, some of them wrong at first: as many as without corrections are needed."""

    def effect(corrected: bool) -> float:
        evidence = fresh_evidence(GATE, CANDIDATE, None, NOW)
        right, wrong, back = 0, 0, 0
        for n, good in enumerate(itertools.islice(itertools.cycle([18, 16, 17]), 60)):
            right, wrong = right + good, wrong + 20 - good
            if corrected and n % 3 == 2:
                # one of sixty is found to be wrong later
                back, wrong = back + 1, wrong + 1
            at = NOW.timestamp() + 15 * n
            series = told("a", at, right, wrong, back)
            evidence = grown(
                evidence, GATE, counts(GATE, series), (), NOW + timedelta(seconds=15 * n)
            )
        return design_effect(evidence, GATE)

    assert effect(corrected=True) == pytest.approx(effect(corrected=False), abs=0.1)


@pytest.mark.parametrize("value", [float("nan"), -1.0, float("inf")], ids=repr)
def test_what_is_no_count_is_no_evidence(value: float) -> None:
    with pytest.raises(NoEvidence, match=STORED):
        counts(GATE, [*told("a", 100, value, 0), *own("a", 100, 5)])


def test_a_store_that_no_pod_has_reached_says_nothing() -> None:
    assert in_store(own("a", 100, 5)) == ()
