"""What follows from one look, and the parts that every phase makes it of."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from rollout_operator.domain.api.status import Notification, Revision, Status
from rollout_operator.domain.api.words import Phase, Reason, Verdict
from rollout_operator.domain.machine import transitions
from rollout_operator.domain.machine.transitions import AT_REST
from rollout_operator.domain.observed import Observed, Workload

MESSAGE_LENGTH = 1000
BLANK: dict[str, Any] = {
    "candidate": None,
    "step": None,
    "step_since": None,
    "grows_since": None,
    "weight": 0,
    "setbacks": 0,
    "scale_up": None,
    "gates": (),
    "differences": (),
    "no_evidence_since": None,
    "halted": False,
    "handled_commands": (),
    "approval_since": None,
    "approved_at": None,
    "frozen": "",
    "frozen_until": None,
    "acts": (),
    "verdict": None,
    "inspecting": None,
}
"""What an attempt leaves behind nothing of."""


@dataclass(frozen=True, slots=True)
class EventToPost:
    """Something worth an Event: a transition and its reason."""

    kind: Literal["Normal", "Warning"]
    """The Event's `type`."""
    reason: Reason
    """The Event's `reason`."""
    message: str
    """The Event's `message`, a sentence."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done after one look."""

    status: Status
    """The next; equal to the observed one where there is nothing to write."""
    events: tuple[EventToPost, ...] = ()
    """What to tell, in this order; empty for nothing."""
    requeue_at: datetime | None = None
    """When to look again; None: only when something changes."""
    dropped: tuple[Notification, ...] = ()
    """Messages that were owed, and for which the status has no room any more."""


def enter(
    observed: Observed,
    phase: Phase,
    reason: Reason,
    message: str,
    *,
    requeue_at: datetime | None = None,
    kind: str = "",
    **changes: Any,
) -> Plan:
    """Go to `phase` (its clock starts anew only when it differs) and tell why; look again at once
    unless said otherwise.
    """
    status, now = observed.status, observed.now
    transitions.check_transition(status.phase, phase, reason)
    entered = phase is not status.phase or status.phase_since is None
    warns = phase in {Phase.ROLLING_BACK, Phase.ROLLED_BACK, Phase.INVALID} or kind == "Warning"
    told = (entered or reason is not status.reason or changes.get("halted")) and _worth_an_event(
        status, phase, reason, changes
    )
    update: dict[str, Any] = {
        "phase": phase,
        "reason": reason,
        "message": clip(message),
        **changes,
    }
    if entered:
        update["phase_since"] = now
    event = EventToPost("Warning" if warns else "Normal", reason, clip(message))
    resting = phase in AT_REST and requeue_at is None
    return Plan(
        status.model_copy(update=update),
        (event,) if told else (),
        requeue_at if requeue_at or resting else now,
    )


def _worth_an_event(before: Status, phase: Phase, reason: Reason, changes: dict[str, Any]) -> bool:
    """Verdicts and trouble are; steps and phases on the way stand in status and metrics."""
    match phase:
        case Phase.PROMOTED | Phase.ROLLING_BACK | Phase.INVALID:
            return True
        case Phase.SHIFTING:
            return changes.get("verdict") is Verdict.RETURNED
        case Phase.STARTING:
            return "setbacks" in changes and changes["setbacks"] > 0
        case Phase.ROLLED_BACK:
            return before.phase is not Phase.ROLLING_BACK
        case Phase.PENDING:
            return reason is Reason.REGISTRY_UNREACHABLE
    return bool(changes.get("halted"))


def stay(
    observed: Observed,
    reason: Reason | None = None,
    message: str = "",
    *,
    requeue_at: datetime | None = None,
    **changes: Any,
) -> Plan:
    """Stay in the phase, with these fields of status changed; reason and message as they were where
    none is given.
    """
    if reason is not None:
        transitions.check_transition(observed.status.phase, observed.status.phase, reason)
        changes |= {"reason": reason, "message": clip(message)}
    return Plan(observed.status.model_copy(update=changes), (), requeue_at)


def candidate_of(observed: Observed) -> Revision:
    return _there(observed, "candidate", observed.status.candidate)


def stable_of(observed: Observed) -> Revision:
    return _there(observed, "stable", observed.status.stable)


def _there(observed: Observed, role: str, revision: Revision | None) -> Revision:
    """The revision; raises ValueError where it is missing."""
    if revision is None:
        raise ValueError(f"status.{role} is missing in phase {observed.status.phase}")
    return revision


def workload_of(observed: Observed, revision: Revision) -> Workload:
    return observed.workloads.get(revision.revision, Workload(ready=0, wanted=0))


def pods(count: int) -> str:
    return "1 pod" if count == 1 else f"{count} pods"


def clip(message: str) -> str:
    return message if len(message) <= MESSAGE_LENGTH else message[: MESSAGE_LENGTH - 1] + "…"
