"""Labels that a store has counted: every pod tells the same, and corrections take back."""

import itertools
import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pytest

from rollout_operator.domain.api.analysis import Gate
from rollout_operator.domain.api.gate_results import EvidenceStatus
from rollout_operator.domain.gates.gate_status import Trial
from rollout_operator.domain.gates.label_counters import (
    counts,
    design_effect,
    fresh_evidence,
    gained,
    grown,
)
from rollout_operator.domain.gates.samples import (
    IN_STORE,
    MEAN,
    MEAN_OF,
    MEAN_SQUARES,
    RETRACTED,
    STORED,
    TAKEN_BACK,
    NoEvidence,
    in_store,
    store_place,
)
from rollout_operator.domain.gates.watched_gate import Watched, measure_watched
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
    stored, back = in_store(series, "abc")
    assert (stored.pod, stored.good, stored.total, stored.at) == ("/store/abc", 42, 47, 103)
    assert (back.pod, back.good, back.total) == ("/retracted/abc", 1, 1)


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
            "abc",
        )
    }
    assert {pod: (one.good, one.total, one.predicted) for pod, one in found.items()} == {
        store_place(IN_STORE, "abc"): (41, 46, 0),
        store_place(TAKEN_BACK, "abc"): (0, 0, 0),
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


# Each reading: right and wrong labels of the store, and those taken back of both.
FALLS: dict[str, tuple[list[tuple[float, ...]], float, float]] = {
    "soon after the first labels": ([(30, 0), (5, 0), (35, 0), (12, 0), (40, 4)], 40, 44),
    "a pod tells what it read before the one that is gone now": (
        [(900, 100), (890, 98), (905, 101)],
        905,
        1006,
    ),
    "the newest labels were lost, and are sent again": (
        [(900, 100), (880, 90), (890, 95), (900, 100), (910, 100)],
        910,
        1010,
    ),
    "a correction was lost, and is sent again": (
        [(90, 11, 1, 0), (90, 10, 0, 0), (90, 11, 1, 0), (95, 11, 1, 0)],
        94,
        105,
    ),
}


EMPTIED: dict[str, tuple[list[tuple[float, ...]], float, float]] = {
    "it was emptied": ([(900, 100), (8, 2), (17, 3), (27, 3)], 900 + 19, 1000 + 20),
    "it was emptied, and filled since with other labels": (
        [(900, 100), (300, 100), (400, 800), (410, 800)],
        900 + 110,
        1000 + 810,
    ),
    "an old copy is in its place": ([(900, 100), (90, 10), (95, 10)], 905, 1005),
}


def read(seen: Iterable[tuple[float, ...]], seconds: float = 15) -> EvidenceStatus:
    """The evidence after these readings, so many seconds apart."""
    evidence = fresh_evidence(GATE, CANDIDATE, None, NOW)
    for n, labels in enumerate(seen):
        now = NOW + timedelta(seconds=seconds * n)
        series = [*told("a", now.timestamp(), *labels), *own("a", now.timestamp(), 9000)]
        evidence = grown(evidence, GATE, counts(GATE, series), (), now)
    return evidence


@pytest.mark.parametrize(("seen", "good", "total"), FALLS.values(), ids=FALLS.keys())
@pytest.mark.parametrize("seconds", [15, 60])
def test_what_a_store_has_less_of_is_not_counted_again(
    seen: list[tuple[float, ...]], good: float, total: float, seconds: float
) -> None:
    evidence = read(seen, seconds)
    assert (evidence.good, evidence.total) == (good, total)


@pytest.mark.parametrize(("seen", "good", "total"), EMPTIED.values(), ids=EMPTIED.keys())
def test_of_a_store_that_has_far_less_for_a_while_what_comes_then_counts(
    seen: list[tuple[float, ...]], good: float, total: float
) -> None:
    evidence = read(seen, 130)
    assert (evidence.good, evidence.total) == (good, total)


def test_pods_that_read_late_change_no_count() -> None:
    """Of a store that grows, each look sees one or two pods, some of which have read long ago."""
    chance = random.Random(5)
    for _ in range(100):
        right = wrong = back = 0
        stands, seen = [(0, 0, 0, 0)], list[tuple[float, ...]]()
        for _ in range(60):
            came = chance.randrange(20)
            right, wrong = right + came * 4 // 5, wrong + came - came * 4 // 5
            if chance.random() < 0.2 and right > back:
                back, wrong = back + 1, wrong + 1
            stands.append((right, wrong, back, 0))
            seen.append(max(chance.choices(stands[-4:], k=chance.randrange(1, 3)), key=sum))
        evidence = read([*seen, stands[-1]])
        assert (evidence.good, evidence.total) == (right - back, right + wrong - back)


def test_a_difference_to_stable_counts_nothing_again_either() -> None:
    """Both stores' counters fall, one after the other; what comes in both counts."""
    gate = Gate.model_validate({"metric": "accuracy", "maxDrop": 0.1, "evidence": "Labelled"})
    evidence = fresh_evidence(gate, CANDIDATE, revision(1), NOW)
    seen = [(100, 400), (150, 450), (140, 440), (4, 8), (5, 9), (15, 19)]
    for n, (ours, theirs) in enumerate(seen):
        at = NOW.timestamp() + 130 * n
        mine, stable = (
            counts(gate, [*told("a", at, right, 0), *own("a", at, 500)], whose)
            for right, whose in ((ours, "new"), (theirs, "old"))
        )
        evidence = grown(evidence, gate, mine, stable, NOW + timedelta(seconds=130 * n))
    assert (evidence.total, evidence.baseline_total) == (50 + 11, 50 + 11)


def test_values_of_a_store_are_not_counted_again_either() -> None:
    """The query gives them without a pod; a server without a store has counters in its pods."""
    gate = Gate.model_validate({"metric": "value", "min": 0.5, "evidence": "Labelled"})

    def values(pod: str, at: float, count: float) -> list[Series]:
        parts = ((MEAN_OF, count), (MEAN, count / 2), (MEAN_SQUARES, count / 4))
        return [Series(name, pod, at, value, scale=(0.0, 200.0)) for name, value in parts]

    def total(pod: str, seen: list[float]) -> float:
        evidence = fresh_evidence(gate, CANDIDATE, None, NOW)
        for n, count in enumerate(seen):
            at = NOW.timestamp() + 15 * n
            own = counts(gate, values(pod, at, count), "abc")
            evidence = grown(evidence, gate, own, (), NOW + timedelta(seconds=15 * n))
        return evidence.total

    assert total("", [1000, 990, 1010]) == 1010
    assert total("iris-abc-1-2", [1000, 990, 1010]) == 2010


def test_after_promotion_an_accuracy_that_all_pods_tell_rests_on_its_labels_once() -> None:
    """However many pods there are: each tells of the same labels."""
    gate = Gate.model_validate({"metric": "accuracy", "min": 0.9})
    now = NOW + timedelta(minutes=10)

    def evidence(pods: int, stored: bool) -> str:
        series = []
        for pod in (f"p{n}" for n in range(pods)):
            gauge = Series("ml_model_accuracy", pod, now.timestamp(), 0.85, source="feedback")
            count = replace(gauge, name="ml_model_accuracy_samples", value=300)
            series += [gauge, count, *(told(pod, now.timestamp(), 255, 45) if stored else [])]
        watched = Watched(Trial(CANDIDATE, None, NOW, now), 100)
        said, _ = measure_watched(gate, tuple(series), watched, ())
        return said.message

    assert "300 labels" in evidence(1, stored=True)
    assert evidence(8, stored=True) == evidence(1, stored=True)
    assert "2400 labels" in evidence(8, stored=False), "without one each pod has labels of its own"


def test_a_revision_that_comes_back_brings_none_of_its_labels_again() -> None:
    """Labels judge the model version, and a store has counters of each of its revisions."""
    evidence = fresh_evidence(GATE, CANDIDATE, None, NOW)
    for n, (whose, right) in enumerate([("a", 500), ("b", 2), ("b", 30), ("a", 501)]):
        at = NOW.timestamp() + 15 * n
        series = [*told(f"pod-{whose}", at, right, 0), *own(f"pod-{whose}", at, 1000)]
        now = NOW + timedelta(seconds=15 * n)
        evidence = grown(evidence, GATE, counts(GATE, series, whose), (), now)
    assert evidence.total == 501 + 30
