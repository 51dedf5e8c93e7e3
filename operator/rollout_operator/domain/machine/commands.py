"""What a person commands by annotation."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rollout_operator.domain.api.gate_results import EvidenceStatus
from rollout_operator.domain.api.names import GROUP
from rollout_operator.domain.api.spec import Approval, Spec
from rollout_operator.domain.api.status import Act, Revision, Status
from rollout_operator.domain.api.words import Phase, Reason, Verdict
from rollout_operator.domain.gates.histogram import bounds
from rollout_operator.domain.gates.label_counters import subjects_of
from rollout_operator.domain.machine.acts import act_of, noted, told, with_act
from rollout_operator.domain.machine.decision import (
    BLANK,
    EventToPost,
    Plan,
    candidate_of,
    clip,
    stay,
)
from rollout_operator.domain.machine.growth import grow
from rollout_operator.domain.machine.hold import is_held
from rollout_operator.domain.machine.pending import begin, resolve
from rollout_operator.domain.machine.profile import with_profile
from rollout_operator.domain.machine.promotion import promote
from rollout_operator.domain.machine.redirect import follow_spec
from rollout_operator.domain.machine.rollback import close_attempt, roll_back
from rollout_operator.domain.machine.transitions import CANDIDATE_RUNS, ON_TRIAL
from rollout_operator.domain.machine.trial import advance
from rollout_operator.domain.machine.watch import abort_watch, end_by_command
from rollout_operator.domain.observed import Observed

COMMANDS = ("abort", "promote", "approve", "skip", "retry", "forget-evidence")
"""Verbs of the annotations `rollouts.mlops.dev/<verb>: "<attempt>"`, strongest first;
forget-evidence goes with retry.
"""


def commanded(annotations: Mapping[str, str]) -> dict[str, str]:
    """What a person commands by annotations: verbs, and the attempt that each is for."""
    return {
        verb: annotations[f"{GROUP}/{verb}"]
        for verb in COMMANDS
        if f"{GROUP}/{verb}" in annotations
    }


def _given(observed: Observed) -> list[str]:
    """What a person commands for this very attempt, the strongest first; nothing on the way back,
    which is a matter of seconds.
    """
    status = observed.status
    return [
        v
        for v in COMMANDS
        if observed.commands.get(v) == str(status.attempt)
        and status.attempt
        and v not in status.handled_commands
        and not status.returning
    ]


def command_watched(observed: Observed, spec: Spec) -> Plan | None:
    """What a person commands while what is promoted is watched: to go back, or that it was enough
    of it. A way back that waits for pods holds neither the other command nor another version.
    """
    given = _given(observed)
    back = abort_watch(observed, spec) if "abort" in given else None
    if back is not None and back.status.returning:
        return back
    if "promote" in given and (ended := end_by_command(observed)) is not None:
        return ended
    return back and (follow_spec(observed, spec) or back)


def abort(observed: Observed, spec: Spec) -> Plan | None:
    """What is on trial, or watched, is taken back where a person has told so; None where nobody
    has, or nothing can be.
    """
    if "abort" not in _given(observed):
        return None
    if observed.status.phase not in ON_TRIAL:
        return abort_watch(observed, spec)
    act = act_of(observed, "abort")
    message = f"{candidate_of(observed).uri} was aborted by annotation.{told(act)}"
    return roll_back(noted(observed, act), Reason.ABORTED, message)


def carry_out_command(observed: Observed, spec: Spec) -> Plan | None:
    """What a person commands for this very attempt, if it can still be done; abort is stronger than
    the others.
    """
    status, given = observed.status, _given(observed)
    tried = status.phase is Phase.TRIAL
    on_trial = status.phase in {Phase.STARTING, Phase.TRIAL}
    for verb in given:
        act = act_of(observed, verb)
        if verb == "abort" and status.phase in ON_TRIAL:
            return abort(observed, spec)
        if verb == "promote" and tried and not observed.freeze.active:
            message = (
                f"Promoting {candidate_of(observed).uri} by annotation, whatever the gates"
                f" say.{told(act)}"
            )
            told_so = _handled(noted(observed, act), "promote")
            return promote(told_so, spec, Reason.PROMOTED_BY_COMMAND, message)
        if verb == "approve" and spec.strategy.approval is Approval.REQUIRED and on_trial:
            return _approve(observed, act)
        if verb == "skip" and tried and not status.halted and not spec.paused:
            if is_held(observed, spec) or grow(observed, spec) is not None:
                # The trial goes on, and waits: it may fail, or be given up.
                continue
            skipped = _handled(noted(observed, act), "skip")
            message = f"the step was skipped by annotation{told(act).removesuffix('.')}"
            return advance(skipped, spec, Reason.PROMOTED_BY_COMMAND, message)
        if verb == "retry" and (status.phase is Phase.ROLLED_BACK or status.halted):
            return _retry(observed, spec, act)
        if late := _too_late(status, verb):
            return _decline(observed, verb, late)
    return None


def _handled(observed: Observed, verb: str) -> Observed:
    handled = {"handled_commands": (*observed.status.handled_commands, verb)}
    return replace(observed, status=observed.status.model_copy(update=handled))


def _approve(observed: Observed, act: Act) -> Plan:
    """Keep that a person approves this attempt: its gates still have to pass."""
    approved = _handled(noted(observed, act), "approve")
    status, asked = approved.status, approved.status.approval_since is not None
    early = "" if asked else " It counts once the gates of the last step pass."
    message = f"{candidate_of(observed).uri} is approved for attempt {status.attempt}.{told(act)}"
    plan = stay(approved)
    if asked:
        plan = stay(approved, Reason.MEASURING, message, approved_at=observed.now)
    event = EventToPost("Normal", Reason.APPROVED, clip(f"{message}{early}"))
    return replace(plan, events=(event,), requeue_at=observed.now)


def _too_late(status: Status, verb: str) -> str:
    """What to do instead of a command that comes after its attempt; "" where it is as good as done,
    or may still be.
    """
    match status.phase, verb:
        case Phase.ROLLED_BACK, "promote" | "skip" | "approve":
            return (
                f"To {verb} it all the same, annotate retry first, then {verb} with the number of"
                " the new attempt."
            )
        case Phase.PROMOTED, "abort":
            return (
                "It is promoted already: to go back, write the version before into spec.modelUri."
            )
    return ""


def _decline(observed: Observed, verb: str, instead: str) -> Plan:
    """Say once that a command comes too late, and what helps."""
    status = observed.status
    message = clip(f"{status.message} {instead}".strip())
    said = status.model_copy(
        update={"message": message, "handled_commands": (*status.handled_commands, verb)}
    )
    return Plan(
        said,
        (EventToPost("Warning", status.reason, f"{verb} comes too late. {message}"),),
        observed.now,
    )


def _retry(observed: Observed, spec: Spec, act: Act) -> Plan:
    candidate, status = candidate_of(observed), noted(observed, act).status
    if status.phase in CANDIDATE_RUNS:
        status = close_attempt(
            status, observed.now, Verdict.SUPERSEDED, status.reason, status.message
        )
    elif status.history and status.history[0].attempt == status.attempt:
        # The attempt is in history already, and this is of it.
        ended = status.history[0]
        entry = ended.model_copy(update={"acts": with_act(ended.acts, act)})
        status = status.model_copy(update={"history": (entry, *status.history[1:])})
    forgiven = tuple(r for r in status.rejected if r.revision != candidate.revision)
    again = replace(observed, status=status.model_copy(update={"rejected": forgiven}))
    if observed.commands.get("forget-evidence") == str(status.attempt):
        again = replace(
            again,
            status=again.status.model_copy(
                update={"evidence": _forget_evidence(status.evidence, candidate)}
            ),
        )
    if status.phase is Phase.ROLLED_BACK:
        # The registry is asked again: its digest, or what its alias names, may have been mended.
        return resolve(replace(again, status=again.status.model_copy(update=BLANK)), spec)
    pods = {"image": observed.image, "buckets": bounds(spec.analysis.gates)}
    fresh = with_profile(observed, candidate)
    fresh = fresh.model_copy(update={"since": observed.now, "ready_at": None, **pods})
    return begin(again, spec, fresh)


def _forget_evidence(
    evidence: tuple[EvidenceStatus, ...], candidate: Revision
) -> tuple[EvidenceStatus, ...]:
    """The evidence without what was counted for the candidate; its counters stay, so that old
    labels are not counted again.
    """
    mine = subjects_of(candidate)
    blank: dict[str, Any] = {
        "good": 0.0,
        "total": 0.0,
        "before": 0.0,
        "squares": 0.0,
        "scrapes": 0,
        "bins": (),
        "pairs": 0.0,
        "above": (),
        "below": (),
    }
    return tuple(e.model_copy(update=blank) if e.subject in mine else e for e in evidence)
