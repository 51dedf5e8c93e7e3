"""The way back: weight 0 at once, then the end of the attempt."""

from datetime import datetime
from typing import Any

from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import MOST_REJECTED, Attempt, Rejected, Revision, Status
from rollout_operator.domain.api.words import Phase, Reason, Verdict
from rollout_operator.domain.drain import ended
from rollout_operator.domain.machine.decision import (
    BLANK,
    Plan,
    candidate_of,
    enter,
    stay,
    workload_of,
)
from rollout_operator.domain.machine.schedule import deadline, router_follows_at
from rollout_operator.domain.machine.transitions import WITHOUT_PROOF
from rollout_operator.domain.observed import Observed
from rollout_operator.domain.route import closed
from rollout_operator.domain.verdicts import ended_attempt

MOST_HISTORY = 10


def roll_back(
    observed: Observed, reason: Reason, message: str, verdict: Verdict = Verdict.ROLLED_BACK
) -> Plan:
    """Take the candidate back: no request goes to it from now on."""
    entered: dict[str, Any] = {
        "weight": 0,
        "verdict": verdict,
        "halted": False,
        "no_evidence_since": None,
        "paused_since": None,
    }
    return enter(observed, Phase.ROLLING_BACK, reason, message, **entered)


def roll_back_if_overdue(observed: Observed, spec: Spec) -> Plan | None:
    """Roll back where the phase has lasted longer than progressDeadline."""
    if observed.now < deadline(observed, spec):
        return None
    candidate = candidate_of(observed)
    trouble = (
        workload_of(observed, candidate).trouble
        or closed(observed)
        or "its pods did not become Ready"
    )
    message = (
        f"{candidate.uri} made no progress in phase {observed.status.phase} for"
        f" {spec.strategy.progress_deadline}: {trouble}"
    )
    return roll_back(observed, Reason.PROGRESS_DEADLINE_EXCEEDED, message)


def rolling_back(observed: Observed, spec: Spec) -> Plan:
    """Keep the candidate's pods until no request can reach them; then they go."""
    status, candidate = observed.status, candidate_of(observed)
    if observed.now < (follows := router_follows_at(observed, spec)):
        return stay(observed, requeue_at=follows)
    drains = {"drains": ended(observed, spec)}
    if status.verdict is Verdict.CANCELLED:
        closed = close_attempt(
            status, observed.now, Verdict.CANCELLED, status.reason, status.message
        )
        return enter(
            observed,
            Phase.PROMOTED,
            status.reason,
            status.message,
            **BLANK | drains | {"history": closed.history},
        )
    closed = close_attempt(status, observed.now, Verdict.ROLLED_BACK, status.reason, status.message)
    kept = {
        "history": closed.history,
        "rejected": closed.rejected,
        "candidate": candidate,
        "gates": status.gates,
    }
    return enter(
        observed, Phase.ROLLED_BACK, status.reason, status.message, **BLANK | drains | kept
    )


def close_attempt(
    status: Status, now: datetime, verdict: Verdict, reason: Reason, message: str
) -> Status:
    """The status with its attempt entered into history, and into memory of the rejected where it
    belongs there.
    """
    candidate = status.candidate
    if candidate is None:
        return status
    ended = ended_attempt(status, candidate, verdict, reason, message, at=now)
    rejected = status.rejected
    if verdict is Verdict.ROLLED_BACK and reason not in WITHOUT_PROOF:
        rejected = remember(rejected, candidate, reason, message, now)
    return status.model_copy(
        update={"history": keep_recent((ended, *status.history)), "rejected": rejected}
    )


def remember(
    rejected: tuple[Rejected, ...], revision: Revision, reason: str, message: str, now: datetime
) -> tuple[Rejected, ...]:
    """The rejected with this revision as the newest: it is not tried again until told."""
    entry = Rejected(
        revision=revision.revision, uri=revision.uri, reason=reason, message=message, at=now
    )
    return (entry, *(r for r in rejected if r.revision != revision.revision))[:MOST_REJECTED]


def keep_recent(history: tuple[Attempt, ...]) -> tuple[Attempt, ...]:
    """The last ten attempts; of those before the newest, what was given up without a verdict makes
    room first, the oldest of it.
    """
    if len(history) <= MOST_HISTORY:
        return history
    void = [e for e in history[1:] if e.verdict in {Verdict.SUPERSEDED, Verdict.CANCELLED}]
    goes = void[-1] if void else history[-1]
    return tuple(e for e in history if e is not goes)
