"""Bugs that are planted in `decide`, each of which the promises must show."""

from dataclasses import replace

from rollout_operator.domain.api.words import Phase, Reason
from rollout_operator.domain.machine.decide import decide
from rollout_operator.domain.machine.decision import Plan
from rollout_operator.domain.observed import Observed

LATE = 7
"""Five attempts after any beginning, and each takes two events at least."""

PROMOTED_ANYHOW = {"phase": Phase.PROMOTING, "reason": Reason.GATES_PASSED}


def ignores_failure(seen: Observed) -> Plan:
    """Planted: a failed gate is taken for a passed one."""
    good = {
        m: tuple(replace(s, value=0.9) for s in a) if isinstance(a, tuple) else a
        for m, a in seen.answers.items()
    }
    plan = decide(replace(seen, answers=good))
    return replace(plan, status=plan.status.model_copy(update={"gates": decide(seen).status.gates}))


def promotes_without_evidence(seen: Observed) -> Plan:
    """Planted: silence promotes."""
    plan = decide(seen)
    silent = (
        seen.status.phase is Phase.TRIAL
        and plan.status.phase is Phase.TRIAL
        and seen.status.step == 1
    )
    return replace(plan, status=plan.status.model_copy(update=PROMOTED_ANYHOW)) if silent else plan


def keeps_the_weight(seen: Observed) -> Plan:
    """Planted: rolling back leaves the weight."""
    plan = decide(seen)
    rolls = plan.status.phase is Phase.ROLLING_BACK
    return replace(plan, status=plan.status.model_copy(update={"weight": 10})) if rolls else plan


def forgets_attempts(seen: Observed) -> Plan:
    """Planted: a supersession starts counting anew."""
    plan = decide(seen)
    new = plan.status.attempt > 1 and plan.status.attempt > seen.status.attempt
    return replace(plan, status=plan.status.model_copy(update={"attempt": 0})) if new else plan


def switches_early(seen: Observed) -> Plan:
    """Planted: the candidate is called stable when it is only about to be."""
    plan = decide(seen)
    early = plan.status.phase is Phase.SHIFTING
    return (
        replace(plan, status=plan.status.model_copy(update={"stable": plan.status.candidate}))
        if early
        else plan
    )


def takes_promoted_for_ready(seen: Observed) -> Plan:
    """Planted: what was promoted once is Ready for ever."""
    full = {r: replace(w, ready=w.wanted, current=w.wanted) for r, w in seen.workloads.items()}
    plan, blind = decide(seen), decide(replace(seen, workloads=full))
    return blind if plan.status.phase is Phase.PROMOTED is blind.status.phase else plan


def takes_former_pods_for_new_ones(seen: Observed) -> Plan:
    """Planted: pods that are Ready count, of whatever template they are."""
    return decide(
        replace(seen, workloads={r: replace(w, current=None) for r, w in seen.workloads.items()})
    )


def tries_what_is_stable(seen: Observed) -> Plan:
    """Planted: other resources make another model."""
    plan = decide(seen)
    before, after = seen.status.stable, plan.status.stable
    tried = before is not None and after is not None and before.resources != after.resources
    return (
        replace(plan, status=plan.status.model_copy(update={"attempt": plan.status.attempt + 1}))
        if tried
        else plan
    )


def takes_every_route_for_accepted(seen: Observed) -> Plan:
    """Planted: what the router says of the route is not looked at."""
    return decide(replace(seen, unaccepted=""))


def leaves_the_former_way(seen: Observed) -> Plan:
    """Planted: the former way goes as soon as the spec asks for another."""
    plan = decide(seen)
    return replace(plan, status=plan.status.model_copy(update={"routes": plan.status.routes[:1]}))


def takes_accepted_for_answering(seen: Observed) -> Plan:
    """Planted: the former way goes though the new one, accepted, answers nobody."""
    return decide(replace(seen, heard=None))


def looks_well_on_a_taken_host(seen: Observed) -> Plan:
    """Planted: that an older rollout answers there is not said."""
    return decide(replace(seen, spec_error=""))


def leaves_the_weight_at_last(seen: Observed) -> Plan:
    """Planted, deep: late attempts that are rolled back keep their share of requests."""
    plan = decide(seen)
    deep = plan.status.phase is Phase.ROLLING_BACK and seen.status.attempt >= LATE
    return replace(plan, status=plan.status.model_copy(update={"weight": 10})) if deep else plan


def promotes_in_silence_at_last(seen: Observed) -> Plan:
    """Planted, deep: in late attempts, silence promotes."""
    plan = decide(seen)
    silent = seen.status.phase is Phase.TRIAL is plan.status.phase and not plan.status.halted
    deep = silent and seen.status.attempt >= LATE and plan.status.weight > 0
    return replace(plan, status=plan.status.model_copy(update=PROMOTED_ANYHOW)) if deep else plan


def says_nothing_of_foreign_routes(seen: Observed) -> Plan:
    """Planted: a route of nobody's on the same host is not told of."""
    return decide(replace(seen, claims=()))


def rests_well_while_refused(seen: Observed) -> Plan:
    """Planted: what the API server has only just refused is not said of what comes to rest."""
    return decide(replace(seen, api_rejection_now=""))


def says_nothing_of_autoscalers(seen: Observed) -> Plan:
    """Planted: that another sets the number of pods is not told."""
    return decide(replace(seen, scaled=""))


def begins_anew_without_status(seen: Observed) -> Plan:
    """Planted: a rollout whose status was removed begins as one that never answered."""
    return decide(replace(seen, recovered=None))


DEEP = (leaves_the_weight_at_last, promotes_in_silence_at_last)
"""Bugs that no breadth reaches."""
NEAR_BUGS = (
    says_nothing_of_foreign_routes,
    rests_well_while_refused,
    says_nothing_of_autoscalers,
    begins_anew_without_status,
    takes_former_pods_for_new_ones,
    tries_what_is_stable,
    takes_every_route_for_accepted,
    leaves_the_former_way,
    takes_accepted_for_answering,
    looks_well_on_a_taken_host,
    takes_promoted_for_ready,
    ignores_failure,
    promotes_without_evidence,
    keeps_the_weight,
    forgets_attempts,
    switches_early,
)
