"""When a rollout is reconciled again: intervals, deadlines and drains."""

import math
from datetime import UTC, datetime, timedelta
from zlib import crc32

from rollout_operator.domain.api.analysis import Metric
from rollout_operator.domain.api.spec import AdvanceOn, Spec
from rollout_operator.domain.api.status import Status
from rollout_operator.domain.api.words import Reason
from rollout_operator.domain.drain import as_long_as, is_known
from rollout_operator.domain.machine.decision import Plan, stay
from rollout_operator.domain.observed import Observed

REGISTRY_RETRY = timedelta(seconds=5)
INVALID_RETRY = timedelta(seconds=30)
ALIAS_RETRY = timedelta(seconds=30)
READINESS_LOOK = timedelta(seconds=10)


def phase_since(observed: Observed) -> datetime:
    """When the phase began."""
    return observed.status.phase_since or observed.now


def deadline(observed: Observed, spec: Spec) -> datetime:
    """When the phase has taken too long."""
    return phase_since(observed) + spec.strategy.progress_deadline


def applied_since(observed: Observed) -> datetime:
    """Since when the objects are as the phase asks.

    The operator may have died between its decision and the objects; one that is new cannot know
    when they were written, and counts from its own first look.
    """
    applied = observed.now if observed.applied_at is None else observed.applied_at
    return max(phase_since(observed), applied)


def drained_at(observed: Observed, spec: Spec) -> datetime:
    """When no request comes by an older weight any more: now where that is known, or else after the
    drain, or as long as this router took in the phase before.
    """
    known = as_long_as(observed.status, observed.apart)
    drain = observed.drain if known is None else min(known, observed.drain)
    drained = applied_since(observed) + drain
    return min(drained, observed.now) if is_known(observed, spec) else drained


def router_follows_at(observed: Observed, spec: Spec) -> datetime:
    """The same; a router that tells is waited for, up to progressDeadline."""
    drained = drained_at(observed, spec)
    return max(drained, deadline(observed, spec)) if observed.route_trouble else drained


def wait(observed: Observed, spec: Spec, reason: Reason | None = None, message: str = "") -> Plan:
    """Wait for pods or endpoints; look at times, because an event may have been lost."""
    return stay(
        observed,
        reason,
        message,
        requeue_at=min(deadline(observed, spec), observed.now + READINESS_LOOK),
    )


def _hold(spec: Spec, step: int) -> timedelta:
    return spec.strategy.steps[min(step, len(spec.strategy.steps) - 1)].hold


def step_began(status: Status) -> datetime | None:
    """Since when the candidate answers at this step; None where there is no trial."""
    ready = status.candidate.ready_at if status.candidate is not None else None
    return max(filter(None, (ready, status.step_since)), default=None)


def step_due(status: Status, spec: Spec, since: datetime) -> datetime:
    """When the step may end: after its hold, or as soon as the evidence allows it."""
    step = status.step
    if step is None:
        return since
    by_evidence = spec.strategy.advance_on is AdvanceOn.EVIDENCE
    # Where nothing of it is measured, copies are made as long as the step says.
    unmeasured = status.weight == 0 and not any(
        gate.metric is Metric.DISAGREEMENT for gate in spec.analysis.gates
    )
    return since if by_evidence and not unmeasured else since + _hold(spec, step)


def beat(spec: Spec) -> float:
    """Seconds between two groups of looks of this interval: a power of two from 1 to 8, at most a
    quarter of the interval.

    Rollouts of one group are measured together, by one query, and those of all intervals share a
    beat. All rollouts at once would make a thousand writes at the same moment.
    """
    interval = spec.analysis.interval.total_seconds()
    return float(min(8, 2 ** math.floor(math.log2(max(1.0, interval / 4)))))


def interval_since(uid: str, spec: Spec, now: datetime) -> datetime:
    """When the present interval of the rollout with this uid began: uids fall into groups."""
    interval, apart = spec.analysis.interval.total_seconds(), beat(spec)
    own = apart * (crc32(uid.encode()) % int(interval // apart))
    return datetime.fromtimestamp(
        math.floor((now.timestamp() - own) / interval) * interval + own, tz=UTC
    )


def at_step_ends(spec: Spec) -> float:
    """Seconds for which the answer to a look at the end of a step serves others at the end of
    theirs: a sixteenth of a beat, because it stands for a look of their own interval.
    """
    return beat(spec) / 16


def next_measurement(observed: Observed, spec: Spec) -> datetime:
    """The next look at the metrics."""
    return interval_since(observed.uid, spec, observed.now) + spec.analysis.interval


def next_look(observed: Observed, spec: Spec, due: datetime) -> datetime:
    """The next look in a step that may end at `due`: then, where that is no more than an interval
    after what was measured last; or else, if earlier, with the group.

    A lone rollout whose steps last an interval is looked at, and Prometheus asked, once in each.
    """
    measured = observed.asked_at or observed.status.step_since or observed.now
    soon = measured + spec.analysis.interval + timedelta(seconds=at_step_ends(spec))
    return due if due <= soon else min(due, next_measurement(observed, spec))
