"""Lags of routers, from what was written and answered."""

from collections.abc import Sequence

import pytest

from scripts.demo.traffic import Answer
from tests.bench.lags import Course, Entered, Move, Waits, Written, lag, moment, moves, waits

OLD, NEW = "aaaa", "bbbb"
BEFORE = Written(0, None, 0)
TRIAL = [BEFORE, Written(10, NEW, 10), Written(20, NEW, 50)]
SHIFTED = [*TRIAL, Written(30, NEW, 100)]
INF = float("inf")

MOVES: dict[str, tuple[list[Written], list[Move]]] = {
    "nothing written": ([], []),
    "a trial alone": (TRIAL, []),
    "100 %": (SHIFTED, [Move("promotion", 30, INF, NEW)]),
    "the candidate's part goes when it is stable": (
        [*SHIFTED, Written(40, None, 0)],
        [Move("promotion", 30, INF, NEW)],
    ),
    "the next trial ends what is looked at": (
        [*SHIFTED, Written(40, None, 0), Written(50, OLD, 10)],
        [Move("promotion", 30, 50, NEW)],
    ),
    "a candidate that waits at 0 % does not": (
        [*SHIFTED, Written(40, None, 0), Written(45, OLD, 0), Written(50, OLD, 10)],
        [Move("promotion", 30, 50, NEW)],
    ),
    "rolled back by taking the part out": (
        [*TRIAL, Written(25, None, 0)],
        [Move("rollback", 25, INF, NEW)],
    ),
    "rolled back by weight 0, then the part goes": (
        [*TRIAL, Written(25, NEW, 0), Written(35, None, 0)],
        [Move("rollback", 25, INF, NEW)],
    ),
    "at 100 % from the first step": (
        [BEFORE, Written(10, NEW, 100), Written(40, None, 0)],
        [Move("promotion", 10, INF, NEW)],
    ),
    "told twice": (
        [*SHIFTED, Written(31, NEW, 100), Written(40, None, 0)],
        [Move("promotion", 30, INF, NEW)],
    ),
    "taken back out of 100 %": (
        [*SHIFTED, Written(33, NEW, 50), Written(34, None, 0)],
        [Move("promotion", 30, 33, NEW), Move("rollback", 34, INF, NEW)],
    ),
}


@pytest.mark.parametrize(("written", "expected"), MOVES.values(), ids=MOVES.keys())
def test_moves_are_found(written: Sequence[Written], expected: list[Move]) -> None:
    assert list(moves(written)) == expected


def answer(sent: float, revision: str, failure: str = "") -> Answer:
    return Answer(sent, sent + 0.01, "1", revision, failure)


PROMOTION, ROLLBACK = Move("promotion", 30, 50, NEW), Move("rollback", 30, 50, NEW)
LAGS: dict[str, tuple[Move, list[Answer], float]] = {
    "no requests": (PROMOTION, [], 0),
    "followed at once": (PROMOTION, [answer(29.9, OLD), answer(30.1, NEW)], 0),
    "the last one counts": (PROMOTION, [answer(30.5, OLD), answer(31, NEW), answer(32, OLD)], 2),
    "of those that were answered": (PROMOTION, [answer(30.5, OLD), answer(33, OLD, "502")], 0.5),
    "the next trial's old version is none": (PROMOTION, [answer(30.5, OLD), answer(51, OLD)], 0.5),
    "a rollback: the candidate's last": (ROLLBACK, [answer(31, NEW), answer(34, OLD)], 1),
}


@pytest.mark.parametrize(("move", "answers", "expected"), LAGS.values(), ids=LAGS.keys())
def test_the_lag_ends_with_the_last_late_request(
    move: Move, answers: list[Answer], expected: float
) -> None:
    assert lag(move, answers) == pytest.approx(expected)


PROMOTED = [Entered(30, "Shifting"), Entered(40, "Switching"), Entered(50, "Promoted")]


def course(last: float, entered: Sequence[Entered] = PROMOTED) -> Course:
    return Course(SHIFTED, entered, [answer(last, OLD), answer(45, NEW)])


def test_waits_are_summed_up_over_rollouts() -> None:
    found = waits([course(31), course(34), course(32)])
    assert list(found) == ["promotion"]
    of: Waits = found["promotion"]
    assert (of.lag.times, of.lag.middle, of.lag.most) == (3, 2, 4)
    assert (of.drain.times, of.drain.middle, of.drain.most) == (3, 10, 10)
    assert of.spare == 6


def test_a_short_drain_of_one_rollout_is_not_hidden_by_a_long_one_of_another() -> None:
    hasty = [Entered(30, "Shifting"), Entered(31, "Switching")]
    assert waits([course(31), course(33, hasty)])["promotion"].spare == -2


def test_a_move_whose_end_was_not_seen_is_left_out() -> None:
    assert waits([course(31, [Entered(30, "Shifting")])]) == {}


MOMENTS: dict[str, tuple[Course, str]] = {
    "nothing known": (Course([], [], []), "in phase unknown"),
    "a trial": (
        Course(TRIAL, [Entered(9, "Trial")], []),
        "in phase Trial, 5.50 s after the route said 50 %",
    ),
    "no candidate": (
        Course([*TRIAL, Written(25, None, 0)], [Entered(25, "RollingBack")], []),
        "in phase RollingBack, 0.50 s after the route said no candidate",
    ),
}


@pytest.mark.parametrize(("course", "said"), MOMENTS.values(), ids=MOMENTS.keys())
def test_what_failed_is_told_with_its_moment(course: Course, said: str) -> None:
    assert moment(course, answer(25.5, "", "HTTP 503")) == said
