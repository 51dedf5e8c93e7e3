"""The test on the difference of two means: how often it is wrong, through the real code, and what
it takes.
"""

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rollout_operator.domain.api.analysis import Gate
from rollout_operator.domain.api.gate_results import EvidenceStatus, Measurement
from rollout_operator.domain.gates.gate_status import Trial
from rollout_operator.domain.gates.labelled_gate import measure_labels
from rollout_operator.domain.gates.mean_pair import MOST_BETS, PairWealth, pair_step
from rollout_operator.domain.gates.mean_test import Sums
from rollout_operator.domain.gates.promql import read_own, series_of
from rollout_operator.domain.gates.sequential_test import log_mean_exp
from rollout_operator.domain.observed import MetricsUnreachable
from rollout_operator.domain.own_metrics import OwnMetric
from tests.support.builders import START, at, revision

NEED, MOST, TRIALS = math.log(1 / 0.05), 2000, 400
WEIGHTS = (10,) * 20 + (50,) * 36
Draw = Callable[[np.random.Generator, int, int], np.ndarray]
"""Values of a scrape, by its number and how many there are."""


def sums(values: np.ndarray, squares: bool = True) -> Sums:
    total = float(values.sum())
    return Sums(len(values), total, float((values**2).sum()) if squares else total)


def revenue(share: float) -> Draw:
    """Mostly nothing, else something, 0.4 on average; by the hour, and less from the second weight
    on.
    """

    def drawn(random: np.random.Generator, scrape: int, count: int) -> np.ndarray:
        now = (share - (0.2 if scrape >= 20 else 0)) * (1 + 0.2 * math.sin(scrape / 6))
        return (random.random(count) < now) * random.beta(2, 3, count)

    return drawn


def close(mean: float) -> Draw:
    """Within 0.1 of the mean, which rises and falls."""
    return lambda random, scrape, count: (
        mean + 0.1 * math.sin(scrape / 6) + 0.2 * (random.random(count) - 0.5)
    )


def less(draw: Draw, by: float) -> Draw:
    """Of a share of values nothing is left, so that on average they are so much less."""

    others = np.random.default_rng(11)
    means = [draw(others, scrape, 100_000).mean() for scrape in range(len(WEIGHTS))]

    def drawn(random: np.random.Generator, scrape: int, count: int) -> np.ndarray:
        values = draw(random, scrape, count)
        return np.where(random.random(count) < by / means[scrape], 0.0, values)

    return drawn


def ended(ours: Draw, theirs: Draw, drop: float, seed: int, squares: bool = True) -> int:
    """1 where the candidate is proved to be good, -1 where it is proved not to be; else 0."""
    random, wealth = np.random.default_rng(seed), PairWealth()
    for scrape, weight in enumerate(WEIGHTS):
        mine, stables = ours(random, scrape, weight), theirs(random, scrape, 100 - weight)
        wealth = pair_step(wealth, sums(mine, squares), sums(stables, squares), drop, MOST)
        for log_wealths, verdict in ((wealth.above, 1), (wealth.below, -1)):
            if log_wealths and log_mean_exp(log_wealths) >= NEED:
                return verdict
    return 0


BORDER: dict[str, tuple[Draw, float, bool]] = {
    "revenue": (revenue(0.6), 0.04, True),
    "revenue without squares": (revenue(0.6), 0.04, False),
    "close together": (close(0.6), 0.1, True),
}


@pytest.mark.parametrize(("draw", "drop", "squares"), BORDER.values(), ids=BORDER.keys())
def test_a_mean_just_so_much_worse_is_seldom_taken_for_another(
    draw: Draw, drop: float, squares: bool
) -> None:
    ours = less(draw, drop)
    found = [ended(ours, draw, drop, seed, squares) for seed in range(TRIALS)]
    most = 0.05 * TRIALS + 3 * math.sqrt(0.05 * 0.95 * TRIALS)
    assert found.count(1) <= most
    assert found.count(-1) <= most


@pytest.mark.parametrize(
    ("draw", "drop", "worse", "verdict"),
    [
        pytest.param(revenue(0.6), 0.1, 0.0, 1, id="as much revenue"),
        pytest.param(revenue(0.6), 0.02, 0.12, -1, id="half of the revenue"),
        pytest.param(close(0.6), 0.05, 0.0, 1, id="as much, close together"),
        pytest.param(close(0.6), 0.05, 0.15, -1, id="much less, close together"),
    ],
)
def test_what_is_so_is_proved(draw: Draw, drop: float, worse: float, verdict: int) -> None:
    ours = less(draw, worse) if worse else draw
    found = [ended(ours, draw, drop, seed) for seed in range(30)]
    assert found.count(verdict) >= 28
    assert not found.count(-verdict)


