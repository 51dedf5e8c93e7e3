"""How things are said on a terminal: spans of time, values against thresholds, marks."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from rollout_cli.exit_codes import Exit
from rollout_operator.domain.api.analysis import Gate, Metric
from rollout_operator.domain.api.gate_results import GateStatus, Measurement
from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.words import Phase, Verdict

STYLES = {
    Phase.PROMOTED: "green",
    Phase.ROLLING_BACK: "red",
    Phase.ROLLED_BACK: "red",
    Phase.INVALID: "red",
    Phase.PENDING: "cyan",
    Phase.STARTING: "cyan",
}
"""Colour of a phase; yellow for all others, in which something is on its way."""

STABLE_STYLE, CANDIDATE_STYLE = "blue", "yellow"

WIDE = 120
"""Columns from which on there is room for more."""

OF_MEASUREMENT = {
    Measurement.PASS: "green",
    Measurement.FAIL: "red",
    Measurement.NO_EVIDENCE: "yellow",
    Measurement.UNREACHABLE: "magenta",
}
OF_VERDICT = {Verdict.PROMOTED: "green", Verdict.ROLLED_BACK: "red", Verdict.RETURNED: "red"}


@dataclass(frozen=True, slots=True)
class Marks:
    """The signs that a terminal can show."""

    good: str = "✔"
    """Passed, promoted, in order, or behind: a gate, an attempt, a check, a step."""
    bad: str = "✖"
    """Failed or rolled back."""
    waiting: str = "◌"
    """Not decided, not known or not Ready yet."""
    here: str = "●"
    """The step under way; a pod that is Ready."""
    ahead: str = "○"
    """A step to come."""
    full: str = "█"
    """The candidate's part of the traffic bar."""
    empty: str = "░"
    """Stable's part of the traffic bar."""
    join: str = "──"
    """Between two steps."""
    dot: str = "·"
    """Between parts of the headline; a verdict neither good nor bad."""
    at_least: str = "≥"
    """Before a lower bound."""
    at_most: str = "≤"
    """Before an upper bound."""
    axis: str = "┤"
    """The value axis, in each row of a chart."""
    corner: str = "└"
    """Where the time axis begins."""
    level: str = "─"
    """A line that goes straight on."""
    gate: str = "╌"
    """The threshold in a chart."""
    turns: tuple[str, str, str, str, str] = ("╭", "╮", "╰", "╯", "│")
    """A line that turns: from below to the right, from the left down, from above to the right, from
    the left up; and upright.
    """


PRETTY = Marks()
PLAIN = Marks(
    "+",
    "x",
    "~",
    "*",
    "o",
    "#",
    ".",
    "--",
    "-",
    ">=",
    "<=",
    "|",
    "+",
    "-",
    ".",
    ("+", "+", "+", "+", "|"),
)


def span(delta: timedelta) -> str:
    """A length of time, in at most two units."""
    seconds = max(0, int(delta.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min" + (f" {seconds} s" if seconds and minutes < 10 else "")
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h" + (f" {minutes} min" if minutes else "")
    days, hours = divmod(hours, 24)
    return f"{days} d" + (f" {hours} h" if hours and days < 10 else "")


def ago(moment: datetime | None, now: datetime) -> str:
    """How long ago."""
    return "" if moment is None else f"{span(now - moment)} ago"


def share(value: float) -> str:
    """A share or a value in seconds, with the digits that matter."""
    return f"{value:.4g}"


def of_measurement(measurement: Measurement, marks: Marks) -> str:
    """The mark of a measurement."""
    return {Measurement.PASS: marks.good, Measurement.FAIL: marks.bad}.get(
        measurement, marks.waiting
    )


def of_verdict(verdict: Verdict, marks: Marks) -> str:
    """The mark of a verdict."""
    bad = verdict in {Verdict.ROLLED_BACK, Verdict.RETURNED}
    return marks.good if verdict is Verdict.PROMOTED else marks.bad if bad else marks.dot


def of_exit(outcome: Exit) -> str:
    """The style of an outcome."""
    return {Exit.PROMOTED: "bold green", Exit.ROLLED_BACK: "bold red"}.get(outcome, "bold yellow")


def gate_of(spec: Spec | None, measured: GateStatus) -> Gate | None:
    """The gate of the spec that this measurement is of; None where the spec has changed since."""
    gates = spec.analysis.gates if spec is not None else ()
    return next((gate for gate in gates if measured.is_of(gate)), None)


def rule(gate: Gate, signs: Marks) -> str:
    """The gate as a short rule: `accuracy ≥ 0.7 (Labelled)`."""
    sign = signs.at_least if gate.min is not None else signs.at_most
    against = f" {_beside_stable(gate)}" if gate.against_stable else ""
    return f"{gate.name} {sign} {share(gate.threshold)}{against} ({gate.evidence})"


def _beside_stable(gate: Gate) -> str:
    """How a difference to stable is said."""
    if gate.metric is Metric.DISAGREEMENT:
        return "of copies answered otherwise than by stable"
    shifted = gate.metric is Metric.PREDICTION_SHIFT
    return "of answers others than stable's" if shifted else "worse than stable"


def value_and_threshold(spec: Spec | None, measured: GateStatus, marks: Marks) -> str:
    """Value and threshold of a measurement: `0.8889 ≥ 0.7`; "" where it has no value."""
    if measured.value is None:
        return ""
    value, threshold = share(measured.value), share(measured.threshold)
    gate = gate_of(spec, measured)
    if gate is not None and gate.against_stable:
        return f"{value} {_beside_stable(gate)}, {marks.at_most} {threshold} asked"
    least = gate.of_good if gate is not None else measured.metric == Metric.ACCURACY
    asked = marks.at_least if least else marks.at_most
    holds = measured.value >= measured.threshold if least else measured.value <= measured.threshold
    return f"{value} {asked if holds else ('<' if least else '>')} {threshold}"


def without_metric_name(gate: GateStatus) -> str:
    """What a measurement says where it has no value, without the metric's name."""
    return gate.message.split(": ", 1)[-1]


def samples(gate: GateStatus) -> str:
    """How many labels or requests the value rests on; if Labelled, how far the evidence is."""
    counted = (
        []
        if gate.samples is None
        else [f"{gate.samples} {'samples' if gate.evidence == 'Reported' else 'counted'}"]
    )
    if gate.evidence_for is not None and gate.measurement is Measurement.NO_EVIDENCE:
        counted.append(
            f"evidence {gate.evidence_for:.0%} for, {gate.evidence_against or 0:.0%} against"
        )
    if gate.labels_left:
        counted.append(f"about {gate.labels_left} more")
    return ", ".join(counted)
