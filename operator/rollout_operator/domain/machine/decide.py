"""The rollout engine: what follows from one look at a rollout. Pure; `now` and every answer come in
with the look.

One call makes at most one transition between phases, so that each decision is durable in status
before the world moves.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, assert_never
from zlib import crc32

from rollout_operator.domain.api.api_types import parse_duration
from rollout_operator.domain.api.conditions import conditions
from rollout_operator.domain.api.names import GROUP
from rollout_operator.domain.api.spec import AdvanceOn, Gate, OnFailure, OnNoEvidence, Spec
from rollout_operator.domain.api.status import (
    Attempt,
    EvidenceStatus,
    GateStatus,
    Measurement,
    Phase,
    Reason,
    Rejected,
    Revision,
    Shortage,
    Status,
    Verdict,
)
from rollout_operator.domain.api.traffic import Provider
from rollout_operator.domain.gates.histogram import bounds
from rollout_operator.domain.gates.labelled_gate import measure_labels
from rollout_operator.domain.gates.reported_gate import KINDS, Trial, measure
from rollout_operator.domain.observed import (
    DigestMissing,
    NotFound,
    NotReady,
    Observed,
    RegistryUnreachable,
    Resolved,
    Workload,
)
from rollout_operator.domain.revision import revision_of, same_model, serves, tries
from rollout_operator.domain.route import closed, looks, routed
from rollout_operator.domain.signature_compat import incompatibility
from rollout_operator.domain.verdicts import ended_attempt, promotion

REGISTRY_RETRY = timedelta(seconds=5)
INVALID_RETRY = timedelta(seconds=30)
ALIAS_RETRY = timedelta(seconds=30)
READINESS_LOOK = timedelta(seconds=10)
MAX_SETBACKS = 3
MOST_EVIDENCE = 20
MOST_HISTORY = 10
MESSAGE_LENGTH = 1000
FIGURES_AGE = timedelta(seconds=60)
"""How old the figures in status may be while nothing follows from newer ones."""

ON_TRIAL = frozenset({Phase.STARTING, Phase.TRIAL, Phase.PROMOTING, Phase.SHIFTING})
"""Phases of an attempt that can still be taken back without touching the stable Service."""
COMMITTED = frozenset({Phase.SWITCHING, Phase.SETTLING})
"""Phases in which the stable Service already selects the candidate."""
CANDIDATE_RUNS = ON_TRIAL | COMMITTED | {Phase.ROLLING_BACK}
"""Phases in which the candidate has pods."""
AT_REST = frozenset({Phase.PROMOTED, Phase.ROLLED_BACK, Phase.INVALID})
INCONCLUSIVE = frozenset({Reason.NO_EVIDENCE, Reason.INCONCLUSIVE})
"""Reasons to roll back that say nothing against the model, so that it may be tried again."""

COMMANDS = ("abort", "promote", "skip", "retry", "forget-evidence")
"""Verbs of the annotations `rollouts.mlops.dev/<verb>: "<attempt>"`, strongest first;
forget-evidence goes with retry.
"""


def commanded(annotations: Mapping[str, str]) -> dict[str, str]:
    """What a person commands by annotations: verbs, and the attempt that each is for."""
    return {
        verb: annotations[f"{GROUP}/{verb}"]
        for verb in COMMANDS
        if f"{GROUP}/{verb}" in annotations
    }


@dataclass(frozen=True, slots=True)
class EventToPost:
    """Something worth an Event: a transition and its reason."""

    kind: Literal["Normal", "Warning"]
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done: the next status, what to tell, and when to look again (None: only when
    something changes).
    """

    status: Status
    events: tuple[EventToPost, ...] = ()
    requeue_at: datetime | None = None


def decide(seen: Observed) -> Plan:
    """The plan that follows from `seen`. A status equal to the one seen means that there is nothing
    to write.
    """
    if seen.recovered is not None:
        # What the registry was told of attempts before counts for them, and for no new one of the
        # same number.
        known = {
            "stable": seen.recovered,
            "attempt": max({1, *seen.reported}),
            "attempt_since": seen.now,
        }
        seen = replace(seen, status=seen.status.model_copy(update=known))
    plan = _in_place(seen, _next(seen))
    return _finish(
        seen, plan if _is_news(seen, plan) else replace(plan, status=seen.status, events=())
    )


def needs_resolution(spec: Spec, status: Status) -> bool:
    """Whether the registry must be asked before `decide` can go on."""
    if status.phase in COMMITTED:
        return False
    return "@" in spec.model_uri or not (_asked_for(status, spec) or serves(status.stable, spec))


def needs_measurement(spec: Spec, status: Status) -> bool:
    """Whether the gates are to be measured at this look."""
    return status.phase is Phase.TRIAL and not status.halted and not spec.paused


def trial_replicas(spec: Spec, has_stable: bool) -> int:
    """Pods of a candidate on trial: enough for the greatest weight of its steps, all of them where
    nothing else serves.
    """
    share = max(step.weight for step in spec.strategy.steps) if has_stable else 100
    return max(1, math.ceil(spec.replicas * share / 100))


# --- the way through ---


def _next(seen: Observed) -> Plan:  # noqa: C901, PLR0911, PLR0912
    if seen.spec is None:
        return _stay(seen)
    spec, status = seen.spec, seen.status
    if (commanded := _command(seen, spec)) is not None:
        return commanded
    takes_back = status.phase is Phase.ROLLING_BACK
    if spec.paused and status.phase not in AT_REST and not takes_back:
        return _stay(seen, paused_since=status.paused_since or seen.now)
    if status.paused_since is not None and not (spec.paused and _resized(status, spec)):
        return _resume(seen)
    if spec.paused and takes_back:
        # Or an abort would never be done; what the spec asks for meanwhile begins when the pause is
        # over.
        return _rolling_back(seen, spec)
    if _redirected(seen, spec):
        return _redirect(seen, spec)
    match status.phase:
        case Phase.PENDING | Phase.INVALID:
            return _resolve(seen, spec)
        case Phase.STARTING:
            return _starting(seen, spec)
        case Phase.TRIAL:
            return _trial(seen, spec)
        case Phase.PROMOTING:
            return _promoting(seen, spec)
        case Phase.SHIFTING:
            return _shifting(seen, spec)
        case Phase.SWITCHING:
            return _switching(seen, spec)
        case Phase.SETTLING:
            return _settling(seen, spec)
        case Phase.ROLLING_BACK:
            return _rolling_back(seen, spec)
        case Phase.PROMOTED | Phase.ROLLED_BACK:
            return _stay(seen)
    assert_never(status.phase)