def test_nothing_bought_yet_by_anybody_is_no_end() -> None:
    """Revenue of one visit in fifty, and none in the first scrapes."""
    random, wealth = np.random.default_rng(2), PairWealth()
    for scrape in range(400):
        mine, theirs = (
            (random.random(50) < (0.02 if scrape > 3 else 0)) * random.beta(2, 3, 50)
            for _ in range(2)
        )
        wealth = pair_step(wealth, sums(mine), sums(theirs), 0.004, 20_000)
    assert log_mean_exp(wealth.above) >= NEED


@pytest.mark.parametrize("most", [10, 2000, 1_000_000])
@pytest.mark.parametrize("known", [0.0, 1e-6, 0.01, 0.5, 1.0])
@pytest.mark.parametrize("drop", [0.0, 0.001, 0.3, 0.999])
def test_there_are_as_many_wealths_as_a_status_holds_and_all_are_numbers(
    drop: float, known: float, most: int
) -> None:
    wealth = PairWealth()
    for mean in (known, known, 0.0, 1.0):
        one = Sums(7, 7 * mean, 7 * mean)
        wealth = pair_step(wealth, one, Sums(3, 3 * known, 3 * known), drop, most)
    assert 0 < len(wealth.above) <= MOST_BETS
    assert 0 < len(wealth.below) <= MOST_BETS
    assert all(map(math.isfinite, (*wealth.above, *wealth.below)))


OURS, THEIRS = revision(2), revision(1)
ORDERS = {
    "counts": "Mean",
    "query": "shop_revenue_total",
    "samples": "shop_orders_total",
    "squares": "shop_revenue_squared_total",
    "bounds": {"min": -100, "max": 400},
    "unit": "EUR",
}
GATES: dict[str, tuple[str, dict[str, Any], float, Measurement]] = {
    "as much": ("Higher", {"maxDrop": 40}, 0, Measurement.PASS),
    "much less": ("Higher", {"maxDrop": 40}, -120, Measurement.FAIL),
    "just so much less": ("Higher", {"maxDrop": 40}, -40, Measurement.NO_EVIDENCE),
    "no more": ("Lower", {"maxIncrease": 40}, 0, Measurement.PASS),
    "much more": ("Lower", {"maxIncrease": 40}, 120, Measurement.FAIL),
}


@pytest.mark.parametrize(("better", "bound", "more", "says"), GATES.values(), ids=GATES.keys())
def test_a_gate_compares_the_means_of_both(
    better: str, bound: dict[str, Any], more: float, says: Measurement
) -> None:
    metric = OwnMetric.model_validate(ORDERS | {"better": better})
    gate = Gate.model_validate({"metric": "orders", "evidence": "Labelled", **bound})
    known: tuple[EvidenceStatus, ...] = ()
    random, told = np.random.default_rng(3), {OURS.revision: [0.0] * 3, THEIRS.revision: [0.0] * 3}
    said = None
    for look in range(1, 30):
        for whose, level, count in ((OURS, 120 + more, 20), (THEIRS, 120, 80)):
            values = level + 100 * (random.random(count) - 0.5)
            now = (values.sum(), count, (values**2).sum())
            told[whose.revision] = [a + b for a, b in zip(told[whose.revision], now, strict=True)]
        moment = at(20 + look)
        result = [
            {
                "metric": {"rollout_part": part, "namespace": "ml", "revision": whose},
                "value": [moment.timestamp(), repr(float(value))],
            }
            for whose, of in told.items()
            for part, value in zip(("mean", "meanOf", "meanSquares"), of, strict=True)
        ]
        body = json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}})
        found = read_own(metric, 200, body.encode())
        assert not isinstance(found, MetricsUnreachable)
        ours, theirs = (series_of(found, "ml", "iris", r.revision) for r in (OURS, THEIRS))
        trial = Trial(OURS, THEIRS, START, moment)
        said, counted = measure_labels(gate, ours, theirs, trial, known)
        assert counted is not None
        known = (counted,)
    assert said is not None
    assert said.measurement is says
    assert said.value == pytest.approx(-more if better == "Higher" else more, abs=6)
    assert f"at most 40 worse than stable asked; evidence {said.evidence_for:.0%}" in said.message
