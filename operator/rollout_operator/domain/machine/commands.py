"""What a person commands by annotation."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rollout_operator.domain.api.gate_results import EvidenceStatus
from rollout_operator.domain.api.names import GROUP
from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import Revision, Status
from rollout_operator.domain.api.words import Phase, Reason, Verdict
from rollout_operator.domain.gates.histogram import bounds
from rollout_operator.domain.gates.label_counters import subjects_of
from rollout_operator.domain.machine.decision import BLANK, EventToPost, Plan, candidate_of, clip
from rollout_operator.domain.machine.pending import begin, resolve
from rollout_operator.domain.machine.profile import with_profile
from rollout_operator.domain.machine.promotion import promote
from rollout_operator.domain.machine.rollback import close_attempt, roll_back
from rollout_operator.domain.machine.transitions import CANDIDATE_RUNS, ON_TRIAL
from rollout_operator.domain.machine.trial import advance
from rollout_operator.domain.observed import Observed

COMMANDS = ("abort", "promote", "skip", "retry", "forget-evidence")
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


def carry_out_command(observed: Observed, spec: Spec) -> Plan | None:
    """What a person commands for this very attempt, if it can still be done; abort is stronger than
    the others.
    """
    status = observed.status
    given = [
        v
        for v in COMMANDS
        if observed.commands.get(v) == str(status.attempt)
        and status.attempt
        and v not in status.handled_commands
    ]
    tried = status.phase is Phase.TRIAL
    for verb in given:
        if verb == "abort" and status.phase in ON_TRIAL:
            return roll_back(
                observed, Reason.ABORTED, f"{candidate_of(observed).uri} was aborted by annotation."
            )
        if verb == "promote" and tried:
            message = (
                f"Promoting {candidate_of(observed).uri} by annotation, whatever the gates say."
            )
            return promote(observed, spec, Reason.PROMOTED_BY_COMMAND, message)
        if verb == "skip" and tried and not status.halted and not spec.paused:
            skipped = replace(
                observed,
                status=status.model_copy(
                    update={"handled_commands": (*status.handled_commands, "skip")}
                ),
            )
            return advance(
                skipped, spec, Reason.PROMOTED_BY_COMMAND, "the step was skipped by annotation"
            )
        if verb == "retry" and (status.phase is Phase.ROLLED_BACK or status.halted):
            return _retry(observed, spec)
        if late := _too_late(status, verb):
            return _decline(observed, verb, late)
    return None


def _too_late(status: Status, verb: str) -> str:
    """What to do instead of a command that comes after its attempt; "" where it is as good as done,
    or may still be.
    """
    match status.phase, verb:
        case Phase.ROLLED_BACK, "promote" | "skip":
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


def _retry(observed: Observed, spec: Spec) -> Plan:
    candidate, status = candidate_of(observed), observed.status
    if status.phase in CANDIDATE_RUNS:
        status = close_attempt(
            status, observed.now, Verdict.SUPERSEDED, status.reason, status.message
        )
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
        "above": (),
        "below": (),
    }
    return tuple(e.model_copy(update=blank) if e.subject in mine else e for e in evidence)