def _current(status: Status) -> Revision | None:
    """The revision that the attempt, or its outcome, is about."""
    if status.phase in CANDIDATE_RUNS or status.phase is Phase.ROLLED_BACK:
        return status.candidate
    return status.stable if status.phase is Phase.PROMOTED else None


def _asked_for(status: Status, spec: Spec) -> bool:
    """Whether what the attempt, or its outcome, is about is what the spec's own words ask for."""
    current = _current(status)
    return serves(current, spec) if status.phase is Phase.PROMOTED else tries(current, spec)


def _resized(status: Status, spec: Spec) -> bool:
    """Whether the model that is promoted is the one that the spec asks for, but with other
    resources.
    """
    return (
        status.phase is Phase.PROMOTED
        and serves(status.stable, spec)
        and not tries(status.stable, spec)
    )


def _redirected(seen: Observed, spec: Spec) -> bool:
    """Whether the spec, or the alias it names, asks for something else than what is under way."""
    current = _current(seen.status)
    if seen.status.phase in COMMITTED or current is None:
        return False
    moved = isinstance(seen.resolution, Resolved) and seen.resolution.uri != current.uri
    return not _asked_for(seen.status, spec) or moved


def _redirect(seen: Observed, spec: Spec) -> Plan:
    """Void the attempt under way: weight 0 at once; back to stable if that is what is asked for,
    else a new attempt.
    """
    status, stable, wanted = (
        seen.status,
        seen.status.stable,
        f"the spec now asks for {spec.model_uri}",
    )
    if stable is not None and serves(stable, spec) and not _alias_left(seen, stable):
        if status.phase in ON_TRIAL:
            return _roll_back(
                seen,
                Reason.RETURNED_TO_STABLE,
                f"Cancelled: {wanted}, which is stable.",
                Verdict.CANCELLED,
            )
        if status.phase is Phase.ROLLED_BACK:
            # The gates that status shows are the candidate's: none of them says anything of stable.
            return _enter(
                seen,
                Phase.PROMOTED,
                Reason.RETURNED_TO_STABLE,
                f"{stable.uri} is stable.",
                **_BLANK,
            )
        return _rolling_back(seen, spec)
    if status.phase in CANDIDATE_RUNS:
        verdict = status.verdict if status.phase is Phase.ROLLING_BACK else None
        if verdict is None:
            status = _closed(
                status, seen.now, Verdict.SUPERSEDED, Reason.SUPERSEDED, f"Superseded: {wanted}."
            )
        else:
            status = _closed(status, seen.now, verdict, status.reason, status.message)
        if status.candidate is not None:
            retired = status.candidate.model_copy(update={"since": seen.now})
            status = status.model_copy(update={"retiring": (retired, *status.retiring)})
    return _resolve(replace(seen, status=status.model_copy(update=_BLANK)), spec)


def _alias_left(seen: Observed, stable: Revision) -> bool:
    """Whether the alias leads elsewhere than to stable; where the registry does not say, it is
    where it last led.
    """
    if isinstance(seen.resolution, Resolved):
        return seen.resolution.uri != stable.uri
    candidate = seen.status.candidate
    return (
        candidate is not None
        and candidate.requested == stable.requested
        and candidate.uri != stable.uri
    )


_BLANK: dict[str, Any] = {
    "candidate": None,
    "step": None,
    "step_since": None,
    "weight": 0,
    "setbacks": 0,
    "gates": (),
    "no_evidence_since": None,
    "halted": False,
    "handled_commands": (),
    "verdict": None,
}
"""What an attempt leaves behind nothing of."""


def _resolve(seen: Observed, spec: Spec) -> Plan:
    """Find out which revision is asked for, and begin with it. What is stable already needs no
    registry.
    """
    stable = seen.status.stable
    if stable is not None and serves(stable, spec) and "@" not in spec.model_uri:
        return _enter(
            seen, Phase.PROMOTED, Reason.ALREADY_STABLE, f"{stable.uri} is stable.", **_BLANK
        )
    match seen.resolution:
        case None:
            return _enter(
                seen,
                Phase.PENDING,
                Reason.RESOLVING,
                f"Resolving {spec.model_uri}.",
                requeue_at=seen.now,
            )
        case RegistryUnreachable(message):
            return _enter(
                seen,
                Phase.PENDING,
                Reason.REGISTRY_UNREACHABLE,
                message,
                requeue_at=seen.now + REGISTRY_RETRY,
            )
        case NotFound(message):
            return _invalid(seen, Reason.MODEL_VERSION_NOT_FOUND, message)
        case NotReady(message):
            return _invalid(seen, Reason.MODEL_VERSION_NOT_READY, message)
        case DigestMissing(message):
            return _invalid(seen, Reason.DIGEST_MISSING, message)
        case Resolved() as resolved:
            if (
                stable is not None
                and not spec.allow_signature_change
                and (unfit := incompatibility(stable.signature, resolved.signature))
            ):
                message = (
                    f"{resolved.uri} does not fit the requests that {stable.uri} gets: {unfit} "
                    "Set allowSignatureChange: true to roll it out all the same."
                )
                return _invalid(seen, Reason.SIGNATURE_INCOMPATIBLE, message)
            return _begin(seen, spec, revision_of(resolved, spec, seen.uid, seen.image, seen.now))
    assert_never(seen.resolution)


def _invalid(seen: Observed, reason: Reason, message: str) -> Plan:
    return _enter(seen, Phase.INVALID, reason, message, requeue_at=seen.now + INVALID_RETRY)


