"""After promotion: the gates go on, and a failure leads all requests back to the version before.

The former pods stay, as many as stable has, until the watch ends. Neither a pause nor a frozen
window holds it, or a return.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from rollout_operator.domain.api.analysis import Gate
from rollout_operator.domain.api.gate_results import GateStatus, Measurement
from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import MOST_EVIDENCE, Revision, Status, Watch
from rollout_operator.domain.api.words import Phase, Reason
from rollout_operator.domain.gates.gate_status import Trial
from rollout_operator.domain.gates.long_run import looks_in
from rollout_operator.domain.gates.watched_gate import (
    Watched,
    begun,
    is_watched,
    measure_watched,
    without_watch,
)
from rollout_operator.domain.machine.acts import act_of, told, with_act
from rollout_operator.domain.machine.decision import (
    EventToPost,
    Plan,
    clip,
    enter,
    stay,
)
from rollout_operator.domain.machine.schedule import (
    beat,
    next_measurement,
)
from rollout_operator.domain.machine.sizes import full_size
from rollout_operator.domain.machine.way_back import return_to, watch_ends
from rollout_operator.domain.observed import Observed

WRITTEN = timedelta(seconds=60)
"""How old the counts in status may be: none is lost, the next look takes all since then."""
FIGURES = timedelta(minutes=5)
"""The same of values that wander, without counts."""


def is_measured(spec: Spec, status: Status) -> bool:
    """Whether the gates of what is promoted are to be measured at this look, paused or not."""
    watched = status.phase is Phase.PROMOTED and status.former is not None
    return watched and spec.strategy.watch > timedelta(0)


def begin_watch(observed: Observed, spec: Spec | None, promoted: Status) -> Status:
    """The status of a version that has just become stable, with its watch, where the spec asks for
    one and there is a version before.
    """
    before, stable = observed.status, promoted.stable
    if (
        spec is None
        or stable is None
        or before.stable is None
        or not spec.strategy.watch
        or promoted.reason is Reason.RESTORED
        or _is_decided(before, promoted.reason)
    ):
        return promoted
    watch = Watch(
        former=before.stable.revision,
        since=observed.now,
        until=observed.now + spec.strategy.watch,
    )
    evidence = begun(before.evidence, stable, spec.analysis.gates, observed.now)
    return promoted.model_copy(update={"watch": watch, "evidence": evidence[:MOST_EVIDENCE]})


def _is_decided(before: Status, reason: Reason) -> bool:
    """Whether a person has promoted it whatever the gates say. To skip the last step is less: it is
    not waited for, and no gate had failed.
    """
    return reason is Reason.PROMOTED_BY_COMMAND and "promote" in before.handled_commands


def watched(observed: Observed, spec: Spec) -> Plan:
    """What is promoted, at rest: measured as long as it is watched."""
    status = observed.status
    watch, former, stable = status.watch, status.former, status.stable
    if watch is None or stable is None:
        return stay(observed)
    if former is None or observed.now >= watch_ends(spec, watch):
        return _end_in_time(observed, spec, watch, stable)
    gates, counted = _measured(observed, spec, watch, stable)
    failed = [g for g in gates if g.measurement is Measurement.FAIL]
    going_on = watch.model_copy(update={"waits": watch.waits if failed else ""})
    going_on = going_on.model_copy(update={"until": watch_ends(spec, going_on)})
    measured = status.model_copy(
        update={"watch": going_on, "gates": gates or status.gates, "evidence": counted}
    )
    seen = replace(observed, status=measured)
    if failed:
        return _return(seen, spec, former, stable, failed)
    return stay(seen, requeue_at=min(going_on.until, next_measurement(observed, spec)))


def return_proved(observed: Observed, spec: Spec) -> Plan | None:
    """Go back by what was proved before, and waits for its pods; None where nothing does."""
    status = observed.status
    watch, former, stable = status.watch, status.former, status.stable
    failed = [g for g in status.gates if g.measurement is Measurement.FAIL]
    waits = status.phase is Phase.PROMOTED and watch is not None and bool(watch.waits)
    if not (waits and failed) or former is None or stable is None:
        return None
    return _return(observed, spec, former, stable, failed)


def _return(
    observed: Observed, spec: Spec, former: Revision, stable: Revision, failed: list[GateStatus]
) -> Plan:
    said = f"{stable.uri} failed: {'; '.join(g.message for g in failed)}."
    return _in_its_time(
        observed, spec, stable, return_to(observed, spec, former, Reason.GATE_FAILED, said)
    )


def _in_its_time(observed: Observed, spec: Spec, stable: Revision, back: Plan) -> Plan:
    """The way back, or the end of the watch where it has waited for pods for long enough."""
    watch = observed.status.watch
    if watch is None or back.status.returning or observed.now < watch_ends(spec, watch):
        return back
    return _end_in_time(observed, spec, watch, stable)


def _end_in_time(observed: Observed, spec: Spec, watch: Watch, stable: Revision) -> Plan:
    """The watch is over; where a return has waited for pods in vain, that is told."""
    if not watch.waits or not spec.strategy.watch:
        return end_watch(observed)
    message = clip(
        f"{stable.uri} stays, though it was to go back: the pods of the version before were not"
        f" Ready within {spec.strategy.progress_deadline} after its watch. {watch.waits}"
    )
    over: dict[str, Any] = {"watch": None, "evidence": without_watch(observed.status.evidence)}
    reason = Reason.PROGRESS_DEADLINE_EXCEEDED
    plan = enter(observed, Phase.PROMOTED, reason, message, requeue_at=observed.now, **over)
    return replace(plan, events=(EventToPost("Warning", reason, message),))


def _measured(
    observed: Observed, spec: Spec, watch: Watch, stable: Revision
) -> tuple[tuple[GateStatus, ...], tuple[Any, ...]]:
    """All gates that can be measured, and the evidence to go on with."""
    status, used = observed.status, [g for g in spec.analysis.gates if is_watched(g)]
    whom = watched_as(spec, watch, stable, observed.now)
    found, evidence = list[GateStatus](), status.evidence
    for gate in used:
        measured, counted = measure_watched(gate, observed.answers.get(gate.name), whom, evidence)
        found.append(_or_its_proof(status, watch, gate, measured))
        if counted is not None:
            place = (counted.gate, counted.subject)
            known = tuple(counted if (e.gate, e.subject) == place else e for e in evidence)
            new = () if any((e.gate, e.subject) == place for e in evidence) else (counted,)
            evidence = (*new, *known)[:MOST_EVIDENCE]
    return tuple(found), evidence


def _or_its_proof(status: Status, watch: Watch, gate: Gate, measured: GateStatus) -> GateStatus:
    """The measurement; where a return waits and nothing can be measured now, what it waits for:
    silence does not undo a proof.
    """
    if not watch.waits or measured.measurement in {Measurement.PASS, Measurement.FAIL}:
        return measured
    known = (g for g in status.gates if g.is_of(gate) and g.revision == measured.revision)
    return next((g for g in known if g.measurement is Measurement.FAIL), measured)


def watched_as(spec: Spec, watch: Watch, stable: Revision, now: datetime) -> Watched:
    """Who is measured in a watch, and how often."""
    tests = sum(is_watched(g) for g in spec.analysis.gates)
    trial = Trial(stable, None, watch.since, now, max(1, tests), 100)
    return Watched(trial, looks_in(spec.strategy.watch, beat(spec)))


def end_watch(observed: Observed, **changes: Any) -> Plan:
    """Nothing is watched any more: the former pods go."""
    evidence = without_watch(observed.status.evidence)
    return stay(observed, requeue_at=observed.now, watch=None, evidence=evidence, **changes)


def abort_watch(observed: Observed, spec: Spec) -> Plan | None:
    """A person has what is watched taken back; None where nothing is."""
    former, stable = observed.status.former, observed.status.stable
    if observed.status.phase is not Phase.PROMOTED or former is None or stable is None:
        return None
    act = act_of(observed, "abort")
    message = f"{stable.uri} was aborted by annotation in its watch.{told(act)}"
    back = return_to(observed, spec, former, Reason.ABORTED, message, acts=(act,))
    return _in_its_time(observed, spec, stable, back)


def end_by_command(observed: Observed) -> Plan | None:
    """A person has seen enough: the former pods go; None where nothing is watched."""
    status = observed.status
    if status.phase is not Phase.PROMOTED or status.watch is None or status.stable is None:
        return None
    act = act_of(observed, "promote")
    message = clip(f"The watch of {status.stable.uri} was ended by annotation.{told(act)}")
    history = tuple(
        e.model_copy(update={"acts": with_act(e.acts, act)}) if e.attempt == status.attempt else e
        for e in status.history
    )
    handled = (*status.handled_commands, "promote")
    ended = end_watch(observed, handled_commands=handled, history=history)
    return replace(ended, events=(EventToPost("Normal", Reason.PROMOTED_BY_COMMAND, message),))


def in_size(observed: Observed, status: Status) -> Status:
    """The former pods are as many as the spec asks for, or as its autoscaler has given stable."""
    former, spec = status.former, observed.spec
    if former is None or spec is None or status.phase not in KEEPS:
        return status
    full = full_size(replace(observed, status=status), spec)
    sized = former.model_copy(update={"replicas": full})
    retiring = tuple(sized if r.revision == former.revision else r for r in status.retiring)
    return status if sized == former else status.model_copy(update={"retiring": retiring})


KEEPS = frozenset({Phase.PROMOTED, Phase.PENDING, Phase.INVALID, Phase.ROLLED_BACK})
"""Phases in which the former pods are kept: no attempt is under way."""


def without_former(status: Status) -> Status:
    """The status without a watch whose time was over while something else was asked for."""
    over = status.watch is not None and status.phase in KEEPS and status.former is None
    if not over:
        return status
    evidence = without_watch(status.evidence)
    return status.model_copy(update={"watch": None, "evidence": evidence})


def kept_until(spec: Spec, status: Status, replaced: Revision) -> datetime | None:
    """Until when the pods of a replaced revision are spared, for a watch; None for no longer than
    any.
    """
    watch = status.watch
    if watch is None or watch.former != replaced.revision:
        return None
    return watch_ends(spec, watch)


def is_watch_news(observed: Observed, plan: Plan) -> bool | None:
    """Whether new figures of a watch are written; None where nothing is watched, or more than
    figures is new.
    """
    before, after = observed.status, plan.status
    quiet = {"gates": (), "evidence": ()}
    if before.watch is None or before.model_copy(update=quiet) != after.model_copy(update=quiet):
        return None
    words = [[(g.metric, g.measurement) for g in of.gates] for of in (before, after)]
    if words[0] != words[1]:
        return True
    newest = max((g.at for g in before.gates), default=before.watch.since)
    if before.evidence != after.evidence:
        # The same sums, of later counters: what came between was passed over, for good.
        sums = [[(e.gate, e.total, e.predicted) for e in of.evidence] for of in (before, after)]
        return sums[0] == sums[1] or observed.now - newest >= WRITTEN
    return observed.now - newest >= FIGURES
