"""What was measured, as status has it: of each gate, and the counts behind it."""

from collections import Counter
from collections.abc import Iterable, Iterator
from enum import StrEnum

from pydantic import Field

from rollout_operator.domain.api.analysis import EvidenceKind, Gate
from rollout_operator.domain.api.api_types import ApiModel, Moment


class Measurement(StrEnum):
    """What one gate says at one moment."""

    PASS = "Pass"
    FAIL = "Fail"
    NO_EVIDENCE = "NoEvidence"
    UNREACHABLE = "Unreachable"


class BinCount(ApiModel):
    """How often one class was given, or a number in one bin."""

    bin: str = Field(max_length=64)
    """The class, or the largest number of the bin."""
    count: float
    """As the counter has it."""


class PodCounts(ApiModel):
    """Counters of one revision in one pod, raw, as last read: what the next reading is compared
    with.
    """

    pod: str = Field(max_length=253)
    """Name of the pod; "" where the series has no such label."""
    good: float
    """Right answers (errorRate: requests without error; latency: requests within the bound)."""
    total: float
    """Answers known to be good or not: labels (accuracy) or requests."""
    predicted: float = 0
    """Predictions (accuracy), all requests (latency) or the sum of squares (a mean); else 0."""
    at: float = Field(description="Time of the sample, Unix seconds by Prometheus' clock.")
    bins: tuple[BinCount, ...] = Field((), max_length=24)
    """Answers by class, or by the largest number of the bin (predictionShift only)."""


class ShiftedBin(ApiModel):
    """How often candidate and stable gave one class, or a number in one bin."""

    bin: str = Field(max_length=64)
    """The class, or the largest number of the bin."""
    ours: float
    """Answers of the candidate."""
    theirs: float
    """Answers of stable in the same scrapes."""
    excess: float
    """Sum over scrapes of the difference of the two shares, each weighted by its pairs."""


class GateStatus(ApiModel):
    """What a gate said when it was last measured."""

    metric: str = Field(max_length=32)
    """As the spec has it; `route`, which status does not keep, for a router that lags."""
    evidence: EvidenceKind = Field(
        EvidenceKind.REPORTED, description="What the gate rests on: Reported or Labelled."
    )
    value: float | None = Field(
        None, description="The measured value; for a gate against stable, the difference to stable."
    )
    lower: float | None = Field(
        None, description="Labelled: lower bound of the value, valid at all times together."
    )
    upper: float | None = Field(
        None, description="Labelled: upper bound of the value, valid at all times together."
    )
    threshold: float = Field(description="The bound it is held against.")
    samples: int | None = Field(None, description="How many labels or requests the value rests on.")
    evidence_for: float | None = Field(
        None, description="Labelled: ln E as a share of what promotion needs; 1 decides."
    )
    evidence_against: float | None = Field(
        None, description="Labelled: ln E as a share of what rolling back needs; 1 decides."
    )
    labels_left: int | None = Field(
        None, description="Labelled: about how many more labels a verdict takes."
    )
    eta: Moment | None = Field(
        None, description="Labelled: when that many labels will be there at the present rate."
    )
    coverage: float | None = Field(
        None, description="Labelled accuracy: share of predictions that have a label."
    )
    design_effect: float | None = Field(
        None,
        description=(
            "Labelled: what the counts are divided by (disagreement: beyond what bursts are taken"
            " to have); above 1.5 labels are not independent."
        ),
    )
    inconclusive: bool | None = Field(
        None, description="Labelled: maxSamples is reached without a verdict."
    )
    late: bool | None = Field(
        None, description="At the present rate of labels, maxHold ends before a verdict."
    )
    overloaded_since: Moment | None = Field(
        None,
        description=(
            "When load, not the version, was first seen to break the bound in this attempt."
        ),
    )
    counted_from: tuple[PodCounts, ...] = Field(
        (),
        max_length=200,
        description=(
            "Counters of the candidate's pods when that load was over: what came since counts, and"
            " a failure only once it is for sure. Empty while the load lasts."
        ),
    )
    measurement: Measurement
    """Pass, Fail, or why there is no verdict."""
    message: str = Field("", max_length=512, description="The measurement as a sentence.")
    at: Moment = Field(description="When this was first measured so.")
    revision: str = Field(max_length=16, description="The revision it was measured for.")

    @property
    def excused(self) -> bool:
        """Whether it broke its bound, and whether that is the version's fault is not known."""
        return (
            self.evidence is EvidenceKind.REPORTED
            and self.measurement in {Measurement.NO_EVIDENCE, Measurement.UNREACHABLE}
            and (self.value is not None or self.overloaded_since is not None)
        )

    def is_of(self, gate: Gate) -> bool:
        """Whether it was measured for this gate of the spec."""
        return (self.metric, self.evidence, self.threshold) == (
            gate.name,
            gate.evidence,
            gate.threshold,
        )


