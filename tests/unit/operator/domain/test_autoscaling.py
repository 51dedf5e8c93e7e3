"""Pods that an autoscaler numbers: what it is left at least in each phase, what waits for it."""

from dataclasses import replace
from typing import Any

import pytest

from rollout_operator.domain.api.status import ScaleUp, Status
from rollout_operator.domain.api.words import Phase, Reason
from rollout_operator.domain.machine.decide import decide
from rollout_operator.domain.observed import Observed, Workload
from rollout_operator.domain.owned_object import OwnedObject
from rollout_operator.domain.scaling import without_metric
from tests.support.builders import START, accuracy, at, observed, on_trial, revision, spec
from tests.unit.operator.raw_objects import deployment

SCALING = {"min": 2, "max": 12, "metric": "cpu", "target": 70}
V1, V2 = revision(1), revision(2)


def look(status: Status, stable: int, asked: int, ready: int, **changes: Any) -> Observed:
    """A look 21 s after the start: the step is over, and its gates pass. Of stable there are so
    many pods; of the candidate so many are asked for, and so many Ready.
    """
    return observed(
        21,
        **{
            "spec": spec("models:/iris/2", autoscaling=SCALING),
            "status": status,
            "workloads": {
                V1.revision: Workload(stable, stable),
                V2.revision: Workload(ready, asked),
            },
            "answers": accuracy(0.9, 21),
            **changes,
        },
    )


def candidate(pods: int) -> dict[str, Any]:
    return {"candidate": V2.model_copy(update={"replicas": pods, "ready_at": at(0)})}


STARTING = on_trial(phase=Phase.STARTING, weight=0, **candidate(1))
TRIAL, LAST = on_trial(**candidate(1)), on_trial(step=1, weight=50, **candidate(5))
PROMOTING = on_trial(phase=Phase.PROMOTING, step=1, weight=50, **candidate(9))
SHIFTING = on_trial(phase=Phase.SHIFTING, step=1, weight=100, **candidate(9))
COPIES = on_trial(weight=0, **candidate(2))
WITHOUT_COPIES = spec("models:/iris/2", autoscaling=SCALING, strategy__steps=[{"weight": 50}])
NEXT: dict[str, tuple[Observed, tuple[Phase, int, int]]] = {
    "begins with its share of what stable has": (look(STARTING, 10, 1, 1), (Phase.TRIAL, 10, 1)),
    "waits for its share where stable has grown": (
        look(STARTING, 30, 1, 1),
        (Phase.STARTING, 0, 3),
    ),
    "keeps its pods where stable has shrunk": (
        look(on_trial(phase=Phase.STARTING, weight=0, **candidate(3)), 10, 3, 2),
        (Phase.STARTING, 0, 3),
    ),
    "gets pods for its weight where copies are taken out of the step": (
        look(COPIES, 10, 2, 2, spec=WITHOUT_COPIES),
        (Phase.TRIAL, 0, 5),
    ),
    "begins with its weight once they are there": (
        look(COPIES, 10, 5, 5, spec=WITHOUT_COPIES),
        (Phase.TRIAL, 50, 5),
    ),
    "gets pods for the next step before its requests": (
        look(TRIAL, 10, 1, 1),
        (Phase.TRIAL, 10, 5),
    ),
    "waits until they are Ready": (
        look(on_trial(**candidate(5), grows_since=at(10)), 10, 5, 4),
        (Phase.TRIAL, 10, 5),
    ),
    "has the pods already": (look(TRIAL, 10, 6, 5), (Phase.TRIAL, 50, 5)),
    "waits too long": (
        look(on_trial(**candidate(5), grows_since=at(-60)), 10, 5, 4),
        (Phase.ROLLING_BACK, 0, 5),
    ),
    "is promoted with what stable has": (look(LAST, 9, 5, 5), (Phase.PROMOTING, 50, 9)),
    "is promoted with the least at least": (
        look(on_trial(step=1, weight=50, **candidate(1)), 1, 1, 1),
        (Phase.PROMOTING, 50, 2),
    ),
    "is promoted with the most at most": (look(LAST, 40, 5, 5), (Phase.PROMOTING, 50, 12)),
    "grows with stable while it is promoted": (
        look(PROMOTING, 11, 9, 9),
        (Phase.PROMOTING, 50, 11),
    ),
    "takes over": (look(PROMOTING, 9, 9, 9), (Phase.SHIFTING, 100, 9)),
    "has fewer where the most is lowered": (
        look(
            SHIFTING,
            9,
            9,
            3,
            spec=spec("models:/iris/2", autoscaling=SCALING | {"max": 3}),
        ),
        (Phase.SHIFTING, 100, 3),
    ),
}


