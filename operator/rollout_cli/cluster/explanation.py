"""Why a rollout stands where it does: the operator's own decision, made on what its Prometheus says
now. Nothing is written.

What the objects say is read by the operator's own `observe`; what the operator knows besides is
taken from what it noted in status. Both go to its `decide`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from rollout_cli.api.kubernetes import KubeApi
from rollout_cli.api.operator_deployment import OPERATOR, variables
from rollout_cli.api.prometheus import Prometheus
from rollout_cli.api.rollout import Rollout
from rollout_cli.exit_codes import Absent, Refused
from rollout_operator.domain.api.analysis import Gate, Metric
from rollout_operator.domain.api.gate_results import GateStatus
from rollout_operator.domain.api.names import ROLLOUT
from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import Revision, Status
from rollout_operator.domain.api.words import Phase
from rollout_operator.domain.gates.disagreement import measure_disagreement
from rollout_operator.domain.gates.gate_status import Trial
from rollout_operator.domain.gates.input_drift import measure_drift
from rollout_operator.domain.gates.labelled_gate import measure_labels
from rollout_operator.domain.gates.load import Arms, measure_under_load
from rollout_operator.domain.gates.prediction_shift import measure_shift
from rollout_operator.domain.gates.promql import Snapshot, own_form, query, series_of
from rollout_operator.domain.gates.samples import LONGEST_WINDOW, learned
from rollout_operator.domain.gates.watched_gate import Watched, is_watched, measure_watched
from rollout_operator.domain.machine.decide import decide
from rollout_operator.domain.machine.decision import Plan
from rollout_operator.domain.machine.sizes import trial_replicas
from rollout_operator.domain.machine.transitions import AT_REST
from rollout_operator.domain.machine.watch import watched_as
from rollout_operator.domain.observe import observe
from rollout_operator.domain.observed import (
    DRAIN,
    LONG_AGO,
    Answer,
    MetricsUnreachable,
    Observed,
    Series,
    Workload,
)
from rollout_operator.domain.own_metrics import OwnMetric, OwnMetrics
from rollout_operator.domain.own_metrics import configured_metrics as metrics_of
from rollout_operator.domain.owned_object import OwnedObject
from rollout_operator.domain.rollout import Rollout as ReadRollout
from rollout_operator.domain.shadow import shadow_of
from rollout_operator.domain.windows import ConfiguredWindow, for_namespace, windows


@dataclass(frozen=True, slots=True)
class GateExplanation:
    """One gate, and what it rests on."""

    gate: Gate
    """As the spec has it."""
    written: GateStatus | None
    """What status has of it; None where it was not measured in this attempt."""
    measured: GateStatus
    """What it says now."""
    query: str
    """The operator's query, for this revision; of a metric of the configuration, for all."""
    answer: Answer
    """Its series."""
    stable_query: str = ""
    """The same of stable; "" where the gate does not compare with it."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a rollout stands where it does."""

    rollout: Rollout
    """As read before Prometheus was asked."""
    now: datetime
    """By Prometheus' clock."""
    gates: tuple[GateExplanation, ...]
    """In the spec's order; empty where there is neither candidate nor stable."""
    plan: Plan | None
    """What the operator would decide now, with what it noted down when it last looked; None at
    rest, and where that is not known.
    """


DECIDED = frozenset({Phase.TRIAL, Phase.PROMOTING, Phase.SHIFTING})
"""Phases whose next step rests on what can be seen from here: gates, pods that are Ready, and what
status says of the route.
"""


def explain(kube: KubeApi, prometheus: Prometheus, rollout: Rollout, spec: Spec) -> Explanation:
    """Measure every gate now, for the candidate, or where there is none, for stable. Raises
    Unreachable without Prometheus.
    """
    status = rollout.status
    # By Prometheus' clock: this machine's may be wrong, and the operator's is not known here.
    now = datetime.fromtimestamp(prometheus.instant("vector(time())")[0][1], tz=UTC)
    subject = status.candidate or status.stable
    if subject is None:
        return Explanation(rollout, now, (), None)
    own = configured_metrics(_operator(kube))
    answers = _query(prometheus, rollout, spec, subject, now, own)
    plan = None
    watched = None
    if status.watched and status.watch is not None:
        watched = watched_as(spec, status.watch, subject, now)
    if watched is not None or (status.phase in DECIDED and status.candidate is not None):
        plan = decide(observation(kube, rollout, spec, answers, now))
    trial = Trial(
        subject,
        status.stable,
        subject.ready_at or subject.since,
        now,
        _tests(spec),
        status.percent,
    )
    gates = tuple(
        _explain_gate(gate, rollout, trial, answers, watched, own) for gate in spec.analysis.gates
    )
    return Explanation(rollout, now, gates, plan)


