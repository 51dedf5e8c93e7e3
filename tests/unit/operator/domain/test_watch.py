"""What is watched after its promotion: what ends the watch, what leads back, and how."""

from dataclasses import replace
from typing import Any

import pytest

from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import Status, Watch
from rollout_operator.domain.api.words import Phase, Reason, Verdict
from rollout_operator.domain.machine.decide import decide
from rollout_operator.domain.machine.decision import Plan
from rollout_operator.domain.observed import Answer, Workload
from rollout_operator.domain.verdicts import pending
from rollout_operator.domain.windows import Freeze
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

V1 = revision(1, promoted=True, since=START, ready_at=at(-600))
V2 = revision(2, promoted=True, since=START, ready_at=at(-60))
DAY = spec("models:/iris/2", strategy__watch="24h")
WATCH = Watch(former=V1.revision, since=START, until=at(86400))


def promoted(**changes: Any) -> Status:
    """Version 2 is watched since second 0, and the pods of version 1 are there."""
    values: dict[str, Any] = {
        "observed_generation": 1,
        "phase": Phase.PROMOTED,
        "phase_since": START,
        "attempt": 2,
        "stable": V2,
        "retiring": (V1,),
        "watch": WATCH,
        "reason": Reason.GATES_PASSED,
    }
    return Status(**(values | changes))


def counted(value: float, sampled: float, labels: int = 1000) -> dict[Any, Answer]:
    """A reported accuracy with the number of its labels."""
    (metric, (gauge,)), *_ = accuracy(value, sampled).items()
    live = replace(gauge, source="feedback")
    return {metric: (live, replace(live, name="ml_model_accuracy_samples", value=labels))}


def look(now: float, status: Status, wanted: Spec = DAY, **changes: Any) -> Plan:
    """One look, with all pods Ready unless said otherwise."""
    usual: dict[str, Any] = {"workloads": ready(V1, V2), "stable_endpoints": {V2.revision}}
    return decide(observed(now, spec=wanted, status=status, **usual | changes))


def test_a_promotion_begins_the_watch_and_keeps_the_pods_of_the_version_before() -> None:
    settling = on_trial(
        phase=Phase.SETTLING, stable=V1, candidate=V2, step=1, verdict=Verdict.PROMOTED
    )
    plan = look(100, settling)
    assert plan.status.phase is Phase.PROMOTED
    assert plan.status.watch == Watch(former=V1.revision, since=at(100), until=at(100 + 86400))
    assert plan.requeue_at == at(100)


@pytest.mark.parametrize(
    ("wanted", "reason", "handled", "watched"),
    [
        pytest.param(spec("models:/iris/2"), Reason.GATES_PASSED, (), False, id="nobody asks"),
        pytest.param(
            DAY, Reason.PROMOTED_BY_COMMAND, ("promote",), False, id="a person has promoted it"
        ),
        pytest.param(
            DAY, Reason.PROMOTED_BY_COMMAND, ("skip",), True, id="the last step was skipped"
        ),
        pytest.param(
            DAY, Reason.GATES_PASSED, ("skip",), True, id="a step was skipped, and the gates passed"
        ),
        pytest.param(DAY, Reason.NO_EVIDENCE, (), True, id="it went on in silence"),
        pytest.param(DAY, Reason.RESTORED, (), False, id="it was stable before"),
    ],
)
def test_what_is_watched(
    wanted: Spec, reason: Reason, handled: tuple[str, ...], watched: bool
) -> None:
    settling = on_trial(
        phase=Phase.SETTLING,
        stable=V1,
        candidate=V2,
        reason=reason,
        verdict=Verdict.PROMOTED,
        handled_commands=handled,
    )
    assert (look(100, settling, wanted).status.watch is not None) is watched


