"""The operator's own metrics: what it did, and where each rollout stands."""

from collections import Counter as Counts
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, cast

from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from rollout_operator.domain.api.gate_results import gate_names
from rollout_operator.domain.api.status import Status
from rollout_operator.domain.api.words import Phase, Reason, Verdict

Key = tuple[str, str]
"""Namespace and name of a ModelRollout."""

API_REQUESTS = Counter(
    "modelrollout_api_requests",
    "Requests to the API server, without watches",
    ["verb", "resource", "code"],
)
PROMETHEUS_QUERIES = Counter(
    "modelrollout_prometheus_queries", "Queries to Prometheus", ["metric", "outcome"]
)
REGISTRY_REQUESTS = Counter(
    "modelrollout_registry_requests", "Requests to the model registry", ["outcome"]
)
RECONCILE_SECONDS = Histogram("modelrollout_reconcile_seconds", "Seconds that one reconcile took")
RECONCILE_ERRORS = Counter(
    "modelrollout_reconcile_errors", "Reconciles that failed and are retried", ["kind"]
)
DECISION_LAG = Histogram(
    "modelrollout_decision_lag_seconds",
    "Seconds from when a rollout was due until its reconcile had succeeded",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
QUEUE_DEPTH = Gauge(
    "modelrollout_queue_depth", "Depth of the work queue: rollouts waiting for or in a reconcile"
)
QUEUE_WAIT = Gauge(
    "modelrollout_queue_wait_seconds",
    "Seconds for which the rollout that waits longest for its reconcile has been due",
)
ROUTER_LAG = Histogram(
    "modelrollout_router_lag_seconds",
    "Seconds from a decision about the routes until a router was seen to follow",
    ["provider", "router"],
    buckets=(0.25, 0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10),
)
DRAINS = Histogram(
    "modelrollout_drain_seconds",
    "Seconds that a phase waited for routers, by whether requests showed that they follow",
    ["phase", "known"],
    buckets=(1, 2, 4, 5, 6, 7, 8, 9, 10, 15, 30, 60, 600),
)
MISSED_EVENTS = Counter(
    "modelrollout_missed_events",
    "Changes that the watches had missed and a resync found",
)
MESSAGES = Counter(
    "modelrollout_messages",
    "Messages by what became of them: delivered, failed (tried again), given_up or dropped",
    ["destination", "outcome"],
)
MESSAGE_OUTCOMES = ("delivered", "failed", "given_up", "dropped")
MESSAGES_PENDING = Gauge(
    "modelrollout_messages_pending", "Messages that wait to be sent", ["destination"]
)
MESSAGES_OLDEST = Gauge(
    "modelrollout_messages_oldest_seconds",
    "Age of the oldest message that waits to be sent, 0 for none",
    ["destination"],
)
ROLLOUTS = Gauge("modelrollout_rollouts", "ModelRollouts in the cache")
TASKS = Gauge("modelrollout_tasks", "asyncio tasks of the process")
TRANSITIONS = Counter("modelrollout_transitions", "Phases entered", ["phase", "reason"])


class _Gate(NamedTuple):
    """What is told of one gate."""

    name: str
    """The metric, with a number from the second of its evidence on."""
    evidence: str
    """Of which kind it is."""
    value: float | None
    """None where there is none."""
    threshold: float
    """What the value is held against."""
    lower: float | None
    """The lower end of the interval in which the value lies; None where nothing tells one."""
    upper: float | None
    """The upper end, likewise."""


@dataclass(slots=True)
class _Shown:
    """Where one rollout stands."""

    phase: str
    """As in status."""
    weight: int
    """The candidate's share of requests, in percent."""
    gates: tuple[_Gate, ...]
    """The last measurements."""
    attempts: tuple[int, ...] = (0,) * len(Verdict)
    """Ended attempts, in the order of Verdict."""
    missing: int = 0
    """Pods that a promoted rollout lacks."""
    held: str = ""
    """Why it goes no further though its gates let it: paused, frozen, or a person is waited for; ""
    where it is not so.
    """
    stalled: str = ""
    """The reason of the condition Stalled; "" where it is not True."""


_shown: dict[Key, _Shown] = {}
_Values = Callable[[_Shown], Iterable[tuple[tuple[str, ...], float]]]


@dataclass(frozen=True)
class _Samples:
    """The samples of one metric of all rollouts, made while read: there may be 100,000."""

    name: str
    """Of each sample; of a counter with _total."""
    labels: tuple[str, ...]
    """Label names after namespace and name."""
    values: _Values
    """Of one rollout: the labels' values, in the same order, and the sample's."""

    def __iter__(self) -> Iterator[Sample]:
        names = ("namespace", "name", *self.labels)
        for key, one in list(_shown.items()):
            for labels, value in self.values(one):
                yield Sample(
                    self.name, dict(zip(names, (*key, *labels), strict=True)), float(value)
                )


def _family(
    name: str, documentation: str, kind: str, labels: tuple[str, ...], values: _Values
) -> Metric:
    family = Metric(name, documentation, kind)
    family.samples = cast(
        "list[Sample]", _Samples(f"{name}_total" if kind == "counter" else name, labels, values)
    )
    return family


_VERDICTS = [(verdict.value,) for verdict in Verdict]
"""A counter that is born with its first increment shows none: rate() needs the 0 before, so all are
there from the start.
"""
_GATE = ("gate", "evidence")
FAMILIES = (
    _family(
        "modelrollout_attempts",
        "Attempts ended",
        "counter",
        ("verdict",),
        lambda one: zip(_VERDICTS, one.attempts, strict=True),
    ),
    _family(
        "modelrollout_phase",
        "1 for the phase that a rollout is in",
        "gauge",
        ("phase",),
        lambda one: [((one.phase,), 1)],
    ),
    _family(
        "modelrollout_pods_missing",
        "Pods of a promoted rollout that are not Ready; no series where none is missing",
        "gauge",
        (),
        lambda one: [((), one.missing)] if one.missing else [],
    ),
    _family(
        "modelrollout_stalled",
        "1 for the reason of the condition Stalled; no series where it is not True",
        "gauge",
        ("reason",),
        lambda one: [((one.stalled,), 1)] if one.stalled else [],
    ),
    _family(
        "modelrollout_held",
        "1 for what holds a rollout: Paused, Frozen or WaitingForApproval; no series for nothing",
        "gauge",
        ("reason",),
        lambda one: [((one.held,), 1)] if one.held else [],
    ),
    _family(
        "modelrollout_weight",
        "Share of requests that goes to the candidate, in percent",
        "gauge",
        (),
        lambda one: [((), one.weight)],
    ),
    _family(
        "modelrollout_gate_value",
        "Last measured value of a gate; no series without one",
        "gauge",
        _GATE,
        lambda one: [
            ((gate.name, gate.evidence), gate.value) for gate in one.gates if gate.value is not None
        ],
    ),
    _family(
        "modelrollout_gate_bound",
        "Ends of the interval in which a gate's value lies, at its confidence; no series without",
        "gauge",
        (*_GATE, "bound"),
        lambda one: [
            ((gate.name, gate.evidence, bound), value)
            for gate in one.gates
            for bound, value in (("lower", gate.lower), ("upper", gate.upper))
            if value is not None
        ],
    ),
    _family(
        "modelrollout_gate_threshold",
        "Threshold of a gate",
        "gauge",
        _GATE,
        lambda one: [((gate.name, gate.evidence), gate.threshold) for gate in one.gates],
    ),
)


class _Rollouts(Collector):
    def collect(self) -> Iterable[Metric]:
        return FAMILIES


REGISTRY.register(_Rollouts())


def show(key: Key, status: Status) -> None:
    """Make the gauges say where this rollout stands; what they said of it before and is not so any
    more goes.
    """
    before = _shown.get(key)
    now = _Shown(status.phase.value, status.weight, tuple(_gates(status)))
    if status.shortage is not None:
        now.missing = status.shortage.wanted - status.shortage.ready
    if status.paused_since is not None:
        now.held = Reason.PAUSED.value
    elif status.reason in {Reason.FROZEN, Reason.WAITING_FOR_APPROVAL}:
        now.held = status.reason.value
    now.stalled = next(
        (c.reason for c in status.conditions if c.type == "Stalled" and c.status == "True"), ""
    )
    if before is not None:
        now.attempts = before.attempts
    _shown[key] = now


def count(key: Key, before: Status, after: Status) -> None:
    """Count what a written status has decided: a phase entered, an attempt ended."""
    show(key, after)
    if before.phase is not after.phase or before.phase_since is None:
        TRANSITIONS.labels(after.phase, after.reason).inc()
    ended_drains = (
        after.drains if after.attempt != before.attempt else after.drains[len(before.drains) :]
    )
    # Nobody waited in a step of the trial.
    for drain in (d for d in ended_drains if d.phase is not Phase.TRIAL):
        DRAINS.labels(drain.phase, str(drain.known).lower()).observe(drain.seconds)
    known = before.history[0].attempt if before.history else 0
    ended = Counts(one.verdict for one in after.history if one.attempt > known)
    if ended:
        _shown[key].attempts = tuple(
            n + ended[verdict] for n, verdict in zip(_shown[key].attempts, Verdict, strict=True)
        )


def forget(key: Key) -> None:
    """The rollout is gone, and so are its series."""
    _shown.pop(key, None)


def _gates(status: Status) -> Iterator[_Gate]:
    names = gate_names((gate.metric, gate.evidence.value) for gate in status.gates)
    for name, gate in zip(names, status.gates, strict=True):
        yield _Gate(*name, gate.value, gate.threshold, gate.lower, gate.upper)
