"""Bugs that are planted in `decide`, each of which the promises must show."""

from dataclasses import replace
from datetime import timedelta

from rollout_operator.domain.api.analysis import Metric
from rollout_operator.domain.api.spec import Approval
from rollout_operator.domain.api.traffic import Provider
from rollout_operator.domain.api.words import Phase, Reason
from rollout_operator.domain.machine.decide import decide
from rollout_operator.domain.machine.decision import Plan
from rollout_operator.domain.observed import APART, LONG_AGO, Followed, Observed, Series
from rollout_operator.domain.windows import NEVER, Freeze

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


def says_nothing_of_affinity(seen: Observed) -> Plan:
    """Planted: that visitors stay where they came first is not told."""
    return decide(replace(seen, affinity=""))


def begins_anew_without_status(seen: Observed) -> Plan:
    """Planted: a rollout whose status was removed begins as one that never answered."""
    return decide(replace(seen, recovered=None))


def keeps_nothing_without_status(seen: Observed) -> Plan:
    """Planted: when the status was removed, only what is stable keeps its pods."""
    return decide(replace(seen, also_running=()))


def takes_the_first_answer_for_all(seen: Observed) -> Plan:
    """Planted: what one replica answers is taken for what all do, at once."""
    return decide(replace(seen, apart=timedelta(0)))


def waits_for_no_router(seen: Observed) -> Plan:
    """Planted: routers are taken to follow at once, though none has answered."""
    followed = seen.followed or Followed(100, APART, timedelta(0))
    return decide(replace(seen, followed=replace(followed, answers=100, stretch=APART)))


def counts_from_the_decision(seen: Observed) -> Plan:
    """Planted: the drain counts from the decision, though the objects were written later, after
    the operator had died.
    """
    return decide(replace(seen, applied_at=LONG_AGO))


def takes_load_for_the_version(seen: Observed) -> Plan:
    """Planted: what stable does under the same load is not looked at."""
    return decide(replace(seen, baseline={}))


def takes_the_version_for_load(seen: Observed) -> Plan:
    """Planted: stable is taken to do as the candidate does."""
    return decide(replace(seen, baseline=seen.answers))


def takes_growing_for_grown(seen: Observed) -> Plan:
    """Planted: pods that were asked for count as Ready."""
    grown = {r: replace(w, wanted=min(w.wanted, w.ready)) for r, w in seen.workloads.items()}
    return decide(replace(seen, workloads=grown))


def passes_under_load(seen: Observed) -> Plan:
    """Planted: what load excuses is taken for passed."""
    plan = decide(seen)
    excused = any(g.overloaded_since == seen.now for g in plan.status.gates)
    return replace(plan, status=plan.status.model_copy(update=PROMOTED_ANYHOW)) if excused else plan


def raises_the_weight_before_its_pods(seen: Observed) -> Plan:
    """Planted: what an autoscaler has not given yet is taken for there."""
    there = {r: replace(w, ready=max(w.ready, 9)) for r, w in seen.workloads.items() if w.ready}
    if seen.spec is None or seen.spec.autoscaling is None:
        there = {}
    return decide(replace(seen, workloads={**seen.workloads, **there}))


def says_the_number_of_the_spec(seen: Observed) -> Plan:
    """Planted: the scale subresource says what the spec says, whatever the autoscaler did."""
    plan = decide(seen)
    if seen.spec is None:
        return plan
    return replace(plan, status=plan.status.model_copy(update={"replicas": seen.spec.replicas}))


def begins_anew_for_a_number(seen: Observed) -> Plan:
    """Planted: a candidate of another number of pods is another attempt."""
    plan = decide(seen)
    before, after = seen.status.candidate, plan.status.candidate
    grown = before is not None and after is not None and before.replicas < after.replicas
    again = {"attempt": seen.status.attempt + 1}
    return replace(plan, status=plan.status.model_copy(update=again)) if grown else plan


def takes_endpoints_for_granted(seen: Observed) -> Plan:
    """Planted: whether the Service that divides connections does what was decided is not looked
    at.
    """
    inside = seen.spec is not None and seen.spec.traffic.provider is Provider.NONE
    return decide(replace(seen, route_trouble="") if inside else seen)


