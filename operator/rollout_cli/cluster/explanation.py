"""Why a rollout stands where it does: the operator's own decision, made on what its Prometheus says
now. Nothing is written.

One look is gathered as the operator gathers it, and handed to the operator's `decide`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rollout_cli.api.kubernetes import KubeApi
from rollout_cli.api.operator_deployment import OPERATOR, variables
from rollout_cli.api.prometheus import Prometheus
from rollout_cli.api.rollout import Rollout
from rollout_cli.exit_codes import Absent, Refused
from rollout_operator.domain.api.names import REVISION, ROLLOUT
from rollout_operator.domain.api.spec import Gate, Metric, Spec
from rollout_operator.domain.api.status import GateStatus, Phase, Revision
from rollout_operator.domain.gates.gate_status import Trial
from rollout_operator.domain.gates.labelled_gate import measure_labels
from rollout_operator.domain.gates.promql import query
from rollout_operator.domain.gates.reported_gate import measure
from rollout_operator.domain.gates.samples import LONGEST_WINDOW, learned
from rollout_operator.domain.machine.commands import commanded
from rollout_operator.domain.machine.decide import decide
from rollout_operator.domain.machine.decision import Plan
from rollout_operator.domain.machine.pending import trial_replicas
from rollout_operator.domain.machine.transitions import AT_REST
from rollout_operator.domain.observed import (
    DRAIN,
    Answer,
    MetricsUnreachable,
    Observed,
    Series,
    Workload,
)


@dataclass(frozen=True, slots=True)
class Seen:
    """One gate: what status has of it (None: nothing yet), what it says now, the query and the
    series that it rests on.
    """

    gate: Gate
    written: GateStatus | None
    now: GateStatus
    query: str
    answer: Answer
    stable_query: str = ""


@dataclass(frozen=True, slots=True)
class Explained:
    """plan: what the operator would decide now, with what it noted down when it last looked; None
    at rest, and where that is not known.
    """

    rollout: Rollout
    now: datetime
    gates: tuple[Seen, ...]
    plan: Plan | None


DECIDED = frozenset({Phase.TRIAL, Phase.PROMOTING, Phase.SHIFTING})
"""Phases whose next step rests on what can be seen from here: gates, pods that are Ready, and what
status says of the route.
"""


def explain(kube: KubeApi, prometheus: Prometheus, rollout: Rollout, spec: Spec) -> Explained:
    """Measure every gate now, for the candidate, or where there is none, for stable. Raises
    Unreachable without Prometheus.
    """
    status = rollout.status
    # By Prometheus' clock: this machine's may be wrong, and the operator's is not known here.
    now = datetime.fromtimestamp(prometheus.instant("vector(time())")[0][1], tz=UTC)
    subject = status.candidate or status.stable
    if subject is None:
        return Explained(rollout, now, (), None)
    asked = _asked(prometheus, rollout, spec, subject, now)
    plan = None
    if status.phase in DECIDED and status.candidate is not None:
        plan = decide(observation(kube, rollout, spec, asked, now))
    trial = Trial(
        subject, status.stable, subject.ready_at or subject.since, now, _tests(spec), status.weight
    )
    seen = tuple(_seen(gate, rollout, trial, asked) for gate in spec.analysis.gates)
    return Explained(rollout, now, seen, plan)


@dataclass(frozen=True, slots=True)
class Asked:
    """What Prometheus said of candidate and stable, and how far the queries looked back, in
    seconds, by metric.
    """

    answers: Mapping[Metric, Answer]
    baseline: Mapping[Metric, Answer]
    windows: Mapping[Metric, float]


def observation(
    kube: KubeApi, rollout: Rollout, spec: Spec, asked: Asked, now: datetime
) -> Observed:
    """All that the operator's look has, from the object, its Deployments, Prometheus, and what the
    operator noted in status.
    """
    status, operator = rollout.status, _operator(kube)
    candidate = status.candidate or status.stable
    # What the operator holds against the spec as it stands is not all in the spec: another rollout
    # may have its host.
    invalid = status.invalid if rollout.seen else ""
    return Observed(
        now=now,
        uid=rollout.raw["metadata"]["uid"],
        name=rollout.name,
        generation=rollout.generation,
        spec=None if invalid else spec,
        spec_error=invalid,
        status=status,
        image=operator.get("INFERENCE_IMAGE") or (candidate.image if candidate else ""),
        commands=commanded(rollout.raw["metadata"].get("annotations") or {}),
        # The registry is not asked from here: what an alias names by now, or a new version is, the
        # operator finds out first.
        resolution=None,
        workloads=_workloads(kube, rollout, candidate) if candidate else {},
        # Looked at in phase Switching alone, which is not decided here.
        stable_endpoints=frozenset(),
        route_trouble=status.waits_for,
        unaccepted=status.unrouted.message if status.unrouted is not None else "",
        # Routers are asked by the operator alone; a first deploy and what is promoted wait for it,
        # and neither is decided here.
        heard=None,
        # What others' routes are on the host stands in status as a sentence, and what it holds is
        # in the route's trouble.
        claims=(),
        api_rejection=status.api_rejection,
        api_rejection_now=status.api_rejection,
        # On the way it stands in status only where another's object has a name.
        name_taken=bool(status.api_rejection) and status.phase not in AT_REST,
        scaled=status.scaled,
        answers=asked.answers,
        baseline=asked.baseline,
        # Verdicts told to the registry: a number in status, and no decision.
        reported=frozenset(),
        drain=_drain(operator),
        # A status that was removed is made anew from the objects before anything is explained.
        recovered=None,
    )


def _operator(kube: KubeApi) -> Mapping[str, str]:
    """The operator's variables; empty where one may not read its Deployment."""
    try:
        found = kube.items("/apis/apps/v1/deployments", OPERATOR)
    except (Refused, Absent):
        return {}
    return variables(found[0]) if found else {}


