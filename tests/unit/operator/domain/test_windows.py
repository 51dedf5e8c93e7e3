"""Windows: whether it is frozen now, until when, and when it is next; and what that holds."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import Status
from rollout_operator.domain.api.windows import Window
from rollout_operator.domain.api.words import Phase, Reason
from rollout_operator.domain.machine.decide import decide
from rollout_operator.domain.machine.decision import Plan
from rollout_operator.domain.observed import Workload
from rollout_operator.domain.windows import Freeze, for_namespace, freeze_at, windows
from tests.support.builders import accuracy, at, observed, on_trial, ready, revision, spec


def window(**changes: Any) -> Window:
    """Each Friday from 18:00 in Berlin, for 62 hours."""
    usual = {
        "schedule": "FREQ=WEEKLY;BYDAY=FR",
        "start": "2026-01-02T18:00",
        "timeZone": "Europe/Berlin",
        "duration": "62h",
    }
    return Window.model_validate(usual | changes)


WEEKEND = window()
OFFICE = window(
    kind="Allow",
    schedule="FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR",
    start="2026-01-01T09:00",
    duration="8h",
)
NIGHT = window(schedule="FREQ=DAILY", start="2026-01-01T22:00", duration="8h")
CHRISTMAS = window(schedule="FREQ=YEARLY", start="2025-12-23T00:00", duration="264h")

NOW: dict[str, tuple[list[list[Window]], str, str | None, str | None]] = {
    # lists of windows, now, frozen until, next frozen at: UTC
    "before it opens": ([[WEEKEND]], "2026-11-27T16:59:59", None, "2026-11-27T17:00"),
    "as it opens": ([[WEEKEND]], "2026-11-27T17:00", "2026-11-30T07:00", "2026-12-04T17:00"),
    "as it closes": ([[WEEKEND]], "2026-11-30T07:00", None, "2026-12-04T17:00"),
    "62 hours over the end of summer time, which a clock on the wall calls 61": (
        [[WEEKEND]],
        "2026-10-25T00:30",
        "2026-10-26T06:00",
        "2026-10-30T17:00",
    ),
    "62 hours over the beginning of summer time, which it calls 63": (
        [[WEEKEND]],
        "2026-03-29T00:30",
        "2026-03-30T07:00",
        "2026-04-03T16:00",
    ),
    "a night with the hour that there is twice": (
        [[NIGHT]],
        "2026-10-25T03:30",
        "2026-10-25T04:00",
        "2026-10-25T21:00",
    ),
    "outside of what is allowed": (
        [[OFFICE]],
        "2026-11-28T12:00",
        "2026-11-30T08:00",
        "2026-11-30T16:00",
    ),
    "inside of what is allowed": ([[OFFICE]], "2026-11-30T08:00", None, "2026-11-30T16:00"),
    "allowed, and denied all the same": (
        [[OFFICE, CHRISTMAS]],
        "2026-12-24T10:00",
        "2027-01-04T08:00",
        "2027-01-04T16:00",
    ),
    "one window after the other": (
        [[WEEKEND, NIGHT]],
        "2026-11-27T16:30",
        None,
        "2026-11-27T17:00",
    ),
    "what the configuration does not allow, the spec cannot": (
        [[OFFICE], [window(kind="Allow", schedule="FREQ=DAILY", duration="24h")]],
        "2026-11-28T12:00",
        "2026-11-30T08:00",
        "2026-11-30T16:00",
    ),
    "two allowed times of one list": (
        [[OFFICE, window(kind="Allow", schedule="FREQ=WEEKLY;BYDAY=SA", duration="1h")]],
        "2026-11-28T17:30",
        None,
        "2026-11-28T18:00",
    ),
    "nothing is allowed any more": (
        [[window(kind="Allow", schedule="FREQ=DAILY;COUNT=1")]],
        "2026-11-28T12:00",
        None,
        None,
    ),
    "a freeze that is a year away": ([[CHRISTMAS]], "2027-01-05T00:00", None, "2027-12-22T23:00"),
    "no window": ([[], []], "2026-11-28T12:00", None, None),
}


def moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(("lists", "now", "until", "begins"), NOW.values(), ids=NOW.keys())
def test_what_windows_say_of_now(
    lists: list[list[Window]], now: str, until: str | None, begins: str | None
) -> None:
    then = moment(now)
    assert then is not None
    found = freeze_at(then, *lists)
    assert (found.until, found.begins) == (moment(until), moment(begins))
    lasting = lists == NOW["nothing is allowed any more"][0]
    assert found.active is (until is not None or lasting)
    assert bool(found.why) is found.active


def test_the_configuration_is_for_namespaces() -> None:
    (given,) = windows(json.dumps([DAILY | {"namespaces": ["prod-*"]}]))
    assert for_namespace([given], "prod-eu") == (given,)
    assert for_namespace([given], "staging") == ()


DAILY = {"schedule": "FREQ=DAILY", "start": "2026-01-01T22:00", "duration": "8h"}
UNREADABLE: dict[str, tuple[object, str]] = {
    "no list": ({}, "ROLLOUT_WINDOWS is no JSON list"),
    "a rule that never occurs": (
        [DAILY | {"schedule": "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"}],
        "does not occur within four years",
    ),
    "a word that it does not know": ([DAILY | {"x": 1}], "0.x"),
    "no time at all": ([DAILY | {"duration": "0s"}], "write 1m at least"),
}


@pytest.mark.parametrize(("given", "sentence"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_configuration_that_cannot_be_read(given: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        windows(json.dumps(given))


V1, V2 = revision(1, promoted=True), revision(2, replicas=1)
BOTH = ready(V1, V2)
TO_2 = spec("models:/iris/2")
FROZEN = Freeze(active=True, until=at(3600), begins=None, why="a window")


def look(second: float, status: Status, **changes: Any) -> Plan:
    values: dict[str, Any] = {
        "spec": TO_2,
        "status": status,
        "workloads": BOTH,
        "answers": accuracy(0.93, second - 1),
        "freeze": FROZEN,
    }
    return decide(observed(second, **(values | changes)))


LAST = on_trial(step=1, weight=50)
HELD: dict[str, tuple[Status, dict[str, Any]]] = {
    "a step that is over": (on_trial(), {}),
    "a last step": (LAST, {}),
    "a step that is skipped": (on_trial(), {"commands": {"skip": "2"}}),
    "a promotion by hand": (LAST, {"commands": {"promote": "2"}}),
    "a first deploy": (on_trial(stable=None, step=None, weight=0), {}),
    "silence, where that promotes": (
        on_trial(step=1, weight=50, no_evidence_since=at(-60)),
        {"answers": {}, "spec": spec("models:/iris/2", analysis__onNoEvidence="Promote")},
    ),
    "silence for longer than maxHold": (on_trial(no_evidence_since=at(-60)), {"answers": {}}),
}


@pytest.mark.parametrize(("status", "changes"), HELD.values(), ids=HELD.keys())
def test_what_a_window_holds(status: Status, changes: dict[str, Any]) -> None:
    plan = look(25, status, **changes)
    after = plan.status
    assert (after.phase, after.step, after.weight) == (Phase.TRIAL, status.step, status.weight)
    assert after.reason is Reason.FROZEN
    assert after.frozen_until == at(3600)
    assert after.frozen in after.message
    assert after.frozen.startswith("Frozen until 2026-11-23 13:00 UTC: a window.")
    assert after.no_evidence_since is None
    frozen = {c.type: (c.status, c.message) for c in after.conditions}["Frozen"]
    assert frozen == ("True", after.frozen)
    assert plan.requeue_at is not None
    assert plan.requeue_at <= at(30), "gates go on being measured"


@pytest.mark.parametrize(("status", "changes"), HELD.values(), ids=HELD.keys())
def test_it_goes_on_once_the_window_is_closed(status: Status, changes: dict[str, Any]) -> None:
    held = look(25, status, **changes).status
    fresh = {"answers": accuracy(0.93, 3599)} | changes
    after = look(3600, held, **fresh, freeze=Freeze()).status
    assert after.frozen == ""
    assert after.frozen_until is None
    waits = changes.get("answers") == {}
    assert (after.reason is Reason.WAITING_FOR_EVIDENCE) is waits
    assert ((after.phase, after.step) != (status.phase, status.step)) is not waits


NOT_HELD: dict[str, tuple[Status, dict[str, Any], Reason]] = {
    "a gate that fails": (on_trial(), {"answers": accuracy(0.5, 24)}, Reason.GATE_FAILED),
    "a gate that fails in a step that is held": (
        on_trial(reason=Reason.FROZEN),
        {"answers": accuracy(0.5, 24)},
        Reason.GATE_FAILED,
    ),
    "an abort": (on_trial(), {"commands": {"abort": "2"}}, Reason.ABORTED),
    "pods that are lost again and again": (
        on_trial(setbacks=3),
        {"workloads": {V1.revision: Workload(2, 2), V2.revision: Workload(0, 1)}},
        Reason.UNSTABLE,
    ),
    "pods that never become Ready": (
        on_trial(phase=Phase.STARTING, phase_since=at(-60), weight=0),
        {"workloads": {V1.revision: Workload(2, 2), V2.revision: Workload(0, 1)}},
        Reason.PROGRESS_DEADLINE_EXCEEDED,
    ),
    "the spec that goes back": (on_trial(), {"spec": spec()}, Reason.RETURNED_TO_STABLE),
}


@pytest.mark.parametrize(("status", "changes", "reason"), NOT_HELD.values(), ids=NOT_HELD.keys())
def test_a_rollback_is_as_quick_as_ever(
    status: Status, changes: dict[str, Any], reason: Reason
) -> None:
    frozen, open_ = (look(25, status, **changes, freeze=f) for f in (FROZEN, Freeze()))
    assert (frozen.status.phase, frozen.status.weight) == (Phase.ROLLING_BACK, 0)
    assert frozen == open_, "the same plan, at the same look"
    assert frozen.status.reason is reason


def test_a_rollback_that_has_begun_goes_on_to_its_end() -> None:
    back = on_trial(phase=Phase.ROLLING_BACK, weight=0, verdict="RolledBack")
    frozen, open_ = (look(25, back, freeze=f) for f in (FROZEN, Freeze()))
    assert frozen == open_
    assert frozen.status.phase is Phase.ROLLED_BACK


def test_a_promotion_that_has_begun_is_finished() -> None:
    status = on_trial(phase=Phase.PROMOTING, step=1, weight=50, verdict="Promoted")
    assert look(25, status).status.phase is Phase.SHIFTING


def test_a_candidate_that_is_ready_gets_no_request_before_the_window_is_closed() -> None:
    status = on_trial(phase=Phase.STARTING, weight=0, step=None)
    held = look(25, status).status
    assert (held.phase, held.weight, held.reason) == (Phase.STARTING, 0, Reason.FROZEN)
    assert "models:/iris/2 is Ready. Frozen until" in held.message
    late = look(3000, held)
    assert late.status.phase is Phase.STARTING, "progressDeadline is for what is not Ready"
    assert look(3600, held, freeze=Freeze()).status.weight == 10


def test_pods_that_go_while_they_are_kept_waiting_are_waited_for_anew() -> None:
    kept = on_trial(phase=Phase.STARTING, weight=0, step=None, reason=Reason.FROZEN)
    gone = {"workloads": {V1.revision: Workload(2, 2), V2.revision: Workload(0, 1)}}
    status = look(3000, kept, **gone).status
    assert (status.phase, status.reason) == (Phase.STARTING, Reason.WAITING_FOR_PODS)
    assert status.phase_since == at(3000)
    late = look(3059, status, **gone).status
    assert late.phase is Phase.STARTING
    assert look(3061, status, **gone).status.reason is Reason.PROGRESS_DEADLINE_EXCEEDED


def test_it_looks_again_when_a_window_opens_or_closes() -> None:
    soon = Freeze(begins=at(7))
    assert look(6, on_trial(), freeze=soon, answers=accuracy(0.93, 5)).requeue_at == at(7)
    assert look(3599, LAST, answers=accuracy(0.93, 3598)).requeue_at == at(3600)


def test_both_are_said_and_the_person_is_asked_meanwhile() -> None:
    required = spec("models:/iris/2", strategy__approval="Required")
    status = look(25, LAST, spec=required).status
    assert status.reason is Reason.WAITING_FOR_APPROVAL
    assert "Frozen until 2026-11-23 13:00 UTC" in status.message
    approved = look(26, status, spec=required, commands={"approve": "2"}).status
    assert (
        look(27, approved, spec=required, commands={"approve": "2"}).status.reason is Reason.FROZEN
    )


def test_what_rests_is_not_written_for_a_window() -> None:
    rest = on_trial(phase=Phase.PROMOTED, candidate=None, stable=V1, step=None, weight=0)
    rest = look(30, rest, spec=spec(), stable_endpoints=frozenset({V1.revision})).status
    again = look(31, rest, spec=spec(), stable_endpoints=frozenset({V1.revision}))
    assert again.status == rest
    assert rest.frozen == ""


def test_a_spec_whose_rule_never_occurs_is_told() -> None:
    raw = TO_2.to_api()
    raw["strategy"]["windows"] = [
        {
            "schedule": "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
            "start": "2026-01-01T22:00",
            "duration": "8h",
        }
    ]
    with pytest.raises(ValueError, match="does not occur within four years"):
        Spec.model_validate(raw)


def test_a_year_of_windows_is_computed_once_a_day() -> None:
    """A thousand rollouts look each few seconds."""
    many = [
        window(schedule="FREQ=DAILY", start=f"2000-01-01T{n:02}:00", duration="30m")
        for n in range(10)
    ]
    first = freeze_at(at(0), many)
    assert first.begins is not None
    assert freeze_at(at(1), many) == first
    assert first.begins - at(0) < timedelta(days=1)
