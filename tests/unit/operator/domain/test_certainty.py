"""Counts are told from chance: exactly, by the binomial distribution, over all looks together."""

import math
from collections.abc import Callable

import pytest

from rollout_operator.domain.api.analysis import Gate, Metric
from rollout_operator.domain.gates.certainty import (
    ALPHA,
    NEAR,
    Tally,
    allowed,
    breaks_for_sure,
    keeps_for_sure,
)

LATENCY = Gate(metric=Metric.LATENCY_P95, max=0.25)
ERRORS = Gate(metric=Metric.ERROR_RATE, max=0.01)
NO_ERRORS = Gate(metric=Metric.ERROR_RATE, max=0.0)
SIZES = (14, 20, 30, 60, 100, 300, 1000)
Says = Callable[[Gate, Tally], bool]


def chance(requests: int, wrong: int, share: float) -> float:
    """That so many of the requests are wrong, where each is with the chance `share`."""
    return math.comb(requests, wrong) * share**wrong * (1 - share) ** (requests - wrong)


@pytest.mark.parametrize("gate", [LATENCY, ERRORS], ids=["latency", "errors"])
@pytest.mark.parametrize("requests", SIZES)
def test_an_equal_candidate_fails_by_chance_as_seldom_as_said(gate: Gate, requests: int) -> None:
    failed = [n for n in range(requests + 1) if breaks_for_sure(gate, Tally(requests, n))]
    share = allowed(gate)
    assert sum(chance(requests, n, share) for n in failed) <= ALPHA
    assert failed[-1] == requests


def ever(says: Says, gate: Gate, share: float, most: int) -> float:
    """The chance that `says` is true at one of all looks, one at each request, where so many are
    wrong.
    """
    undecided, decided = {0: 1.0}, 0.0
    for requests in range(1, most + 1):
        after: dict[int, float] = {}
        for wrong, likely in undecided.items():
            after[wrong] = after.get(wrong, 0.0) + likely * (1 - share)
            after[wrong + 1] = after.get(wrong + 1, 0.0) + likely * share
        likely_ones = {n: p for n, p in after.items() if p > 1e-12}
        found = {n for n in likely_ones if says(gate, Tally(requests, n))}
        decided += sum(likely_ones[n] for n in found)
        undecided = {n: p for n, p in likely_ones.items() if n not in found}
    return decided


ALL_LOOKS: dict[str, tuple[Says, Gate, float, int, float, float]] = {
    "equal, just within the bound": (breaks_for_sure, LATENCY, 0.05, 1000, 0, ALPHA),
    "as many errors as may be": (breaks_for_sure, ERRORS, 0.01, 1000, 0, ALPHA),
    "equal, with half of the slow ones that may be": (
        breaks_for_sure,
        LATENCY,
        0.025,
        1000,
        0,
        ALPHA / 20,
    ),
    "every second one slow": (breaks_for_sure, LATENCY, 0.5, 40, 0.999, 1),
    "a fifth slow": (breaks_for_sure, LATENCY, 0.2, 300, 0.99, 1),
    "a tenth wrong": (breaks_for_sure, ERRORS, 0.1, 150, 0.97, 1),
    "stable beyond the bound is not said to keep it": (
        keeps_for_sure,
        LATENCY,
        0.05,
        1000,
        0,
        NEAR,
    ),
    "a good stable is soon known": (keeps_for_sure, LATENCY, 0.002, 150, 0.95, 1),
}


@pytest.mark.parametrize(
    ("says", "gate", "share", "most", "least", "at_most"),
    ALL_LOOKS.values(),
    ids=ALL_LOOKS.keys(),
)
def test_looks_at_every_request_are_wrong_as_seldom_as_said(
    says: Says, gate: Gate, share: float, most: int, least: float, at_most: float
) -> None:
    assert least <= ever(says, gate, share, most) <= at_most


def test_what_may_never_happen_is_told_by_once() -> None:
    assert not breaks_for_sure(NO_ERRORS, Tally(30, 0))
    assert breaks_for_sure(NO_ERRORS, Tally(30, 1))
    assert keeps_for_sure(NO_ERRORS, Tally(30, 0))