@pytest.mark.parametrize(("verb", "watched"), [("skip", True), ("promote", False)])
def test_a_last_step_is_ended_by(verb: str, watched: bool) -> None:
    status = on_trial(step=1, weight=50)
    for now in (5, 6, 40, 80, 81, 82):
        answers = status.candidate.revision if status.candidate is not None else ""
        told = {verb: "2"}
        status = look(now, status, commands=told, stable_endpoints=frozenset({answers})).status
    assert (status.phase, status.reason) == (Phase.PROMOTED, Reason.PROMOTED_BY_COMMAND)
    assert (status.watch is not None) is watched


def test_a_proved_failure_goes_back_at_once() -> None:
    plan = look(3600, promoted(), answers=counted(0.5, 3599))
    after = plan.status
    assert (after.phase, after.weight, after.verdict) == (Phase.SHIFTING, 100, Verdict.RETURNED)
    assert after.candidate is not None
    assert after.candidate.revision == V1.revision
    assert after.stable == V2
    assert after.attempt == 3
    (told,) = plan.events
    assert (told.kind, told.reason) == ("Warning", Reason.GATE_FAILED)
    assert "All requests go back to models:/iris/1" in told.message


def way_back(phase: Phase, **changes: Any) -> Status:
    """On the way from version 2 back to version 1."""
    values: dict[str, Any] = {
        "phase": phase,
        "attempt": 3,
        "stable": V2,
        "candidate": V1,
        "step": None,
        "weight": 100,
        "watch": WATCH,
        "reason": Reason.GATE_FAILED,
        "message": "models:/iris/2 failed.",
        "verdict": Verdict.RETURNED,
    }
    return on_trial(**values | changes)


def test_the_failed_pods_go_only_once_routers_have_followed() -> None:
    early = look(3, way_back(Phase.SHIFTING))
    assert early.status.phase is Phase.SHIFTING
    switching = look(11, way_back(Phase.SHIFTING)).status
    assert switching.phase is Phase.SWITCHING
    settled = look(40, switching, stable_endpoints={V1.revision})
    after = settled.status
    assert after.phase is Phase.ROLLED_BACK
    assert after.stable is not None
    assert after.stable.revision == V1.revision
    assert [r.revision for r in after.retiring] == [V2.revision]
    assert after.watch is None


def test_what_was_returned_is_told_and_not_tried_again() -> None:
    back = look(20, way_back(Phase.SWITCHING), stable_endpoints={V1.revision}).status
    assert back.history[0].verdict is Verdict.RETURNED
    assert (back.history[0].uri, back.history[0].returned_to) == (
        "models:/iris/2",
        "models:/iris/1",
    )
    assert {c.type: c.status for c in back.conditions}["Stalled"] == "True"
    report = pending(back)
    assert report is not None
    assert (report.attempt, report.version, report.alias) == (3, "2", ("iris", "1"))
    again = look(30, back, stable_endpoints={V1.revision})
    assert (again.status.phase, again.status.attempt) == (Phase.ROLLED_BACK, 3)


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param({}, id="nothing was asked"),
        pytest.param(accuracy(0.5, 3500), id="a sample too old"),
        pytest.param(counted(0.9, 3599), id="a good value"),
        pytest.param(counted(0.65, 3599, labels=100), id="a value below that 100 labels allow"),
        pytest.param(accuracy(0.5, 3599), id="one value without a count"),
    ],
)
def test_it_stays_by(answers: Any) -> None:
    plan = look(3600, promoted(), answers=answers)
    assert (plan.status.phase, plan.events) == (Phase.PROMOTED, ())
    assert {c.type: c.status for c in plan.status.conditions}["Ready"] == "True"


@pytest.mark.parametrize(
    ("least", "phase"), [(30, Phase.PROMOTED), (300, Phase.SHIFTING)], ids="minSamples: {}".format
)
def test_a_value_without_a_count_is_taken_for_as_many_labels_as(least: int, phase: Phase) -> None:
    gates = [{"metric": "accuracy", "min": 0.7, "minSamples": least}]
    wanted = spec("models:/iris/2", strategy__watch="24h", analysis__gates=gates)
    after = look(3600, promoted(), wanted, answers=accuracy(0.5, 3599)).status
    assert after.phase is phase