def _drain(operator: Mapping[str, str]) -> timedelta:
    text = operator.get("ROUTER_DRAIN_SECONDS", "")
    return timedelta(seconds=int(text)) if text.isdigit() else DRAIN


def _asked(
    prometheus: Prometheus, rollout: Rollout, spec: Spec, subject: Revision, now: datetime
) -> Asked:
    """Ask twice: how far scrapes are apart decides how far the operator looks back."""
    answers, baseline, windows = (
        dict[Metric, Answer](),
        dict[Metric, Answer](),
        dict[Metric, float](),
    )
    stable = rollout.status.stable
    for metric in sorted({gate.metric for gate in spec.analysis.gates}):
        window = LONGEST_WINDOW.total_seconds()
        for _ in range(2):
            answers[metric] = _answer(prometheus, metric, window, rollout.namespace, subject)
            if stable is not None:
                baseline[metric] = _answer(prometheus, metric, window, rollout.namespace, stable)
            windows[metric] = window
            found = [
                s
                for a in (answers[metric], baseline.get(metric, ()))
                if not isinstance(a, MetricsUnreachable)
                for s in a
            ]
            if (needed := learned(found, window, now.timestamp())) == window:
                break
            window = needed
    return Asked(answers, baseline, windows)


def _tests(spec: Spec) -> int:
    return max(1, sum(gate.labelled for gate in spec.analysis.gates))


def _seen(gate: Gate, rollout: Rollout, trial: Trial, asked: Asked) -> Seen:
    answer, baseline, window = (
        asked.answers[gate.metric],
        asked.baseline.get(gate.metric),
        asked.windows[gate.metric],
    )
    if gate.labelled:
        now, _ = measure_labels(gate, answer, baseline, trial, rollout.status.evidence)
    else:
        now = measure(gate, answer, baseline, trial)
    written = next(
        (
            g
            for g in rollout.status.gates
            if (g.metric, g.evidence, g.threshold) == (gate.metric, gate.evidence, gate.threshold)
        ),
        None,
    )
    against = (
        gate.against_stable
        and trial.stable is not None
        and trial.stable.revision != trial.candidate.revision
    )
    ours = query(
        gate.metric, window, namespace=rollout.namespace, revision=trial.candidate.revision
    )
    theirs = (
        query(gate.metric, window, namespace=rollout.namespace, revision=trial.stable.revision)
        if against and trial.stable
        else ""
    )
    return Seen(gate, written, now, ours, answer, theirs)


def _answer(
    prometheus: Prometheus, metric: Metric, window: float, namespace: str, revision: Revision
) -> Answer:
    snapshot = prometheus.snapshot(metric, window, namespace, revision.revision)
    return (
        snapshot
        if isinstance(snapshot, MetricsUnreachable)
        else snapshot.get((namespace, revision.revision), ())
    )


def _workloads(kube: KubeApi, rollout: Rollout, candidate: Revision) -> dict[str, Workload]:
    """Ready pods by revision; where one may not read Deployments, the candidate's are taken to be
    Ready, as its phase says.
    """
    try:
        found = kube.items(
            f"/apis/apps/v1/namespaces/{rollout.namespace}/deployments", f"{ROLLOUT}={rollout.name}"
        )
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
