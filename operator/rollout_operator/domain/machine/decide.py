"""What follows from one look at a rollout: guards in order, then the rule of its phase. Pure.

`now` and every answer come in with what was observed. One call makes at most one transition between
phases, so that each decision is durable in status before the world moves.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import Revision
from rollout_operator.domain.api.words import Phase, Reason
from rollout_operator.domain.gates.samples import CLOCK_SKEW
from rollout_operator.domain.last_spec import recalled
from rollout_operator.domain.machine.acts import act_of, noted, told
from rollout_operator.domain.machine.commands import abort, carry_out_command, command_watched
from rollout_operator.domain.machine.decision import EventToPost, Plan, stay
from rollout_operator.domain.machine.pending import resolve, starting
from rollout_operator.domain.machine.promotion import promoting, settling, shifting, switching
from rollout_operator.domain.machine.redirect import follow_spec, is_resized
from rollout_operator.domain.machine.rollback import rolling_back
from rollout_operator.domain.machine.status_update import finish, is_news, resize_in_place
from rollout_operator.domain.machine.transitions import AT_REST
from rollout_operator.domain.machine.trial import trial
from rollout_operator.domain.machine.watch import return_proved, watched
from rollout_operator.domain.observed import Observed

Guard = Callable[[Observed, Spec], Plan | None]
Rule = Callable[[Observed, Spec], Plan]


def decide(observed: Observed) -> Plan:
    """The plan that follows from what was observed. A status equal to the observed one means that
    there is nothing to write.
    """
    if observed.recovered is not None:
        observed = _with_recovered(observed, observed.recovered)
    plan = resize_in_place(observed, _follow_rules(observed))
    if not is_news(observed, plan):
        plan = replace(plan, status=observed.status, events=())
    return finish(observed, plan)


def _with_recovered(observed: Observed, stable: Revision) -> Observed:
    """What was observed, with what answers as stable, though the status does not say so any more.

    The registry's verdicts count for attempts before, and for no new one of the same number.
    Its pods were not held against a status that says nothing: the next look does that. Whatever
    else runs retires from now on, as after a takeover: its pods and Services are kept until no
    router sends requests there.
    """
    # A router may send requests to any of them, by whatever route there was a moment ago.
    now, others = observed.now, observed.also_running
    unproved = {"since": now, "ready_at": now, "promoted": False}
    known = {
        "stable": stable.model_copy(update={"since": now}) if others else stable,
        "retiring": tuple(r.model_copy(update=unproved) for r in others),
        "attempt": max({1, *observed.reported}),
        "attempt_since": observed.now,
    }
    return replace(
        observed,
        status=observed.status.model_copy(update=known),
        workloads={r: replace(w, current=0) for r, w in observed.workloads.items()},
    )


def _follow_rules(observed: Observed) -> Plan:
    """The plan of the first guard that has one, or of the rule of the phase."""
    spec = observed.spec
    if spec is None:
        known = recalled(observed.status)
        return (_go_back(observed, known) if known is not None else None) or stay(observed)
    plans = (guard(observed, spec) for guard in GUARDS)
    plan = next((plan for plan in plans if plan is not None), None)
    return plan if plan is not None else RULES[observed.status.phase](observed, spec)


def _go_back(observed: Observed, known: Spec) -> Plan | None:
    """What is done where the spec cannot be read, by what is known of a former one: what is on its
    way back goes on, an abort is obeyed, and a proved failure returns once its pods are there.
    None where all is held.
    """
    status = observed.status
    if status.returning or status.phase is Phase.ROLLING_BACK:
        return RULES[status.phase](observed, known)
    return abort(observed, known) or return_proved(observed, known)


def pause(observed: Observed, spec: Spec) -> Plan | None:
    """Hold everything where it is, as long as spec.paused; a rollback and a return go on."""
    status = observed.status
    goes_on = status.phase in AT_REST or status.phase is Phase.ROLLING_BACK or status.returning
    if not spec.paused or goes_on:
        return None
    if status.paused_since is not None:
        return stay(observed)
    return _paused(observed, "pause", stay(observed, paused_since=observed.now))


def _paused(observed: Observed, verb: str, plan: Plan) -> Plan:
    """The plan that holds, or goes on, with who asked for it, where that is known."""
    act = act_of(observed, verb)
    if not told(act):
        return plan
    acts = noted(replace(observed, status=plan.status), act).status
    event = EventToPost("Normal", Reason.PAUSED, f"spec.paused: {verb}.{told(act)}")
    return replace(plan, status=acts, events=(event,))


def resume(observed: Observed, spec: Spec) -> Plan | None:
    """Go on after a pause: every clock that ran when it began is set forward by its length."""
    status = observed.status
    if status.paused_since is None or (spec.paused and is_resized(status, spec)):
        return None
    length = observed.now - status.paused_since
    clocks = {name: getattr(status, name) for name in CLOCKS}
    moved: dict[str, Any] = {
        name: clock + length if clock is not None else None for name, clock in clocks.items()
    }
    plan = stay(observed, requeue_at=observed.now, paused_since=None, **moved)
    return _paused(observed, "resume", plan)


def follow_clock(observed: Observed, spec: Spec) -> Plan | None:  # noqa: ARG001 - a guard
    """Begin anew what began later than now: the clock was set back since, and until it is there
    again no sample would count, and no wait would end.
    """
    status, now = observed.status, observed.now
    began: dict[str, Any] = {name: _at_most(getattr(status, name), now) for name in CLOCKS}
    if (candidate := status.candidate) is not None:
        ready = {"ready_at": _at_most(candidate.ready_at, now)}
        began["candidate"] = candidate.model_copy(update=ready)
    if (watch := status.watch) is not None:
        began["watch"] = watch.model_copy(update={"since": _at_most(watch.since, now)})
    moved = {name: value for name, value in began.items() if value != getattr(status, name)}
    return stay(observed, requeue_at=now, **moved) if moved else None


def _at_most(began: datetime | None, now: datetime) -> datetime | None:
    """When it began, or now where that is yet to come by more than clocks may differ."""
    return now if began is not None and began > now + CLOCK_SKEW else began


def roll_back_in_a_pause(observed: Observed, spec: Spec) -> Plan | None:
    """Go on with a rollback in a pause, or an abort would never be done; what the spec asks for
    meanwhile begins when the pause is over.
    """
    taken_back = spec.paused and observed.status.phase is Phase.ROLLING_BACK
    return rolling_back(observed, spec) if taken_back else None


def rest(observed: Observed, spec: Spec) -> Plan:  # noqa: ARG001 - a rule like the others
    """Nothing is under way."""
    return stay(observed)


CLOCKS = ("phase_since", "step_since", "no_evidence_since", "grows_since")
"""Fields of status that say since when something lasts, and stand still in a pause."""

GUARDS: tuple[Guard, ...] = (
    command_watched,
    carry_out_command,
    pause,
    resume,
    follow_clock,
    roll_back_in_a_pause,
    follow_spec,
)
"""What comes before the rule of the phase, the strongest first."""

RULES: Mapping[Phase, Rule] = {
    Phase.PENDING: resolve,
    Phase.INVALID: resolve,
    Phase.STARTING: starting,
    Phase.TRIAL: trial,
    Phase.PROMOTING: promoting,
    Phase.SHIFTING: shifting,
    Phase.SWITCHING: switching,
    Phase.SETTLING: settling,
    Phase.ROLLING_BACK: rolling_back,
    Phase.PROMOTED: watched,
    Phase.ROLLED_BACK: rest,
}
"""What a phase does when no guard has spoken."""
