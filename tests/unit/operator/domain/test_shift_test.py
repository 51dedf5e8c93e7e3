"""The test of how far two distributions are apart: what it promises, exactly and by chance."""

import math
from itertools import product

import numpy as np
import pytest
from scipy import stats

from rollout_operator.domain.gates.shift_test import (
    Shift,
    added,
    differences,
    interval,
    log_beyond,
    log_within,
)

NEED = math.log(20)
Shares = tuple[float, ...]


def outcomes(answers: int, shares: Shares) -> list[tuple[tuple[int, ...], float]]:
    """Every count by class of so many answers, and its chance."""
    found = [c for c in product(range(answers + 1), repeat=len(shares)) if sum(c) == answers]
    return [(counts, float(stats.multinomial.pmf(counts, answers, shares))) for counts in found]


def counts(numbers: tuple[int, ...]) -> dict[str, float]:
    return {str(n): float(count) for n, count in enumerate(numbers)}


BORDER: dict[str, tuple[Shares, Shares]] = {
    "two classes": ((0.6, 0.4), (0.5, 0.5)),
    "two, one of them rare": ((0.11, 0.89), (0.01, 0.99)),
    "three, one of them more": ((0.5, 0.25, 0.25), (0.4, 0.3, 0.3)),
    "three, two of them more": ((0.35, 0.35, 0.3), (0.3, 0.3, 0.4)),
}
"""Pairs that are 0.1 apart."""


@pytest.mark.parametrize(("ours", "theirs"), BORDER.values(), ids=BORDER.keys())
@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 4), (5, 2)])
def test_at_the_border_evidence_does_not_grow_on_average(
    ours: Shares, theirs: Shares, n: int, m: int
) -> None:
    """Exactly, over all outcomes of a scrape: E of both directions has a mean of 1 at most."""
    assert sum(abs(p - q) for p, q in zip(ours, theirs, strict=True)) / 2 == pytest.approx(0.1)
    mean = dict.fromkeys(("beyond", "within"), 0.0)
    for (a, p), (b, q) in product(outcomes(n, ours), outcomes(m, theirs)):
        shift = added(Shift(), counts(a), counts(b))
        mean["beyond"] += p * q * math.exp(log_beyond(shift, 0.1))
        mean["within"] += p * q * math.exp(log_within(shift, 0.1))
    assert max(mean.values()) <= 1 + 1e-9


def test_a_set_of_classes_as_the_product_has_it() -> None:
    """The closed form is the mean over all sets of classes."""
    excess, weight, threshold = {"a": 12.0, "b": -7.0, "c": -5.0}, 80.0, 0.1
    sets = [
        sum(s for s, taken in zip(excess.values(), of, strict=True) if taken)
        for of in product((False, True), repeat=3)
    ]
    steps = [math.sqrt(8 * math.log(20) / n) for n in (10, 40, 160, 640)]
    expected = math.log(
        sum(
            math.exp(step * (s - threshold * weight) - step**2 * weight / 8)
            for step in steps
            for s in sets
        )
        / (len(sets) * len(steps))
    )
    assert log_beyond(Shift(excess, weight), threshold) == pytest.approx(expected)


def simulated(ours: Shares, theirs: Shares, seed: int, scrapes: int = 200) -> tuple[int, int]:
    """The verdict (1: within, -1: beyond, 0: none) and the first one's answers; it has a tenth."""
    random, shift = np.random.default_rng(seed), Shift()
    for scrape in range(1, scrapes + 1):
        a, b = random.multinomial(10, ours), random.multinomial(90, theirs)
        shift = added(shift, counts(tuple(a.tolist())), counts(tuple(b.tolist())))
        if log_beyond(shift, 0.1) >= NEED:
            return -1, 10 * scrape
        if log_within(shift, 0.1) >= NEED:
            return 1, 10 * scrape
    return 0, 10 * scrapes


CLEAR: dict[str, tuple[Shares, Shares, int, int]] = {
    "the same": ((0.4, 0.3, 0.3), (0.4, 0.3, 0.3), 1, 900),
    "the same, of ten": ((0.1,) * 10, (0.1,) * 10, 1, 1400),
    "twice the border": ((0.6, 0.2, 0.2), (0.4, 0.3, 0.3), -1, 700),
    "another class": ((0.1, 0.9), (0.9, 0.1), -1, 40),
}


@pytest.mark.parametrize(("ours", "theirs", "verdict", "most"), CLEAR.values(), ids=CLEAR.keys())
def test_clear_cases_are_soon_told(ours: Shares, theirs: Shares, verdict: int, most: int) -> None:
    found = [simulated(ours, theirs, seed) for seed in range(20)]
    assert {said for said, _ in found} == {verdict}
    assert float(np.mean([answers for _, answers in found])) <= most


def test_bounds_hold_the_threshold_that_is_proved() -> None:
    shift = Shift({"a": 30.0, "b": -30.0}, 100.0)
    lower, upper = interval(shift)
    assert lower < shift.distance == 0.3 < upper
    assert log_beyond(shift, lower) >= NEED > log_beyond(shift, lower + 0.001)
    assert log_within(shift, upper) >= NEED > log_within(shift, upper - 0.001)
    assert interval(Shift()) == (0.0, 1.0)


def test_a_scrape_in_which_one_answers_nothing_says_nothing() -> None:
    known = added(Shift(), {"a": 3.0, "b": 1.0}, {"a": 5.0})
    assert added(known, {}, {"a": 9.0}) == added(known, {"a": 9.0}, {"b": 0.0}) == known


def test_base_rates_and_weights_that_move_do_not_move_the_difference() -> None:
    """Simpson's paradox: pooled, the two would look apart; scrape by scrape they are the same."""
    shift = Shift()
    for ours, theirs in (
        ({"a": 9.0, "b": 1.0}, {"a": 81.0, "b": 9.0}),
        ({"a": 5.0, "b": 45.0}, {"a": 5.0, "b": 45.0}),
    ):
        shift = added(shift, ours, theirs)
    assert shift.distance == pytest.approx(0)


def test_large_counts_do_not_overflow() -> None:
    shift = added(Shift(), {"a": 1e12}, {"b": 1e12})
    assert log_beyond(shift, 0.1) > 1e9
    assert log_within(shift, 0.1) < -1e9
    found, weight = differences({"a": 2.0}, {"a": 1.0, "b": 1.0})
    assert (found, weight) == ({"a": 0.5, "b": -0.5}, 1.0)