def _begin(seen: Observed, spec: Spec, candidate: Revision) -> Plan:
    """Start the attempt for `candidate`, unless its outcome is known already."""
    status = seen.status
    if status.stable is not None and same_model(candidate, status.stable):
        stable = status.stable.model_copy(update={"requested": spec.model_uri})
        return _enter(
            seen,
            Phase.PROMOTED,
            Reason.ALREADY_STABLE,
            f"{stable.uri} is stable.",
            **_BLANK | {"stable": stable},
        )
    if (
        same := next(
            (
                r
                for r in status.retiring
                if same_model(r, candidate) and r.resources == candidate.resources
            ),
            None,
        )
    ) is not None:
        # Its pods may have been given these resources in place: then it is not called by what is
        # asked for.
        candidate = candidate.model_copy(update={"revision": same.revision})
    for rejected in status.rejected:
        if rejected.revision == candidate.revision:
            message = (
                f"{rejected.uri} was rolled back before ({rejected.message}) Annotate"
                " rollouts.mlops.dev/retry to try it again."
            )
            return _enter(
                seen,
                Phase.ROLLED_BACK,
                Reason.REJECTED_BEFORE,
                message,
                **_BLANK | {"candidate": candidate},
            )
    retiring = tuple(r for r in status.retiring if r.revision != candidate.revision)
    known = next((r for r in status.retiring if r.revision == candidate.revision), None)
    fresh = _BLANK | {
        "attempt": status.attempt + 1,
        "attempt_since": seen.now,
        "retiring": retiring,
    }
    if (
        known is not None
        and known.promoted
        and status.stable is not None
        and _workload(seen, candidate).ready >= spec.replicas
    ):
        restored = candidate.model_copy(
            update={"promoted": True, "ready_at": seen.now, "buckets": known.buckets}
        )
        message = f"Restoring {candidate.uri}: it was stable before and its pods still run."
        return _enter(
            seen, Phase.PROMOTING, Reason.RESTORED, message, **fresh | {"candidate": restored}
        )
    candidate = candidate.model_copy(
        update={"replicas": trial_replicas(spec, status.stable is not None)}
    )
    message = (
        f"Waiting for {_pods(candidate.replicas)} of {candidate.uri}, revision"
        f" {candidate.revision}."
    )
    return _enter(
        seen, Phase.STARTING, Reason.WAITING_FOR_PODS, message, **fresh | {"candidate": candidate}
    )


def _starting(seen: Observed, spec: Spec) -> Plan:
    candidate, status = _candidate(seen), seen.status
    workload = _workload(seen, candidate)
    if workload.ready >= candidate.replicas:
        ready = candidate.model_copy(update={"ready_at": seen.now})
        step = (status.step or 0) if status.stable is not None else None
        return _enter_step(seen, spec, step, candidate=ready)
    if (late := _overdue(seen, spec)) is not None:
        return late
    waiting = (
        f"Waiting for {_pods(candidate.replicas)} of {candidate.uri}, revision"
        f" {candidate.revision}."
    )
    message = f"{waiting} {workload.trouble}".strip()
    return _wait(seen, spec, Reason.WAITING_FOR_PODS, message)


def _trial(seen: Observed, spec: Spec) -> Plan:
    candidate, status = _candidate(seen), seen.status
    if status.halted:
        return _stay(seen)
    if _workload(seen, candidate).ready == 0:
        if status.setbacks >= MAX_SETBACKS:
            return _roll_back(
                seen,
                Reason.UNSTABLE,
                f"The pods of {candidate.uri} were lost {status.setbacks + 1} times.",
            )
        message = f"The pods of {candidate.uri} are not Ready any more; no traffic until they are."
        return _enter(
            seen,
            Phase.STARTING,
            Reason.WAITING_FOR_PODS,
            message,
            weight=0,
            setbacks=status.setbacks + 1,
        )
    since = max(filter(None, (candidate.ready_at, status.step_since)))
    gates, evidence = _measure(seen, spec, since)
    gates = tuple(_timed(seen, spec, gate, since) for gate in gates)
    late = [
        g
        for g in gates
        if g.late and not any(b.late and b.metric == g.metric for b in status.gates)
    ]
    more: tuple[GateStatus, ...] = ()
    if seen.route_trouble and seen.now >= min(since + seen.drain, _due(seen, spec, since)):
        # Without its share of requests a candidate proves nothing: as long as the router does not
        # follow, there is no evidence.
        more = (_no_route(seen, candidate),)
    seen = replace(
        seen,
        status=status.model_copy(update={"waits_for": _clip(seen.route_trouble) if more else ""}),
    )
    kept = _unless_same(status.gates, gates)
    plan = _weigh(
        _with_figures(seen, kept, evidence), spec, (*_in_words_of(kept, gates), *more), since
    )
    if _place(plan.status) != _place(status):
        # It is written anyway: with the figures that the step or the verdict rests on.
        gates = tuple(
            gate.model_copy(update={"at": one.at}) for one, gate in zip(kept, gates, strict=True)
        )
        plan = _weigh(_with_figures(seen, gates, evidence), spec, (*gates, *more), since)
    return replace(
        plan,
        events=(
            *plan.events,
            *(EventToPost("Warning", Reason.LABELS_TOO_SLOW, g.message) for g in late),
        ),
    )


def _with_figures(
    seen: Observed, gates: tuple[GateStatus, ...], evidence: tuple[EvidenceStatus, ...]
) -> Observed:
    return replace(
        seen, status=seen.status.model_copy(update={"gates": gates, "evidence": evidence})
    )


def _in_words_of(
    kept: tuple[GateStatus, ...], gates: tuple[GateStatus, ...]
) -> tuple[GateStatus, ...]:
    """What is measured now, in the sentences that status has: no two sentences of one status differ
    in a number.
    """
    return tuple(
        gate.model_copy(update={"message": one.message})
        for one, gate in zip(kept, gates, strict=True)
    )


def _place(status: Status) -> tuple[object, ...]:
    return status.phase, status.step, status.halted


def _no_route(seen: Observed, candidate: Revision) -> GateStatus:
    message = f"route: {seen.route_trouble}"[:512]
    unreachable = Measurement.UNREACHABLE
    return GateStatus(
        metric="route",
        threshold=0,
        measurement=unreachable,
        message=message,
        at=seen.now,
        revision=candidate.revision,
    )


def _measure(
    seen: Observed, spec: Spec, since: datetime
) -> tuple[tuple[GateStatus, ...], tuple[EvidenceStatus, ...]]:
    """All gates of this look, and the evidence to go on with; the newest evidence stands first."""
    status, gates = seen.status, list[GateStatus]()
    evidence = status.evidence
    used = [g for g in spec.analysis.gates if status.stable is not None or not _needs_traffic(g)]
    trial = Trial(
        _candidate(seen),
        status.stable,
        since,
        seen.now,
        max(1, sum(g.labelled for g in used)),
        status.weight,
    )
    for gate in used:
        answer, baseline = seen.answers.get(gate.metric), seen.baseline.get(gate.metric)
        if not gate.labelled:
            gates.append(measure(gate, answer, baseline, trial))
            continue
        measured, counted = measure_labels(gate, answer, baseline, trial, evidence)
        gates.append(measured)
        if counted is not None:
            others = tuple(
                e for e in evidence if (e.gate, e.subject) != (counted.gate, counted.subject)
            )
            evidence = (counted, *others)[:MOST_EVIDENCE]
    known = {(e.gate, e.subject): e for e in evidence}
    in_place = tuple(
        known.pop((e.gate, e.subject)) for e in status.evidence if (e.gate, e.subject) in known
    )
    return tuple(gates), (*known.values(), *in_place)


