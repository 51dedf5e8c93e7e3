"""When routers are known to follow, by how requests through the routes were answered."""

from datetime import timedelta

import pytest

from rollout_operator.domain.api.route_status import Drain, Route
from rollout_operator.domain.api.status import Status
from rollout_operator.domain.api.traffic import Provider
from rollout_operator.domain.api.words import Phase
from rollout_operator.domain.drain import (
    CHANCE,
    LEAST,
    Question,
    Row,
    as_long_as,
    follows,
    needed,
    of_rows,
    question,
)
from rollout_operator.domain.observed import APART, Followed
from rollout_operator.domain.route import own_host
from tests.support.builders import START, on_trial, revision, spec

STABLE, CANDIDATE = revision(1).revision, revision(2).revision
STEPS = [{"weight": 10, "hold": "1s"}, {"weight": 70, "hold": "1s"}, {"weight": 100, "hold": "1s"}]
QUESTIONS: dict[str, tuple[Status, Question | None]] = {
    "all requests, after a tenth": (
        on_trial(phase=Phase.SHIFTING, weight=100),
        Question(CANDIDATE, LEAST),
    ),
    "all requests, after most of them": (
        on_trial(phase=Phase.SHIFTING, weight=100, step=1),
        Question(CANDIDATE, 39),
    ),
    "all requests, as before": (on_trial(phase=Phase.SHIFTING, weight=100, step=2), None),
    "all requests, of a step that the spec has no more": (
        on_trial(phase=Phase.SHIFTING, weight=100, step=7),
        None,
    ),
    "all requests at once, to what is restored": (
        on_trial(phase=Phase.SHIFTING, weight=100, step=None),
        Question(CANDIDATE, LEAST),
    ),
    "the stable Service, which nobody sees": (on_trial(phase=Phase.SWITCHING, weight=100), None),
    "the canary route closes, which leads to the same pods": (
        on_trial(phase=Phase.SETTLING, weight=0),
        None,
    ),
    "back to stable": (
        on_trial(phase=Phase.ROLLING_BACK, weight=0),
        Question(STABLE, LEAST, as_tester=True),
    ),
    "a first deploy, which had no requests": (
        on_trial(phase=Phase.ROLLING_BACK, weight=0, stable=None),
        None,
    ),
    "a step of less than all requests": (on_trial(weight=70, step=1), None),
    "the step of all requests, after most of them": (
        on_trial(weight=100, step=2),
        Question(CANDIDATE, 39),
    ),
    "the step of all requests, of a trial that begins with it": (
        on_trial(weight=100, step=0),
        Question(CANDIDATE, LEAST),
    ),
    "the step of all requests, of a first deploy": (
        on_trial(weight=100, step=2, stable=None),
        None,
    ),
    "at rest": (on_trial(phase=Phase.PROMOTED, candidate=None), None),
}


@pytest.mark.parametrize(("status", "asked"), QUESTIONS.values(), ids=QUESTIONS.keys())
def test_what_is_asked_in_which_phase(status: Status, asked: Question | None) -> None:
    assert question(spec("models:/iris/2", strategy__steps=STEPS), status) == asked


@pytest.mark.parametrize("phase", [Phase.SHIFTING, Phase.ROLLING_BACK])
def test_no_router_shows_what_a_service_alone_does(phase: Phase) -> None:
    inside = spec("models:/iris/2", traffic={"provider": "None"})
    assert question(inside, on_trial(phase=phase, weight=100)) is None


@pytest.mark.parametrize("former", [1.0, 0.9, 0.5, 0.3, 0.1, 0.01], ids="{:.0%} before".format)
def test_a_router_that_does_not_follow_gives_so_many_answers_by_chance_only(former: float) -> None:
    answers = needed(former)
    assert (1 - former) ** answers <= CHANCE
    assert answers == LEAST or (1 - former) ** (answers - 1) > CHANCE


def row(*answers: tuple[bool, float, float]) -> Row:
    """What is left of these: whether the right one answered, when it was asked, when answered."""
    found = Row()
    for one in answers:
        found = found.then(*one)
    return found


ROWS: dict[str, tuple[Row, Row]] = {
    "none yet": (row(), Row()),
    "one": (row((True, 1.0, 1.2)), Row(1, 1.2, 1.0)),
    "several": (row((True, 1.0, 1.2), (True, 2.0, 2.1), (True, 3.0, 3.5)), Row(3, 1.2, 3.0)),
    "one from somebody else at last": (row((True, 1.0, 1.2), (False, 2.0, 2.1)), Row()),
    "one from somebody else between them": (
        row((True, 1.0, 1.2), (False, 2.0, 2.1), (True, 3.0, 3.1), (True, 4.0, 4.1)),
        Row(2, 3.1, 4.0),
    ),
}


