"""What a rollout waits for, and since when; and whether that is a person. Pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from rollout_cli.api.rollout import Rollout
from rollout_cli.view.formatting import span
from rollout_operator.domain.api.words import Phase
from rollout_operator.domain.machine.transitions import CANDIDATE_RUNS


class Group(StrEnum):
    """Whom a rollout concerns; in the order in which people look."""

    PERSON = "person"
    """It goes on only when somebody decides or mends something."""
    TRIAL = "trial"
    """Something is on its way."""
    ROLLED_BACK = "rolled-back"
    """The last version was rolled back."""
    REST = "rest"
    """Promoted, and nothing to do."""


ORDER = {group: number for number, group in enumerate(Group)}


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a rollout waits for."""

    group: Group
    """Whom it concerns."""
    sentence: str
    """What it waits for; "" for nothing."""
    since: datetime | None
    """Since when; None where nobody knows."""


def waiting(rollout: Rollout) -> Waiting:  # noqa: PLR0911 - a list of cases
    """What this rollout waits for."""
    status, spec = rollout.status, rollout.spec
    since = status.phase_since
    if status.observed_generation < 0:
        return Waiting(Group.TRIAL, "the operator to see it", rollout.created)
    if spec is None:
        return Waiting(Group.PERSON, f"a person: {rollout.spec_error}", since)
    if status.invalid or status.phase is Phase.INVALID:
        why = status.invalid or status.message
        return Waiting(Group.PERSON, f"a person to mend the spec: {why}", since)
    if status.paused_since is not None:
        return Waiting(Group.PERSON, "a person: it is paused, resume it", status.paused_since)
    if status.halted:
        return Waiting(
            Group.PERSON, "a person: it is halted, abort, retry or promote it", status.step_since
        )
    if status.approval_since is not None:
        return Waiting(Group.PERSON, "a person: to approve it", status.approval_since)
    if not rollout.is_observed:
        return Waiting(Group.TRIAL, "the operator to see the new spec", since)
    if status.phase is Phase.ROLLED_BACK:
        return Waiting(Group.ROLLED_BACK, "another version, or retry", since)
    if status.phase in CANDIDATE_RUNS or status.phase is Phase.PENDING:
        return Waiting(Group.TRIAL, *_on_the_way(rollout))
    return Waiting(Group.PERSON if _is_stuck(rollout) else Group.REST, *_at_rest(rollout))


def _on_the_way(rollout: Rollout) -> tuple[str, datetime | None]:
    status = rollout.status
    if status.waits_for:
        return status.waits_for, status.phase_since
    if status.api_rejection:
        return f"the API server, which refuses: {status.api_rejection}", status.phase_since
    if status.phase is Phase.TRIAL:
        return _on_trial(rollout)
    said = {
        Phase.PENDING: "the registry" if status.inspecting is None else "a look at its files",
        Phase.STARTING: "the candidate's pods",
        Phase.PROMOTING: "the candidate's pods, at full size",
        Phase.SHIFTING: "routers to send everything to the candidate",
        Phase.SWITCHING: "the stable Service to lead to the candidate",
        Phase.SETTLING: "the Gateway to take weight 0 over",
        Phase.ROLLING_BACK: "routers to leave the candidate",
    }
    return said[status.phase], status.phase_since


def _on_trial(rollout: Rollout) -> tuple[str, datetime | None]:
    status, spec = rollout.status, rollout.spec
    if status.frozen:
        return status.frozen, status.step_since
    if status.grows_since is not None:
        return "pods that the next step needs", status.grows_since
    if status.no_evidence_since is not None:
        left = max((gate.labels_left or 0 for gate in status.gates), default=0)
        labels = f"evidence: about {left} more labels" if left else "evidence"
        return labels, status.no_evidence_since
    if spec is not None and status.step is not None and status.step < len(spec.strategy.steps):
        step = spec.strategy.steps[status.step]
        of = f"step {status.step + 1} of {len(spec.strategy.steps)}"
        return f"{of}, held {span(step.hold)}", status.step_since
    return "the gates", status.step_since or status.phase_since


def _is_stuck(rollout: Rollout) -> bool:
    """Whether what is promoted does not serve as it should, and does not mend by itself."""
    status = rollout.status
    stalled = [one for one in (status.shortage, status.unrouted) if one is not None and one.stalled]
    failed = status.watch is not None and bool(status.watch.waits)
    return bool(stalled) or bool(status.api_rejection) or failed


def _at_rest(rollout: Rollout) -> tuple[str, datetime | None]:
    status = rollout.status
    if status.api_rejection:
        return f"the API server, which refuses: {status.api_rejection}", status.phase_since
    if status.shortage is not None:
        return status.shortage.message, status.shortage.since
    if status.unrouted is not None:
        return status.unrouted.message, None
    if status.watch is not None and status.watched:
        return status.watched, status.watch.since
    return "", status.phase_since
