"""When a trial is looked at, and how old the metrics may be that a look goes by."""

from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from rollout_operator.controller.external_queries import no_older_than
from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import Watch
from rollout_operator.domain.api.words import Phase
from rollout_operator.domain.machine.decide import decide
from rollout_operator.domain.machine.schedule import at_step_ends, interval_since
from rollout_operator.domain.observed import Answer
from tests.support.builders import START, accuracy, at, observed, on_trial, ready, revision, spec

V1, V2 = (revision(v) for v in (1, 2))
STEPS = (10, 50, 100)
GROUPED = "u1"
"""A uid whose group is looked at 4, 14, … s after START, at an interval of 10 s."""


def trial_of(hold: str) -> Spec:
    """Three steps of this hold, at an interval of 10 s."""
    steps = [{"weight": weight, "hold": hold} for weight in STEPS]
    return spec("models:/iris/2", strategy__steps=steps, analysis__interval="10s")


def looks(hold: str, uid: str, ages: float = 0.0) -> list[float]:
    """Seconds from the beginning of a trial that goes well to each look at the metrics, up to the
    verdict; ages: how old the answers are that it gets, in seconds.
    """
    asked_for, status, found = trial_of(hold), on_trial(phase=Phase.STARTING, step=None), []
    answers: dict[str, Answer] = {}
    now, asked_at = START, None
    while status.phase in {Phase.STARTING, Phase.TRIAL}:
        second = (now - START).total_seconds()
        plan = decide(
            observed(
                second,
                uid=uid,
                spec=asked_for,
                status=status,
                workloads=ready(V1, V2),
                answers=answers,
                asked_at=asked_at,
            )
        )
        status = plan.status
        assert plan.requeue_at is not None
        now = max(plan.requeue_at, now + timedelta(milliseconds=1))
        found.append((now - START).total_seconds())
        asked_at = now - timedelta(seconds=ages)
        answers = dict[str, Answer](accuracy(0.93, (asked_at - START).total_seconds()))
    return found[:-1]


@pytest.mark.parametrize(
    ("hold", "ages", "seconds"),
    [
        pytest.param("10s", 0.0, [10, 20, 30], id="a step lasts an interval: a look at each end"),
        pytest.param("10s", 0.1, [10, 20, 30], id="another rollout has asked a moment ago"),
        pytest.param(
            "10s",
            1.5,
            [10, 14, 20, 24, 30],
            id="what others asked is older: with the group between, or a bad value is seen late",
        ),
        pytest.param("5s", 0.0, [5, 10, 15], id="a shorter step"),
        pytest.param(
            "20s", 0.0, [4, 14, 20, 24, 34, 40, 44, 54, 60], id="a longer one: with the group"
        ),
        pytest.param("14s", 0.0, [4, 14, 24, 28, 34, 42], id="the end comes with the group's look"),
    ],
)
def test_looks_of_a_trial(hold: str, ages: float, seconds: list[float]) -> None:
    assert looks(hold, GROUPED, ages) == pytest.approx(seconds, abs=0.01)


@pytest.mark.parametrize("uid", ["u0", GROUPED, "u3"])
@pytest.mark.parametrize("hold", ["5s", "10s", "13s", "20s", "60s"])
@pytest.mark.parametrize("ages", [0.0, 0.125, 1.9])
def test_no_more_than_an_interval_passes_between_two_measurements(
    uid: str, hold: str, ages: float
) -> None:
    found = looks(hold, uid, ages)
    gaps = [later - (before - ages) for before, later in pairwise(found)]
    assert max((found[0], *gaps)) <= 10 + max(ages, at_step_ends(trial_of(hold))) + 0.01


@pytest.mark.parametrize(
    ("step_since", "now", "oldest"),
    [
        pytest.param(5, 9.5, 8, id="in a step: what was asked in the same beat of 2 s"),
        pytest.param(5, 14.1, 14, id="its group is looked at: nothing from before that"),
        pytest.param(5.3, 15.3, 15.25, id="the step ends: no older than an eighth of a second"),
        pytest.param(5.3, 15.9, 15.25, id="a little later, under load: the same will do"),
        pytest.param(5.3, 24.5, 24, id="held for long: with the group again"),
    ],
)
def test_how_old_the_metrics_of_a_look_may_be(step_since: float, now: float, oldest: float) -> None:
    asked_for = trial_of("10s")
    status = on_trial(step_since=at(step_since), candidate=V2)
    assert interval_since(GROUPED, asked_for, at(14.1)) == at(14)
    assert datetime.fromtimestamp(
        no_older_than(GROUPED, asked_for, status, at(now)), tz=START.tzinfo
    ) == at(oldest)


@pytest.mark.parametrize(
    ("second", "oldest"),
    [
        pytest.param(4.3, 4, id="its group is looked at: nothing from before that"),
        pytest.param(5.9, 4, id="a little later, under load: the same will do"),
        pytest.param(9.5, 8, id="a change wakes it: what was asked in the same beat"),
    ],
)
def test_watches_share_what_was_asked_in_a_beat(second: float, oldest: float) -> None:
    watch = Watch(former=V1.revision, since=at(-60), until=at(3540))
    promoted = on_trial(
        phase=Phase.PROMOTED, stable=V2, candidate=None, step=None, retiring=(V1,), watch=watch
    )
    found = no_older_than(GROUPED, trial_of("10s"), promoted, at(second))
    assert datetime.fromtimestamp(found, tz=START.tzinfo) == at(oldest)