def takes_profiles_untold(seen: Observed) -> Plan:
    """Planted: what was changed in a profile goes to pods at once, whatever it says."""
    profile = seen.profile
    return decide(replace(seen, profile=profile and replace(profile, at_once=True)))


def says_nothing_of_profiles(seen: Observed) -> Plan:
    """Planted: that pods do not have what their profile says is not told."""
    plan = decide(seen)
    return replace(plan, status=plan.status.model_copy(update={"outdated": ""}))


def changes_profiles_in_mid_trial(seen: Observed) -> Plan:
    """Planted: a candidate has what its profile says at each look."""
    plan = decide(seen)
    if seen.profile is None or plan.status.candidate is None:
        return plan
    candidate = plan.status.candidate.model_copy(update={"pod_settings": seen.profile.settings})
    return replace(plan, status=plan.status.model_copy(update={"candidate": candidate}))


def forgets_the_former_pods(seen: Observed) -> Plan:
    """Planted: the former pods go with scaleDownDelay, though their successor is watched."""
    plan = decide(seen)
    watched = plan.status.watch is not None and plan.status.phase is Phase.PROMOTED
    without = plan.status.model_copy(update={"retiring": ()})
    return replace(plan, status=without) if watched else plan


def keeps_the_former_size(seen: Observed) -> Plan:
    """Planted: the former pods stay as many as they were, however many stable has by now."""
    plan, known = decide(seen), {r.revision: r for r in seen.status.retiring}
    if plan.status.watch is None:
        return plan
    left = tuple(known.get(r.revision, r) for r in plan.status.retiring)
    return replace(plan, status=plan.status.model_copy(update={"retiring": left}))


def returns_without_a_drain(seen: Observed) -> Plan:
    """Planted: on the way back routers are taken to follow at once, and the failed pods go."""
    if not seen.status.returning:
        return decide(seen)
    plan = decide(replace(seen, drain=timedelta(0), apart=timedelta(0)))
    without = plan.status.model_copy(update={"retiring": ()})
    return replace(plan, status=without) if plan.status.phase is Phase.ROLLED_BACK else plan


def returns_in_silence(seen: Observed) -> Plan:
    """Planted: what cannot be measured in a watch is taken for the worst."""
    silent = seen.status.watch is not None and not any(seen.answers.values())
    if not silent or seen.status.phase is not Phase.PROMOTED:
        return decide(seen)
    worst = (Series("ml_model_accuracy", "a", seen.now.timestamp(), 0.0),)
    return decide(replace(seen, answers={Metric.ACCURACY: worst}))


def holds_a_way_back_for_its_spec(seen: Observed) -> Plan:
    """Planted: where the spec cannot be read, a rollback and a return are held."""
    status = seen.status
    back = status.returning or status.phase is Phase.ROLLING_BACK
    unknown = replace(seen, status=status.model_copy(update={"last_spec": ""}))
    if seen.spec is not None or not back:
        return decide(seen)
    plan = decide(unknown)
    kept = plan.status.model_copy(update={"last_spec": status.last_spec})
    return replace(plan, status=kept)


def obeys_no_abort_without_spec(seen: Observed) -> Plan:
    """Planted: where the spec cannot be read, nobody is heard."""
    return decide(replace(seen, commands={}) if seen.spec is None else seen)


def drops_a_proof_when_the_watch_ends(seen: Observed) -> Plan:
    """Planted: a return that waits for its pods ends with the time of the watch."""
    watch = seen.status.watch
    if watch is None or seen.spec is None or seen.now < watch.since + seen.spec.strategy.watch:
        return decide(seen)
    forgotten = watch.model_copy(update={"waits": ""})
    return decide(replace(seen, status=seen.status.model_copy(update={"watch": forgotten})))


def waits_for_pods_for_ever(seen: Observed) -> Plan:
    """Planted: where the spec cannot be read, a return is never given up."""
    plan, watch = decide(seen), seen.status.watch
    given_up = watch is not None and plan.status.watch is None and not plan.status.returning
    if seen.spec is not None or not given_up:
        return plan
    return replace(plan, status=plan.status.model_copy(update={"watch": watch}))