def test_a_pause_holds_no_return() -> None:
    paused = spec("models:/iris/2", strategy__watch="24h", paused=True)
    after = look(3600, promoted(), paused, answers=counted(0.5, 3599)).status
    assert after.phase is Phase.SHIFTING
    assert look(3620, after, paused).status.phase is Phase.SWITCHING


def test_a_frozen_window_holds_no_return() -> None:
    frozen = Freeze(active=True, until=at(7200), why="the weekend")
    after = look(3600, promoted(), answers=counted(0.5, 3599), freeze=frozen).status
    assert after.phase is Phase.SHIFTING
    switching = look(3620, after, freeze=frozen).status
    back = look(3640, switching, freeze=frozen, stable_endpoints={V1.revision}).status
    assert (switching.phase, back.phase) == (Phase.SWITCHING, Phase.ROLLED_BACK)


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_is_led_back_to_pods_that_are_too_few(count: int) -> None:
    few = {**ready(V2), V1.revision: Workload(ready=count, wanted=2)}
    plan = look(3600, promoted(), answers=counted(0.5, 3599), workloads=few)
    assert plan.status.phase is Phase.PROMOTED
    assert plan.status.watch is not None
    assert f"{count} of 2 pods are Ready" in plan.status.watch.waits
    (told,) = plan.events
    assert told.reason is Reason.WAITING_FOR_PODS
    again = look(3605, plan.status, answers=counted(0.5, 3604), workloads=few)
    assert again.events == ()
    assert look(3610, plan.status, answers=counted(0.5, 3609)).status.phase is Phase.SHIFTING


FEW = {**ready(V2), V1.revision: Workload(ready=0, wanted=2, trouble="no node has room")}


def waiting(failed_at: float, **changes: Any) -> Status:
    """Version 2 has failed in its watch, and the pods of version 1 are not there."""
    answers = counted(0.5, failed_at - 1)
    return look(failed_at, promoted(**changes), answers=answers, workloads=FEW).status


@pytest.mark.parametrize(
    ("now", "answers", "workloads", "phase", "watched"),
    [
        pytest.param(86405, {}, FEW, Phase.PROMOTED, True, id="its time is over"),
        pytest.param(86405, {}, ready(V1, V2), Phase.SHIFTING, True, id="its pods come after that"),
        pytest.param(86000, {}, ready(V1, V2), Phase.SHIFTING, True, id="they come in silence"),
        pytest.param(
            86405, counted(0.5, 86404), FEW, Phase.PROMOTED, True, id="it goes on failing"
        ),
        pytest.param(86460, {}, FEW, Phase.PROMOTED, False, id="they were waited for long enough"),
        pytest.param(
            86405, counted(0.9, 86404), FEW, Phase.PROMOTED, False, id="it is good by then"
        ),
        pytest.param(
            86000, counted(0.9, 85999), ready(V1, V2), Phase.PROMOTED, True, id="good in time"
        ),
    ],
)
def test_a_proved_failure_waits_for_its_pods_when(
    now: float, answers: Any, workloads: Any, phase: Phase, watched: bool
) -> None:
    after = look(now, waiting(85995), answers=answers, workloads=workloads).status
    assert (after.phase, after.watch is not None) == (phase, watched)
    kept = [r.revision for r in after.retiring]
    assert kept == ([V1.revision] if watched and phase is Phase.PROMOTED else [])


def test_a_return_that_waits_says_so_and_until_when() -> None:
    status = waiting(86395)
    assert status.watch is not None
    assert status.watch.until == at(86460)
    said = (
        "It cannot go back to models:/iris/1 yet: 0 of 2 pods are Ready. They are waited for until"
        " 2026-11-24 12:01:00 UTC. no node has room"
    )
    assert status.watched.endswith(said)
    waits = {c.type: (c.status, c.reason, c.message) for c in status.conditions}["ReturnWaits"]
    assert waits == ("True", "WaitingForPods", status.watch.waits)
    back = look(86400, status, workloads=ready(V1, V2)).status
    assert "ReturnWaits" not in {c.type for c in back.conditions}


