"""The traffic benchmark's arithmetic."""

import argparse

import pytest

from scripts.demo.shares import Sighting
from scripts.demo.traffic import Answer
from tests.bench.lags import Course, Entered, Written
from tests.bench.repairs import Repairs
from tests.bench.traffic_figures import Tally, figures, repair_figures, shares_by_weight

WANTED = argparse.Namespace(pairs=2, kills=1, requests=4000)


def sightings(weight: int) -> list[Sighting]:
    return [Sighting(at / 10, "2", "1", weight) for at in range(1000)]


def answers(weight: int, each: int = 100, failed: int = 0) -> list[Answer]:
    """4,000 answers over 90 s; of every `each`, the candidate serves `weight`."""
    made = [
        Answer(5 + n / 50, 5.01 + n / 50, "2" if n % each < weight else "1", "r", "")
        for n in range(4000)
    ]
    return [Answer(6, 7, "", "", "HTTP 503")] * failed + made


def tally(**changes: object) -> Tally:
    values: dict[str, object] = {
        "router": "Ingress",
        "promoted": 2,
        "rolled_back": 2,
        "kills": 1,
        "seconds": 40.0,
    }
    lanes = [(sightings(10), answers(10))]
    return Tally(**{**values, "answers": answers(10), "lanes": lanes, **changes})  # type: ignore[arg-type]


def test_shares_add_up_over_lanes() -> None:
    lanes = [
        (sightings(10), answers(10)),
        (sightings(10), answers(12)),
        (sightings(50), answers(50)),
    ]
    found = shares_by_weight(lanes)
    assert set(found) == {10, 50}
    served, total = found[10]
    assert 100 * served / total == pytest.approx(11, abs=0.1)


def test_a_good_run_meets_every_goal() -> None:
    assert all(f.met for f in figures(tally(), WANTED))


BROKEN = {
    "one failed request": ({"answers": answers(10, failed=1)}, "Ingress: failed requests"),
    "a promotion missing": ({"promoted": 1}, "Ingress: promotions"),
    "a rollback missing": ({"rolled_back": 1}, "Ingress: rollbacks"),
    "nobody was killed": ({"kills": 0}, "Ingress: SIGKILLs of the operator"),
    "too few requests": ({"answers": answers(10)[:3999], "seconds": 39.0}, "Ingress: requests"),
    "too slow a load": ({"seconds": 41.0}, "Ingress: rate"),
    "a share that is two points off": (
        {"lanes": [(sightings(10), answers(12))]},
        "Ingress: share error at 10 %",
    ),
    "a share of too few requests": (
        {"lanes": [(sightings(10), answers(10)[:1500])]},
        "Ingress: share error at 10 %",
    ),
}


@pytest.mark.parametrize(("changes", "metric"), BROKEN.values(), ids=BROKEN.keys())
def test_what_is_missed_is_said(changes: dict[str, object], metric: str) -> None:
    assert [f.metric for f in figures(tally(**changes), WANTED) if not f.met] == [metric]


REPAIRS = {
    "all in time": (Repairs([0.2, 4.9], [0.1, 0.3]), []),
    "a deleted route that is late": (
        Repairs([0.2, 5.1], [0.1]),
        ["Ingress: canary route deleted, repaired"],
    ),
    "an edited route that is late": (
        Repairs([0.2], [7.0, 0.1]),
        ["Ingress: canary route edited, repaired"],
    ),
    "an edit taken for progress": (
        Repairs([0.2], [0.1], adopted=1),
        ["Ingress: foreign edits taken for progress"],
    ),
    "nothing measured": (
        Repairs(),
        ["Ingress: canary route deleted, repaired", "Ingress: canary route edited, repaired"],
    ),
}


@pytest.mark.parametrize(("repairs", "missed"), REPAIRS.values(), ids=REPAIRS.keys())
def test_repairs_are_held_against_five_seconds(repairs: Repairs, missed: list[str]) -> None:
    assert [f.metric for f in repair_figures("Ingress", repairs) if not f.met] == missed


def course(last: float) -> Course:
    """A promotion at second 30, after which the operator waits for 10 s; the old version's last
    answer.
    """
    written = [Written(0, "new", 50), Written(30, "new", 100)]
    entered = [Entered(30, "Shifting"), Entered(40, "Switching")]
    return Course(written, entered, [Answer(last, last + 1, "1", "old", "")])


@pytest.mark.parametrize(
    ("last", "met"),
    [pytest.param(38, True, id="in time"), pytest.param(41, False, id="after the drain")],
)
def test_a_router_that_lags_longer_than_the_operator_waits_misses_the_goal(
    last: float, met: bool
) -> None:
    found = {f.metric: f for f in figures(tally(courses=[course(last)]), WANTED)}
    assert found["Ingress: promotion, longest lag of the router"].value == last - 30
    assert found["Ingress: promotion, longest drain"].value == 10
    assert found["Ingress: promotion, least drain - lag"].met is met
