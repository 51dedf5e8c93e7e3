"""The split without a router: how many pods come nearest to a weight, what the Service selects in
each phase, and what is waited for.
"""

from typing import Any

import pytest

from rollout_operator.desired.build import build
from rollout_operator.desired.common import Manifest, Owner
from rollout_operator.desired.service import stable_of
from rollout_operator.domain.api.names import REVISION, ROLLOUT
from rollout_operator.domain.api.status import Status
from rollout_operator.domain.api.words import Phase, Reason
from rollout_operator.domain.machine.decide import decide
from rollout_operator.domain.machine.decision import Plan
from rollout_operator.domain.observed import Workload
from rollout_operator.domain.route_trouble import Ways
from rollout_operator.domain.service_split import pods_for, share
from tests.support.builders import UID, accuracy, at, observed, on_trial, revision, spec

OWNER = Owner(UID, "iris", "models")
INSIDE = {"provider": "None"}
V1, V2, V3 = revision(1, promoted=True), revision(2), revision(3)

NEAREST = {
    "a single pod can only be halved": (10, 1, 1, 50),
    "one beside two is the least": (10, 2, 1, 33),
    "one beside nine is exact": (10, 9, 1, 10),
    "two beside three is nearer to a third than one": (33, 3, 2, 40),
    "three beside ten is nearer to a quarter than four": (25, 10, 3, 23),
    "as many as stable": (50, 4, 4, 50),
    "never more than stable": (90, 4, 4, 50),
    "of two as near, the fewer": (30, 2, 1, 33),
}


@pytest.mark.parametrize(
    ("weight", "stable", "pods", "percent"), NEAREST.values(), ids=NEAREST.keys()
)
def test_the_candidate_gets_the_pods_that_come_nearest(
    weight: int, stable: int, pods: int, percent: int
) -> None:
    assert pods_for(weight, stable) == pods
    assert share(pods, stable) == percent


def test_no_other_number_of_pods_comes_nearer() -> None:
    for stable in range(1, 60):
        for weight in range(1, 51):
            others = range(1, stable + 1)
            least = min(abs(100 * n / (n + stable) - weight) for n in others)
            found = pods_for(weight, stable)
            assert abs(100 * found / (found + stable) - weight) == least, (weight, stable)


def selector(status: Status, **traffic: Any) -> tuple[dict[str, str], str]:
    """What the stable Service selects, and which revision is stable by it."""
    service = objects(status, **traffic)["Service/iris"]
    return service["spec"]["selector"], stable_of(service)


def objects(status: Status, **traffic: Any) -> dict[str, Manifest]:
    made = build(OWNER, spec("models:/iris/2", traffic=INSIDE | traffic), status, {})
    return {f"{m['kind']}/{m['metadata']['name']}": m for m in made}


ALL = {ROLLOUT: "iris"}
ONE, TWO = ({ROLLOUT: "iris", REVISION: r.revision} for r in (V1, V2))
SELECTED = {
    "at rest": (Status(phase=Phase.PROMOTED, stable=V1), ONE),
    "starting": (on_trial(phase=Phase.STARTING, stable=V1, candidate=V2, weight=0), ONE),
    "on trial": (on_trial(stable=V1, candidate=V2, weight=10), ALL),
    "on trial, and a third revision still runs": (
        on_trial(stable=V1, candidate=V2, weight=10, retiring=(V3,)),
        ONE,
    ),
    "growing": (on_trial(phase=Phase.PROMOTING, stable=V1, candidate=V2, weight=50), ALL),
    "shifting": (on_trial(phase=Phase.SHIFTING, stable=V1, candidate=V2, weight=100), TWO),
    "switching": (on_trial(phase=Phase.SWITCHING, stable=V1, candidate=V2, weight=100), TWO),
    "rolling back": (on_trial(phase=Phase.ROLLING_BACK, stable=V1, candidate=V2, weight=0), ONE),
    "a first deploy": (
        on_trial(phase=Phase.SWITCHING, stable=None, candidate=V2, weight=0),
        TWO,
    ),
}


@pytest.mark.parametrize(("status", "selected"), SELECTED.values(), ids=SELECTED.keys())
def test_the_service_selects_by_the_phase(status: Status, selected: dict[str, str]) -> None:
    found, stable = selector(status)
    assert found == selected
    committed = status.phase in {Phase.SHIFTING, Phase.SWITCHING} or status.stable is None
    assert stable == (V2 if committed else V1).revision
    made = objects(status)
    assert not {name for name in made if name.startswith(("Ingress", "HTTPRoute"))}
    beside = status.stable is not None and status.candidate is not None
    assert (f"Service/iris-{V2.revision}" in made) is beside, "testers ask the candidate's own"


def test_by_a_former_route_requests_are_divided_once() -> None:
    """Both the Service and a canary Ingress would give the candidate too much."""
    before = decide(observed(0, spec=spec(), status=on_trial(stable=V1, candidate=V2))).status
    inside = decide(observed(0, spec=spec("models:/iris/2", traffic=INSIDE), status=before)).status
    assert [str(r.provider) for r in inside.routes] == ["None", "Ingress"]
    made = objects(inside.model_copy(update={"phase": Phase.TRIAL, "weight": 10}))
    assert {name for name in made if name.startswith("Ingress")} == {"Ingress/iris"}


