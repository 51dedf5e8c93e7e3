"""A trial replayed: metrics of any origin go through the operator's own decisions, by a clock of
its own. Nothing is waited for.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from rollout_operator.domain.api.gate_results import GateStatus
from rollout_operator.domain.api.spec import Approval, Spec
from rollout_operator.domain.api.status import Revision, Status
from rollout_operator.domain.api.words import Phase, Reason
from rollout_operator.domain.machine.decide import decide
from rollout_operator.domain.machine.sizes import trial_replicas
from rollout_operator.domain.observed import Answer, Observed, Workload
from rollout_operator.domain.service_split import share
from rollout_operator.domain.shadow import shadow_of

CANDIDATE, STABLE = "candidate", "stable"
ROLLOUT = "simulated"
"""What the rollout is called, and its namespace."""
LONGEST = timedelta(days=2)


class Source(Protocol):
    """Where metrics come from."""

    start: datetime
    """When the candidate's pods are Ready."""
    end: datetime | None
    """After it there is nothing; None for never."""

    def advance(self, now: datetime, weight: int, copied: int) -> None:
        """It is `now`; since the last call the candidate got `weight` percent of the requests, and
        copies of `copied` percent of stable's.
        """

    def answer(self, metric: str, role: str, now: datetime) -> Answer:
        """What Prometheus would have answered about candidate or stable."""


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One decision of the operator, and what came of it."""

    at: datetime
    """Time of the look, by the replay's clock."""
    phase: Phase
    """After the decision."""
    step: int | None
    """The step under way, from 0; None outside of a trial."""
    weight: int
    """The candidate's share of requests, in percent."""
    gates: tuple[GateStatus, ...]
    """What every gate said."""
    reason: Reason
    """Of status, after the decision."""
    message: str
    """Of status, after the decision."""
    halted: bool
    """Whether the trial stands still until a command."""

    @property
    def ends(self) -> bool:
        """Whether the trial is over with it."""
        return self.phase not in {Phase.STARTING, Phase.TRIAL} or self.halted


def replay(spec: Spec, source: Source, first_deploy: bool = False) -> Iterator[TimelineEntry]:
    """Every look of a trial until a verdict, or until the source has nothing more."""
    now, status = source.start, _first_status(spec, source.start, first_deploy)
    while True:
        shadow = shadow_of(spec, status)
        source.advance(now, _share(status), 0 if shadow is None else shadow.percent)
        plan = decide(_observed(spec, status, source, now))
        status = plan.status
        entry = TimelineEntry(
            now,
            status.phase,
            status.step,
            _share(status),
            status.gates,
            status.reason,
            status.message,
            status.halted,
        )
        yield entry
        later = plan.requeue_at or now
        over = source.end is not None and later > source.end
        if entry.ends or over or later > source.start + LONGEST:
            return
        now = max(later, now + timedelta(milliseconds=1))


def _share(status: Status) -> int:
    """The candidate's share of requests, in percent: its weight, or what its pods come to, which
    are Ready at once here.
    """
    if status.share is None or status.candidate is None or status.stable is None:
        return status.weight
    return share(status.candidate.replicas, status.stable.replicas)


def _first_status(spec: Spec, start: datetime, first_deploy: bool) -> Status:
    stable = (
        None
        if first_deploy
        else _revision(STABLE, "models:/simulated/1", spec, start - timedelta(hours=1))
    )
    candidate = _revision(CANDIDATE, spec.model_uri, spec, start).model_copy(
        update={"replicas": trial_replicas(spec, stable is not None)}
    )
    begun = {
        "attempt": 2 if stable else 1,
        "attempt_since": start,
        "phase": Phase.STARTING,
        "phase_since": start,
    }
    return Status(observed_generation=1, stable=stable, candidate=candidate, **begun)


def _revision(role: str, uri: str, spec: Spec, since: datetime) -> Revision:
    digest = "sha256:" + role.encode().hex().ljust(64, "0")
    who = {
        "revision": role,
        "requested": uri,
        "uri": uri,
        "version": "0",
        "digest": digest,
        "image": "simulated",
    }
    return Revision(
        **who, resources=spec.resources, replicas=spec.replicas, since=since, ready_at=since
    )


def _observed(spec: Spec, status: Status, source: Source, now: datetime) -> Observed:
    metrics = {gate.name for gate in spec.analysis.gates}
    return Observed(
        now=now,
        uid=ROLLOUT,
        name=ROLLOUT,
        generation=1,
        # Pods are always there: how many is no matter of the gates.
        # Nobody is there to approve it, and no window is in a recording.
        spec=spec.model_copy(
            update={
                "paused": False,
                "autoscaling": None,
                "strategy": spec.strategy.model_copy(update={"approval": Approval.NONE}),
            }
        ),
        status=status,
        image="simulated",
        workloads={
            one.revision: Workload(one.replicas, one.replicas)
            for one in (status.candidate, status.stable)
            if one is not None
        },
        answers={m: source.answer(m, CANDIDATE, now) for m in metrics},
        baseline=(
            {m: source.answer(m, STABLE, now) for m in metrics} if status.stable is not None else {}
        ),
    )
