"""The test on means: how often it is wrong, through the real code, and what it takes."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from rollout_operator.domain.gates.mean_test import Sums, bets, log_e

NEED = math.log(1 / 0.05)
MOST, EVERY, TRIALS = 2000, 20, 1500

Draw = Callable[[np.random.Generator, int], np.ndarray]


def rare(drawn: np.random.Generator, count: int) -> np.ndarray:
    """Revenue as shops have it: mostly nothing, seldom much."""
    return np.where(drawn.random(count) < 0.05, drawn.random(count) ** 0.5, 0.0)


def falling(drawn: np.random.Generator, count: int) -> np.ndarray:
    """Of a mean that is 0.5 at most at any time, and falls and rises by the day."""
    seasons = 0.5 - 0.2 * np.sin(np.arange(count) / 300) ** 2
    return (drawn.random(count) < seasons).astype(float)


STREAMS: dict[str, tuple[Draw, float, bool]] = {
    "evenly spread": (lambda drawn, n: drawn.random(n), 0.5, True),
    "all or nothing": (lambda drawn, n: (drawn.random(n) < 0.3).astype(float), 0.3, True),
    "close together": (lambda drawn, n: 0.4 + 0.02 * drawn.random(n), 0.41, True),
    "seldom, much": (rare, 0.05 * 2 / 3, True),
    "nearly always everything": (lambda drawn, n: 1 - rare(drawn, n), 1 - 0.05 * 2 / 3, True),
    "by the day, below": (falling, 0.5, False),
}


def sums_of(values: np.ndarray, squares: bool) -> list[Sums]:
    """As looks see them, every `EVERY` values."""
    total, square = np.cumsum(values), np.cumsum(values**2)
    return [
        Sums(n, float(total[n - 1]), float((square if squares else total)[n - 1]))
        for n in range(EVERY, len(values) + 1, EVERY)
    ]


@pytest.mark.parametrize("squares", [True, False], ids=["with squares", "without"])
@pytest.mark.parametrize(("draw", "mean", "exact"), STREAMS.values(), ids=STREAMS.keys())
def test_a_mean_at_the_bound_is_seldom_taken_for_another(
    draw: Draw, mean: float, exact: bool, squares: bool
) -> None:
    drawn, wrong = np.random.default_rng(7), {True: 0, False: 0}
    for _ in range(TRIALS // (1 if squares else 5)):
        looks = sums_of(draw(drawn, MOST), squares)
        for above in wrong:
            wrong[above] += any(log_e(one, mean, above, MOST) >= NEED for one in looks)
    trials = TRIALS // (1 if squares else 5)
    # Three standard deviations above the promise.
    most = 0.05 * trials + 3 * math.sqrt(0.05 * 0.95 * trials)
    assert wrong[True] <= most
    assert not exact or wrong[False] <= most


TAKEN: dict[str, tuple[Draw, float, bool, int]] = {
    "far above": (lambda drawn, n: 0.6 + 0.4 * drawn.random(n), 0.5, True, 60),
    "far below": (lambda drawn, n: 0.4 * drawn.random(n), 0.5, False, 60),
    "a little above, close together": (
        lambda drawn, n: 0.5 + 0.1 * drawn.random(n),
        0.53,
        True,
        200,
    ),
    "twice a small mean": (rare, 0.0167, True, 1000),
}


@pytest.mark.parametrize(("draw", "bound", "above", "most"), TAKEN.values(), ids=TAKEN.keys())
def test_what_is_so_is_proved_by_as_many(draw: Draw, bound: float, above: bool, most: int) -> None:
    drawn, needed = np.random.default_rng(7), []
    for _ in range(100):
        looks = sums_of(draw(drawn, MOST), True)
        found = next((s.count for s in looks if log_e(s, bound, above, MOST) >= NEED), math.inf)
        needed.append(found)
        assert not any(log_e(s, bound, not above, MOST) >= NEED for s in looks)
    assert float(np.median(needed)) <= most


def test_squares_that_are_not_known_make_it_slower_and_never_bolder() -> None:
    drawn = np.random.default_rng(7)
    values = drawn.random(400) * 0.6
    for bound in (0.1, 0.25, 0.35, 0.5):
        for above in (True, False):
            for known, unknown in zip(sums_of(values, True), sums_of(values, False), strict=True):
                told = log_e(known, bound, above, MOST)
                assert log_e(unknown, bound, above, MOST) <= told + 1e-9


@pytest.mark.parametrize(
    ("mean", "most", "count"), [(0.5, 10, 1), (0.5, 2000, 4), (0.01, 2000, 6), (0.5, 1_000_000, 7)]
)
def test_how_many_bets_there_are(mean: float, most: int, count: int) -> None:
    assert len(bets(mean, most)) == count


@pytest.mark.parametrize(
    ("sums", "bound", "above"),
    [
        pytest.param(Sums(50, 50, 50), 1.0, True, id="nothing is above the greatest value"),
        pytest.param(Sums(50, 0, 0), 0.0, False, id="nothing is below the least value"),
        pytest.param(Sums(0, 0, 0), 0.5, True, id="nothing was counted"),
    ],
)
def test_what_proves_nothing(sums: Sums, bound: float, above: bool) -> None:
    assert log_e(sums, bound, above, MOST) == 0
