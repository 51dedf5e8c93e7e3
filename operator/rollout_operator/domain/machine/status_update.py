"""What every look writes beside its decision: routes, shortages, conditions; and what is news."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from rollout_operator.domain.api.conditions import conditions
from rollout_operator.domain.api.differences import Difference
from rollout_operator.domain.api.gate_results import Measurement
from rollout_operator.domain.api.names import scale_selector
from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import (
    MOST_PROMOTED,
    PromotedVersion,
    Revision,
    ScaleUp,
    Status,
)
from rollout_operator.domain.api.traffic import Provider
from rollout_operator.domain.api.words import Phase, Reason
from rollout_operator.domain.last_spec import remembered
from rollout_operator.domain.machine import watch
from rollout_operator.domain.machine.decision import EventToPost, Plan, clip, workload_of
from rollout_operator.domain.machine.hold import HELD, frozen
from rollout_operator.domain.machine.profile import outdated, take_profile, with_profile
from rollout_operator.domain.machine.redirect import is_resized
from rollout_operator.domain.machine.schedule import (
    ALIAS_RETRY,
    INVALID_RETRY,
    READINESS_LOOK,
    applied_since,
    step_due,
)
from rollout_operator.domain.machine.shortage import shortage
from rollout_operator.domain.machine.sizes import GROWING, candidate_replicas, scale
from rollout_operator.domain.machine.transitions import AT_REST, CANDIDATE_RUNS
from rollout_operator.domain.messages import look_again, notifications
from rollout_operator.domain.observed import Observed
from rollout_operator.domain.route import closed, requeue_times, routed
from rollout_operator.domain.service_split import share

FIGURES_AGE = timedelta(seconds=60)
"""How old the figures in status may be while nothing follows from newer ones."""


def finish(observed: Observed, plan: Plan) -> Plan:
    """The plan with all that every look writes, whatever was decided: what is over, what others
    say, shortages, routes, the generation and the conditions.
    """
    status = watch.in_size(observed, _in_size(observed, plan.status))
    status = watch.without_former(_release_retired(observed, status))
    status = _record_reported(observed, status)
    # Fields of their own: reason and message belong to what is under way, and are needed again when
    # the spec is right again.
    status = _updated(
        status,
        invalid=clip(observed.spec_error),
        api_rejection=_api_rejection(observed, status),
        scaled=clip(observed.scaled),
        unscaled=clip(observed.unscaled),
        affinity=clip(observed.affinity),
        outdated=outdated(observed, status),
        differences=_differences(observed, plan.status),
    )
    status = _updated(status, last_spec=_last_spec(observed, status))
    status = _updated(status, promoted=_promoted(observed, status))
    status = _updated(status, share=_share(observed, status))
    held = status.phase in HELD
    until = observed.freeze.until if held else None
    status = _updated(status, frozen=frozen(observed) if held else "", frozen_until=until)
    if status.reason is Reason.FROZEN and not status.frozen:
        status = _thawed(observed, status)
    if status.reason is not Reason.WAITING_FOR_APPROVAL:
        status = _updated(status, approval_since=None)
    if status.phase is not Phase.TRIAL:
        status = _updated(status, waits_for=_waits_for(observed, status))
    status = _updated(status, shortage=shortage(observed, status))
    status = routed(observed, status)
    status = status.model_copy(update={"observed_generation": observed.generation})
    status = status.model_copy(update={"conditions": conditions(status, observed.now)})
    owed, dropped = notifications(observed.status, status, observed.outbox, observed.now)
    status = _updated(status, messages=owed)
    return replace(
        plan,
        status=status,
        requeue_at=_requeue_at(observed, status, plan.requeue_at),
        events=(*plan.events, *_news_of_others(observed, status)),
        dropped=dropped,
    )


def _in_size(observed: Observed, status: Status) -> Status:
    """What is under way has the pods that the spec asks for now: an autoscaler may write their
    number while a trial runs, and a candidate gets those for its share.
    """
    spec, candidate = observed.spec, status.candidate
    if spec is None:
        return status
    if candidate is not None and status.phase in CANDIDATE_RUNS:
        wanted = candidate_replicas(replace(observed, status=status), spec, candidate)
        if wanted != candidate.replicas:
            if status.phase is Phase.TRIAL and wanted > candidate.replicas:
                status = _updated(status, scale_up=ScaleUp(wanted=wanted, since=observed.now))
            status = _updated(status, candidate=candidate.model_copy(update={"replicas": wanted}))
    return _updated(
        status, replicas=scale(observed, spec, status), selector=scale_selector(observed.name)
    )


def _thawed(observed: Observed, status: Status) -> Status:
    """What an attempt waits for whose window has closed while something else holds it: a spec that
    cannot be carried out. Pods have their time anew.
    """
    if observed.spec is not None and observed.spec.paused:
        return status
    tried = status.phase is Phase.TRIAL
    reason = Reason.MEASURING if tried else Reason.WAITING_FOR_PODS
    said = "The window has closed."
    if observed.spec is None:
        reason, said = Reason.INVALID_SPEC, f"{said} {observed.spec_error}"
    since = status.phase_since if tried else observed.now
    return _updated(status, reason=reason, message=clip(said), phase_since=since)


def _differences(observed: Observed, status: Status) -> tuple[Difference, ...]:
    """The sample that is known now, where it is larger or the status is written anyway; a smaller
    one comes of pods that have been replaced since.
    """
    known, found, candidate = status.differences, observed.differences, status.candidate
    ours = candidate is not None and all(d.revision == candidate.revision for d in found)
    written = status != observed.status
    return found if ours and len(found) + written > len(known) else known


def _last_spec(observed: Observed, status: Status) -> str:
    """What the status remembers of the spec where there is something to go back from."""
    if observed.spec is None:
        return status.last_spec
    needed = status.phase in CANDIDATE_RUNS or status.watch is not None
    return remembered(observed.spec) if needed else ""


def _promoted(observed: Observed, status: Status) -> tuple[PromotedVersion, ...]:
    """Versions that were stable here, where a proof is demanded of all others."""
    stable = status.stable
    if observed.proof is None or stable is None:
        return status.promoted
    one = PromotedVersion(uri=stable.uri, digest=stable.digest)
    others = (other for other in status.promoted if other != one)
    return (one, *others)[:MOST_PROMOTED]


def _share(observed: Observed, status: Status) -> int | None:
    """What the Ready pods of a trial come to, where connections are divided by them."""
    spec, candidate, stable = observed.spec, status.candidate, status.stable
    if (
        spec is None
        or candidate is None
        or stable is None
        or spec.traffic.provider is not Provider.NONE
        or not 0 < status.weight < 100
    ):
        return None
    return share(*(workload_of(observed, one).ready for one in (candidate, stable)))


def _updated(status: Status, **fields: Any) -> Status:
    """The status with these fields; the same object where nothing changes."""
    changes = {name: value for name, value in fields.items() if value != getattr(status, name)}
    return status.model_copy(update=changes) if changes else status


def _retires_at(observed: Observed, spec: Spec, status: Status, replaced: Revision) -> datetime:
    """When the pods of a replaced revision go.

    Where one Service selects the pods of a trial, none but those may be there.
    """
    alone = spec.traffic.provider is Provider.NONE and status.phase in GROWING
    delay = observed.drain if alone else max(spec.strategy.scale_down_delay, observed.drain)
    goes = max(replaced.since + delay, applied_since(observed) + observed.drain)
    return max(goes, watch.kept_until(spec, status, replaced) or goes)


def _release_retired(observed: Observed, status: Status) -> Status:
    """Let go of replaced revisions whose time is over."""
    if observed.spec is None:
        return status
    spec, now = observed.spec, observed.now
    left = tuple(r for r in status.retiring if now < _retires_at(observed, spec, status, r))
    return _updated(status, retiring=left[:20])


def _record_reported(observed: Observed, status: Status) -> Status:
    """Which attempts the registry knows; where nothing else is to be written, this waits until the
    next revision retires.
    """
    waits = bool(status.retiring) and status == observed.status
    reported = max(observed.reported, default=0)
    return status if waits else _updated(status, reported=max(reported, status.reported))


def _requeue_at(observed: Observed, status: Status, planned: datetime | None) -> datetime | None:
    """When to reconcile again at the latest: the first moment at which anything may be due."""
    now, spec, short = observed.now, observed.spec, status.shortage
    moments = [
        planned,
        observed.unscaled_at,
        look_again(status, observed.outbox, observed.now),
        *requeue_times(observed, status, READINESS_LOOK),
    ]
    if status.phase in HELD:
        moments += [observed.freeze.until, observed.freeze.begins]
    if observed.api_rejection or observed.api_rejection_now:
        moments.append(now + INVALID_RETRY)
    if spec is not None:
        moments += [_retires_at(observed, spec, status, r) for r in status.retiring]
        if "@" in spec.model_uri and status.phase in AT_REST:
            moments.append(now + ALIAS_RETRY)
        if short is not None and not short.stalled:
            due = (READINESS_LOOK, spec.strategy.progress_deadline)
            moments += [at for delay in due if (at := short.since + delay) > now]
    return min(filter(None, moments), default=None)


def _news_of_others(observed: Observed, status: Status) -> Iterator[EventToPost]:
    """What others do that nobody may miss, told once."""
    before = observed.status
    for reason, told, told_before in (
        (Reason.HOST_SHARED, status.shared, before.shared),
        (Reason.SESSION_AFFINITY, status.affinity, before.affinity),
        (Reason.SCALED_BY_ANOTHER, status.scaled, before.scaled),
        (Reason.AUTOSCALER_WITHOUT_METRIC, status.unscaled, before.unscaled),
        (Reason.PROFILE_CHANGED, status.outdated, before.outdated),
    ):
        if told and told != told_before:
            yield EventToPost("Warning", reason, told)


def _api_rejection(observed: Observed, status: Status) -> str:
    """What the API server says against an object, where it is to be said.

    On the way it holds the attempt like any trouble of the route; what has come to rest must not
    look well. Another's object of the name does not go by itself, and is told at once. What comes
    to rest meanwhile has never looked well; what was well is given a while. A way back whose
    weight cannot be written has nothing else to end by: pods stay, and a person is needed.
    """
    if status.phase is Phase.ROLLING_BACK and not observed.name_taken:
        return clip(observed.api_rejection)
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


_FIGURES = {"gates": (), "message": "", "observed_generation": 0}


def is_news(observed: Observed, plan: Plan) -> bool:
    """Whether a status that differs in measured figures alone is written.

    A value that wanders within its gate is written once in FIGURES_AGE, and one that the end of the
    step will write soon is not: a thousand rollouts would cost a thousand writes in every interval.
    """
    before, after = observed.status, plan.status
    if (news := watch.is_watch_news(observed, plan)) is not None:
        return news
    if (
        before.model_copy(update=_FIGURES) != after.model_copy(update=_FIGURES)
        or before.phase is not Phase.TRIAL
        or observed.spec is None
    ):
        return True
    if before.gates and observed.now - max(g.at for g in before.gates) >= FIGURES_AGE:
        return True
    if _of_load(after) != _of_load(before):
        # What was counted under load must be known for good.
        return True
    if _gate_words(after) == _gate_words(before):
        return False
    interval = observed.spec.analysis.interval
    soon = (
        before.step_since is not None
        and step_due(before, observed.spec, before.step_since) - observed.now <= 2 * interval
    )
    failing = any(g.measurement is Measurement.UNREACHABLE for g in after.gates)
    return failing or not (
        soon or all(g.measurement is Measurement.NO_EVIDENCE for g in after.gates)
    )


def _of_load(status: Status) -> list[tuple[object, ...]]:
    return [
        (g.metric, g.threshold, g.overloaded_since, g.counted_from)
        for g in status.gates
        if g.overloaded_since is not None
    ]


def _gate_words(status: Status) -> list[tuple[object, ...]]:
    return [
        (
            g.metric,
            g.evidence,
            g.measurement,
            g.revision,
            g.inconclusive,
            g.late,
        )
        for g in status.gates
    ]
