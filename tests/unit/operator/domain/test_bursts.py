"""Answers that come in bursts: what one look at them is worth, by exact computation."""

import math

import pytest

from rollout_operator.domain.gates import bursts
from rollout_operator.domain.gates.sequential_test import alternatives

SIZES = {
    "one answer": (1, 1),
    "as many as a burst may have": (5, 5),
    "a burst and a bit": (7, 5),
    "a few bursts": (20, 5),
    "many": (100, 5),
    "very many": (400, 20),
    "what is between": (150, 7.5),
}


@pytest.mark.parametrize(("answers", "alike"), SIZES.values(), ids=SIZES.keys())
def test_how_many_answers_of_a_look_may_be_alike(answers: int, alike: float) -> None:
    assert bursts.burst(answers) == alike


def gain(answers: int, size: int, most: float, rate: float, divide: float) -> float:
    """The mean of what one look multiplies the wealth by, where answers come in bursts of `size`,
    each good with a chance of 1 - most, and the rest is a burst, too.
    """
    whole, rest = divmod(answers, size)
    floor = 1 - most
    good, bad = math.log(rate / floor), math.log((1 - rate) / most)

    def of(burst: int) -> float:
        return floor * math.exp(burst * good / divide) + most * math.exp(burst * bad / divide)

    return of(size) ** whole * of(rest)


@pytest.mark.parametrize("most", [0.01, 0.05, 0.3])
@pytest.mark.parametrize("answers", [1, 5, 7, 20, 100, 150, 400])
def test_no_burst_that_is_allowed_for_makes_a_look_worth_more_than_it_is(
    answers: int, most: float
) -> None:
    divide = bursts.burst(answers)
    for size in range(1, int(divide) + 1):
        for rate in alternatives(1 - most, True):
            assert gain(answers, size, most, rate, divide) <= 1 + 1e-12, (size, rate)


def test_a_greater_one_does() -> None:
    assert max(gain(20, 20, 0.05, q, bursts.burst(20)) for q in alternatives(0.95, True)) > 1.05


@pytest.mark.parametrize("most", [0.01, 0.05, 0.3])
@pytest.mark.parametrize("answers", [1, 20, 400])
def test_against_a_version_answers_of_a_look_may_have_anything_in_common(
    answers: int, most: float
) -> None:
    """All bad or all good is as far apart as they can be; the mean is that of the bound."""
    for place in range(len(bursts.BETS)):
        of = [math.exp(bursts.grown((), bad, answers, most)[place]) for bad in (0, answers)]
        assert (1 - most) * of[0] + most * of[1] == pytest.approx(1)


def test_looks_add_up() -> None:
    one = bursts.grown((), 3, 20, 0.05)
    assert bursts.grown(one, 3, 20, 0.05) == pytest.approx([2 * gained for gained in one])
    assert bursts.grown((9.0, 9.0), 3, 20, 0.05) == one, "of bets that are none any more"