@pytest.mark.parametrize(("seen", "expected"), NEXT.values(), ids=NEXT.keys())
def test_a_candidate(seen: Observed, expected: tuple[Phase, int, int]) -> None:
    status = decide(seen).status
    assert status.candidate is not None
    assert (status.phase, status.weight, status.candidate.replicas) == expected


def test_the_wait_between_two_steps_is_said_and_ends() -> None:
    seen = look(TRIAL, 10, 1, 1)
    waits = decide(seen).status
    assert (waits.reason, waits.grows_since) == (Reason.WAITING_FOR_PODS, at(21))
    assert waits.message == "Waiting for 5 pods of models:/iris/2, which step 2 of 2 needs."
    again = decide(replace(seen, status=waits, now=at(26))).status
    assert again.grows_since == at(21), "the wait began once"
    assert again.scale_up == ScaleUp(wanted=5, since=at(21)), "slow answers meanwhile say nothing"
    there = {**seen.workloads, V2.revision: Workload(5, 5)}
    goes_on = decide(replace(seen, status=again, workloads=there)).status
    assert (goes_on.step, goes_on.grows_since) == (1, None)
    assert goes_on.scale_up is not None
    assert goes_on.scale_up.until == at(21)


def test_a_skip_waits_for_the_pods_too_and_is_not_forgotten() -> None:
    skip = {"commands": {"skip": "2"}, "answers": {}}
    seen = look(TRIAL, 10, 1, 1, **skip)
    waits = decide(seen).status
    assert (waits.step, waits.handled_commands) == (0, ())
    there = {**seen.workloads, V2.revision: Workload(5, 5)}
    goes_on = decide(replace(seen, status=waits, workloads=there)).status
    assert (goes_on.step, goes_on.handled_commands) == (1, ("skip",))


def test_a_wait_for_pods_that_came_is_over_where_stable_has_grown_since() -> None:
    """Else a candidate would be rolled back for pods that were asked for only just now."""
    came = on_trial(**candidate(5), grows_since=at(-60))
    waits = decide(look(came, 16, 5, 5)).status
    assert (waits.phase, waits.grows_since) == (Phase.TRIAL, at(21))
    assert waits.candidate is not None
    assert waits.candidate.replicas == 8


def test_a_wait_for_pods_ends_where_all_are_lost() -> None:
    lost = decide(look(on_trial(**candidate(5), grows_since=at(10)), 10, 5, 0)).status
    assert (lost.phase, lost.grows_since) == (Phase.STARTING, None)


SKIP = {"commands": {"skip": "2"}}
WHILE_A_SKIP_WAITS: dict[str, tuple[dict[str, Any], Phase]] = {
    "nothing happens": ({}, Phase.TRIAL),
    "a gate fails": ({"answers": accuracy(0.5, 21)}, Phase.ROLLING_BACK),
    "stable is asked for again": (
        {"spec": spec("models:/iris/1", autoscaling=SCALING)},
        Phase.ROLLING_BACK,
    ),
}


@pytest.mark.parametrize(
    ("changes", "phase"), WHILE_A_SKIP_WAITS.values(), ids=WHILE_A_SKIP_WAITS.keys()
)
def test_while_a_skip_waits_for_pods(changes: dict[str, Any], phase: Phase) -> None:
    waiting = on_trial(**candidate(5), grows_since=at(10))
    assert decide(look(waiting, 10, 5, 4, **SKIP, **changes)).status.phase is phase


def test_a_failing_gate_ends_the_wait() -> None:
    waiting = on_trial(**candidate(5), grows_since=at(10))
    plan = decide(look(waiting, 10, 5, 4, answers=accuracy(0.5, 21)))
    assert (plan.status.phase, plan.status.reason) == (Phase.ROLLING_BACK, Reason.GATE_FAILED)


RESTS = on_trial(
    phase=Phase.PROMOTED, stable=V2, candidate=None, step=None, weight=0, observed_generation=1
)
READY: dict[str, tuple[int, int, int | None, bool, int]] = {
    "the least": (2, 2, None, True, 2),
    "what the autoscaler adds is on its way": (2, 9, None, True, 9),
    "fewer than the least": (1, 9, None, False, 9),
    "pods of a former template are left": (9, 9, 5, False, 9),
    "all are of the template": (9, 9, 9, True, 9),
}