def drops_a_proof_in_silence(seen: Observed) -> Plan:
    """Planted: what can be measured no more is not proved any more."""
    watch = seen.status.watch
    if watch is None or any(seen.answers.values()):
        return decide(seen)
    return decide(replace(seen, status=seen.status.model_copy(update={"gates": ()})))


def holds_a_version_for_an_abort(seen: Observed) -> Plan:
    """Planted: an abort that waits for pods goes before whatever the spec asks for."""
    status, wanted = seen.status, seen.spec
    if status.former is None or status.stable is None or wanted is None:
        return decide(seen)
    waits = status.phase is Phase.PROMOTED and "abort" in seen.commands
    same = wanted.model_copy(update={"model_uri": status.stable.requested})
    return decide(replace(seen, spec=same) if waits else seen)


def returns_to_pods_that_are_not_there(seen: Observed) -> Plan:
    """Planted: the former pods are taken for Ready."""
    watch = seen.status.watch
    there = {
        r: replace(w, ready=9) for r, w in seen.workloads.items() if watch and r == watch.former
    }
    return decide(replace(seen, workloads={**seen.workloads, **there}))


def forgets_what_it_took_back(seen: Observed) -> Plan:
    """Planted: a version that was returned is not remembered, and tried again."""
    plan = decide(seen)
    back = seen.status.returning and plan.status.phase is Phase.ROLLED_BACK
    without = plan.status.model_copy(update={"rejected": seen.status.rejected})
    return replace(plan, status=without) if back else plan


def holds_a_return_in_a_pause(seen: Observed) -> Plan:
    """Planted: a pause holds what is promoted, whatever its gates say."""
    paused = seen.spec is not None and seen.spec.paused and seen.status.phase is Phase.PROMOTED
    return decide(replace(seen, answers={}) if paused else seen)


def promotes_unapproved(seen: Observed) -> Plan:
    """Planted: the gates' word is enough, whatever the spec says of approval."""
    if seen.spec is None:
        return decide(seen)
    strategy = seen.spec.strategy.model_copy(update={"approval": Approval.NONE})
    return decide(replace(seen, spec=seen.spec.model_copy(update={"strategy": strategy})))


def counts_an_old_approval(seen: Observed) -> Plan:
    """Planted: an approval of the attempt before counts for this one."""
    commands = {
        v: str(seen.status.attempt) if v == "approve" else a for v, a in seen.commands.items()
    }
    return decide(replace(seen, commands=commands))


def takes_approval_for_proof(seen: Observed) -> Plan:
    """Planted: who approves promotes at once, whatever the gates say then."""
    plan = decide(seen)
    approved = "approve" in plan.status.handled_commands
    now = approved and "approve" not in seen.status.handled_commands
    return replace(plan, status=plan.status.model_copy(update=PROMOTED_ANYHOW)) if now else plan


def forgets_when_it_was_approved(seen: Observed) -> Plan:
    """Planted: what was measured before an approval counts after it, and so does that nothing more
    can be proved.
    """
    return decide(replace(seen, status=seen.status.model_copy(update={"approved_at": None})))


def watches_nothing_that_was_skipped(seen: Observed) -> Plan:
    """Planted: to skip the last step is to do without the watch."""
    plan = decide(seen)
    skipped = plan.status.reason is Reason.PROMOTED_BY_COMMAND and plan.status.watch is not None
    without = plan.status.model_copy(update={"watch": None})
    return replace(plan, status=without) if skipped else plan


def stays_frozen_on_a_taken_host(seen: Observed) -> Plan:
    """Planted: what holds an attempt once its window has closed is not said."""
    plan, frozen = decide(seen), seen.status.reason is Reason.FROZEN
    kept = plan.status.model_copy(update={"reason": Reason.FROZEN})
    return replace(plan, status=kept) if frozen and seen.spec is None else plan


