"""What is known of one attempt: from status, history, Events and Prometheus. Gathered once; drawn
elsewhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from rollout_cli.api.kubernetes import KubeApi
from rollout_cli.api.prometheus import Prometheus
from rollout_cli.api.rollout import Rollout
from rollout_cli.exit_codes import Absent, Failure, Refused
from rollout_operator.domain.api.status import Attempt, GateStatus, Verdict
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
class Told:
    """One Event: when, whether it warns, its reason and sentence."""

    at: datetime
    warns: bool
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Ranges:
    """Lines over time: by revision accuracy, errors and requests as shares, p95 in seconds; weight
    in percent; phases by name.
    """

    accuracy: Mapping[str, Points] = field(default_factory=dict)
    errors: Mapping[str, Points] = field(default_factory=dict)
    p95: Mapping[str, Points] = field(default_factory=dict)
    share: Mapping[str, Points] = field(default_factory=dict)
    weight: Points = ()
    phases: Mapping[str, Points] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One attempt. ended is None while it goes on; trouble: why there are no ranges, "" where there
    are.
    """

    rollout: Rollout
    now: datetime
    attempt: int
    uri: str
    candidate: str
    stable: str | None
    verdict: Verdict | None
    reason: str
    message: str
    started: datetime
    ended: datetime | None
    gates: tuple[GateStatus, ...]
    events: tuple[Told, ...]
    ranges: Ranges
    trouble: str = ""

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


def gather(
    kube: KubeApi,
    prometheus: Prometheus | None,
    rollout: Rollout,
    number: int | None,
    trouble: str = "",
) -> Evidence:
    """The evidence of attempt `number`, else of the last one. Raises Absent where there is no such
    attempt.
    """
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
    found = Evidence(
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
        events=(),
        ranges=Ranges(),
        trouble=trouble,
    )
    events = _events(kube, found)
    if prometheus is None:
        return _with(found, events, Ranges(), trouble)
    try:
        return _with(found, events, _ranges(prometheus, found), "")
    except Failure as failure:
        return _with(found, events, Ranges(), str(failure))


def _began(ended: Attempt | None, rollout: Rollout, now: datetime) -> datetime:
    return ended.started if ended is not None else rollout.status.attempt_since or now


def _with(found: Evidence, events: tuple[Told, ...], ranges: Ranges, trouble: str) -> Evidence:
    values = {name: getattr(found, name) for name in Evidence.__dataclass_fields__}
    return Evidence(**{**values, "events": events, "ranges": ranges, "trouble": trouble})


def _events(kube: KubeApi, found: Evidence) -> tuple[Told, ...]:
    """What the operator told during the attempt, in order;
    Events are kept for an hour by default.
    """
    rollout = found.rollout
    try:
        items = kube.get(
            f"/api/v1/namespaces/{rollout.namespace}/events",
            {"fieldSelector": f"involvedObject.uid={rollout.raw['metadata']['uid']}"},
        )["items"]
    except Refused:
        return ()
    told = [
        Told(
            datetime.fromisoformat(e["lastTimestamp"]),
            e["type"] == "Warning",
            e["reason"],
            e["message"],
        )
        for e in items
        if e.get("lastTimestamp")
    ]
    # Events are told to the second.
    first, last = (
        found.started - timedelta(seconds=1),
        (found.ended or found.now) + timedelta(seconds=1),
    )
    return tuple(sorted((t for t in told if first <= t.at <= last), key=lambda t: t.at))


def _ranges(prometheus: Prometheus, found: Evidence) -> Ranges:
    start, end = found.start.timestamp(), found.end.timestamp()
    step = max(1.0, (end - start) / POINTS)
    over = f"[{max(SHORTEST_RATE, 4 * step):.0f}s]"
    rollout = found.rollout
    revisions = "|".join(r for r in (found.candidate, found.stable) if r)
    theirs = f'{{namespace="{rollout.namespace}", revision=~"{revisions}"}}'
    own = f'{{namespace="{rollout.namespace}", name="{rollout.name}"}}'

    def by(label: str, expression: str) -> dict[str, Points]:
        return {
            one.labels.get(label, ""): one.points
            for one in prometheus.matrix(expression, start, end, step)
        }

    def rate(name: str) -> str:
        return f"sum by (revision) (rate({name}{theirs}{over}))"

    asked = f"max(modelrollout_weight{own})"
    quantile = (
        f"histogram_quantile(0.95, sum by (revision, le) (rate({LATENCY_BUCKET}{theirs}{over})))"
    )
    return Ranges(
        accuracy=by("revision", f"min by (revision) ({ACCURACY}{theirs})"),
        errors=by("revision", f"{rate(ERRORS)} / {rate(REQUESTS)}"),
        p95=by("revision", quantile),
        share=by(
            "revision",
            f"{rate(REQUESTS)} / ignoring (revision) group_left ()"
            f" sum(rate({REQUESTS}{theirs}{over}))",
        ),
        weight=next(iter(by("", asked).values()), ()),
        phases=by("phase", f"max by (phase) (modelrollout_phase{own}) == 1"),
    )
