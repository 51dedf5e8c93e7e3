"""A last step that a person decides: what is waited for, what ends it, and who is remembered."""

from typing import Any

import pytest

from rollout_operator.domain.api.status import Status
from rollout_operator.domain.api.words import Phase, Reason
from rollout_operator.domain.machine.decide import decide
from rollout_operator.domain.machine.decision import Plan
from tests.support.builders import accuracy, at, observed, on_trial, ready, revision, spec

BOTH = ready(revision(1), revision(2))
REQUIRED = spec("models:/iris/2", strategy__approval="Required")
LAST = on_trial(step=1, weight=50)
ASKED = on_trial(step=1, weight=50, reason=Reason.WAITING_FOR_APPROVAL, approval_since=at(21))


def look(second: float, status: Status = LAST, **changes: Any) -> Plan:
    values: dict[str, Any] = {
        "spec": REQUIRED,
        "status": status,
        "workloads": BOTH,
        "answers": accuracy(0.93, second - 1),
    }
    return decide(observed(second, **(values | changes)))


def test_the_last_step_waits_for_a_person() -> None:
    plan = look(21)
    status = plan.status
    assert (status.phase, status.reason) == (Phase.TRIAL, Reason.WAITING_FOR_APPROVAL)
    assert (status.weight, status.approval_since) == (50, at(21))
    assert "kubectl modelrollout approve iris" in status.message
    assert "rollouts.mlops.dev/approve=2" in status.message
    assert plan.requeue_at is not None
    assert plan.requeue_at <= at(26), "gates go on being measured"
    reconciling = {c.type: (c.status, c.reason) for c in status.conditions}["Reconciling"]
    assert reconciling == ("True", "WaitingForApproval")


@pytest.mark.parametrize(
    ("second", "changes"),
    [
        pytest.param(19, {}, id="before its time is over"),
        pytest.param(21, {"status": on_trial()}, id="in a step before"),
        pytest.param(21, {"answers": {}}, id="before its gates have passed"),
    ],
)
def test_nobody_is_asked(second: float, changes: dict[str, Any]) -> None:
    assert look(second, **changes).status.approval_since is None


def test_a_first_deploy_waits_before_its_host_answers() -> None:
    first = on_trial(stable=None, step=None, weight=0, attempt=1)
    status = look(21, first).status
    assert (status.phase, status.reason) == (Phase.TRIAL, Reason.WAITING_FOR_APPROVAL)


def test_a_gate_that_fails_meanwhile_rolls_back_at_once() -> None:
    status = look(500, ASKED, answers=accuracy(0.5, 499)).status
    assert (status.phase, status.reason, status.weight) == (
        Phase.ROLLING_BACK,
        Reason.GATE_FAILED,
        0,
    )
    assert status.approval_since is None


def test_silence_meanwhile_is_waited_out_for_as_long_as_the_person_takes() -> None:
    status = look(50_000, ASKED, answers={}).status
    assert status.reason is Reason.WAITING_FOR_APPROVAL
    assert status.no_evidence_since is None


APPROVE = {"commands": {"approve": "2"}, "commanded_by": "approve 2: ann", "names_verified": True}


def test_an_approval_is_remembered_and_then_the_gates_promote() -> None:
    plan = look(300, ASKED, **APPROVE, command_reason="approve 2: labels look right")
    (act,) = plan.status.acts
    assert (act.verb, act.by, act.verified, act.reason, act.at) == (
        "approve",
        "ann",
        True,
        "labels look right",
        at(300),
    )
    assert [(e.reason, e.message) for e in plan.events] == [
        (
            Reason.APPROVED,
            "models:/iris/2 is approved for attempt 2. By ann: labels look right.",
        )
    ]
    same = look(302, plan.status, **APPROVE, answers=accuracy(0.93, 300)).status
    assert (same.phase, same.reason) == (Phase.TRIAL, Reason.WAITING_FOR_EVIDENCE)
    assert "no sample yet since 12:05:00" in same.message
    after = look(303, same, **APPROVE).status
    assert after.verdict == "Promoted"
    assert after.reason is Reason.GATES_PASSED
    assert after.acts == plan.status.acts


def test_an_approval_without_fresh_proof_waits_for_it() -> None:
    given = look(300, ASKED, **APPROVE).status
    status = look(301, given, **APPROVE, answers={}).status
    assert (status.phase, status.reason) == (Phase.TRIAL, Reason.WAITING_FOR_EVIDENCE)