@pytest.mark.parametrize("commands", [{}, {"abort": "2"}], ids=["a failure", "an abort"])
def test_what_could_not_go_back_in_time_is_told(commands: dict[str, str]) -> None:
    plan = look(86460, waiting(86395), workloads=FEW, commands=commands)
    (told,) = plan.events
    assert (told.kind, told.reason) == ("Warning", Reason.PROGRESS_DEADLINE_EXCEEDED)
    assert "models:/iris/2 stays, though it was to go back" in told.message
    assert plan.status.message == told.message


def test_whoever_wants_no_watch_any_more_waits_for_no_pods() -> None:
    after = look(60, waiting(50), spec("models:/iris/2"), workloads=FEW).status
    assert (after.watch, after.retiring) == (None, ())


@pytest.mark.parametrize(
    ("wanted", "commands", "phase", "watched"),
    [
        pytest.param(DAY, {"abort": "2"}, Phase.PROMOTED, True, id="an abort"),
        pytest.param(
            DAY, {"abort": "2", "promote": "2"}, Phase.PROMOTED, False, id="promote after an abort"
        ),
        pytest.param(
            spec("models:/iris/3", strategy__watch="24h"),
            {"abort": "2"},
            Phase.STARTING,
            False,
            id="a third version after an abort",
        ),
    ],
)
def test_while_the_former_pods_are_too_few(
    wanted: Spec, commands: dict[str, str], phase: Phase, watched: bool
) -> None:
    waits = look(60, promoted(), commands={"abort": "2"}, workloads=FEW).status
    assert waits.watch is not None
    assert "was aborted by annotation" in waits.watch.waits
    asked = {"commands": commands, "workloads": FEW, "resolution": resolved(3)}
    after = look(65, waits, wanted, **asked).status
    assert (after.phase, after.watch is not None) == (phase, watched)


def test_an_abort_goes_back_before_a_third_version_is_tried_where_the_pods_are_there() -> None:
    third = spec("models:/iris/3", strategy__watch="24h")
    after = look(60, promoted(), third, commands={"abort": "2"}, resolution=resolved(3)).status
    assert (after.phase, after.reason) == (Phase.SHIFTING, Reason.ABORTED)


@pytest.mark.parametrize(
    ("verb", "phase", "watched", "reason"),
    [
        ("abort", Phase.SHIFTING, True, Reason.ABORTED),
        ("promote", Phase.PROMOTED, False, Reason.GATES_PASSED),
    ],
)
def test_a_person_ends_the_watch_by(verb: str, phase: Phase, watched: bool, reason: Reason) -> None:
    after = look(60, promoted(), commands={verb: "2"}).status
    assert (after.phase, after.watch is not None, after.reason) == (phase, watched, reason)
    assert bool(after.retiring) is False


def ends(wanted: Spec, now: float, **changes: Any) -> Status:
    return look(now, promoted(), wanted, answers=counted(0.9, now - 1), **changes).status


@pytest.mark.parametrize(
    ("wanted", "now", "kept"),
    [
        pytest.param(DAY, 86399, True, id="its last second"),
        pytest.param(DAY, 86400, False, id="its end"),
        pytest.param(spec("models:/iris/2"), 60, False, id="a spec without a watch"),
        pytest.param(spec("models:/iris/2", strategy__watch="48h"), 86401, True, id="a longer one"),
        pytest.param(
            spec("models:/iris/2", strategy__watch="24h", replicas=5), 60, True, id="more replicas"
        ),
    ],
)
def test_the_former_pods_are_kept_until(wanted: Spec, now: float, kept: bool) -> None:
    after = ends(wanted, now)
    assert [r.replicas for r in after.retiring] == ([wanted.replicas] if kept else [])
    assert (after.watch is not None) is kept


