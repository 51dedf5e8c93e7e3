"""Conditions by kstatus: what `kubectl wait`, Helm, Flux and Argo CD read.

Source: kstatus (sigs.k8s.io/cli-utils): Reconciling=True is InProgress, Stalled=True is Failed,
Ready=True is Current.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from rollout_operator.domain.api.analysis import BUILT_IN, EvidenceKind, Metric
from rollout_operator.domain.api.status import Condition, Status
from rollout_operator.domain.api.words import Phase, Reason

OVERDISPERSED = 1.5
"""Design effect above which labels are called not independent."""

Truth = Literal["True", "False", "Unknown"]


def truths(status: Status) -> Mapping[str, Truth]:
    """The four conditions of a status, by type."""
    if status.invalid:
        return {"Accepted": "False", "Ready": "False", "Reconciling": "False", "Stalled": "True"}
    if status.api_rejection:
        return {"Accepted": "True", "Ready": "False", "Reconciling": "False", "Stalled": "True"}
    if status.phase is Phase.PROMOTED and (
        lacking := [what for what in (status.shortage, status.unrouted) if what is not None]
    ):
        stalled = any(what.stalled for what in lacking)
        truth: tuple[Truth, Truth] = ("False", "True") if stalled else ("True", "False")
        return {"Accepted": "True", "Ready": "False", "Reconciling": truth[0], "Stalled": truth[1]}
    if status.phase is Phase.PROMOTED and status.paused_since is not None:
        return {"Accepted": "True", "Ready": "False", "Reconciling": "True", "Stalled": "False"}
    if status.phase is Phase.PROMOTED:
        return {"Accepted": "True", "Ready": "True", "Reconciling": "False", "Stalled": "False"}
    if status.phase is Phase.ROLLED_BACK or status.halted:
        return {"Accepted": "True", "Ready": "False", "Reconciling": "False", "Stalled": "True"}
    if status.phase is Phase.INVALID:
        return {"Accepted": "False", "Ready": "False", "Reconciling": "False", "Stalled": "True"}
    accepted: Truth = "Unknown" if status.phase is Phase.PENDING else "True"
    return {"Accepted": accepted, "Ready": "Unknown", "Reconciling": "True", "Stalled": "False"}


def why(status: Status) -> tuple[Reason, str]:
    """What the four conditions say: a reason, and the same as a sentence."""
    reason, message = status.reason, status.message
    if status.shortage is not None:
        reason, message = Reason.PODS_NOT_READY, f"{status.shortage.message} {message}"[:2048]
    if status.unrouted is not None:
        reason, message = status.unrouted.reason, f"{status.unrouted.message} {message}"[:2048]
    if status.api_rejection:
        reason, message = (
            Reason.OBJECT_REFUSED,
            f"{status.api_rejection} It is tried again. {message}"[:2048],
        )
    if status.invalid:
        reason, message = Reason.INVALID_SPEC, status.invalid
    elif status.paused_since is not None:
        reason, message = (
            Reason.PAUSED,
            f"Paused in phase {status.phase}; set spec.paused to false to go on. {message}",
        )
    return reason, message


def conditions(status: Status, now: datetime) -> tuple[Condition, ...]:
    """The conditions of `status`; a transition time moves only where the truth changes."""
    before = {c.type: c for c in status.conditions}
    reason, message = why(status)
    shared = (
        (_one(status, now, "HostShared", "True", "ForeignRoute", status.shared),)
        if status.shared
        else ()
    )
    kept = (
        (_one(status, now, "SessionAffinity", "True", "VisitorsStay", status.affinity),)
        if status.affinity
        else ()
    )
    frozen = (
        (_one(status, now, "Frozen", "True", str(Reason.FROZEN), status.frozen),)
        if status.frozen
        else ()
    )
    back = status.watch.waits if status.watched and status.watch is not None else ""
    waits = (
        (_one(status, now, "ReturnWaits", "True", str(Reason.WAITING_FOR_PODS), back),)
        if back
        else ()
    )
    told = (
        _one(status, now, kind, truth, reason, message) for kind, truth in truths(status).items()
    )
    return (*told, *_of_gates(status, now, before), *shared, *kept, *frozen, *waits)


def _of_gates(
    status: Status, now: datetime, before: Mapping[str, Condition]
) -> tuple[Condition, ...]:
    """What the gates' figures are worth; as it was where nothing is measured."""
    kinds = ("GuaranteeUnavailable", "OverdispersedLabels")
    if not status.gates:
        return tuple(before[kind] for kind in kinds if kind in before)
    gauges = sorted({g.metric for g in status.gates if g.evidence is EvidenceKind.REPORTED})
    clumped = [g for g in status.gates if (g.design_effect or 1) > OVERDISPERSED]
    said: dict[str, tuple[bool, str, str]] = {
        "GuaranteeUnavailable": (
            bool(gauges),
            "ReportedValues" if gauges else "SequentialTests",
            (
                f"{', '.join(gauges)}: a reported value has no known error{_instead(gauges)}."
                if gauges
                else (
                    "Every gate is a sequential test: either verdict is wrong in at most alpha of"
                    " cases, however often it is looked at."
                )
            ),
        ),
        "OverdispersedLabels": (
            bool(clumped),
            "LabelsNotIndependent" if clumped else "LabelsIndependent",
            (
                f"{', '.join(g.metric for g in clumped)}: labels come in clumps and count for less;"
                " count one label per user or session."
                if clumped
                else "Labels vary as independent ones do."
            ),
        ),
    }

    return tuple(
        _one(status, now, kind, "True" if holds else "False", reason, text)
        for kind, (holds, reason, text) in said.items()
    )


def _instead(gauges: list[str]) -> str:
    """What helps where values are reported; no count makes a PSI a test, and which metrics of one's
    own can be counted status does not know.
    """
    countable = [m for m in gauges if m in BUILT_IN and m != Metric.INPUT_DRIFT]
    if not countable:
        return ""
    at = f" with {', '.join(countable)}" if len(countable) < len(gauges) else ""
    return f"; write evidence: Labelled{at} for verdicts that are wrong in at most alpha of cases"


def _one(  # noqa: PLR0917
    status: Status, now: datetime, kind: str, truth: Truth, reason: str, message: str
) -> Condition:
    old = next((c for c in status.conditions if c.type == kind), None)
    since = old.last_transition_time if old is not None and old.status == truth else now
    return Condition(
        type=kind,
        status=truth,
        reason=reason,
        message=message,
        observed_generation=status.observed_generation,
        last_transition_time=since,
    )