def asks_nobody(seen: Observed) -> Plan:
    """Planted: that a person is waited for is not said."""
    plan = decide(seen)
    return replace(plan, status=plan.status.model_copy(update={"approval_since": None}))


def takes_no_notice_of_windows(seen: Observed) -> Plan:
    """Planted: steps are taken in a frozen window."""
    return decide(replace(seen, freeze=NEVER))


def holds_a_rollback_in_a_window(seen: Observed) -> Plan:
    """Planted: a frozen window holds a rollback too."""
    plan = decide(seen)
    rolls = plan.status.phase is Phase.ROLLING_BACK is not seen.status.phase
    frozen = replace(plan, status=plan.status.model_copy(update={"phase": seen.status.phase}))
    kept = {"weight": seen.status.weight, "verdict": seen.status.verdict, "frozen": "a window"}
    if not (rolls and seen.freeze.active):
        return plan
    return replace(frozen, status=frozen.status.model_copy(update=kept))


def stays_frozen(seen: Observed) -> Plan:
    """Planted: a freeze does not end with its window."""
    lasting = Freeze(active=True, why="a window")
    return decide(replace(seen, freeze=lasting) if seen.status.frozen else seen)


def tries_what_nobody_proved(seen: Observed) -> Plan:
    """Planted: no proof is asked for; what was stable is remembered all the same."""
    plan, tried = decide(seen), decide(replace(seen, proof=None))
    if tried.status.attempt == seen.status.attempt:
        return plan
    known = {"promoted": plan.status.promoted}
    return replace(tried, status=tried.status.model_copy(update=known))


def asks_for_proof_of_what_was_stable(seen: Observed) -> Plan:
    """Planted: what was stable before is as unknown as anything."""
    forgotten = seen.status.model_copy(update={"promoted": (), "history": ()})
    plan, strict = decide(seen), decide(replace(seen, status=forgotten))
    asks = strict.status.reason is Reason.PROMOTION_NOT_PROVED
    kept = {"promoted": plan.status.promoted, "history": seen.status.history}
    return replace(strict, status=strict.status.model_copy(update=kept)) if asks else plan


def forgets_what_was_stable(seen: Observed) -> Plan:
    """Planted: what is stable is not remembered."""
    plan = decide(seen)
    known = {"promoted": seen.status.promoted}
    return replace(plan, status=plan.status.model_copy(update=known))


DEEP = (leaves_the_weight_at_last, promotes_in_silence_at_last)
"""Bugs that no breadth reaches."""
NEAR_BUGS = (
    tries_what_nobody_proved,
    asks_for_proof_of_what_was_stable,
    forgets_what_was_stable,
    takes_no_notice_of_windows,
    holds_a_rollback_in_a_window,
    stays_frozen,
    promotes_unapproved,
    counts_an_old_approval,
    takes_approval_for_proof,
    forgets_when_it_was_approved,
    watches_nothing_that_was_skipped,
    stays_frozen_on_a_taken_host,
    asks_nobody,
    takes_the_first_answer_for_all,
    waits_for_no_router,
    counts_from_the_decision,
    takes_load_for_the_version,
    takes_the_version_for_load,
    takes_growing_for_grown,
    passes_under_load,
    raises_the_weight_before_its_pods,
    says_the_number_of_the_spec,
    begins_anew_for_a_number,
    takes_endpoints_for_granted,
    takes_profiles_untold,
    says_nothing_of_profiles,
    changes_profiles_in_mid_trial,
    says_nothing_of_foreign_routes,
    rests_well_while_refused,
    says_nothing_of_autoscalers,
    says_nothing_of_affinity,
    begins_anew_without_status,
    keeps_nothing_without_status,
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
    forgets_the_former_pods,
    keeps_the_former_size,
    returns_without_a_drain,
    returns_in_silence,
    holds_a_way_back_for_its_spec,
    obeys_no_abort_without_spec,
    drops_a_proof_when_the_watch_ends,
    waits_for_pods_for_ever,
    drops_a_proof_in_silence,
    holds_a_version_for_an_abort,
    returns_to_pods_that_are_not_there,
    forgets_what_it_took_back,
    holds_a_return_in_a_pause,
)