@pytest.mark.parametrize(
    ("ready", "asked", "current", "well", "replicas"), READY.values(), ids=READY.keys()
)
def test_what_is_promoted_is_ready_with(
    ready: int, asked: int, current: int | None, well: bool, replicas: int
) -> None:
    pods = {V2.revision: Workload(ready, asked, current=current)}
    status = decide(look(RESTS, 0, 0, 0, workloads=pods)).status
    assert {c.type: c.status for c in status.conditions}["Ready"] == str(well)
    assert status.replicas == replicas, "what the scale subresource says is what there is"


SWITCHED = {
    "at rest, to an autoscaler": (RESTS, None, SCALING),
    "at rest, back": (RESTS, SCALING, None),
    "in a trial, to an autoscaler": (TRIAL, None, SCALING),
    "in a trial, back": (TRIAL, SCALING, None),
    "while it is promoted, to an autoscaler": (PROMOTING, None, SCALING),
    "while it is promoted, back": (PROMOTING, SCALING, None),
}


@pytest.mark.parametrize(("status", "before", "after"), SWITCHED.values(), ids=SWITCHED.keys())
def test_nothing_begins_anew_where_an_autoscaler_comes_or_goes(
    status: Status, before: dict[str, Any] | None, after: dict[str, Any] | None
) -> None:
    for scaling in (before, after):
        seen = look(status, 9, 9, 9, spec=spec("models:/iris/2", autoscaling=scaling))
        status = decide(replace(seen, now=at(5))).status
        assert status.attempt == 2
        assert status.phase in {Phase.PROMOTED, Phase.TRIAL, Phase.SHIFTING}


def test_what_is_replaced_keeps_the_pods_that_it_has() -> None:
    switching = on_trial(phase=Phase.SWITCHING, step=1, weight=100, **candidate(9))
    seen = look(switching, 7, 9, 9, stable_endpoints=frozenset({V2.revision}))
    status = decide(seen).status
    assert (status.phase, [r.replicas for r in status.retiring]) == (Phase.PROMOTED, [7])


def autoscaler(reason: str, active: str = "False", kind: str = "ScalingActive") -> OwnedObject:
    """As the API server has one whose condition is of the start."""
    said = {
        "type": kind,
        "status": active,
        "reason": reason,
        "lastTransitionTime": START.isoformat().replace("+00:00", "Z"),
        "message": "12 pods, 3 of them unready",
    }
    raw = {**deployment(1), "status": {"conditions": [said]}}
    return OwnedObject.read("HorizontalPodAutoscaler", raw)


BLIND: dict[str, tuple[OwnedObject, float, bool, float | None]] = {
    "no metric for a minute": (autoscaler("FailedGetPodsMetric"), 60, False, 120),
    "no metric for two": (autoscaler("FailedGetPodsMetric"), 120, True, None),
    "it has one": (autoscaler("ValidMetricFound", "True"), 999, False, None),
    "there are no pods": (autoscaler("ScalingDisabled"), 999, False, None),
    "it has reached its most": (
        autoscaler("TooManyReplicas", "True", "ScalingLimited"),
        999,
        False,
        None,
    ),
}


@pytest.mark.parametrize(("one", "second", "told", "due"), BLIND.values(), ids=BLIND.keys())
def test_an_autoscaler_without_a_metric(
    one: OwnedObject, second: float, told: bool, due: float | None
) -> None:
    said, again = without_metric([one], at(second))
    assert (bool(said), again) == (told, None if due is None else at(due))
    assert "12 pods" not in said, "what changes at every look is not told"


def test_that_it_has_none_is_told_once() -> None:
    said, _ = without_metric([autoscaler("FailedGetPodsMetric")], at(121))
    seen = look(RESTS, 0, 2, 2, unscaled=said)
    plan = decide(seen)
    assert [(e.kind, e.reason) for e in plan.events] == [
        ("Warning", Reason.AUTOSCALER_WITHOUT_METRIC)
    ]
    assert decide(replace(seen, status=plan.status)).events == ()
    soon = decide(look(RESTS, 0, 2, 2, unscaled_at=at(120)))
    assert soon.requeue_at == at(120)
