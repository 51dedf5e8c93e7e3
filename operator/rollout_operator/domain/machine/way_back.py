"""The way back from what failed in its watch: all requests to the former pods, then the stable
Service, each once routers were seen to follow; only then do the failed pods go.

It is an attempt of its own number, without a trial, whose candidate is the former. Nothing holds
it: no pause, no frozen window, and no spec, which is followed after it.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any

from rollout_operator.domain.api.route_status import Drain
from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import Act, Revision, Watch
from rollout_operator.domain.api.words import Phase, Reason, Verdict
from rollout_operator.domain.drain import ended as drains_ended
from rollout_operator.domain.gates.watched_gate import without_watch
from rollout_operator.domain.machine.decision import (
    BLANK,
    EventToPost,
    Plan,
    candidate_of,
    clip,
    enter,
    pods,
    stable_of,
    stay,
    workload_of,
)
from rollout_operator.domain.machine.rollback import keep_recent, remember
from rollout_operator.domain.machine.schedule import (
    READINESS_LOOK,
    deadline,
    drained_at,
    next_measurement,
    wait,
)
from rollout_operator.domain.machine.sizes import as_it_runs, full_size
from rollout_operator.domain.observed import Observed
from rollout_operator.domain.verdicts import ended_attempt


def watch_ends(spec: Spec, watch: Watch) -> datetime:
    """When the watch ends, and the former pods go: a return that waits for them has
    progressDeadline longer, unless the spec asks for no watch any more.
    """
    length, more = spec.strategy.watch, spec.strategy.progress_deadline
    return watch.since + (length + more if watch.waits and length else length)


def return_to(  # noqa: PLR0917 - what a return is made of
    observed: Observed,
    spec: Spec,
    former: Revision,
    reason: Reason,
    message: str,
    acts: tuple[Act, ...] = (),
) -> Plan:
    """Lead all requests back to the former pods, at once; where they are too few, wait for them.

    acts: by whom, where it was commanded.
    """
    status, full = observed.status, full_size(observed, spec)
    ready = workload_of(observed, former).ready
    if ready < full and status.watch is not None:
        few = f"It cannot go back to {former.uri} yet: {ready} of {pods(full)} are Ready."
        return _cannot_return(observed, spec, status.watch, former, f"{message} {few}")
    back = former.model_copy(
        update={"replicas": full, "since": observed.now, "ready_at": observed.now}
    )
    begun: dict[str, Any] = BLANK | {
        "gates": status.gates,
        "attempt": status.attempt + 1,
        "attempt_since": observed.now,
        "candidate": back,
        "retiring": tuple(r for r in status.retiring if r.revision != former.revision),
        "verdict": Verdict.RETURNED,
        "weight": 100,
        "drains": (),
        "paused_since": None,
        "shortage": None,
        "unrouted": None,
        "acts": acts,
    }
    said = f"{message} All requests go back to {former.uri}."
    return enter(observed, Phase.SHIFTING, reason, said, kind="Warning", **begun)


def _cannot_return(
    observed: Observed, spec: Spec, watch: Watch, former: Revision, said: str
) -> Plan:
    """Say, once, what is waited for; the watch lasts until it is there, or has been waited for long
    enough.
    """
    until = watch_ends(spec, watch.model_copy(update={"waits": said}))
    waits = clip(
        f"{said} They are waited for until {until:%Y-%m-%d %H:%M:%S} UTC."
        f" {workload_of(observed, former).trouble}".strip()
    )
    events = () if watch.waits else (EventToPost("Warning", Reason.WAITING_FOR_PODS, waits),)
    waiting = watch.model_copy(update={"waits": waits, "until": until})
    soon = min(observed.now + READINESS_LOOK, next_measurement(observed, spec))
    return replace(stay(observed, requeue_at=soon, watch=waiting), events=events)


def shifting_back(observed: Observed, spec: Spec, former: Revision) -> Plan:
    """Send all requests to the former pods, until no router sends any to the failed ones."""
    ready = workload_of(observed, former).ready
    if ready == 0:
        return give_up_return(
            observed, Reason.UNSTABLE, f"The pods of {former.uri} were lost on the way back."
        )
    if observed.now < (drained := drained_at(observed, spec)):
        return stay(observed, requeue_at=drained)
    if ready < former.replicas or observed.route_trouble:
        return give_up_if_overdue(observed, spec) or wait(observed, spec)
    return enter(
        observed,
        Phase.SWITCHING,
        observed.status.reason,
        observed.status.message,
        drains=drains_ended(observed, spec),
    )


def give_up_if_overdue(observed: Observed, spec: Spec) -> Plan | None:
    """Give the return up where a phase of it has lasted longer than progressDeadline."""
    if observed.now < deadline(observed, spec):
        return None
    trouble = observed.route_trouble or "its pods are not all Ready, or not behind the Service"
    message = f"No way back for {spec.strategy.progress_deadline}: {trouble}."
    return give_up_return(observed, Reason.PROGRESS_DEADLINE_EXCEEDED, message)


def give_up_return(observed: Observed, reason: Reason, message: str) -> Plan:
    """What was promoted answers again, and is watched on: the next failure tries once more."""
    status, former, stable = observed.status, candidate_of(observed), stable_of(observed)
    ended = ended_attempt(status, stable, Verdict.CANCELLED, reason, message, at=observed.now)
    kept: dict[str, Any] = BLANK | {
        "gates": status.gates,
        "retiring": (former.model_copy(update={"since": observed.now}), *status.retiring),
        "history": keep_recent((ended, *status.history)),
    }
    return enter(observed, Phase.PROMOTED, reason, message, kind="Warning", **kept)


def returned(observed: Observed, drains: tuple[Drain, ...]) -> Plan:
    """The former is stable again; what failed is remembered, and not tried again until told."""
    status, now = observed.status, observed.now
    former, failed = candidate_of(observed), stable_of(observed)
    ended = ended_attempt(
        status, failed, Verdict.RETURNED, status.reason, status.message, at=now
    ).model_copy(update={"returned_to": former.uri})
    goes = as_it_runs(observed, observed.spec, failed.model_copy(update={"since": now}))
    kept: dict[str, Any] = BLANK | {
        "stable": former.model_copy(update={"since": now}),
        "candidate": failed.model_copy(update={"promoted": False}),
        # Whoever asks for it again tries it: that it runs still is no reason to restore it.
        "retiring": (goes.model_copy(update={"promoted": False}), *status.retiring),
        "history": keep_recent((ended, *status.history)),
        "rejected": remember(status.rejected, failed, status.reason, status.message, now),
        "gates": status.gates,
        "evidence": without_watch(status.evidence),
        "watch": None,
        "drains": drains,
    }
    return enter(observed, Phase.ROLLED_BACK, status.reason, status.message, **kept)