@dataclass(frozen=True, slots=True)
class MetricAnswers:
    """What Prometheus said, by the names of metrics."""

    answers: Mapping[str, Answer]
    """Of the candidate."""
    baseline: Mapping[str, Answer]
    """Of stable."""
    windows: Mapping[str, float]
    """How far the queries looked back, in seconds; of metrics that are built in."""


def observation(
    kube: KubeApi, rollout: Rollout, spec: Spec, answers: MetricAnswers, now: datetime
) -> Observed:
    """All that the operator's look has, from the object, its Deployments, Prometheus, and what the
    operator noted in status.
    """
    status, operator = rollout.status, _operator(kube)
    candidate = status.candidate or status.stable
    # What the operator holds against the spec as it stands is not all in the spec: another rollout
    # may have its host.
    invalid = status.invalid if rollout.is_observed else ""
    deployments = _deployments(kube, rollout)
    own = observe(
        ReadRollout(
            rollout.raw,
            None if invalid else spec,
            invalid,
            status,
            windows=for_namespace(configured(operator), rollout.namespace),
        ),
        deployments or (),
        now,
        operator.get("INFERENCE_IMAGE") or (candidate.image if candidate else ""),
        _drain(operator),
        names_verified=operator.get("REQUESTER_POLICY", "") == "true",
    )
    return replace(
        own,
        workloads=own.workloads if deployments is not None else _ready(spec, status),
        # The registry is not asked from here: what an alias names by now, or a new version is, the
        # operator finds out first.
        resolution=None,
        inspection=None,
        # Nor is a proof asked for where it is not: an attempt that is under way had it.
        proof=None,
        route_trouble=status.waits_for,
        unaccepted=status.unrouted.message if status.unrouted is not None else "",
        # Routers are asked by the operator alone; a first deploy and what is promoted wait for it,
        # and neither is decided here.
        heard=None,
        # Whether pods could be told to copy requests words a sentence, and decides nothing.
        uncopied="",
        # The same of what they answered otherwise: it is shown.
        differences=(),
        # Nor does anybody else see how they follow: the time is shown that they have at most.
        applied_at=LONG_AGO,
        followed=None,
        apart=own.apart,
        # What others' routes are on the host stands in status as a sentence, and what it holds is
        # in the route's trouble.
        claims=(),
        api_rejection=status.api_rejection,
        api_rejection_now=status.api_rejection,
        # On the way it stands in status only where another's object has a name.
        name_taken=bool(status.api_rejection) and status.phase not in AT_REST,
        scaled=status.scaled,
        unscaled=status.unscaled,
        affinity=status.affinity,
        # What a profile changes of pods that serve is no part of a verdict.
        profile=None,
        answers=answers.answers,
        baseline=answers.baseline,
        # It moves the next look, and no verdict.
        asked_at=None,
        # Verdicts told to the registry: a number in status, and no decision.
        reported=frozenset(),
        # Messages follow from what is decided, and nothing from them.
        outbox=None,
        # A status that was removed is made anew from the objects before anything is explained.
        recovered=None,
        also_running=(),
    )


def _operator(kube: KubeApi) -> Mapping[str, str]:
    """The operator's variables; empty where one may not read its Deployment."""
    try:
        found = kube.items("/apis/apps/v1/deployments", OPERATOR)
    except (Refused, Absent):
        return {}
    return variables(found[0]) if found else {}


def configured(operator: Mapping[str, str]) -> tuple[ConfiguredWindow, ...]:
    """The windows among the operator's variables; none where one may not read them."""
    return windows(operator.get("ROLLOUT_WINDOWS", ""))


def configured_metrics(operator: Mapping[str, str]) -> OwnMetrics:
    """The metrics among the operator's variables; none where one may not read them."""
    return metrics_of(operator)


def _own(prometheus: Prometheus, own: OwnMetric | None) -> Snapshot | MetricsUnreachable:
    if own is None:
        return MetricsUnreachable(
            "how it is asked for stands in the operator's Deployment, which you may not read, or"
            " not any more"
        )
    return prometheus.own_snapshot(own)


def _of(snapshot: Snapshot | MetricsUnreachable, rollout: Rollout, revision: Revision) -> Answer:
    if isinstance(snapshot, MetricsUnreachable):
        return snapshot
    return series_of(snapshot, rollout.namespace, rollout.name, revision.revision)


def _drain(operator: Mapping[str, str]) -> timedelta:
    text = operator.get("ROUTER_DRAIN_SECONDS", "")
    return timedelta(seconds=int(text)) if text.isdigit() else DRAIN


