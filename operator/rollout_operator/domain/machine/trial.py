"""The trial: steps of weight, each judged by the gates."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, assert_never

from rollout_operator.domain.api.analysis import Metric, OnFailure, OnNoEvidence
from rollout_operator.domain.api.gate_results import GateStatus, Measurement
from rollout_operator.domain.api.spec import AdvanceOn, Spec
from rollout_operator.domain.api.status import Revision, Status
from rollout_operator.domain.api.traffic import Provider
from rollout_operator.domain.api.words import Phase, Reason
from rollout_operator.domain.machine.decision import (
    EventToPost,
    Plan,
    candidate_of,
    clip,
    enter,
    pods,
    stay,
    workload_of,
)
from rollout_operator.domain.machine.growth import grow, next_size
from rollout_operator.domain.machine.hold import commanded_now, hold_back, is_held
from rollout_operator.domain.machine.promotion import promote
from rollout_operator.domain.machine.rollback import roll_back
from rollout_operator.domain.machine.schedule import (
    next_look,
    next_measurement,
    step_began,
    step_due,
)
from rollout_operator.domain.machine.trial_gates import (
    in_words_of,
    keep_unchanged,
    marked_late,
    measure_gates,
    route_gate,
    scaled_up,
    with_figures,
)
from rollout_operator.domain.machine.watch import is_measured
from rollout_operator.domain.observed import Observed
from rollout_operator.domain.service_split import share
from rollout_operator.domain.shadow import shadow_of

MAX_SETBACKS = 3


def needs_measurement(spec: Spec, status: Status) -> bool:
    """Whether the gates are to be measured at this look."""
    tried = status.phase is Phase.TRIAL and not status.halted and not spec.paused
    return tried or is_measured(spec, status)


def measured(status: Status) -> Revision | None:
    """The revision that the gates are about: on trial, or watched after its promotion."""
    return status.stable if status.phase is Phase.PROMOTED else status.candidate


def trial(observed: Observed, spec: Spec) -> Plan:
    """Measure the gates and do as they say together; without pods there is nothing to measure."""
    if observed.status.halted:
        return stay(observed)
    if workload_of(observed, candidate_of(observed)).ready == 0:
        return _pods_lost(observed)
    if _gets_nothing(observed, spec):
        step = min(observed.status.step or 0, len(spec.strategy.steps) - 1)
        return grow(observed, spec, step) or _entered(observed, spec, step)
    before, plan = observed.status, _judge(observed, spec)
    status = plan.status
    stays = status.phase is Phase.TRIAL and not status.halted and status.step == before.step
    if not (stays and commanded_now(observed, "skip")) or is_held(observed, spec):
        return plan
    growing = grow(replace(observed, status=status), spec)
    return plan if growing is None else replace(growing, events=plan.events)


def _gets_nothing(observed: Observed, spec: Spec) -> bool:
    """Whether copies were all that the candidate got, and the spec asks for none any more: no gate
    would ever have evidence. A freeze holds it, and no clock of the gates runs then.
    """
    status = observed.status
    alone = status.weight == 0 and status.step is not None and status.stable is not None
    return alone and shadow_of(spec, status) is None and not observed.freeze.active


def _pods_lost(observed: Observed) -> Plan:
    candidate, status = candidate_of(observed), observed.status
    if status.setbacks >= MAX_SETBACKS:
        return roll_back(
            observed,
            Reason.UNSTABLE,
            f"The pods of {candidate.uri} were lost {status.setbacks + 1} times.",
        )
    message = f"The pods of {candidate.uri} are not Ready any more; no traffic until they are."
    return enter(
        observed,
        Phase.STARTING,
        Reason.WAITING_FOR_PODS,
        message,
        weight=0,
        grows_since=None,
        setbacks=status.setbacks + 1,
    )


def _judge(observed: Observed, spec: Spec) -> Plan:
    candidate, status = candidate_of(observed), observed.status
    since = step_began(status) or observed.now
    status = status.model_copy(update={"scale_up": scaled_up(observed)})
    observed = replace(observed, status=status)
    # What was there when a person was asked is no answer to what has come of it since.
    fresh = max(since, status.approved_at or since)
    gates, evidence = measure_gates(observed, spec, fresh)
    gates = tuple(marked_late(observed, spec, gate, since) for gate in gates)
    late = [
        g
        for g in gates
        if g.late and not any(b.late and b.metric == g.metric for b in status.gates)
    ]
    loaded = [
        g
        for g in gates
        if g.overloaded_since == observed.now and g.measurement is Measurement.NO_EVIDENCE
    ]
    more: tuple[GateStatus, ...] = ()
    if observed.route_trouble and observed.now >= min(
        since + observed.drain, step_due(observed.status, spec, since)
    ):
        # Without its share of requests a candidate proves nothing: as long as the router does not
        # follow, there is no evidence.
        more = (route_gate(observed, candidate),)
    observed = replace(
        observed,
        status=status.model_copy(
            update={"waits_for": clip(observed.route_trouble) if more else ""}
        ),
    )
    kept = keep_unchanged(status.gates, gates)
    plan = _weigh(
        with_figures(observed, kept, evidence), spec, (*in_words_of(kept, gates), *more), since
    )
    if _place(plan.status) != _place(status):
        # It is written anyway: with the figures that the step or the verdict rests on.
        gates = tuple(
            gate.model_copy(update={"at": one.at}) for one, gate in zip(kept, gates, strict=True)
        )
        plan = _weigh(with_figures(observed, gates, evidence), spec, (*gates, *more), since)
    return replace(
        plan,
        events=(
            *plan.events,
            *(EventToPost("Warning", Reason.LABELS_TOO_SLOW, g.message) for g in late),
            *(EventToPost("Warning", Reason.OVERLOADED, g.message) for g in loaded),
        ),
    )


def _place(status: Status) -> tuple[object, ...]:
    return status.phase, status.step, status.halted


def _weigh(observed: Observed, spec: Spec, gates: tuple[GateStatus, ...], since: datetime) -> Plan:
    """What the gates together say of the attempt."""
    due = step_due(observed.status, spec, since)
    failed = [g for g in gates if g.measurement is Measurement.FAIL]
    if failed:
        return _on_failed_gate(observed, spec, candidate_of(observed), failed)
    told = any(commanded_now(observed, verb) for verb in ("promote", "skip"))
    if told and (held := hold_back(observed, spec, _said(gates))) is not None:
        return held
    silent = [g for g in gates if g.measurement is not Measurement.PASS]
    if silent and _evidence_allows(observed, spec, silent):
        return advance(observed, spec, Reason.MEASURING, "")
    if silent:
        return _without_evidence(observed, spec, due, silent)
    if observed.now < due:
        return stay(
            observed,
            Reason.MEASURING,
            _step_message(observed, spec, gates),
            requeue_at=next_look(observed, spec, due),
            no_evidence_since=None,
        )
    return advance(
        observed,
        spec,
        Reason.GATES_PASSED,
        "; ".join(g.message for g in gates) or "no gate needs measuring",
    )


def _said(gates: Sequence[GateStatus]) -> str:
    """What the gates say, as a sentence; "" without gates."""
    return f"{'; '.join(g.message for g in gates)}." if gates else ""


def _evidence_allows(observed: Observed, spec: Spec, silent: list[GateStatus]) -> bool:
    """Whether step k of n may end before the verdict: every gate that is undecided has k/n of the
    evidence it needs to pass.
    """
    step, steps = observed.status.step, len(spec.strategy.steps)
    if spec.strategy.advance_on is not AdvanceOn.EVIDENCE or step is None or step + 1 >= steps:
        return False
    measured = all(g.evidence_for is not None and not g.inconclusive for g in silent)
    # Of copies no more is counted once no later step makes any.
    needed = any(g.metric == Metric.DISAGREEMENT for g in silent) and not any(
        later.shadow for later in spec.strategy.steps[step + 1 :]
    )
    return (
        measured
        and not needed
        and all((g.evidence_for or 0.0) >= (step + 1) / steps for g in silent)
    )


def _on_failed_gate(
    observed: Observed, spec: Spec, candidate: Revision, failed: list[GateStatus]
) -> Plan:
    said = "; ".join(g.message for g in failed)
    if spec.analysis.on_failure is OnFailure.PAUSE:
        return _halt(
            observed,
            Reason.GATE_FAILED,
            f"{candidate.uri} failed: {said}. Paused; annotate abort, retry or promote.",
        )
    return roll_back(observed, Reason.GATE_FAILED, f"{candidate.uri} failed: {said}.")


def _without_evidence(
    observed: Observed, spec: Spec, due: datetime, silent: list[GateStatus]
) -> Plan:
    """Hold; once the step is due, hold for `maxHold` at most, then do as `onNoEvidence` says."""
    said = "; ".join(g.message for g in silent)
    asked = observed.status.approval_since is not None
    if asked and (held := hold_back(observed, spec, _said(silent))) is not None:
        # The gates had passed when a person was asked: how long that takes is no fault of theirs.
        return held
    undecided = [g for g in silent if g.inconclusive]
    if undecided and len(undecided) == len(silent) and observed.status.approved_at is None:
        verdict = f"No verdict after maxSamples: {said}."
        return _give_up(observed, spec, Reason.INCONCLUSIVE, verdict, silent)
    if observed.now < due:
        return stay(
            observed,
            Reason.MEASURING,
            f"Measuring: {said}.",
            requeue_at=next_look(observed, spec, due),
            no_evidence_since=None,
        )
    if observed.freeze.active and (held := hold_back(observed, spec, _said(silent))) is not None:
        # Evidence that comes later is in time: nothing could be done with it sooner.
        return held
    waiting_since = observed.status.no_evidence_since or observed.now
    give_up = waiting_since + spec.analysis.max_hold
    if observed.now < give_up:
        message = f"Holding at weight {observed.status.weight}: {said}."
        requeue_at = min(give_up, next_measurement(observed, spec))
        return stay(
            observed,
            Reason.WAITING_FOR_EVIDENCE,
            message,
            requeue_at=requeue_at,
            no_evidence_since=waiting_since,
        )
    reason = (
        Reason.INCONCLUSIVE
        if all(g.evidence_for is not None for g in silent)
        else Reason.NO_EVIDENCE
    )
    verdict = f"No evidence for {spec.analysis.max_hold}: {said}."
    return _give_up(observed, spec, reason, verdict, silent)


def _give_up(
    observed: Observed, spec: Spec, reason: Reason, verdict: str, silent: list[GateStatus]
) -> Plan:
    """Do as `onNoEvidence` says; but a bound that was broken is not silence."""
    match spec.analysis.on_no_evidence:
        case OnNoEvidence.ROLLBACK:
            return roll_back(observed, reason, verdict)
        case OnNoEvidence.PAUSE:
            return _halt(observed, reason, f"{verdict} Paused; annotate abort, retry or promote.")
        case OnNoEvidence.PROMOTE if any(g.excused for g in silent):
            but = "It broke its bound, so it does not go on though onNoEvidence is Promote."
            return roll_back(observed, reason, f"{verdict} {but}")
        case OnNoEvidence.PROMOTE:
            verdict += " Going on because onNoEvidence is Promote, which voids the guarantee"
            return advance(observed, spec, reason, verdict)
    assert_never(spec.analysis.on_no_evidence)


def _halt(observed: Observed, reason: Reason, message: str) -> Plan:
    return enter(observed, Phase.TRIAL, reason, message, halted=True, kind="Warning")


def advance(observed: Observed, spec: Spec, reason: Reason, message: str) -> Plan:
    """The next step, once its pods are there, or promotion after the last one; neither while it is
    frozen, or waits for a person.
    """
    held = hold_back(observed, spec, f"{message}." if message else "")
    if held is not None:
        return held
    step = observed.status.step
    if step is None or step + 1 >= len(spec.strategy.steps):
        message = f"Promoting {candidate_of(observed).uri}: {message}."
        return promote(observed, spec, reason, message)
    if (growing := grow(observed, spec)) is not None:
        return growing
    return _entered(observed, spec, step + 1)


def _entered(observed: Observed, spec: Spec, step: int) -> Plan:
    """The step from its beginning, with the pods that were waited for."""
    candidate = candidate_of(observed)
    if spec.autoscaling is not None:
        candidate = candidate.model_copy(update={"replicas": next_size(observed, spec, step - 1)})
    done: dict[str, Any] = {"no_evidence_since": None, "grows_since": None}
    return enter_step(observed, spec, step, candidate=candidate, **done)


def enter_step(observed: Observed, spec: Spec, step: int | None, **changes: Any) -> Plan:
    """The trial at this step; None on a first deploy, which has no other to share requests with."""
    weight = 0 if step is None else spec.strategy.steps[step].weight
    placed = {**changes, "step": step, "step_since": observed.now, "weight": weight}
    moved = replace(observed, status=observed.status.model_copy(update=placed))
    # With the figures as they stand: the next look says the same where they have not changed, and
    # what says nothing new is not written.
    message = _step_message(
        moved, spec, moved.status.gates if observed.status.phase is Phase.TRIAL else ()
    )
    return enter(
        moved,
        Phase.TRIAL,
        Reason.MEASURING,
        message,
        requeue_at=next_look(moved, spec, step_due(moved.status, spec, observed.now)),
    )


def _step_message(observed: Observed, spec: Spec, gates: tuple[GateStatus, ...]) -> str:
    status, candidate = observed.status, candidate_of(observed)
    said = "; ".join(g.message for g in keep_unchanged(status.gates, gates))
    if status.step is None:
        return (
            f"{candidate.uri} is Ready; measuring before the host"
            f" answers{': ' + said if said else ''}."
        )
    place = f"Step {status.step + 1} of {len(spec.strategy.steps)}"
    whose = "of new visitors' requests" if observed.affinity else "of requests"
    goes = f"{status.weight} % {whose} go to {candidate.uri}"
    if spec.traffic.provider is Provider.NONE and status.stable is not None:
        ours, theirs = (workload_of(observed, one).ready for one in (candidate, status.stable))
        goes = (
            f"{share(ours, theirs)} % of connections go to {candidate.uri}, by {ours} of"
            f" {pods(ours + theirs)}, for a weight of {status.weight}"
        )
    if (shadow := shadow_of(spec, status)) is not None:
        copied = f"{shadow.percent} % of stable's requests are copied to"
        goes = (
            f"{goes}, and {copied} it"
            if status.weight
            else f"{copied} {candidate.uri}, and nobody gets its answers"
        )
    return f"{place}: {goes}{'; ' + said if said else ''}."
