"""Conditions by kstatus: what `kubectl wait`, Helm, Flux and Argo CD read.

Source: kstatus (sigs.k8s.io/cli-utils): Reconciling=True is InProgress, Stalled=True is Failed, Ready=True is Current.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from rollout_operator.domain.status import Condition, Phase, Reason, Status

Truth = Literal["True", "False", "Unknown"]


def truths(status: Status) -> Mapping[str, Truth]:
    """The four conditions of a status, by type."""
    if status.reason is Reason.INVALID_SPEC:
        return {"Accepted": "False", "Ready": "False", "Reconciling": "False", "Stalled": "True"}
    if status.phase is Phase.PROMOTED:
        return {"Accepted": "True", "Ready": "True", "Reconciling": "False", "Stalled": "False"}
    if status.phase is Phase.ROLLED_BACK or status.halted:
        return {"Accepted": "True", "Ready": "False", "Reconciling": "False", "Stalled": "True"}
    if status.phase is Phase.INVALID:
        return {"Accepted": "False", "Ready": "False", "Reconciling": "False", "Stalled": "True"}
    accepted: Truth = "Unknown" if status.phase is Phase.PENDING else "True"
    return {"Accepted": accepted, "Ready": "Unknown", "Reconciling": "True", "Stalled": "False"}


def conditions(status: Status, now: datetime) -> tuple[Condition, ...]:
    """The conditions of `status`; a transition time moves only where the truth changes."""
    before = {c.type: c for c in status.conditions}
    reason, message = status.reason, status.message
    if status.paused_since is not None:
        reason, message = Reason.PAUSED, f"Paused in phase {status.phase}; set spec.paused to false to go on. {message}"

    def one(kind: str, truth: Truth) -> Condition:
        old = before.get(kind)
        since = old.last_transition_time if old is not None and old.status == truth else now
        return Condition(
            type=kind,
            status=truth,
            reason=reason,
            message=message,
            observed_generation=status.observed_generation,
            last_transition_time=since,
        )

    return tuple(one(kind, truth) for kind, truth in truths(status).items())
