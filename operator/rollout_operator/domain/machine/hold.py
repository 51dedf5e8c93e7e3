"""Why an attempt goes no further though its gates let it: a freeze, or a person's approval."""

from typing import Any

from rollout_operator.domain.api.names import GROUP
from rollout_operator.domain.api.spec import Approval, Spec
from rollout_operator.domain.api.words import Phase, Reason
from rollout_operator.domain.machine.decision import Plan, candidate_of, clip, stay
from rollout_operator.domain.machine.schedule import READINESS_LOOK, next_measurement
from rollout_operator.domain.observed import Observed

HELD = frozenset({Phase.STARTING, Phase.TRIAL})
"""Phases that a freeze holds. A promotion that has begun is finished: it takes as long as pods and
routers do, and no gate is measured any more.
"""


def is_last(observed: Observed, spec: Spec) -> bool:
    """Whether promotion is what follows the step under way."""
    step = observed.status.step
    return step is None or step + 1 >= len(spec.strategy.steps)


def commanded_now(observed: Observed, verb: str) -> bool:
    """Whether somebody has told this very attempt so, and it is not done yet."""
    status = observed.status
    asked = observed.commands.get(verb) == str(status.attempt)
    return asked and verb not in status.handled_commands


def unapproved(observed: Observed, spec: Spec) -> bool:
    """Whether a person has to approve what follows, and nobody has."""
    required = spec.strategy.approval is Approval.REQUIRED and is_last(observed, spec)
    return required and "approve" not in observed.status.handled_commands


def is_held(observed: Observed, spec: Spec) -> bool:
    """Whether what follows the step must not be done now."""
    return observed.freeze.active or unapproved(observed, spec)


def frozen(observed: Observed) -> str:
    """Until when it is frozen, and why, as a sentence; "" where it is not."""
    freeze = observed.freeze
    if not freeze.active:
        return ""
    ends = f"until {freeze.until:%Y-%m-%d %H:%M} UTC" if freeze.until else "for a year and more"
    return clip(f"Frozen {ends}: {freeze.why}. No step up and no promotion; a rollback as ever.")


def hold_back(observed: Observed, spec: Spec, said: str) -> Plan | None:
    """Wait where what follows must not be done now; None where it may be. The gates go on being
    measured meanwhile, and no clock of theirs runs.

    said: what the gates say, as a sentence; "" for nothing.
    """
    status = observed.status
    uri, wait = candidate_of(observed).uri, {"no_evidence_since": None, "grows_since": None}
    held: dict[str, Any] = {"requeue_at": next_measurement(observed, spec), **wait}
    if unapproved(observed, spec) and not commanded_now(observed, "promote"):
        message = (
            f"{uri} waits for a person: approve it with `kubectl modelrollout approve"
            f" {observed.name}` (annotation {GROUP}/approve={status.attempt}), or abort it."
            f" {frozen(observed)} {said}"
        )
        since = status.approval_since or observed.now
        reason, held["approval_since"] = Reason.WAITING_FOR_APPROVAL, since
    elif observed.freeze.active:
        reason, message = Reason.FROZEN, f"{frozen(observed)} {f'{uri}: {said}' if said else ''}"
    else:
        return None
    return stay(observed, reason, " ".join(message.split()), **held)


def keep_from_first_step(observed: Observed) -> Plan:
    """The candidate is Ready, and gets no request as long as it is frozen."""
    message = f"{candidate_of(observed).uri} is Ready. {frozen(observed)}"
    return stay(observed, Reason.FROZEN, message, requeue_at=observed.now + READINESS_LOOK)