def _needs_traffic(gate: Gate) -> bool:
    return gate.labelled or gate.against_stable or KINDS[gate.metric].needs_traffic


def _timed(seen: Observed, spec: Spec, gate: GateStatus, since: datetime) -> GateStatus:
    """The measurement, marked where labels come too slowly for a verdict before maxHold is over."""
    ends = (seen.status.no_evidence_since or _due(seen, spec, since)) + parse_duration(
        spec.analysis.max_hold
    )
    slow = gate.eta is not None and gate.eta > ends and gate.measurement is Measurement.NO_EVIDENCE
    return gate.model_copy(update={"late": True}) if slow else gate


def _due(seen: Observed, spec: Spec, since: datetime) -> datetime:
    """When the step may end: after its hold, or as soon as the evidence allows it."""
    step = seen.status.step
    return (
        since
        if step is None or spec.strategy.advance_on is AdvanceOn.EVIDENCE
        else since + _hold(spec, step)
    )


def _weigh(seen: Observed, spec: Spec, gates: tuple[GateStatus, ...], since: datetime) -> Plan:
    """What the gates together say of the attempt."""
    due = _due(seen, spec, since)
    failed = [g for g in gates if g.measurement is Measurement.FAIL]
    if failed:
        return _failed(seen, spec, _candidate(seen), failed)
    silent = [g for g in gates if g.measurement is not Measurement.PASS]
    if silent and _evidence_allows(seen, spec, silent):
        return _advance(seen, spec, Reason.MEASURING, "")
    if silent:
        return _without_evidence(seen, spec, due, silent)
    if seen.now < due:
        return _stay(
            seen,
            Reason.MEASURING,
            _step_message(seen, spec, gates),
            requeue_at=min(due, _tick(seen, spec)),
            no_evidence_since=None,
        )
    return _advance(
        seen,
        spec,
        Reason.GATES_PASSED,
        "; ".join(g.message for g in gates) or "no gate needs measuring",
    )


def _evidence_allows(seen: Observed, spec: Spec, silent: list[GateStatus]) -> bool:
    """Whether step k of n may end before the verdict: every gate that is undecided has k/n of the
    evidence it needs to pass.
    """
    step, steps = seen.status.step, len(spec.strategy.steps)
    if spec.strategy.advance_on is not AdvanceOn.EVIDENCE or step is None or step + 1 >= steps:
        return False
    measured = all(g.evidence_for is not None and not g.inconclusive for g in silent)
    return measured and all((g.evidence_for or 0.0) >= (step + 1) / steps for g in silent)


def _failed(seen: Observed, spec: Spec, candidate: Revision, failed: list[GateStatus]) -> Plan:
    said = "; ".join(g.message for g in failed)
    if spec.analysis.on_failure is OnFailure.PAUSE:
        return _halt(
            seen,
            Reason.GATE_FAILED,
            f"{candidate.uri} failed: {said}. Paused; annotate abort, retry or promote.",
        )
    return _roll_back(seen, Reason.GATE_FAILED, f"{candidate.uri} failed: {said}.")