def _query(  # noqa: PLR0917
    prometheus: Prometheus,
    rollout: Rollout,
    spec: Spec,
    subject: Revision,
    now: datetime,
    own: OwnMetrics,
) -> MetricAnswers:
    """Ask twice: how far scrapes are apart decides how far the operator looks back."""
    answers, baseline, windows = (
        dict[str, Answer](),
        dict[str, Answer](),
        dict[str, float](),
    )
    stable = rollout.status.stable
    for name in sorted({gate.name for gate in spec.analysis.gates if gate.metric is Metric.OWN}):
        snapshot = _own(prometheus, own.by_name.get(name))
        answers[name] = _of(snapshot, rollout, subject)
        if stable is not None:
            baseline[name] = _of(snapshot, rollout, stable)
    built_in = {gate.metric for gate in spec.analysis.gates if gate.metric is not Metric.OWN}
    for metric in sorted(built_in):
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
    return MetricAnswers(answers, baseline, windows)


def _tests(spec: Spec) -> int:
    return max(1, sum(gate.labelled for gate in spec.analysis.gates))


def _explain_gate(  # noqa: PLR0917
    gate: Gate,
    rollout: Rollout,
    trial: Trial,
    answers: MetricAnswers,
    watched: Watched | None,
    own: OwnMetrics,
) -> GateExplanation:
    answer, baseline, window = (
        answers.answers[gate.name],
        answers.baseline.get(gate.name),
        answers.windows.get(gate.name, 0.0),
    )
    known = next((known for known in rollout.status.gates if known.is_of(gate)), None)
    if watched is not None and is_watched(gate):
        now, _ = measure_watched(gate, answer, watched, rollout.status.evidence)
    elif gate.metric is Metric.INPUT_DRIFT:
        now = measure_drift(gate, answer, trial)
    elif gate.metric is Metric.DISAGREEMENT:
        copied = rollout.spec is not None and shadow_of(rollout.spec, rollout.status) is not None
        now, _ = measure_disagreement(gate, baseline, trial, rollout.status.evidence, copied=copied)
    elif gate.labelled:
        measure = measure_shift if gate.metric is Metric.PREDICTION_SHIFT else measure_labels
        now, _ = measure(gate, answer, baseline, trial, rollout.status.evidence)
    else:
        arms = Arms(answer, baseline, rollout.status.scale_up)
        now = measure_under_load(gate, arms, trial, known)
    against = (
        gate.against_stable
        and trial.stable is not None
        and trial.stable.revision != trial.candidate.revision
    )
    if gate.metric is Metric.OWN:
        asked = own.by_name.get(gate.name)
        return GateExplanation(gate, known, now, own_form(asked)["query"] if asked else "", answer)
    ours = query(
        gate.metric, window, namespace=rollout.namespace, revision=trial.candidate.revision
    )
    theirs = (
        query(gate.metric, window, namespace=rollout.namespace, revision=trial.stable.revision)
        if against and trial.stable
        else ""
    )
    return GateExplanation(gate, known, now, ours, answer, theirs)


def _answer(
    prometheus: Prometheus, metric: Metric, window: float, namespace: str, revision: Revision
) -> Answer:
    snapshot = prometheus.snapshot(metric, window, namespace, revision.revision)
    return (
        snapshot
        if isinstance(snapshot, MetricsUnreachable)
        else snapshot.get((namespace, revision.revision), ())
    )


def _deployments(kube: KubeApi, rollout: Rollout) -> list[OwnedObject] | None:
    """The rollout's Deployments; None where one may not read them."""
    path = f"/apis/apps/v1/namespaces/{rollout.namespace}/deployments"
    try:
        found = kube.items(path, f"{ROLLOUT}={rollout.name}")
    except Refused:
        return None
    return [OwnedObject.read("Deployment", raw) for raw in found]


def _ready(spec: Spec, status: Status) -> dict[str, Workload]:
    """The pods of stable and of the candidate, as the phase says that they are."""
    pods = dict[str, int]()
    if status.stable is not None:
        pods[status.stable.revision] = status.replicas or spec.replicas
    if status.candidate is not None:
        pods[status.candidate.revision] = (
            trial_replicas(spec, True, status.step)
            if spec.autoscaling is None
            else status.candidate.replicas
        )
    return {revision: Workload(count, count) for revision, count in pods.items()}


def newest(series: tuple[Series, ...]) -> datetime | None:
    """Time of the newest sample."""
    return datetime.fromtimestamp(max(s.at for s in series), tz=UTC) if series else None