def test_the_former_pods_are_as_many_as_an_autoscaler_has_given_stable() -> None:
    scaling = {"min": 2, "max": 8, "metric": "cpu", "target": 70}
    wanted = spec("models:/iris/2", strategy__watch="24h", autoscaling=scaling)
    many = {**ready(V1), **ready(V2, count=6)}
    assert [r.replicas for r in ends(wanted, 60, workloads=many).retiring] == [6]


def test_a_new_version_ends_the_watch_of_the_one_before() -> None:

    third = spec("models:/iris/3", strategy__watch="24h")
    after = look(60, promoted(), third, resolution=resolved(3)).status
    assert (after.phase, after.watch, after.retiring) == (Phase.STARTING, None, ())
    assert after.stable == V2


def test_back_to_the_version_before_by_the_spec_needs_no_trial() -> None:

    first = spec("models:/iris/1", strategy__watch="24h")
    pending_ = look(60, promoted(), first).status
    assert (pending_.phase, len(pending_.retiring)) == (Phase.PENDING, 1)
    after = look(61, pending_, first, resolution=resolved(1)).status
    assert (after.phase, after.reason) == (Phase.PROMOTING, Reason.RESTORED)


@pytest.mark.parametrize(
    ("phase", "now", "changes", "reason"),
    [
        pytest.param(
            Phase.SHIFTING,
            5,
            {"workloads": ready(V2)},
            Reason.UNSTABLE,
            id="the former pods are lost",
        ),
        pytest.param(
            Phase.SHIFTING,
            61,
            {"route_trouble": "not accepted"},
            Reason.PROGRESS_DEADLINE_EXCEEDED,
            id="the router does not follow",
        ),
        pytest.param(
            Phase.SWITCHING,
            61,
            {"stable_endpoints": frozenset()},
            Reason.PROGRESS_DEADLINE_EXCEEDED,
            id="the Service has no endpoints",
        ),
    ],
)
def test_a_way_back_is_given_up_where(
    phase: Phase, now: float, changes: dict[str, Any], reason: Reason
) -> None:
    after = look(now, way_back(phase), **changes).status
    assert (after.phase, after.reason, after.weight) == (Phase.PROMOTED, reason, 0)
    assert after.stable == V2
    assert [r.revision for r in after.retiring] == [V1.revision]
    assert after.watch is not None


def test_what_the_spec_asks_for_meanwhile_waits_for_the_way_back() -> None:
    third = spec("models:/iris/3", strategy__watch="24h")
    after = look(12, way_back(Phase.SHIFTING), third).status
    assert (after.phase, after.attempt) == (Phase.SWITCHING, 3)


def test_figures_of_a_watch_are_written_now_and_then() -> None:
    status, written = promoted(), 0
    for now in range(0, 600, 5):
        before = status
        status = look(3600 + now, status, answers=counted(0.9 + now % 7 / 100, 3599 + now)).status
        written += status != before
    assert written <= 1 + 600 // 300


@pytest.mark.parametrize("n", range(10))
def test_what_turns_bad_after_an_hour_goes_back_at_the_next_look(n: int) -> None:
    wanted = spec(
        "models:/iris/2",
        strategy__watch="24h",
        analysis={"interval": "15s", "maxHold": "40s"},
    )
    status, now = promoted(), n
    for _ in range(240):
        now += 15
        status = look(now, status, wanted, answers=counted(0.8 + n / 100, now - 1)).status
    assert status.phase is Phase.PROMOTED
    assert look(now + 15, status, wanted, answers=counted(0.5, now + 14)).status.weight == 100


def test_what_a_person_sees() -> None:
    assert promoted().watched == (
        "Watched until 2026-11-24 12:00 UTC: a failed gate returns to models:/iris/1."
    )
    assert Status().watched == ""
