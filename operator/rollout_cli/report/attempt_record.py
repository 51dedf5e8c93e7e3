"""What is known of one attempt, from status, history, Events and Prometheus."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from rollout_cli.api.kubernetes import KubeApi
from rollout_cli.api.prometheus import Prometheus
from rollout_cli.api.rollout import Rollout
from rollout_cli.exit_codes import Absent, Failure, Refused
from rollout_operator.domain.api.differences import Difference
from rollout_operator.domain.api.gate_results import GateStatus
from rollout_operator.domain.api.status import Act, Attempt
from rollout_operator.domain.api.words import Verdict
from rollout_operator.domain.gates.samples import (
    ACCURACY,
    ERRORS,
    LATENCY_BUCKET,
    REQUESTS,
)
from rollout_operator.domain.machine.transitions import AT_REST

POINTS = 240
SHORTEST_RATE = 15.0
"""Seconds over which rates are taken at least: a few scrapes."""

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class KubeEvent:
    """An Event of Kubernetes."""

    at: datetime
    """When it was told, to the second."""
    warns: bool
    """Whether its type is Warning."""
    reason: str
    """One CamelCase word."""
    message: str
    """A sentence for people."""


@dataclass(frozen=True, slots=True)
class TimeSeries:
    """What an attempt did over time."""

    accuracy: Mapping[str, Points] = field(default_factory=dict)
    """Accuracy by revision, 0 to 1."""
    errors: Mapping[str, Points] = field(default_factory=dict)
    """Server errors by revision, as a share of its requests."""
    p95: Mapping[str, Points] = field(default_factory=dict)
    """p95 latency by revision, in seconds."""
    share: Mapping[str, Points] = field(default_factory=dict)
    """Requests by revision, as a share of all requests."""
    weight: Points = ()
    """Weight of the candidate, in percent."""
    bounds: Mapping[tuple[str, str, str], Points] = field(default_factory=dict)
    """Ends of the intervals in which gates' values lie, by the gate's name, its evidence, and
    "lower" or "upper"; in the metric's own unit, or as a share.
    """
    phases: Mapping[str, Points] = field(default_factory=dict)
    """When the rollout was in a phase, by its name."""


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One attempt."""

    rollout: Rollout
    """As read; its status may be of a later attempt."""
    now: datetime
    """When the record was made, in UTC by this machine's clock."""
    attempt: int
    """Its number."""
    uri: str
    """The model on trial."""
    candidate: str
    """Revision of the candidate."""
    stable: str | None
    """Revision it is compared with; None in a first deploy."""
    verdict: Verdict | None
    """How it ended; None while it goes on."""
    reason: str
    """Of the attempt in history; of status while it goes on."""
    message: str
    """Of the attempt in history; of status while it goes on."""
    started: datetime
    """Of history, else of status; `now` where neither says."""
    ended: datetime | None
    """None while it goes on."""
    gates: tuple[GateStatus, ...]
    """The last measurements of the candidate."""
    acts: tuple[Act, ...]
    """What people told it to do, in order."""
    events: tuple[KubeEvent, ...]
    """What the operator told during the attempt, in order."""
    series: TimeSeries
    """From Prometheus; empty where there is `trouble`."""
    trouble: str = ""
    """Why there are no series; "" where there are."""
    differences: tuple[Difference, ...] = ()
    """A few of the copies that were answered otherwise; of the last attempt alone."""

    @property
    def start(self) -> datetime:
        """Where the plots begin: a little before the attempt."""
        return self.started - self._air

    @property
    def end(self) -> datetime:
        """Where the plots end: a little after it."""
        return min(self.now, (self.ended or self.now) + self._air)

    @property
    def _air(self) -> timedelta:
        return max(timedelta(seconds=20), ((self.ended or self.now) - self.started) * 0.12)