def test_an_early_approval_counts_once_the_gates_have_passed() -> None:
    plan = look(5, on_trial(), **APPROVE)
    assert "It counts once the gates of the last step pass." in plan.events[0].message
    last = plan.status.model_copy(update={"step": 1, "weight": 50})
    assert look(21, last, **APPROVE).status.verdict == "Promoted"


@pytest.mark.parametrize(
    ("commands", "changes"),
    [
        pytest.param({"approve": "1"}, {}, id="of the attempt before"),
        pytest.param({"approve": "yes"}, {}, id="of no attempt"),
        pytest.param(
            {"approve": "2"},
            {"spec": spec("models:/iris/2", strategy__approval="Required", paused=True)},
            id="in a pause",
        ),
    ],
)
def test_it_still_waits_after_an_approval(
    commands: dict[str, str], changes: dict[str, Any]
) -> None:
    status = look(300, ASKED, commands=commands, **changes).status
    status = look(301, status, commands=commands, **changes).status
    assert (status.phase, status.verdict) == (Phase.TRIAL, None)


def test_to_promote_is_to_approve() -> None:
    assert look(300, ASKED, commands={"promote": "2"}).status.verdict == "Promoted"


def test_a_skipped_last_step_is_promoted_once_it_is_approved() -> None:
    waits = look(5, LAST, commands={"skip": "2"}).status
    assert waits.reason is Reason.WAITING_FOR_APPROVAL
    both = {"skip": "2", "approve": "2"}
    given = look(6, waits, commands=both).status
    assert look(7, given, commands=both).status.reason is Reason.PROMOTED_BY_COMMAND


def test_a_new_attempt_needs_an_approval_of_its_own() -> None:
    given = look(300, ASKED, **APPROVE).status
    lost = given.model_copy(update={"halted": True})
    again = look(301, lost, commands={"retry": "2"}).status
    assert again.attempt == 3
    assert "approve" not in again.handled_commands
    assert again.acts == ()


WHO: dict[str, tuple[dict[str, Any], str, bool, str]] = {
    "nobody says": ({}, "", False, ""),
    "a name that anybody may have written": (
        {"commanded_by": "abort 2: ann"},
        "ann",
        False,
        " By ann (unverified).",
    ),
    "a name that a policy wrote": (
        {"commanded_by": "abort 2: ann", "names_verified": True},
        "ann",
        True,
        " By ann.",
    ),
    "a name beside another command": (
        {"commanded_by": "skip 2: ann", "names_verified": True},
        "",
        False,
        "",
    ),
    "a name beside the attempt before": (
        {"commanded_by": "abort 1: ann", "names_verified": True},
        "",
        False,
        "",
    ),
    "a reason without a name": (
        {"command_reason": "abort 2: too slow", "names_verified": True},
        "",
        False,
        " By somebody (unverified): too slow.",
    ),
    "a name with a line break and a colour in it": (
        {"commanded_by": "abort 2: a\n\x1b[31mnn"},
        "a  [31mnn",
        False,
        " By a  [31mnn (unverified).",
    ),
}


@pytest.mark.parametrize(("beside", "by", "verified", "told"), WHO.values(), ids=WHO.keys())
def test_who_it_was(beside: dict[str, Any], by: str, verified: bool, told: str) -> None:
    plan = look(5, on_trial(), commands={"abort": "2"}, **beside)
    (act,) = plan.status.acts
    assert (act.by, act.verified) == (by, verified)
    assert plan.status.message == f"models:/iris/2 was aborted by annotation.{told}"
    ended = look(60, plan.status).status.history[0]
    assert (ended.verdict, ended.acts) == ("RolledBack", plan.status.acts)


def test_a_retry_is_noted_with_the_attempt_that_had_ended() -> None:
    aborted = look(5, on_trial(), commands={"abort": "2"}).status
    back = look(60, aborted).status
    again = look(70, back, commands={"retry": "2"}, command_reason="retry 2: mended").status
    acts = again.history[0].acts
    assert [(act.verb, act.reason) for act in acts] == [("abort", ""), ("retry", "mended")]


@pytest.mark.parametrize(
    ("paused", "status", "verb"),
    [
        pytest.param(True, on_trial(), "pause", id="a pause"),
        pytest.param(False, on_trial(paused_since=at(1)), "resume", id="its end"),
    ],
)
def test_who_pauses_and_why(paused: bool, status: Status, verb: str) -> None:
    asked = spec("models:/iris/2", paused=paused)
    plan = look(5, status, spec=asked, command_reason=f"{verb} 2: lunch")
    assert [(act.verb, act.reason) for act in plan.status.acts] == [(verb, "lunch")]
    assert plan.events[0].message == f"spec.paused: {verb}. By somebody (unverified): lunch."