class Cohort(ApiModel):
    """How many predictions there were at one moment: those old enough to have a label by now."""

    at: float
    """Unix time in seconds, by the operator's clock."""
    predicted: float
    """Predictions counted by then, over all pods."""


class EvidenceStatus(ApiModel):
    """The counts behind one Labelled gate for one model version; a retry goes on with them."""

    gate: str = Field(max_length=64, description="Which gate: metric and bound.")
    subject: str = Field(
        max_length=512,
        description=(
            "The model version (accuracy) or the revision (errorRate, latency) that was counted."
        ),
    )
    good: float = Field(
        0,
        description=(
            "Right answers (errorRate: requests without error; latency: requests within the bound;"
            " a metric of the configuration: what counts as good)."
        ),
    )
    total: float = Field(0, description="Labels or requests.")
    predicted: float = Field(0, description="Predictions that could get a label.")
    squares: float = Field(
        0, description="Sum over scrapes of good squared by total, for the design effect."
    )
    effective_total: float = Field(
        0,
        description=(
            "What the answers are worth where those of a burst are alike (disagreement only)."
        ),
    )
    effective_good: float = Field(0, description="Of these, right ones (disagreement only).")
    scrapes: int = Field(0, description="Scrapes with new labels.")
    since: Moment = Field(description="Since when labels are counted in this attempt.")
    before: float = Field(0, description="Labels that earlier attempts counted.")
    baseline_total: float = Field(0, description="Labels of the stable revision in the meantime.")
    above: tuple[float, ...] = Field(
        (),
        max_length=8,
        description="Log-wealth for promotion, per alternative (against stable only).",
    )
    below: tuple[float, ...] = Field(
        (),
        max_length=8,
        description=(
            "Log-wealth for rolling back, per alternative (against stable), bet (disagreement) or"
            " rate (a watch)."
        ),
    )
    stable_good: float = Field(
        0, description="Stable's right answers, exponentially weighted (against stable only)."
    )
    stable_total: float = Field(
        0, description="Stable's labels, exponentially weighted (against stable only)."
    )
    bins: tuple[ShiftedBin, ...] = Field((), max_length=24)
    """How often each class was given (predictionShift only)."""
    pairs: float = Field(
        0, description="Pairs of answers that these differences rest on (predictionShift only)."
    )
    pods: tuple[PodCounts, ...] = Field((), max_length=200)
    """Counters of the candidate's pods at the last reading that counted."""
    stable_pods: tuple[PodCounts, ...] = Field((), max_length=200)
    """The same of stable's pods; empty where stable was not read."""
    cohorts: tuple[Cohort, ...] = Field((), max_length=40)
    """Of an accuracy gate with labelDelay, oldest first; empty for others."""
    defined: str = Field(
        "",
        max_length=8,
        description=(
            "Of a metric of the configuration: a hash of its definition; when that changes, it is"
            " counted anew."
        ),
    )


class GateResult(ApiModel):
    """What an attempt's verdict rests on: a gate as it was last measured."""

    metric: str = Field(max_length=32)
    """As the spec has it."""
    value: float | None = None
    """As in GateStatus; None where nothing was measured."""
    threshold: float
    """The bound it was held against."""
    samples: int | None = None
    """Labels or requests behind the value; None where they are not known."""
    measurement: Measurement
    """What the gate last said."""


def gate_names(kinds: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """What gates are called in metrics: by metric, with a number from the second of its evidence
    on, and by evidence.

    kinds: metric and evidence of each gate, in order.
    """
    seen = Counter[tuple[str, str]]()
    for metric, evidence in kinds:
        seen[metric, evidence] += 1
        number = seen[metric, evidence]
        yield (metric if number == 1 else f"{metric}-{number}"), evidence
