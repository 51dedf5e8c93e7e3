"""The operator's own metrics: what they say of a rollout, and that they go with it."""

import asyncio
from collections.abc import Iterator
from datetime import datetime

import pytest
from prometheus_client import REGISTRY

from rollout_operator import metrics
from rollout_operator.controller.cache import Store
from rollout_operator.controller.ports import Ports
from rollout_operator.controller.workqueue import WorkQueue
from rollout_operator.domain.api.analysis import EvidenceKind
from rollout_operator.domain.api.conditions import conditions
from rollout_operator.domain.api.gate_results import GateStatus, Measurement
from rollout_operator.domain.api.route_status import Unrouted
from rollout_operator.domain.api.status import Attempt, Shortage, Status
from rollout_operator.domain.api.words import Phase, Reason, Verdict
from rollout_operator.errors import CallFailed
from tests.support.builders import at, on_trial
from tests.unit.operator.raw_objects import ports_with

KEY = ("models", "iris")


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    yield
    metrics.forget(KEY)


def shown(key: tuple[str, str] = KEY) -> dict[str, float]:
    """Every series of one rollout, as `metric{labels besides namespace and name}`."""
    place = {"namespace", "name"}
    return {
        f"{s.name}{{{','.join(v for k, v in sorted(s.labels.items()) if k not in place)}}}": s.value
        for metric in REGISTRY.collect()
        for s in metric.samples
        if (s.labels.get("namespace"), s.labels.get("name")) == key
        and not s.name.endswith("_created")
    }


def gate(metric: str = "accuracy", value: float | None = 0.9, **changes: object) -> GateStatus:
    values: dict[str, object] = {
        "threshold": 0.7,
        "measurement": Measurement.PASS,
        "at": at(1),
        "revision": "abc",
    }
    return GateStatus.model_validate({"metric": metric, "value": value, **values, **changes})


def ended(attempt: int, verdict: Verdict) -> Attempt:
    return Attempt(
        attempt=attempt,
        uri="models:/iris/1",
        revision="abc",
        verdict=verdict,
        reason="r",
        message="m",
        started=at(0),
        ended=at(attempt),
    )


def test_a_rollout_on_trial() -> None:
    metrics.show(KEY, on_trial(gates=(gate(), gate("errorRate", 0.002, threshold=0.01))))
    assert shown() == {
        "modelrollout_phase{Trial}": 1,
        "modelrollout_weight{}": 10,
        "modelrollout_gate_value{Reported,accuracy}": 0.9,
        "modelrollout_gate_threshold{Reported,accuracy}": 0.7,
        "modelrollout_gate_value{Reported,errorRate}": 0.002,
        "modelrollout_gate_threshold{Reported,errorRate}": 0.01,
        **{f"modelrollout_attempts_total{{{verdict}}}": 0 for verdict in Verdict},
    }


def test_what_is_not_so_any_more_goes() -> None:
    metrics.show(KEY, on_trial(gates=(gate(), gate("errorRate", 0.002))))
    metrics.show(KEY, on_trial(phase=Phase.SHIFTING, weight=100, gates=(gate(value=None),)))
    now = shown()
    assert now["modelrollout_phase{Shifting}"] == 1
    assert "modelrollout_phase{Trial}" not in now
    assert now["modelrollout_weight{}"] == 100
    assert "modelrollout_gate_value{Reported,accuracy}" not in now, "no value is no series, not 0"
    assert "modelrollout_gate_threshold{Reported,accuracy}" in now
    assert "modelrollout_gate_threshold{Reported,errorRate}" not in now


def test_the_interval_of_a_gate_has_two_ends_or_none() -> None:
    labelled = EvidenceKind.LABELLED
    known = gate(evidence=labelled, lower=0.85, upper=0.93)
    metrics.show(KEY, on_trial(gates=(gate(), known, gate("errorRate", evidence=labelled))))
    assert {name: value for name, value in shown().items() if "gate_bound" in name} == {
        "modelrollout_gate_bound{lower,Labelled,accuracy}": 0.85,
        "modelrollout_gate_bound{upper,Labelled,accuracy}": 0.93,
    }


def test_two_gates_of_one_metric_are_told_apart() -> None:
    metrics.show(
        KEY,
        on_trial(
            gates=(
                gate(value=0.9),
                gate(value=0.8, evidence=EvidenceKind.LABELLED),
                gate(value=0.02, threshold=0.05),
            )
        ),
    )
    now = shown()
    assert now["modelrollout_gate_value{Reported,accuracy}"] == 0.9
    assert now["modelrollout_gate_value{Labelled,accuracy}"] == 0.8
    assert now["modelrollout_gate_value{Reported,accuracy-2}"] == 0.02


ENDINGS = {
    "the first": ((), (ended(1, Verdict.PROMOTED),), {"Promoted": 1}),
    "one more": (
        (ended(1, Verdict.PROMOTED),),
        (ended(2, Verdict.ROLLED_BACK), ended(1, Verdict.PROMOTED)),
        {"RolledBack": 1},
    ),
    "nothing new": ((ended(1, Verdict.PROMOTED),), (ended(1, Verdict.PROMOTED),), {}),
}