def _without_evidence(seen: Observed, spec: Spec, due: datetime, silent: list[GateStatus]) -> Plan:
    """Hold; once the step is due, hold for `maxHold` at most, then do as `onNoEvidence` says."""
    said = "; ".join(g.message for g in silent)
    undecided = [g for g in silent if g.inconclusive]
    if undecided and len(undecided) == len(silent):
        return _given_up(seen, spec, Reason.INCONCLUSIVE, f"No verdict after maxSamples: {said}.")
    if seen.now < due:
        return _stay(
            seen,
            Reason.MEASURING,
            f"Measuring: {said}.",
            requeue_at=min(due, _tick(seen, spec)),
            no_evidence_since=None,
        )
    waiting_since = seen.status.no_evidence_since or seen.now
    give_up = waiting_since + parse_duration(spec.analysis.max_hold)
    if seen.now < give_up:
        message = f"Holding at weight {seen.status.weight}: {said}."
        requeue_at = min(give_up, _tick(seen, spec))
        return _stay(
            seen,
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
    return _given_up(seen, spec, reason, f"No evidence for {spec.analysis.max_hold}: {said}.")


def _given_up(seen: Observed, spec: Spec, reason: Reason, verdict: str) -> Plan:
    """Do as `onNoEvidence` says."""
    match spec.analysis.on_no_evidence:
        case OnNoEvidence.ROLLBACK:
            return _roll_back(seen, reason, verdict)
        case OnNoEvidence.PAUSE:
            return _halt(seen, reason, f"{verdict} Paused; annotate abort, retry or promote.")
        case OnNoEvidence.PROMOTE:
            return _advance(
                seen,
                spec,
                reason,
                f"{verdict} Going on because onNoEvidence is Promote, which voids the guarantee",
            )
    assert_never(spec.analysis.on_no_evidence)


def _advance(seen: Observed, spec: Spec, reason: Reason, message: str) -> Plan:
    """The next step, or promotion after the last one."""
    step = seen.status.step
    if step is not None and step + 1 < len(spec.strategy.steps):
        return _enter_step(seen, spec, step + 1, no_evidence_since=None)
    return _promote(seen, spec, reason, f"Promoting {_candidate(seen).uri}: {message}.")


def _promote(seen: Observed, spec: Spec, reason: Reason, message: str) -> Plan:
    """The verdict; what there is nothing to do for (size, weight) is not waited for either."""
    candidate = _candidate(seen)
    full = candidate.model_copy(update={"replicas": spec.replicas})
    verdict: dict[str, Any] = {
        "candidate": full,
        "no_evidence_since": None,
        "verdict": Verdict.PROMOTED,
        "halted": False,
    }
    if candidate == full and _workload(seen, full).ready >= full.replicas:
        return _take_over(seen, reason, message, **verdict)
    return _enter(seen, Phase.PROMOTING, reason, message, **verdict)


def _promoting(seen: Observed, spec: Spec) -> Plan:
    candidate = _candidate(seen)
    if _workload(seen, candidate).ready < candidate.replicas:
        return _overdue(seen, spec) or _wait(seen, spec)
    return _take_over(seen, seen.status.reason, f"{candidate.uri} is Ready in full size.")


def _take_over(seen: Observed, reason: Reason, message: str, **verdict: Any) -> Plan:
    """A candidate of full size gets all requests, and then the stable Service; the host of a first
    deploy has nobody else.
    """
    status = seen.status
    if status.stable is None:
        return _enter(seen, Phase.SWITCHING, reason, f"{message} Opening the host.", **verdict)
    drained = (
        status.weight == 100
        and status.step_since is not None
        and seen.now >= status.step_since + seen.drain
    )
    if drained and not seen.route_trouble:
        return _enter(
            seen,
            Phase.SWITCHING,
            reason,
            f"{message} The stable Service selects its pods.",
            **verdict,
        )
    return _enter(
        seen, Phase.SHIFTING, reason, f"{message} All requests go to it.", weight=100, **verdict
    )


def _shifting(seen: Observed, spec: Spec) -> Plan:
    candidate = _candidate(seen)
    if _workload(seen, candidate).ready == 0:
        return _roll_back(
            seen, Reason.UNSTABLE, f"The pods of {candidate.uri} were lost while it took over."
        )
    if seen.now < (drained := _since(seen) + seen.drain):
        return _stay(seen, requeue_at=drained)
    if _workload(seen, candidate).ready < candidate.replicas or seen.route_trouble:
        return _overdue(seen, spec) or _wait(seen, spec)
    return _enter(
        seen,
        Phase.SWITCHING,
        seen.status.reason,
        f"The stable Service selects the pods of {candidate.uri}.",
    )


def _switching(seen: Observed, spec: Spec) -> Plan:
    """Wait until the stable Service has the candidate's endpoints and no others."""
    candidate = _candidate(seen)
    shut = seen.status.stable is None and closed(seen)
    if seen.stable_endpoints != {candidate.revision} or shut:
        return _overdue(seen, spec) or _wait(seen, spec)
    if seen.status.stable is None:
        return _promoted(seen)
    if seen.now < (drained := _since(seen) + seen.drain):
        return _stay(seen, requeue_at=drained)
    if spec.traffic.provider is Provider.INGRESS:
        # Nobody tells when a canary Ingress is closed: its Service is kept until the old pods go,
        # and that is long enough.
        return _promoted(seen)
    return _enter(
        seen,
        Phase.SETTLING,
        seen.status.reason,
        f"{candidate.uri} answers as stable; closing the canary route.",
        weight=0,
    )


def _settling(seen: Observed, spec: Spec) -> Plan:
    follows = _router_follows(seen, spec)
    return _stay(seen, requeue_at=follows) if seen.now < follows else _promoted(seen)


def _router_follows(seen: Observed, spec: Spec) -> datetime:
    """When no request comes by an older weight any more: after the drain; a router that tells is
    waited for, up to progressDeadline.
    """
    drained = _since(seen) + seen.drain
    return max(drained, _deadline(seen, spec)) if seen.route_trouble else drained


def _promoted(seen: Observed) -> Plan:
    status, candidate = seen.status, _candidate(seen)
    message = promotion(status)
    stable = candidate.model_copy(update={"since": seen.now, "promoted": True})
    closed = _closed(status, seen.now, Verdict.PROMOTED, status.reason, message)
    retiring = status.retiring
    if status.stable is not None:
        retiring = (
            status.stable.model_copy(update={"since": seen.now, "replicas": stable.replicas}),
            *retiring,
        )
    # What was counted for the version that is stable now has done its work.
    evidence = tuple(
        e
        for e in status.evidence
        if e.subject not in {f"{candidate.uri} {candidate.digest}", candidate.revision}
    )
    kept = _BLANK | {
        "stable": stable,
        "retiring": retiring,
        "history": closed.history,
        "gates": status.gates,
        "evidence": evidence,
    }
    return _enter(seen, Phase.PROMOTED, status.reason, message, **kept)


def _rolling_back(seen: Observed, spec: Spec) -> Plan:
    """Keep the candidate's pods until no request can reach them; then they go."""
    status, candidate = seen.status, _candidate(seen)
    if seen.now < (follows := _router_follows(seen, spec)):
        return _stay(seen, requeue_at=follows)
    if status.verdict is Verdict.CANCELLED:
        closed = _closed(status, seen.now, Verdict.CANCELLED, status.reason, status.message)
        return _enter(
            seen,
            Phase.PROMOTED,
            status.reason,
            status.message,
            **_BLANK | {"history": closed.history},
        )
    closed = _closed(status, seen.now, Verdict.ROLLED_BACK, status.reason, status.message)
    ended = {
        "history": closed.history,
        "rejected": closed.rejected,
        "candidate": candidate,
        "gates": status.gates,
    }
    return _enter(seen, Phase.ROLLED_BACK, status.reason, status.message, **_BLANK | ended)


# --- commands and pauses ---


def _command(seen: Observed, spec: Spec) -> Plan | None:
    """What a person commands for this very attempt, if it can still be done; abort is stronger than
    the others.
    """
    status = seen.status
    given = [
        v
        for v in COMMANDS
        if seen.commands.get(v) == str(status.attempt)
        and status.attempt
        and v not in status.handled_commands
    ]
    tried = status.phase is Phase.TRIAL
    for verb in given:
        if verb == "abort" and status.phase in ON_TRIAL:
            return _roll_back(
                seen, Reason.ABORTED, f"{_candidate(seen).uri} was aborted by annotation."
            )
        if verb == "promote" and tried:
            message = f"Promoting {_candidate(seen).uri} by annotation, whatever the gates say."
            return _promote(seen, spec, Reason.PROMOTED_BY_COMMAND, message)
        if verb == "skip" and tried and not status.halted and not spec.paused:
            skipped = replace(
                seen,
                status=status.model_copy(
                    update={"handled_commands": (*status.handled_commands, "skip")}
                ),
            )
            return _advance(
                skipped, spec, Reason.PROMOTED_BY_COMMAND, "the step was skipped by annotation"
            )
        if verb == "retry" and (status.phase is Phase.ROLLED_BACK or status.halted):
            return _retry(seen, spec)
        if late := _too_late(status, verb):
            return _unheeded(seen, verb, late)
    return None


def _too_late(status: Status, verb: str) -> str:
    """What to do instead of a command that comes after its attempt; "" where it is as good as done,
    or may still be.
    """
    match status.phase, verb:
        case Phase.ROLLED_BACK, "promote" | "skip":
            return (
                f"To {verb} it all the same, annotate retry first, then {verb} with the number of"
                " the new attempt."
            )
        case Phase.PROMOTED, "abort":
            return (
                "It is promoted already: to go back, write the version before into spec.modelUri."
            )
    return ""


def _unheeded(seen: Observed, verb: str, instead: str) -> Plan:
    """Say once that a command comes too late, and what helps."""
    status = seen.status
    message = _clip(f"{status.message} {instead}".strip())
    said = status.model_copy(
        update={"message": message, "handled_commands": (*status.handled_commands, verb)}
    )
    return Plan(
        said,
        (EventToPost("Warning", status.reason, f"{verb} comes too late. {message}"),),
        seen.now,
    )


def _retry(seen: Observed, spec: Spec) -> Plan:
    candidate, status = _candidate(seen), seen.status
    if status.phase in CANDIDATE_RUNS:
        status = _closed(status, seen.now, Verdict.SUPERSEDED, status.reason, status.message)
    forgiven = tuple(r for r in status.rejected if r.revision != candidate.revision)
    again = replace(seen, status=status.model_copy(update={"rejected": forgiven}))
    if seen.commands.get("forget-evidence") == str(status.attempt):
        again = replace(
            again,
            status=again.status.model_copy(
                update={"evidence": _forgotten(status.evidence, candidate)}
            ),
        )
    if status.phase is Phase.ROLLED_BACK:
        # The registry is asked again: its digest, or what its alias names, may have been mended
        # since.
        return _resolve(replace(again, status=again.status.model_copy(update=_BLANK)), spec)
    pods = {"image": seen.image, "buckets": bounds(spec.analysis.gates)}
    fresh = candidate.model_copy(update={"since": seen.now, "ready_at": None, **pods})
    return _begin(again, spec, fresh)


def _forgotten(
    evidence: tuple[EvidenceStatus, ...], candidate: Revision
) -> tuple[EvidenceStatus, ...]:
    """The evidence without what was counted for the candidate; its counters stay, so that old
    labels are not counted again.
    """
    mine = {f"{candidate.uri} {candidate.digest}", candidate.revision}
    blank: dict[str, Any] = {
        "good": 0.0,
        "total": 0.0,
        "before": 0.0,
        "squares": 0.0,
        "scrapes": 0,
        "above": (),
        "below": (),
    }
    return tuple(e.model_copy(update=blank) if e.subject in mine else e for e in evidence)


def _halt(seen: Observed, reason: Reason, message: str) -> Plan:
    return _enter(seen, Phase.TRIAL, reason, message, halted=True, kind="Warning")


def _resume(seen: Observed) -> Plan:
    """Go on after a pause: every clock that ran when it began is set forward by its length."""
    status = seen.status
    if status.paused_since is None:
        return _stay(seen)
    slept = seen.now - status.paused_since
    clocks = {
        name: getattr(status, name) for name in ("phase_since", "step_since", "no_evidence_since")
    }
    moved: dict[str, Any] = {
        name: clock + slept if clock is not None else None for name, clock in clocks.items()
    }
    return _stay(seen, requeue_at=seen.now, paused_since=None, **moved)


# --- small parts ---


def _enter(
    seen: Observed,
    phase: Phase,
    reason: Reason,
    message: str,
    *,
    requeue_at: datetime | None = None,
    kind: str = "",
    **changes: Any,
) -> Plan:
    """Go to `phase` (its clock starts anew only when it differs) and tell why; look again at once
    unless said otherwise.
    """
    status, now = seen.status, seen.now
    entered = phase is not status.phase or status.phase_since is None
    warns = phase in {Phase.ROLLING_BACK, Phase.ROLLED_BACK, Phase.INVALID} or kind == "Warning"
    told = (entered or reason is not status.reason or changes.get("halted")) and _worth_an_event(
        status, phase, reason, changes
    )
    update: dict[str, Any] = {
        "phase": phase,
        "reason": reason,
        "message": _clip(message),
        **changes,
    }
    if entered:
        update["phase_since"] = now
    event = EventToPost("Warning" if warns else "Normal", reason, _clip(message))
    resting = phase in AT_REST and requeue_at is None
    return Plan(
        status.model_copy(update=update),
        (event,) if told else (),
        requeue_at if requeue_at or resting else now,
    )


def _worth_an_event(before: Status, phase: Phase, reason: Reason, changes: dict[str, Any]) -> bool:
    """Verdicts and trouble are; steps and phases on the way stand in status and metrics."""
    match phase:
        case Phase.PROMOTED | Phase.ROLLING_BACK | Phase.INVALID:
            return True
        case Phase.STARTING:
            return "setbacks" in changes and changes["setbacks"] > 0
        case Phase.ROLLED_BACK:
            return before.phase is not Phase.ROLLING_BACK
        case Phase.PENDING:
            return reason is Reason.REGISTRY_UNREACHABLE
    return bool(changes.get("halted"))


def _enter_step(seen: Observed, spec: Spec, step: int | None, **changes: Any) -> Plan:
    weight = 0 if step is None else spec.strategy.steps[step].weight
    placed = {
        **changes,
        "step": step,
        "step_since": seen.now,
        "weight": weight,
        "phase": Phase.TRIAL,
    }
    moved = replace(seen, status=seen.status.model_copy(update=placed))
    entered: dict[str, Any] = (
        {"phase_since": seen.now} if seen.status.phase is not Phase.TRIAL else {}
    )
    # With the figures as they stand: the next look says the same where they have not changed, and
    # what says nothing new is not written.
    message = _step_message(
        moved, spec, moved.status.gates if seen.status.phase is Phase.TRIAL else ()
    )
    return _enter(
        moved,
        Phase.TRIAL,
        Reason.MEASURING,
        message,
        requeue_at=min(_tick(seen, spec), _due(moved, spec, seen.now)),
        **entered,
    )


def _roll_back(
    seen: Observed, reason: Reason, message: str, verdict: Verdict = Verdict.ROLLED_BACK
) -> Plan:
    entered: dict[str, Any] = {
        "weight": 0,
        "verdict": verdict,
        "halted": False,
        "no_evidence_since": None,
        "paused_since": None,
    }
    return _enter(seen, Phase.ROLLING_BACK, reason, message, **entered)


def _stay(
    seen: Observed,
    reason: Reason | None = None,
    message: str = "",
    *,
    requeue_at: datetime | None = None,
    **changes: Any,
) -> Plan:
    if reason is not None:
        changes |= {"reason": reason, "message": _clip(message)}
    return Plan(seen.status.model_copy(update=changes), (), requeue_at)


def _wait(seen: Observed, spec: Spec, reason: Reason | None = None, message: str = "") -> Plan:
    """Wait for pods or endpoints; look at times, because an event may have been lost."""
    return _stay(
        seen, reason, message, requeue_at=min(_deadline(seen, spec), seen.now + READINESS_LOOK)
    )


def _overdue(seen: Observed, spec: Spec) -> Plan | None:
    """Roll back where the phase has lasted longer than progressDeadline."""
    if seen.now < _deadline(seen, spec):
        return None
    candidate = _candidate(seen)
    trouble = _workload(seen, candidate).trouble or closed(seen) or "its pods did not become Ready"
    message = (
        f"{candidate.uri} made no progress in phase {seen.status.phase} for"
        f" {spec.strategy.progress_deadline}: {trouble}"
    )
    return _roll_back(seen, Reason.PROGRESS_DEADLINE_EXCEEDED, message)


def _closed(
    status: Status, now: datetime, verdict: Verdict, reason: Reason, message: str
) -> Status:
    """The status with its attempt entered into history, and into memory of the rejected where it
    belongs there.
    """
    candidate = status.candidate
    if candidate is None:
        return status
    ended = ended_attempt(status, candidate, verdict, reason, message, at=now)
    rejected = status.rejected
    if verdict is Verdict.ROLLED_BACK and reason not in INCONCLUSIVE:
        entry = Rejected(
            revision=candidate.revision, uri=candidate.uri, reason=reason, message=message, at=now
        )
        rejected = (entry, *(r for r in rejected if r.revision != candidate.revision))[:20]
    return status.model_copy(
        update={"history": _kept((ended, *status.history)), "rejected": rejected}
    )


def _kept(history: tuple[Attempt, ...]) -> tuple[Attempt, ...]:
    """The last ten attempts; of those before the newest, what was given up without a verdict makes
    room first, the oldest of it.
    """
    if len(history) <= MOST_HISTORY:
        return history
    void = [e for e in history[1:] if e.verdict in {Verdict.SUPERSEDED, Verdict.CANCELLED}]
    goes = void[-1] if void else history[-1]
    return tuple(e for e in history if e is not goes)


def _finish(seen: Observed, plan: Plan) -> Plan:
    """Let go of revisions whose time is over, stamp generation and conditions, and see that nothing
    is looked at too late.
    """
    status, now, requeue_at = plan.status, seen.now, plan.requeue_at
    if seen.spec is not None:
        delay = max(parse_duration(seen.spec.strategy.scale_down_delay), seen.drain)
        retiring = tuple(r for r in status.retiring if now < r.since + delay)[:20]
        follow = (
            (seen.now + ALIAS_RETRY,)
            if "@" in seen.spec.model_uri and status.phase in AT_REST
            else ()
        )
        requeue_at = min(
            filter(None, (requeue_at, *follow, *(r.since + delay for r in retiring))), default=None
        )
        if retiring != status.retiring:
            status = status.model_copy(update={"retiring": retiring})
    # What retires soon is written then, and this with it.
    waits = bool(status.retiring) and status == seen.status
    if seen.reported and (told := max(seen.reported)) > status.reported and not waits:
        status = status.model_copy(update={"reported": told})
    # A field of its own: reason and message belong to what is under way, and are needed again when
    # the spec is right again.
    told_of = {
        "invalid": _clip(seen.spec_error),
        "api_rejection": _api_rejection(seen, status),
        "scaled": _clip(seen.scaled),
    }
    status = status.model_copy(update={k: v for k, v in told_of.items() if v != getattr(status, k)})
    if (
        status.phase is not Phase.TRIAL
        and (waits_for := _waits_for(seen, status)) != status.waits_for
    ):
        status = status.model_copy(update={"waits_for": waits_for})
    if seen.api_rejection or seen.api_rejection_now:
        requeue_at = min(filter(None, (requeue_at, now + INVALID_RETRY)))
    if (shortage := _shortage(seen, status)) != status.shortage:
        status = status.model_copy(update={"shortage": shortage})
    if shortage is not None and seen.spec is not None and not shortage.stalled:
        moments = (
            shortage.since + READINESS_LOOK,
            shortage.since + parse_duration(seen.spec.strategy.progress_deadline),
        )
        requeue_at = min(filter(None, (requeue_at, *(m for m in moments if m > now))), default=None)
    status = routed(seen, status)
    requeue_at = min(filter(None, (requeue_at, *looks(seen, status, READINESS_LOOK))), default=None)
    status = status.model_copy(update={"observed_generation": seen.generation})
    status = status.model_copy(update={"conditions": conditions(status, now)})
    by_others = (
        (Reason.HOST_SHARED, status.shared, seen.status.shared),
        (Reason.SCALED_BY_ANOTHER, status.scaled, seen.status.scaled),
    )
    news = (
        EventToPost("Warning", reason, said)
        for reason, said, before in by_others
        if said and said != before
    )
    return replace(plan, status=status, requeue_at=requeue_at, events=(*plan.events, *news))


def _api_rejection(seen: Observed, status: Status) -> str:
    """What the API server says against an object, where it is to be said.

    On the way it holds the attempt like any trouble of the route; what has come to rest must not
    look well. Another's object of the name does not go by itself, and is told at once. What comes
    to rest meanwhile has never looked well; what was well is given a while.
    """
    if status.phase not in AT_REST and not seen.name_taken:
        return ""
    at_once = seen.status.phase not in AT_REST or bool(seen.status.api_rejection)
    return _clip(seen.api_rejection or (seen.api_rejection_now if at_once else ""))


def _waits_for(seen: Observed, status: Status) -> str:
    """What the route has been waited for, on the way, for longer than a router takes to follow; for
    people, who cannot ask it.
    """
    waits = (
        status.phase in CANDIDATE_RUNS
        and seen.now - (status.phase_since or seen.now) >= READINESS_LOOK
    )
    return _clip(closed(seen)) if waits else ""


def _in_place(seen: Observed, plan: Plan) -> Plan:
    """What is promoted gets the resources of the spec: its Deployment stays, and replaces its pods
    one by one, but in no pause.
    """
    spec, stable = seen.spec, plan.status.stable
    if spec is None or stable is None or not _resized(plan.status, spec):
        return plan
    if spec.paused:
        return replace(
            plan,
            status=plan.status.model_copy(
                update={"paused_since": plan.status.paused_since or seen.now}
            ),
        )
    resized = stable.model_copy(update={"resources": spec.resources})
    return replace(
        plan, status=plan.status.model_copy(update={"stable": resized}), requeue_at=seen.now
    )


def _shortage(seen: Observed, status: Status) -> Shortage | None:
    """What is promoted must serve now: which of the pods that the spec asks for are not Ready,
    since when, and why.
    """
    if status.phase is not Phase.PROMOTED or status.stable is None:
        return None
    if seen.spec is None:
        return status.shortage
    workload, wanted = _workload(seen, status.stable), seen.spec.replicas
    same = (
        r
        for r in (seen.status.stable, seen.status.candidate)
        if r is not None and r.revision == status.stable.revision
    )
    # By this very status: none of its pods has them yet, whatever the Deployment says.
    resized = any(r.resources != status.stable.resources for r in same)
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
    since = before.since if before is not None else seen.now
    stalled = seen.now >= since + parse_duration(seen.spec.strategy.progress_deadline)
    trouble = workload.trouble or seen.api_rejection
    message = _clip(
        f"{count} of {_pods(wanted)} of {status.stable.uri} {'is' if wanted == 1 else 'are'}"
        f" Ready{how}. {trouble}".strip()
    )
    if not trouble and before is not None and (before.ready, before.wanted) == (count, wanted):
        # Pods are asked why only now and then; what they said then still stands.
        message = before.message
    return Shortage(ready=count, wanted=wanted, since=since, stalled=stalled, message=message)


def _unless_same(
    before: tuple[GateStatus, ...], after: tuple[GateStatus, ...]
) -> tuple[GateStatus, ...]:
    """The new measurements, but the old entry where it says the same: a status that says nothing
    new is not written.
    """

    def said(gate: GateStatus) -> tuple[object, ...]:
        why = gate.message if gate.value is None else ""
        # New labels are written with the evidence that they are; then the sentences tell of the
        # same ones.
        counted = (gate.samples, gate.coverage) if gate.evidence_for is not None else None
        value = gate.value and float(f"{gate.value:.3g}")
        return (
            gate.metric,
            gate.threshold,
            gate.measurement,
            gate.revision,
            value,
            why,
            gate.late,
            counted,
        )

    known = {said(gate): gate for gate in before}
    return tuple(known.get(said(gate), gate) for gate in after)


def _said(status: Status) -> list[tuple[object, ...]]:
    return [
        (g.metric, g.evidence, g.measurement, g.revision, g.inconclusive, g.late)
        for g in status.gates
    ]


_FIGURES = {"gates": (), "message": "", "observed_generation": 0}


def _is_news(seen: Observed, plan: Plan) -> bool:
    """Whether a status that differs in measured figures alone is written.

    A value that wanders within its gate is written once in FIGURES_AGE, and one that the end of the
    step will write soon is not: a thousand rollouts would cost a thousand writes in every interval.
    """
    before, after = seen.status, plan.status
    if (
        before.model_copy(update=_FIGURES) != after.model_copy(update=_FIGURES)
        or before.phase is not Phase.TRIAL
        or seen.spec is None
    ):
        return True
    if before.gates and seen.now - max(g.at for g in before.gates) >= FIGURES_AGE:
        return True
    if _said(after) == _said(before):
        return False
    interval = parse_duration(seen.spec.analysis.interval)
    soon = (
        before.step_since is not None
        and _due(seen, seen.spec, before.step_since) - seen.now <= 2 * interval
    )
    failing = any(g.measurement is Measurement.UNREACHABLE for g in after.gates)
    return failing or not (
        soon or all(g.measurement is Measurement.NO_EVIDENCE for g in after.gates)
    )


def _step_message(seen: Observed, spec: Spec, gates: tuple[GateStatus, ...]) -> str:
    status, candidate = seen.status, _candidate(seen)
    said = "; ".join(g.message for g in _unless_same(status.gates, gates))
    if status.step is None:
        return (
            f"{candidate.uri} is Ready; measuring before the host"
            f" answers{': ' + said if said else ''}."
        )
    place = f"Step {status.step + 1} of {len(spec.strategy.steps)}"
    return (
        f"{place}: {status.weight} % of requests go to"
        f" {candidate.uri}{'; ' + said if said else ''}."
    )


def _candidate(seen: Observed) -> Revision:
    if seen.status.candidate is None:
        raise ValueError(f"status.candidate is missing in phase {seen.status.phase}")
    return seen.status.candidate


def _workload(seen: Observed, revision: Revision) -> Workload:
    return seen.workloads.get(revision.revision, Workload(ready=0, wanted=0))


def _since(seen: Observed) -> datetime:
    return seen.status.phase_since or seen.now


def _deadline(seen: Observed, spec: Spec) -> datetime:
    return _since(seen) + parse_duration(spec.strategy.progress_deadline)


def _hold(spec: Spec, step: int) -> timedelta:
    return parse_duration(spec.strategy.steps[min(step, len(spec.strategy.steps) - 1)].hold)


def beat(spec: Spec) -> float:
    """Seconds between two groups of looks of this interval: a power of two from 1 to 8, at most a
    quarter of the interval.

    Rollouts of one group are measured together, by one query, and those of all intervals share a
    beat. All rollouts at once would make a thousand writes at the same moment.
    """
    interval = parse_duration(spec.analysis.interval).total_seconds()
    return float(min(8, 2 ** math.floor(math.log2(max(1.0, interval / 4)))))


def interval_since(uid: str, spec: Spec, now: datetime) -> datetime:
    """When the present interval of the rollout with this uid began: uids fall into groups."""
    interval, apart = parse_duration(spec.analysis.interval).total_seconds(), beat(spec)
    own = apart * (crc32(uid.encode()) % int(interval // apart))
    return datetime.fromtimestamp(
        math.floor((now.timestamp() - own) / interval) * interval + own, tz=UTC
    )


def _tick(seen: Observed, spec: Spec) -> datetime:
    """The next look at the metrics."""
    return interval_since(seen.uid, spec, seen.now) + parse_duration(spec.analysis.interval)


def _pods(count: int) -> str:
    return "1 pod" if count == 1 else f"{count} pods"


def _clip(message: str) -> str:
    return message if len(message) <= MESSAGE_LENGTH else message[: MESSAGE_LENGTH - 1] + "…"
