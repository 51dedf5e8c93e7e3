"""What every look writes beside its decision: routes, shortages, conditions; and what is news."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from rollout_operator.domain.api.conditions import conditions
from rollout_operator.domain.api.gate_results import Measurement
from rollout_operator.domain.api.names import scale_selector
from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import Shortage, Status
from rollout_operator.domain.api.words import Phase, Reason
from rollout_operator.domain.machine.decision import EventToPost, Plan, clip, pods, workload_of
from rollout_operator.domain.machine.pending import trial_replicas
from rollout_operator.domain.machine.profile import outdated, take_profile, with_profile
from rollout_operator.domain.machine.redirect import is_resized
from rollout_operator.domain.machine.schedule import (
    ALIAS_RETRY,
    INVALID_RETRY,
    READINESS_LOOK,
    step_due,
)
from rollout_operator.domain.machine.transitions import AT_REST, CANDIDATE_RUNS
from rollout_operator.domain.observed import Observed
from rollout_operator.domain.route import closed, requeue_times, routed

FIGURES_AGE = timedelta(seconds=60)
"""How old the figures in status may be while nothing follows from newer ones."""


def finish(observed: Observed, plan: Plan) -> Plan:
    """The plan with all that every look writes, whatever was decided: what is over, what others
    say, shortages, routes, the generation and the conditions.
    """
    status = _release_retired(observed, _in_size(observed, plan.status))
    status = _record_reported(observed, status)
    # Fields of their own: reason and message belong to what is under way, and are needed again when
    # the spec is right again.
    status = _updated(
        status,
        invalid=clip(observed.spec_error),
        api_rejection=_api_rejection(observed, status),
        scaled=clip(observed.scaled),
        outdated=outdated(observed, status),
    )
    if status.phase is not Phase.TRIAL:
        status = _updated(status, waits_for=_waits_for(observed, status))
    status = _updated(status, shortage=_shortage(observed, status))
    status = routed(observed, status)
    status = status.model_copy(update={"observed_generation": observed.generation})
    status = status.model_copy(update={"conditions": conditions(status, observed.now)})
    return replace(
        plan,
        status=status,
        requeue_at=_requeue_at(observed, status, plan.requeue_at),
        events=(*plan.events, *_news_of_others(observed, status)),
    )


def _in_size(observed: Observed, status: Status) -> Status:
    """What is under way has the pods that the spec asks for now: an autoscaler may write their
    number while a trial runs, and a candidate gets those for its share.
    """
    spec, candidate = observed.spec, status.candidate
    if spec is None:
        return status
    if candidate is not None and status.phase in GROWING:
        on_trial = status.phase is not Phase.PROMOTING
        wanted = trial_replicas(spec, status.stable is not None) if on_trial else spec.replicas
        if wanted != candidate.replicas:
            status = _updated(status, candidate=candidate.model_copy(update={"replicas": wanted}))
    return _updated(status, replicas=spec.replicas, selector=scale_selector(observed.name))


def _updated(status: Status, **fields: Any) -> Status:
    """The status with these fields; the same object where nothing changes."""
    changes = {name: value for name, value in fields.items() if value != getattr(status, name)}
    return status.model_copy(update=changes) if changes else status


def _retire_after(observed: Observed, spec: Spec) -> timedelta:
    """How long the pods of a replaced revision stay."""
    return max(spec.strategy.scale_down_delay, observed.drain)


def _release_retired(observed: Observed, status: Status) -> Status:
    """Let go of replaced revisions whose time is over."""
    if observed.spec is None:
        return status
    delay = _retire_after(observed, observed.spec)
    return _updated(
        status, retiring=tuple(r for r in status.retiring if observed.now < r.since + delay)[:20]
    )


def _record_reported(observed: Observed, status: Status) -> Status:
    """Which attempts the registry knows; where nothing else is to be written, this waits until the
    next revision retires.
    """
    waits = bool(status.retiring) and status == observed.status
    reported = max(observed.reported, default=0)
    return status if waits else _updated(status, reported=max(reported, status.reported))


def _requeue_at(observed: Observed, status: Status, planned: datetime | None) -> datetime | None:
    """When to reconcile again at the latest: the first moment at which anything may be due."""
    now, spec, shortage = observed.now, observed.spec, status.shortage
    moments = [planned, *requeue_times(observed, status, READINESS_LOOK)]
    if observed.api_rejection or observed.api_rejection_now:
        moments.append(now + INVALID_RETRY)
    if spec is not None:
        delay = _retire_after(observed, spec)
        moments += [r.since + delay for r in status.retiring]
        if "@" in spec.model_uri and status.phase in AT_REST:
            moments.append(now + ALIAS_RETRY)
        if shortage is not None and not shortage.stalled:
            due = (READINESS_LOOK, spec.strategy.progress_deadline)
            moments += [at for delay in due if (at := shortage.since + delay) > now]
    return min(filter(None, moments), default=None)


def _news_of_others(observed: Observed, status: Status) -> Iterator[EventToPost]:
    """What others do that nobody may miss, told once."""
    before = observed.status
    for reason, told, told_before in (
        (Reason.HOST_SHARED, status.shared, before.shared),
        (Reason.SCALED_BY_ANOTHER, status.scaled, before.scaled),
        (Reason.PROFILE_CHANGED, status.outdated, before.outdated),
    ):
        if told and told != told_before:
            yield EventToPost("Warning", reason, told)


def _api_rejection(observed: Observed, status: Status) -> str:
    """What the API server says against an object, where it is to be said.

    On the way it holds the attempt like any trouble of the route; what has come to rest must not
    look well. Another's object of the name does not go by itself, and is told at once. What comes
    to rest meanwhile has never looked well; what was well is given a while.
    """
    if status.phase not in AT_REST and not observed.name_taken:
        return ""
    at_once = observed.status.phase not in AT_REST or bool(observed.status.api_rejection)
    return clip(observed.api_rejection or (observed.api_rejection_now if at_once else ""))


def _waits_for(observed: Observed, status: Status) -> str:
    """What the route has been waited for, on the way, for longer than a router takes to follow; for
    people, who cannot ask it.
    """
    waits = (
        status.phase in CANDIDATE_RUNS
        and observed.now - (status.phase_since or observed.now) >= READINESS_LOOK
    )
    return clip(closed(observed)) if waits else ""


def resize_in_place(observed: Observed, plan: Plan) -> Plan:
    """What is promoted gets the resources and the profile of the spec: its Deployment stays, and
    replaces its pods one by one, but in no pause.
    """
    spec, stable = observed.spec, plan.status.stable
    if spec is None or stable is None:
        return plan
    if not is_resized(plan.status, spec):
        return take_profile(observed, spec, plan)
    if spec.paused:
        return replace(
            plan,
            status=plan.status.model_copy(
                update={"paused_since": plan.status.paused_since or observed.now}
            ),
        )
    resized = stable.model_copy(update={"resources": spec.resources, "profile": spec.profile})
    resized = with_profile(observed, resized)
    return replace(
        plan, status=plan.status.model_copy(update={"stable": resized}), requeue_at=observed.now
    )


def _shortage(observed: Observed, status: Status) -> Shortage | None:
    """What is promoted must serve now: which of the pods that the spec asks for are not Ready,
    since when, and why.
    """
    if status.phase is not Phase.PROMOTED or status.stable is None:
        return None
    if observed.spec is None:
        return status.shortage
    workload, wanted = workload_of(observed, status.stable), observed.spec.replicas
    same = (
        r
        for r in (observed.status.stable, observed.status.candidate)
        if r is not None and r.revision == status.stable.revision
    )
    # By this very status: none of its pods has them yet, whatever the Deployment says.
    asked = status.stable.resources, status.stable.pod_settings
    resized = any((r.resources, r.pod_settings) != asked for r in same)
    current = 0 if resized else workload.as_asked
    replaced = workload.ready >= wanted
    if replaced and current >= wanted:
        return None
    count, how = (
        (current, " as the spec asks; the former ones answer until then")
        if replaced
        else (workload.ready, "")
    )
    before = None if resized else status.shortage
    since = before.since if before is not None else observed.now
    stalled = observed.now >= since + observed.spec.strategy.progress_deadline
    trouble = workload.trouble or observed.api_rejection
    message = clip(
        f"{count} of {pods(wanted)} of {status.stable.uri} {'is' if wanted == 1 else 'are'}"
        f" Ready{how}. {trouble}".strip()
    )
    if not trouble and before is not None and (before.ready, before.wanted) == (count, wanted):
        # Pods are asked why only now and then; what they said then still stands.
        message = before.message
    return Shortage(ready=count, wanted=wanted, since=since, stalled=stalled, message=message)


GROWING = frozenset({Phase.STARTING, Phase.TRIAL, Phase.PROMOTING})
"""Phases in which a candidate follows spec.replicas; from Shifting on it is as large as it was."""
_FIGURES = {"gates": (), "message": "", "observed_generation": 0}


def is_news(observed: Observed, plan: Plan) -> bool:
    """Whether a status that differs in measured figures alone is written.

    A value that wanders within its gate is written once in FIGURES_AGE, and one that the end of the
    step will write soon is not: a thousand rollouts would cost a thousand writes in every interval.
    """
    before, after = observed.status, plan.status
    if (
        before.model_copy(update=_FIGURES) != after.model_copy(update=_FIGURES)
        or before.phase is not Phase.TRIAL
        or observed.spec is None
    ):
        return True
    if before.gates and observed.now - max(g.at for g in before.gates) >= FIGURES_AGE:
        return True
    if _gate_words(after) == _gate_words(before):
        return False
    interval = observed.spec.analysis.interval
    soon = (
        before.step_since is not None
        and step_due(observed, observed.spec, before.step_since) - observed.now <= 2 * interval
    )
    failing = any(g.measurement is Measurement.UNREACHABLE for g in after.gates)
    return failing or not (
        soon or all(g.measurement is Measurement.NO_EVIDENCE for g in after.gates)
    )


def _gate_words(status: Status) -> list[tuple[object, ...]]:
    return [
        (g.metric, g.evidence, g.measurement, g.revision, g.inconclusive, g.late)
        for g in status.gates
    ]
