"""Why a rollout stands where it does: the operator's own decision, made on what its Prometheus says now. Nothing is written.

One look is gathered as the operator gathers it, and handed to the operator's `decide`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from rollout_cli.access import Access
from rollout_cli.exits import Refused
from rollout_cli.prometheus import Prometheus
from rollout_cli.rollout import Rollout
from rollout_operator.domain.decide import Plan, decide, trial_replicas
from rollout_operator.domain.gates import Trial, measure
from rollout_operator.domain.labelled import measure_labels
from rollout_operator.domain.names import REVISION, ROLLOUT
from rollout_operator.domain.observed import Answer, MetricsUnreachable, Observed, Series, Workload
from rollout_operator.domain.queries import query
from rollout_operator.domain.spec import Gate, Metric, Spec
from rollout_operator.domain.status import GateStatus, Phase, Revision


@dataclass(frozen=True, slots=True)
class Seen:
    """One gate: what status has of it (None: nothing yet), what it says now, the query and the series that it rests on."""

    gate: Gate
    written: GateStatus | None
    now: GateStatus
    query: str
    answer: Answer
    stable_query: str = ""


@dataclass(frozen=True, slots=True)
class Explained:
    """plan: what the operator would decide now; None where it measures nothing in this phase."""

    rollout: Rollout
    now: datetime
    gates: tuple[Seen, ...]
    plan: Plan | None


def explain(access: Access, prometheus: Prometheus, rollout: Rollout, spec: Spec) -> Explained:
    """Measure every gate now, for the candidate, or where there is none, for stable. Raises Unreachable without Prometheus."""
    status = rollout.status
    # By Prometheus' clock: this machine's may be wrong, and the operator's is not known here.
    now = datetime.fromtimestamp(prometheus.instant("vector(time())")[0][1], tz=UTC)
    subject = status.candidate or status.stable
    if subject is None:
        return Explained(rollout, now, (), None)
    metrics = sorted({gate.metric for gate in spec.analysis.gates})
    answers = {m: _answer(prometheus, m, rollout.namespace, subject) for m in metrics}
    baseline = {m: _answer(prometheus, m, rollout.namespace, status.stable) for m in metrics} if status.stable else {}
    plan = None
    if status.phase is Phase.TRIAL and status.candidate is not None:
        plan = decide(
            Observed(
                now=now,
                uid=rollout.raw["metadata"]["uid"],
                name=rollout.name,
                generation=rollout.generation,
                spec=spec,
                status=status,
                image=subject.image,
                workloads=_workloads(access, rollout, subject),
                answers=answers,
                baseline=baseline,
            )
        )
    trial = Trial(subject, status.stable, subject.ready_at or subject.since, now, _tests(spec), status.weight)
    seen = tuple(_seen(gate, rollout, trial, answers, baseline) for gate in spec.analysis.gates)
    return Explained(rollout, now, seen, plan)


def _tests(spec: Spec) -> int:
    return max(1, sum(gate.labelled for gate in spec.analysis.gates))


def _seen(gate: Gate, rollout: Rollout, trial: Trial, answers: Mapping[Metric, Answer], baseline: Mapping[Metric, Answer]) -> Seen:
    answer = answers[gate.metric]
    if gate.labelled:
        now, _ = measure_labels(gate, answer, baseline.get(gate.metric), trial, rollout.status.evidence)
    else:
        now = measure(gate, answer, baseline.get(gate.metric), trial)
    written = next(
        (g for g in rollout.status.gates if (g.metric, g.evidence, g.threshold) == (gate.metric, gate.evidence, gate.threshold)), None
    )
    against = gate.against_stable and trial.stable is not None and trial.stable.revision != trial.candidate.revision
    asked = query(gate.metric, namespace=rollout.namespace, revision=trial.candidate.revision)
    theirs = query(gate.metric, namespace=rollout.namespace, revision=trial.stable.revision) if against and trial.stable else ""
    return Seen(gate, written, now, asked, answer, theirs)


def _answer(prometheus: Prometheus, metric: Metric, namespace: str, revision: Revision | None) -> Answer:
    if revision is None:
        return ()
    snapshot = prometheus.snapshot(metric, namespace, revision.revision)
    return snapshot if isinstance(snapshot, MetricsUnreachable) else snapshot.get((namespace, revision.revision), ())


def _workloads(access: Access, rollout: Rollout, candidate: Revision) -> dict[str, Workload]:
    """Ready pods by revision; where one may not read Deployments, the candidate's are taken to be Ready, as its phase says."""
    try:
        found = access.items(f"/apis/apps/v1/namespaces/{rollout.namespace}/deployments", f"{ROLLOUT}={rollout.name}")
    except Refused:
        wanted = trial_replicas(rollout.spec, True) if rollout.spec is not None else 1
        return {candidate.revision: Workload(wanted, wanted)}
    return {
        one["metadata"]["labels"].get(REVISION, ""): Workload(
            int(one.get("status", {}).get("readyReplicas", 0)), int(one["spec"]["replicas"])
        )
        for one in found
    }


def newest(series: tuple[Series, ...]) -> datetime | None:
    """Time of the newest sample."""
    return datetime.fromtimestamp(max(s.at for s in series), tz=UTC) if series else None