def looked(status: Status, ready: dict[str, int], **changes: Any) -> Plan:
    seen = {revision: Workload(n, n) for revision, n in ready.items()}
    asked = spec("models:/iris/2", traffic=INSIDE, replicas=4)
    values: dict[str, Any] = {"spec": asked, "status": status, "workloads": seen}
    return decide(observed(5, **(values | changes)))


def test_each_step_has_its_own_number_of_pods_and_says_what_they_come_to() -> None:
    begun = on_trial(phase=Phase.STARTING, stable=V1, candidate=V2, weight=0, step=None)
    first = looked(begun, {V1.revision: 4, V2.revision: 1}).status
    assert first.phase is Phase.STARTING
    assert first.candidate is not None
    assert first.candidate.replicas == 1
    trial = on_trial(stable=V1, candidate=V2.model_copy(update={"replicas": 1}), step=0)
    told = looked(trial, {V1.revision: 4, V2.revision: 1}, answers=accuracy(0.9, 5)).status
    assert told.share == 20
    assert "20 % of connections go to models:/iris/2, by 1 of 5 pods" in told.message
    assert "for a weight of 10" in told.message
    second = on_trial(stable=V1, candidate=V2, step=1, weight=50)
    grown = looked(second, {V1.revision: 4, V2.revision: 1}, answers=accuracy(0.9, 5)).status
    assert grown.candidate is not None
    assert grown.candidate.replicas == 4
    assert grown.share == 20, "what is, not what is asked for"


def test_a_trial_waits_until_no_third_revision_runs() -> None:
    candidate = V2.model_copy(update={"replicas": 1})
    starting = on_trial(phase=Phase.STARTING, stable=V1, candidate=candidate, weight=0, step=None)
    both = {V1.revision: 4, V2.revision: 1}
    waits = looked(starting, both | {V3.revision: 0}).status
    assert (waits.phase, waits.reason) == (Phase.STARTING, Reason.WAITING_FOR_PODS)
    assert V3.revision in waits.message
    assert looked(starting, both).status.phase is Phase.TRIAL


def test_who_retires_goes_after_the_drain_where_a_trial_is_to_begin() -> None:
    """Else scaleDownDelay would hold up every trial, and might be longer than its deadline."""
    left = V3.model_copy(update={"since": at(-11)})
    candidate = V2.model_copy(update={"replicas": 1})
    starting = on_trial(
        phase=Phase.STARTING,
        stable=V1,
        candidate=candidate,
        weight=0,
        retiring=(left,),
        phase_since=at(-11),
    )
    assert looked(starting, {V1.revision: 4}).status.retiring == ()
    resting = Status(phase=Phase.PROMOTED, stable=V1, retiring=(left,))
    asked = spec("models:/iris/1", traffic=INSIDE, replicas=4)
    assert looked(resting, {V1.revision: 4}, spec=asked).status.retiring == (left,)


LAGS = {
    "on trial, and the candidate is not there": (
        on_trial(stable=V1, candidate=V2, weight=10),
        {V1.revision},
        "no pod of the candidate",
    ),
    "on trial": (on_trial(stable=V1, candidate=V2, weight=10), {V1.revision, V2.revision}, ""),
    "on trial, and all pods of stable are down": (
        on_trial(stable=V1, candidate=V2, weight=10),
        {V2.revision},
        "",
    ),
    "shifting, and stable is still there": (
        on_trial(phase=Phase.SHIFTING, stable=V1, candidate=V2, weight=100),
        {V1.revision, V2.revision},
        f"still has endpoints of {V1.revision}",
    ),
    "shifting": (
        on_trial(phase=Phase.SHIFTING, stable=V1, candidate=V2, weight=100),
        {V2.revision},
        "",
    ),
    "rolling back, and the candidate is still there": (
        on_trial(phase=Phase.ROLLING_BACK, stable=V1, candidate=V2, weight=0),
        {V1.revision, V2.revision},
        "still has endpoints of the candidate",
    ),
    "rolling back": (
        on_trial(phase=Phase.ROLLING_BACK, stable=V1, candidate=V2, weight=0),
        {V1.revision},
        "",
    ),
}


@pytest.mark.parametrize(("status", "endpoints", "said"), LAGS.values(), ids=LAGS.keys())
def test_endpoints_that_lag_are_trouble_as_a_router_that_lags(
    status: Status, endpoints: set[str], said: str
) -> None:
    traffic = spec(traffic=INSIDE).traffic
    ways = Ways("iris", traffic, status, {}, endpoints=frozenset(endpoints))
    assert said in ways.in_use()
    assert bool(said) is bool(ways.in_use())
    assert ways.asked_for() == "", "a Service needs nobody's consent"


@pytest.mark.parametrize(
    ("share", "percent"),
    [
        pytest.param(None, 20, id="by a router: the weight"),
        pytest.param(33, 33, id="by pods: what they come to"),
        pytest.param(0, 0, id="by pods, of which the candidate has none Ready"),
    ],
)
def test_what_a_candidate_gets_is_said_by_one_rule(share: int | None, percent: int) -> None:
    assert Status(weight=20, share=share).percent == percent
