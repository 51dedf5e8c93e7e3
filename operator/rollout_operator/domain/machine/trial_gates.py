"""The gates of a trial, measured once, and the figures that status keeps of them."""

from dataclasses import replace
from datetime import datetime

from rollout_operator.domain.api.analysis import Gate, Metric
from rollout_operator.domain.api.gate_results import EvidenceStatus, GateStatus, Measurement
from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import MOST_EVIDENCE, Revision, ScaleUp, Status
from rollout_operator.domain.api.words import Phase
from rollout_operator.domain.gates.disagreement import measure_disagreement
from rollout_operator.domain.gates.gate_status import Trial
from rollout_operator.domain.gates.input_drift import measure_drift
from rollout_operator.domain.gates.labelled_gate import measure_labels
from rollout_operator.domain.gates.load import Arms, measure_under_load
from rollout_operator.domain.gates.prediction_shift import measure_shift
from rollout_operator.domain.gates.readings import KINDS
from rollout_operator.domain.machine.decision import candidate_of, workload_of
from rollout_operator.domain.machine.schedule import step_due
from rollout_operator.domain.observed import Observed
from rollout_operator.domain.shadow import shadow_of


def measure_gates(
    observed: Observed, spec: Spec, since: datetime
) -> tuple[tuple[GateStatus, ...], tuple[EvidenceStatus, ...]]:
    """All gates of this look, and the evidence to go on with; the newest evidence stands first."""
    status, gates = observed.status, list[GateStatus]()
    evidence = status.evidence
    possible = [
        g for g in spec.analysis.gates if status.stable is not None or not _needs_traffic(g)
    ]
    trial = Trial(
        candidate_of(observed),
        status.stable,
        since,
        observed.now,
        # Of the whole trial: they share the chance of a wrong rollback over all of its steps.
        max(1, sum(g.labelled for g in possible)),
        status.percent,
    )
    copied = shadow_of(spec, status) is not None
    for gate in (g for g in possible if not waits_for_traffic(g, spec, status)):
        answer, baseline = observed.answers.get(gate.name), observed.baseline.get(gate.name)
        if gate.metric is Metric.INPUT_DRIFT:
            gates.append(measure_drift(gate, answer, trial))
            continue
        if gate.metric is Metric.DISAGREEMENT:
            measured, counted = measure_disagreement(
                gate, baseline, trial, evidence, copied=copied, trouble=observed.uncopied
            )
        elif gate.labelled:
            measure = measure_shift if gate.metric is Metric.PREDICTION_SHIFT else measure_labels
            measured, counted = measure(gate, answer, baseline, trial, evidence)
        else:
            known = next((g for g in status.gates if g.is_of(gate)), None)
            arms = Arms(answer, baseline, status.scale_up)
            gates.append(measure_under_load(gate, arms, trial, known))
            continue
        gates.append(measured)
        if counted is not None:
            others = tuple(
                e for e in evidence if (e.gate, e.subject) != (counted.gate, counted.subject)
            )
            evidence = (counted, *others)[:MOST_EVIDENCE]
    newest = {(e.gate, e.subject): e for e in evidence}
    in_place = tuple(
        newest.pop((e.gate, e.subject)) for e in status.evidence if (e.gate, e.subject) in newest
    )
    return tuple(gates), (*newest.values(), *in_place)


def scaled_up(observed: Observed) -> ScaleUp | None:
    """What the candidate is asked to have more than before, by whoever scales it.

    Pods that were Ready and are not any more are no scale-up: they may be the version's fault.
    """
    before, candidate = observed.status.scale_up, candidate_of(observed)
    workload = workload_of(observed, candidate)
    # An autoscaler takes a while to ask for the least that it is left.
    asked = max(workload.wanted, candidate.replicas)
    had = before.wanted if before is not None else candidate.replicas
    if asked > max(had, workload.ready):
        before = ScaleUp(wanted=asked, since=observed.now)
    elif before is not None and asked < had:
        before = before.model_copy(update={"wanted": asked})
    if before is not None and before.until is None and workload.ready >= before.wanted:
        before = before.model_copy(update={"until": observed.now})
    return before


def waits_for_traffic(gate: Gate, spec: Spec, status: Status) -> bool:
    """Whether the gate is of requests that this step gives the candidate none of: at weight 0 it
    gets copies alone, and a later step measures it.
    """
    if status.phase is not Phase.TRIAL or status.step is None or status.stable is None:
        return False
    alone = status.weight == 0 and shadow_of(spec, status) is not None
    return alone and gate.metric is not Metric.DISAGREEMENT and _needs_traffic(gate)


def _needs_traffic(gate: Gate) -> bool:
    return (
        gate.labelled
        or gate.against_stable
        or gate.metric is Metric.INPUT_DRIFT
        or KINDS[gate.metric].needs_traffic
    )


def marked_late(observed: Observed, spec: Spec, gate: GateStatus, since: datetime) -> GateStatus:
    """The measurement, marked where labels come too slowly for a verdict before maxHold is over."""
    ends = (
        observed.status.no_evidence_since or step_due(observed.status, spec, since)
    ) + spec.analysis.max_hold
    slow = gate.eta is not None and gate.eta > ends and gate.measurement is Measurement.NO_EVIDENCE
    return gate.model_copy(update={"late": True}) if slow else gate


def route_gate(observed: Observed, candidate: Revision) -> GateStatus:
    """A route that does not follow, as a gate that cannot be measured."""
    message = f"route: {observed.route_trouble}"[:512]
    unreachable = Measurement.UNREACHABLE
    return GateStatus(
        metric="route",
        threshold=0,
        measurement=unreachable,
        message=message,
        at=observed.now,
        revision=candidate.revision,
    )


def with_figures(
    observed: Observed, gates: tuple[GateStatus, ...], evidence: tuple[EvidenceStatus, ...]
) -> Observed:
    """What was observed, with these figures in its status."""
    return replace(
        observed, status=observed.status.model_copy(update={"gates": gates, "evidence": evidence})
    )


def in_words_of(
    kept: tuple[GateStatus, ...], gates: tuple[GateStatus, ...]
) -> tuple[GateStatus, ...]:
    """What is measured now, in the sentences that status has: no two sentences of one status differ
    in a number.
    """
    return tuple(
        gate.model_copy(update={"message": one.message})
        for one, gate in zip(kept, gates, strict=True)
    )


def keep_unchanged(
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
            gate.overloaded_since,
            gate.counted_from,
            counted,
        )

    known = {said(gate): gate for gate in before}
    return tuple(known.get(said(gate), gate) for gate in after)