def collect(  # noqa: PLR0917
    kube: KubeApi,
    prometheus: Prometheus | None,
    rollout: Rollout,
    number: int | None,
    trouble: str = "",
    with_events: bool = True,
) -> AttemptRecord:
    """The record of attempt `number`, else of the last one. Raises Absent where there is none."""
    status = rollout.status
    number = status.attempt if number is None else number
    ended = next((a for a in status.history if a.attempt == number), None)
    current = status.attempt == number and status.phase not in AT_REST
    if ended is None and (not current or status.candidate is None):
        known = ", ".join(str(a.attempt) for a in status.history) or "none yet"
        raise Absent(f"{rollout.name} remembers no attempt {number}: it has {known}.")
    candidate = (
        ended.revision
        if ended is not None
        else status.candidate.revision
        if status.candidate
        else ""
    )
    before = [a for a in status.history if a.attempt < number and a.verdict is Verdict.PROMOTED]
    now = datetime.now(UTC)
    record = AttemptRecord(
        rollout=rollout,
        now=now,
        attempt=number,
        uri=ended.uri if ended is not None else status.candidate.uri if status.candidate else "",
        candidate=candidate,
        stable=before[0].revision if before else None,
        verdict=ended.verdict if ended is not None else None,
        reason=ended.reason if ended is not None else str(status.reason),
        message=ended.message if ended is not None else status.message,
        started=_began(ended, rollout, now),
        ended=ended.ended if ended is not None else None,
        gates=tuple(g for g in status.gates if g.revision == candidate),
        acts=ended.acts if ended is not None else status.acts,
        events=(),
        series=TimeSeries(),
        trouble=trouble,
        differences=tuple(
            d for d in status.differences if status.attempt == number and d.revision == candidate
        ),
    )
    events = _events(kube, record) if with_events else ()
    if prometheus is None:
        return _with(record, events, TimeSeries(), trouble)
    try:
        return _with(record, events, _query(prometheus, record), "")
    except Failure as failure:
        return _with(record, events, TimeSeries(), str(failure))


def _began(ended: Attempt | None, rollout: Rollout, now: datetime) -> datetime:
    return ended.started if ended is not None else rollout.status.attempt_since or now


def _with(
    record: AttemptRecord, events: tuple[KubeEvent, ...], series: TimeSeries, trouble: str
) -> AttemptRecord:
    return replace(record, events=events, series=series, trouble=trouble)


def events_of(kube: KubeApi, namespace: str, uid: str) -> tuple[KubeEvent, ...]:
    """What the operator told of the object with this uid, in order; Events are kept for an hour by
    default. Raises Refused where one may not read them.
    """
    items = kube.get(
        f"/api/v1/namespaces/{namespace}/events",
        {"fieldSelector": f"involvedObject.uid={uid}"},
    )["items"]
    events = (
        KubeEvent(
            datetime.fromisoformat(e["lastTimestamp"]),
            e["type"] == "Warning",
            e["reason"],
            e["message"],
        )
        for e in items
        if e.get("lastTimestamp")
    )
    return tuple(sorted(events, key=lambda e: e.at))


def _events(kube: KubeApi, record: AttemptRecord) -> tuple[KubeEvent, ...]:
    """What the operator told during the attempt, in order."""
    rollout = record.rollout
    try:
        events = events_of(kube, rollout.namespace, str(rollout.raw["metadata"]["uid"]))
    except Refused:
        return ()
    # Events are told to the second.
    first, last = (
        record.started - timedelta(seconds=1),
        (record.ended or record.now) + timedelta(seconds=1),
    )
    return tuple(e for e in events if first <= e.at <= last)


def _query(prometheus: Prometheus, record: AttemptRecord) -> TimeSeries:
    start, end = record.start.timestamp(), record.end.timestamp()
    step = max(1.0, (end - start) / POINTS)
    over = f"[{max(SHORTEST_RATE, 4 * step):.0f}s]"
    rollout = record.rollout
    revisions = "|".join(r for r in (record.candidate, record.stable) if r)
    theirs = f'{{namespace="{rollout.namespace}", revision=~"{revisions}"}}'
    own = f'{{namespace="{rollout.namespace}", name="{rollout.name}"}}'

    def by(label: str, expression: str) -> dict[str, Points]:
        return {
            series.labels.get(label, ""): series.points
            for series in prometheus.matrix(expression, start, end, step)
        }

    def rate(name: str) -> str:
        return f"sum by (revision) (rate({name}{theirs}{over}))"

    weight = f"max(modelrollout_weight{own})"
    quantile = (
        f"histogram_quantile(0.95, sum by (revision, le) (rate({LATENCY_BUCKET}{theirs}{over})))"
    )
    return TimeSeries(
        accuracy=by("revision", f"min by (revision) ({ACCURACY}{theirs})"),
        errors=by("revision", f"{rate(ERRORS)} / {rate(REQUESTS)}"),
        p95=by("revision", quantile),
        share=by(
            "revision",
            f"{rate(REQUESTS)} / ignoring (revision) group_left ()"
            f" sum(rate({REQUESTS}{theirs}{over}))",
        ),
        weight=next(iter(by("", weight).values()), ()),
        bounds={
            (s.labels["gate"], s.labels["evidence"], s.labels["bound"]): s.points
            for s in prometheus.matrix(
                f"max by (gate, evidence, bound) (modelrollout_gate_bound{own})", start, end, step
            )
            if {"gate", "evidence", "bound"} <= s.labels.keys()
        },
        phases=by("phase", f"max by (phase) (modelrollout_phase{own}) == 1"),
    )
