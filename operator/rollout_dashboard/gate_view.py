"""A gate as the page shows it: its value with its interval against the threshold. Pure."""

from dataclasses import dataclass
from datetime import datetime

from rollout_cli.api.rollout import Rollout
from rollout_cli.view.formatting import (
    PRETTY,
    gate_of,
    rule,
    share,
    span,
    value_and_threshold,
    without_metric_name,
)
from rollout_dashboard.gate_margin import nearness
from rollout_operator.domain.api.gate_results import GateStatus

TONES = {"Pass": "good", "Fail": "bad"}
AIR = 0.15
"""Of the scale, room at its ends."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Positions on a line from 0 (left) to 100 (right)."""

    threshold: float
    """Of the bound."""
    value: float | None
    """Of the value; None without one."""
    lower: float | None
    """Of the interval's lower end; None without an interval."""
    upper: float | None
    """Of its upper end."""
    fails_left: bool
    """Whether a gate fails to the left of the threshold."""


@dataclass(frozen=True, slots=True)
class GateView:
    """One gate."""

    number: int
    """Its place, from 0: of its plot."""
    metric: str
    """As the spec has it."""
    rule: str
    """`accuracy ≥ 0.7 (Labelled)`."""
    measurement: str
    """Pass, Fail, NoEvidence or Unreachable."""
    tone: str
    """good, bad or open."""
    value: str
    """Value against threshold; "" without one."""
    message: str
    """The measurement as a sentence."""
    lasted: str
    """How long it has said so."""
    counted: str
    """How many labels or requests it rests on; "" where that is not known."""
    interval: str
    """`0.71 to 0.84`; "" without one."""
    towards: tuple[int, int] | None
    """Labelled: evidence for promotion and for rolling back, in percent of what decides."""
    left: str
    """`about 120 more labels, there in 5 min`; "" where none are needed."""
    nearness: float
    """0 to 1 (fails)."""
    scale: Scale | None
    """Where everything lies; None without a value."""


def gate_view(rollout: Rollout, gate: GateStatus, number: int, now: datetime) -> GateView:
    """One measured gate of a rollout."""
    asked = gate_of(rollout.spec, gate)
    least = asked.min is not None if asked is not None else gate.metric == "accuracy"
    return GateView(
        number=number,
        metric=gate.metric,
        rule=rule(asked, PRETTY) if asked is not None else gate.metric,
        measurement=str(gate.measurement),
        tone=TONES.get(str(gate.measurement), "open"),
        value=value_and_threshold(rollout.spec, gate, PRETTY),
        message=without_metric_name(gate),
        lasted=span(now - gate.at),
        counted=_counted(gate),
        interval=""
        if gate.lower is None or gate.upper is None
        else f"{share(gate.lower)} to {share(gate.upper)}",
        towards=None
        if gate.evidence_for is None
        else (_percent(gate.evidence_for), _percent(gate.evidence_against or 0)),
        left=_left(gate, now),
        nearness=nearness(gate, rollout.spec),
        scale=scale(gate, least),
    )


def scale(gate: GateStatus, fails_left: bool) -> Scale | None:
    """Lays value, interval and threshold on one line, with a little room at its ends."""
    if gate.value is None:
        return None
    known = [x for x in (gate.value, gate.threshold, gate.lower, gate.upper) if x is not None]
    low, high = min(known), max(known)
    room = (high - low) * AIR or abs(high) * AIR or 1.0
    low, high = low - room, high + room

    def at(x: float | None) -> float | None:
        return None if x is None else round(100 * (x - low) / (high - low), 2)

    threshold = at(gate.threshold)
    assert threshold is not None
    return Scale(threshold, at(gate.value), at(gate.lower), at(gate.upper), fails_left)


def _counted(gate: GateStatus) -> str:
    if gate.samples is None:
        return ""
    return f"{gate.samples} {'samples' if gate.evidence == 'Reported' else 'counted'}"


def _percent(fraction: float) -> int:
    return round(100 * min(1.0, max(0.0, fraction)))


def _left(gate: GateStatus, now: datetime) -> str:
    if not gate.labels_left:
        return ""
    words = f"about {gate.labels_left} more labels"
    if gate.eta is not None and gate.eta > now:
        words += f", there in {span(gate.eta - now)} ({gate.eta:%H:%M} UTC)"
    return words