@pytest.mark.parametrize(("before", "after", "counted"), ENDINGS.values(), ids=ENDINGS.keys())
def test_attempts_are_counted_once(
    before: tuple[Attempt, ...], after: tuple[Attempt, ...], counted: dict[str, int]
) -> None:
    metrics.count(KEY, on_trial(history=before), on_trial(history=after))
    now = shown()
    assert {v.value: now[f"modelrollout_attempts_total{{{v}}}"] for v in Verdict} == {
        v.value: counted.get(v, 0) for v in Verdict
    }


def test_a_rollout_that_is_gone_leaves_no_series_and_others_stay() -> None:
    other = ("models", "wine")
    metrics.count(KEY, Status(), on_trial(gates=(gate(),), history=(ended(1, Verdict.PROMOTED),)))
    metrics.show(other, Status(reason=Reason.RESOLVING))
    metrics.forget(KEY)
    assert shown() == {}
    assert "modelrollout_phase{Pending}" in shown(other)
    metrics.forget(other)


STALLED: dict[str, tuple[Status, str]] = {
    "promoted": (Status(phase=Phase.PROMOTED), ""),
    "a route that is not accepted": (
        Status(phase=Phase.PROMOTED, unrouted=Unrouted(since=at(0), message="m")),
        "",
    ),
    "a route that is not accepted for long": (
        Status(phase=Phase.PROMOTED, unrouted=Unrouted(since=at(0), stalled=True, message="m")),
        "RouteNotAccepted",
    ),
    "a route that does not answer for long": (
        Status(
            phase=Phase.PROMOTED,
            unrouted=Unrouted(since=at(0), stalled=True, accepted=True, message="m"),
        ),
        "RouteDoesNotAnswer",
    ),
    "an object that is refused": (
        Status(phase=Phase.PROMOTED, api_rejection="denied"),
        "ObjectRefused",
    ),
    "a host that is taken": (
        Status(phase=Phase.PROMOTED, invalid="spec.traffic: taken"),
        "InvalidSpec",
    ),
    "too few pods for long": (
        Status(
            phase=Phase.PROMOTED,
            shortage=Shortage(ready=1, wanted=3, since=at(0), stalled=True, message="m"),
        ),
        "PodsNotReady",
    ),
    "a verdict that says Pause": (on_trial(halted=True, reason=Reason.GATE_FAILED), "GateFailed"),
}


@pytest.mark.parametrize(("status", "reason"), STALLED.values(), ids=STALLED.keys())
def test_what_is_stalled_says_why_until_it_is_not(status: Status, reason: str) -> None:
    metrics.show(KEY, status.model_copy(update={"conditions": conditions(status, at(1))}))
    told = {
        name: value for name, value in shown().items() if name.startswith("modelrollout_stalled")
    }
    assert told == ({f"modelrollout_stalled{{{reason}}}": 1} if reason else {})
    well = Status(phase=Phase.PROMOTED)
    metrics.show(KEY, well.model_copy(update={"conditions": conditions(well, at(2))}))
    assert not [name for name in shown() if name.startswith("modelrollout_stalled")]


HELD: dict[str, tuple[Status, str]] = {
    "a pause": (on_trial(paused_since=at(1)), "Paused"),
    "a pause while it is frozen": (on_trial(paused_since=at(1), reason=Reason.FROZEN), "Paused"),
    "a freeze": (on_trial(reason=Reason.FROZEN), "Frozen"),
    "a person": (on_trial(reason=Reason.WAITING_FOR_APPROVAL), "WaitingForApproval"),
    "nothing": (on_trial(), ""),
}


@pytest.mark.parametrize(("status", "reason"), HELD.values(), ids=HELD.keys())
def test_what_holds_a_rollout(status: Status, reason: str) -> None:
    metrics.show(KEY, status)
    told = {name: value for name, value in shown().items() if name.startswith("modelrollout_held")}
    assert told == ({f"modelrollout_held{{{reason}}}": 1} if reason else {})


def test_forgetting_what_was_never_shown() -> None:
    metrics.forget(("nowhere", "nothing"))
    assert shown(("nowhere", "nothing")) == {}


async def test_a_look_that_succeeds_is_timed_from_when_it_was_due() -> None:
    store = Store()
    for name in ("good", "bad"):
        meta = {
            "namespace": "models",
            "name": name,
            "uid": name,
            "resourceVersion": "1",
            "generation": 1,
        }
        store.put_rollout({"metadata": meta, "spec": {}})
    depths: list[float] = []

    async def one_pass(key: tuple[str, str], ports: Ports, now: datetime) -> datetime | None:
        depths.append(REGISTRY.get_sample_value("modelrollout_queue_depth") or 0)
        if key[1] == "bad":
            raise CallFailed("no")
        return None

    before = REGISTRY.get_sample_value("modelrollout_decision_lag_seconds_count") or 0
    queue = WorkQueue(ports_with(store), one_pass)
    task = asyncio.create_task(queue.run())
    queue.enqueue(("models", "good"))
    queue.enqueue(("models", "bad"))
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.wait([task])
    assert (REGISTRY.get_sample_value("modelrollout_decision_lag_seconds_count") or 0) == before + 1
    assert max(depths) == 2
    assert REGISTRY.get_sample_value("modelrollout_queue_depth") == 0
