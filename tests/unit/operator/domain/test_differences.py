"""Answers to copies that differ: what is believed of a pod, and when a status has it."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from rollout_operator.domain.api.differences import (
    MOST_DIFFERENCES,
    MOST_FIELDS,
    MOST_OF_AN_OUTCOME,
    Difference,
)
from rollout_operator.domain.api.gate_results import Measurement
from rollout_operator.domain.api.status import Status
from rollout_operator.domain.api.words import Phase
from rollout_operator.domain.machine.decide import decide
from rollout_operator.domain.shadow import differences, sampled
from rollout_operator.domain.shadow_fields import fields_of, shadow_fields
from rollout_operator.settings import Settings, SettingsError
from tests.support.builders import (
    START,
    accuracy,
    at,
    observed,
    on_trial,
    ready,
    resolved,
    revision,
    spec,
)
from tests.support.operator_env import operator_env

V1, V2 = revision(1, promoted=True), revision(2, replicas=1, ready_at=START)
TOLD: dict[str, Any] = {
    "outcome": "different",
    "stable": '{"predict":"a"}',
    "candidate": '{"predict":"b"}',
    "at": 1e9,
    "shown": {"age": "41"},
    "masked": ["name"],
}


def said(*told: Any) -> bytes:
    return json.dumps({"candidate": "abc", "percent": 20, "differences": told}).encode()


def test_what_a_pod_tells_is_read() -> None:
    (one,) = differences(said(TOLD), V2.revision)
    assert (one.revision, one.outcome, one.at.timestamp()) == (V2.revision, "different", 1e9)
    assert [(s.field, s.value) for s in one.sent] == [("age", "41")]
    assert one.masked == ("name",)


HOSTILE: dict[str, bytes] = {
    "a server of before": b'{"candidate": "abc", "percent": 20}',
    "no JSON": b"<html>",
    "no UTF-8": b'{"differences": ["\xff"]}',
    "a list": b"[]",
    "a word": b'{"differences": "many"}',
    "nested too deeply": b"[" * 100_000,
    "numbers": said(7, None),
    "another outcome": said({**TOLD, "outcome": "<script>"}),
    "an answer that is too long": said({**TOLD, "candidate": "x" * 10_000}),
    "an answer that is none": said({**TOLD, "stable": {"a": 1}}),
    "a time beyond all": said({**TOLD, "at": 1e300}),
    "a time that is none": said({**TOLD, "at": float("nan")}),
    "more fields than are told of": said({**TOLD, "masked": ["x"] * (MOST_FIELDS + 1)}),
    "a value that is too long": said({**TOLD, "shown": {"age": "4" * 1000}}),
    "half a character": said({**TOLD, "candidate": "\ud800"}),
    "no fields": said({**TOLD, "shown": ["age"]}),
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_no_difference_is_left_out_and_takes_no_other_with_it(body: bytes) -> None:
    assert differences(body, V2.revision) == ()
    try:
        told = json.loads(body)["differences"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return
    if isinstance(told, list):
        assert len(differences(said(*told, TOLD), V2.revision)) == 1


def test_of_many_no_more_are_read_than_a_status_has_room_for() -> None:
    assert len(differences(said(*[TOLD] * 1000), V2.revision)) == MOST_DIFFERENCES


def difference(second: float = 5, outcome: str = "different", of: str = V2.revision) -> Difference:
    made = {"revision": of, "outcome": outcome, "at": at(second), "candidate": "b", "stable": "a"}
    return Difference.model_validate(made)


def test_the_pods_take_turns_and_each_outcome_has_its_room() -> None:
    busy = tuple(difference(n) for n in range(20))
    quiet = (difference(100), difference(50, "failed"))
    found = sampled([busy, quiet])
    assert len(found) == MOST_OF_AN_OUTCOME + 1 <= MOST_DIFFERENCES
    assert {difference(100), difference(50, "failed")} <= set(found)
    assert [one.at for one in found] == sorted(one.at for one in found)


LONG = spec("models:/iris/2", strategy__steps=[{"weight": 10, "hold": "10m"}])
BEGUN = decide(
    observed(
        6,
        spec=LONG,
        status=on_trial(),
        workloads=ready(V1, V2),
        answers=accuracy(0.93, 5),
    )
).status


def looked(second: float, status: Status = BEGUN, value: float = 0.93, **changes: Any) -> Status:
    return decide(
        observed(
            second,
            **{
                "spec": LONG,
                "status": status,
                "workloads": ready(V1, V2),
                "answers": accuracy(value, second - 1),
                **changes,
            },
        )
    ).status


def test_differences_are_no_news_and_written_with_what_is() -> None:
    """A sample that changes at every look costs no write; the verdict has it."""
    first = looked(15, differences=(difference(1),))
    assert first.differences == (difference(1),)
    assert looked(20, first, differences=(difference(2),)) == first
    failed = looked(25, first, value=0.2, differences=(difference(3),))
    assert (failed.phase, failed.gates[0].measurement) == (Phase.ROLLING_BACK, Measurement.FAIL)
    assert failed.differences == (difference(3),)
    later = looked(26, failed, value=0.2, differences=(difference(4), difference(5)))
    assert later.differences == (difference(4), difference(5)), "of the last order, that ends it"


def test_a_long_trial_shows_them_once_a_minute() -> None:
    status, writes = BEGUN, 0
    for second in range(10, 310, 5):
        after = looked(second, status, 0.8 + second / 3000, differences=(difference(second),))
        writes += after != status
        status = after
    assert status.differences
    assert writes <= 6


KEPT: dict[str, tuple[tuple[Difference, ...], Callable[[Status], object]]] = {
    "pods that are new know of fewer": ((difference(9),), lambda s: len(s.differences) == 2),
    "an operator that is new knows of none": ((), lambda s: len(s.differences) == 2),
    "of another candidate": (
        (difference(9, of="another"),) * 3,
        lambda s: {d.revision for d in s.differences} == {V2.revision},
    ),
    "as many, and newer": (
        (difference(8), difference(9)),
        lambda s: s.differences[-1].at == at(9),
    ),
}


@pytest.mark.parametrize(("found", "holds"), KEPT.values(), ids=KEPT.keys())
def test_what_a_status_has_is_not_lost(
    found: tuple[Difference, ...], holds: Callable[[Status], object]
) -> None:
    known = BEGUN.model_copy(update={"differences": (difference(1), difference(2))})
    assert holds(looked(15, known, 0.2, differences=found))


def test_the_next_attempt_begins_without_them() -> None:
    rolled_back = on_trial(phase=Phase.ROLLED_BACK, differences=(difference(),), weight=0)
    third = spec("models:/iris/3")
    status = looked(60, rolled_back, spec=third, workloads=ready(V1), resolution=resolved(3))
    assert (status.phase, status.differences) == (Phase.STARTING, ())


def test_the_first_entry_for_a_namespace_says_what_may_be_seen_and_no_entry_means_nothing() -> None:
    entries = shadow_fields(
        '[{"namespaces": ["ml-a"], "fields": ["age"]}, {"namespaces": ["ml-*"], "fields": ["x"]}]'
    )
    assert fields_of(entries, "ml-a") == ("age",)
    assert fields_of(entries, "ml-b") == ("x",)
    assert fields_of(entries, "other") == ()
    assert shadow_fields("  ") == ()


WRONG = {
    "no list": ("age", "is no JSON list"),
    "no namespaces": ('[{"fields": ["age"]}]', "namespaces"),
    "no fields": ('[{"namespaces": ["*"], "fields": []}]', "fields"),
    "a field without a name": ('[{"namespaces": ["*"], "fields": [""]}]', "fields"),
    "a typo": ('[{"namespaces": ["*"], "fields": ["age"], "mask": []}]', "mask"),
    "too many": (json.dumps([{"namespaces": ["*"], "fields": ["x"] * 21}]), "fields"),
}


@pytest.mark.parametrize(("text", "why"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_meant_is_refused_at_start(text: str, why: str) -> None:
    env = operator_env(SHADOW_FIELDS=text)
    with pytest.raises(SettingsError, match="SHADOW_FIELDS") as refused:
        Settings.from_environment(env)
    assert why in str(refused.value)
