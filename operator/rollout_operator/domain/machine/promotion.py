"""From the verdict to stable: full size, all requests, the stable Service, and the drain."""

from dataclasses import replace
from typing import Any

from rollout_operator.domain.api.route_status import Drain
from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.traffic import Provider
from rollout_operator.domain.api.words import Phase, Reason, Verdict
from rollout_operator.domain.drain import ended, gives_all, is_known
from rollout_operator.domain.gates.label_counters import subjects_of
from rollout_operator.domain.machine.decision import (
    BLANK,
    Plan,
    candidate_of,
    enter,
    stay,
    workload_of,
)
from rollout_operator.domain.machine.rollback import close_attempt, roll_back, roll_back_if_overdue
from rollout_operator.domain.machine.schedule import drained_at, router_follows_at, wait
from rollout_operator.domain.machine.sizes import as_it_runs, candidate_replicas, full_size
from rollout_operator.domain.machine.watch import begin_watch
from rollout_operator.domain.machine.way_back import give_up_if_overdue, returned, shifting_back
from rollout_operator.domain.observed import Observed
from rollout_operator.domain.route import closed
from rollout_operator.domain.verdicts import promotion


def promote(observed: Observed, spec: Spec, reason: Reason, message: str) -> Plan:
    """The verdict; what there is nothing to do for (size, weight) is not waited for either."""
    candidate = candidate_of(observed)
    full = candidate.model_copy(update={"replicas": full_size(observed, spec)})
    verdict: dict[str, Any] = {
        "grows_since": None,
        "candidate": full,
        "no_evidence_since": None,
        "verdict": Verdict.PROMOTED,
        "halted": False,
    }
    if gives_all(observed.status) and is_known(observed, spec):
        # Routers follow the step of all requests: nobody has to wait for that any more.
        verdict["drains"] = ended(observed, spec)
    if candidate == full and workload_of(observed, full).ready >= full.replicas:
        return _take_over(observed, reason, message, **verdict)
    return enter(observed, Phase.PROMOTING, reason, message, **verdict)


def promoting(observed: Observed, spec: Spec) -> Plan:
    """Wait for the candidate's full size; then it takes over."""
    candidate = candidate_of(observed)
    full = max(candidate.replicas, candidate_replicas(observed, spec, candidate))
    if workload_of(observed, candidate).ready < full:
        return roll_back_if_overdue(observed, spec) or wait(observed, spec)
    return _take_over(observed, observed.status.reason, f"{candidate.uri} is Ready in full size.")


def _take_over(observed: Observed, reason: Reason, message: str, **verdict: Any) -> Plan:
    """A candidate of full size gets all requests, and then the stable Service; the host of a first
    deploy has nobody else.
    """
    status = observed.status
    if status.stable is None:
        return enter(observed, Phase.SWITCHING, reason, f"{message} Opening the host.", **verdict)
    shown = any(d.phase is Phase.TRIAL for d in verdict.get("drains", status.drains))
    drained = status.weight == 100 and (
        shown
        or (status.step_since is not None and observed.now >= status.step_since + observed.drain)
    )
    if drained and not observed.route_trouble:
        return enter(
            observed,
            Phase.SWITCHING,
            reason,
            f"{message} The stable Service selects its pods.",
            **verdict,
        )
    return enter(
        observed, Phase.SHIFTING, reason, f"{message} All requests go to it.", weight=100, **verdict
    )


def shifting(observed: Observed, spec: Spec) -> Plan:
    """Send all requests to the candidate, until no router sends any by the older weight."""
    candidate = candidate_of(observed)
    if observed.status.returning:
        return shifting_back(observed, spec, candidate)
    if workload_of(observed, candidate).ready == 0:
        return roll_back(
            observed, Reason.UNSTABLE, f"The pods of {candidate.uri} were lost while it took over."
        )
    if observed.now < (drained := drained_at(observed, spec)):
        return stay(observed, requeue_at=drained)
    if workload_of(observed, candidate).ready < candidate.replicas or observed.route_trouble:
        return roll_back_if_overdue(observed, spec) or wait(observed, spec)
    return enter(
        observed,
        Phase.SWITCHING,
        observed.status.reason,
        f"The stable Service selects the pods of {candidate.uri}.",
        drains=ended(observed, spec),
    )


def switching(observed: Observed, spec: Spec) -> Plan:
    """Wait until the stable Service has the candidate's endpoints and no others."""
    candidate = candidate_of(observed)
    shut = observed.status.stable is None and closed(observed)
    if observed.stable_endpoints != {candidate.revision} or shut:
        overdue = give_up_if_overdue if observed.status.returning else roll_back_if_overdue
        return overdue(observed, spec) or wait(observed, spec)
    if observed.status.stable is None:
        return _become_stable(observed)
    if observed.now < (drained := drained_at(observed, spec)):
        return stay(observed, requeue_at=drained)
    drains = ended(observed, spec)
    if spec.traffic.provider is not Provider.HTTP_ROUTE:
        # Nobody tells when a canary Ingress is closed: its Service is kept until the old pods go,
        # and that is long enough.
        return _become_stable(observed, drains)
    return enter(
        observed,
        Phase.SETTLING,
        observed.status.reason,
        f"{candidate.uri} answers as stable; closing the canary route.",
        weight=0,
        drains=drains,
    )


def settling(observed: Observed, spec: Spec) -> Plan:
    """Wait until the router has closed the canary route."""
    follows = router_follows_at(observed, spec)
    return (
        stay(observed, requeue_at=follows)
        if observed.now < follows
        else _become_stable(observed, ended(observed, spec))
    )


def _become_stable(observed: Observed, drains: tuple[Drain, ...] = ()) -> Plan:
    """The candidate is stable; what was stable is kept for a while, or as long as it is watched."""
    status, candidate = observed.status, candidate_of(observed)
    if status.returning:
        return returned(observed, drains)
    message = promotion(status)
    stable = candidate.model_copy(update={"since": observed.now, "promoted": True})
    closed = close_attempt(status, observed.now, Verdict.PROMOTED, status.reason, message)
    retiring = status.retiring
    if status.stable is not None:
        retiring = (
            as_it_runs(
                observed,
                observed.spec,
                status.stable.model_copy(
                    update={"since": observed.now, "replicas": stable.replicas}
                ),
            ),
            *retiring,
        )
    # What was counted for the version that is stable now has done its work.
    evidence = tuple(e for e in status.evidence if e.subject not in subjects_of(candidate))
    kept = BLANK | {
        "stable": stable,
        "retiring": retiring,
        "history": closed.history,
        "gates": status.gates,
        "evidence": evidence,
        "drains": drains,
    }
    plan = enter(observed, Phase.PROMOTED, status.reason, message, **kept)
    watched = begin_watch(observed, observed.spec, plan.status)
    at_once = observed.now if watched.watch is not None else plan.requeue_at
    return replace(plan, status=watched, requeue_at=at_once)