@pytest.mark.parametrize(("found", "expected"), ROWS.values(), ids=ROWS.keys())
def test_only_the_last_answers_in_a_row_count(found: Row, expected: Row) -> None:
    assert found == expected


def test_of_several_addresses_the_worst_counts() -> None:
    found = of_rows([Row(40, 0.5, 9.0), Row(25, 2.0, 8.0)])
    assert found == Followed(25, timedelta(seconds=6), timedelta(seconds=2))
    # One that has answered once began its row after it was asked.
    assert of_rows([Row(40, 0.5, 9.0), Row(1, 3.2, 3.0)]) == Followed(
        1, timedelta(0), timedelta(seconds=3.2)
    )
    assert of_rows([]) is None


LAG = timedelta(seconds=1)
ASKED = Question(CANDIDATE, 20)
KNOWN: dict[str, tuple[Followed | None, bool]] = {
    "nobody can be asked": (None, False),
    "nobody has answered": (Followed(0, timedelta(0), LAG), False),
    "enough answers over long enough": (Followed(20, APART, LAG), True),
    "too few": (Followed(19, APART * 2, LAG), False),
    "in too short a time": (Followed(200, APART - timedelta(seconds=0.1), LAG), False),
}


@pytest.mark.parametrize(("followed", "known"), KNOWN.values(), ids=KNOWN.keys())
def test_it_is_known_by_enough_answers_over_long_enough(
    followed: Followed | None, known: bool
) -> None:
    assert follows(ASKED, followed, APART) is known


SHIFTED = Drain(phase=Phase.SHIFTING, seconds=6.5, known=True, answers=24, lag=1.5)
STEPPED = Drain(phase=Phase.TRIAL, seconds=10, known=True, answers=24, lag=0.5)
UNSEEN = Drain(phase=Phase.SHIFTING, seconds=10, known=False)
SERVICE_LAGS: dict[str, tuple[Status, float | None]] = {
    "as the router lagged in Shifting": (
        on_trial(phase=Phase.SWITCHING, weight=100, drains=(SHIFTED,)),
        6.5,
    ),
    "a router that nobody could ask": (
        on_trial(phase=Phase.SWITCHING, weight=100, drains=(UNSEEN,)),
        None,
    ),
    "as the router lagged in the step of all requests": (
        on_trial(phase=Phase.SWITCHING, weight=100, drains=(STEPPED,)),
        5.5,
    ),
    "all requests by the last step, in which nobody could be asked": (
        on_trial(phase=Phase.SWITCHING, weight=100),
        None,
    ),
    "the canary route, as the router lagged in Shifting": (
        on_trial(phase=Phase.SETTLING, weight=0, drains=(SHIFTED,)),
        6.5,
    ),
    "another phase, which requests show": (
        on_trial(phase=Phase.ROLLING_BACK, weight=0, drains=(SHIFTED,)),
        None,
    ),
}


@pytest.mark.parametrize(("status", "seconds"), SERVICE_LAGS.values(), ids=SERVICE_LAGS.keys())
def test_the_stable_service_is_followed_as_long_as_the_weights_were(
    status: Status, seconds: float | None
) -> None:
    known = as_long_as(status, APART)
    assert (known.total_seconds() if known is not None else None) == seconds


def way(*hosts: str, path: str = "/") -> Route:
    provider, first = Provider.INGRESS, hosts[0]
    return Route(
        name="iris", provider=provider, host=first, hosts=hosts[1:], path=path, since=START
    )


OWN_HOSTS: dict[str, tuple[tuple[Route, ...], tuple[str, ...]]] = {
    "one route": ((way("a", "b"),), ("a",)),
    "a former one has the first yet": ((way("a", "b"), way("a")), ("b", "a")),
    "a former one has all": ((way("a"), way("a", "b")), ("a", "a")),
    "the former one's path is another": ((way("a", "b"), way("a", path="/old")), ("a", "a")),
}


@pytest.mark.parametrize(("routes", "asked"), OWN_HOSTS.values(), ids=OWN_HOSTS.keys())
def test_each_route_is_asked_by_a_host_that_its_own_object_has(
    routes: tuple[Route, ...], asked: tuple[str, ...]
) -> None:
    assert tuple(own_host(route, routes) for route in routes) == asked
