"""What a version must prove: gates, and what their verdicts lead to."""

from enum import StrEnum
from typing import Any

from pydantic import Field, model_validator

from rollout_operator.domain.api.api_types import ApiModel, Duration, between, cel, rule


class Metric(StrEnum):
    """What a gate can look at."""

    ACCURACY = "accuracy"
    ERROR_RATE = "errorRate"
    LATENCY_P95 = "latencyP95Seconds"
    PREDICTION_SHIFT = "predictionShift"
    INPUT_DRIFT = "inputDrift"
    DISAGREEMENT = "disagreement"
    OWN = "own"
    """Any other name: a metric of the operator's configuration. In no spec is it called so."""


BUILT_IN = tuple(metric for metric in Metric if metric is not Metric.OWN)
"""Those that every operator knows."""
ALWAYS_COUNTED = frozenset({Metric.PREDICTION_SHIFT, Metric.DISAGREEMENT})
"""Those whose gates are Labelled without saying so."""


class OnFailure(StrEnum):
    """What follows when a gate says Fail."""

    ROLLBACK = "Rollback"
    PAUSE = "Pause"


class OnNoEvidence(StrEnum):
    """What follows when the gates have said nothing for `maxHold`."""

    ROLLBACK = "Rollback"
    PAUSE = "Pause"
    PROMOTE = "Promote"


class EvidenceKind(StrEnum):
    """What a gate rests on."""

    REPORTED = "Reported"
    """A value as the metric reports it; no statement about its error is possible."""
    LABELLED = "Labelled"
    """Counts of right and wrong answers, judged by an anytime-valid test."""


MIN_SAMPLES, MAX_SAMPLES = 30, 2000
METRIC_NAME = "^[a-z][A-Za-z0-9]*$"
LABELLED = "has({0}.evidence) && {0}.evidence == 'Labelled'"
UNLABELLED = "self.metric in ['predictionShift', 'inputDrift', 'disagreement']"


# What is left out of a gate is not there when the rules are read: the API server fills in nothing
# inside of a list.
GATE_RULES = [
    rule(
        "self.metric == 'accuracy' ? !has(self.max) && !has(self.maxIncrease) && has(self.min) !="
        " has(self.maxDrop) : self.metric in ['errorRate', 'latencyP95Seconds'] ? !has(self.min) &&"
        " !has(self.maxDrop) && has(self.max) != has(self.maxIncrease) : [has(self.min),"
        " has(self.max), has(self.maxDrop), has(self.maxIncrease)].exists_one(given, given)",
        "accuracy takes min (at least) or maxDrop (against stable), errorRate and latencyP95Seconds"
        " take max (at most) or maxIncrease (against stable), a metric of the operator's"
        " configuration one of the four: write exactly one",
    ),
    rule(
        f"!({UNLABELLED}) || (has(self.max) && self.max > 0.0 && (self.metric == 'inputDrift' ||"
        " self.max < 1.0))",
        "predictionShift and disagreement take max: a share between 0 and 1, such as max: 0.1;"
        " inputDrift takes max: a PSI, such as max: 0.2",
    ),
    rule(
        f"!({UNLABELLED}) || !has(self.evidence)",
        "predictionShift and disagreement are always tests on counts, and inputDrift never: leave"
        " evidence out",
    ),
    rule(
        "!has(self.min) || self.metric != 'accuracy' || (self.min >= 0.0 && self.min <= 1.0)",
        "accuracy is a share from 0 to 1: write min: 0.70 for 70 %",
    ),
    rule(
        "!has(self.max) || !(self.metric in ['errorRate', 'latencyP95Seconds']) || (self.max >= 0.0"
        " && (self.metric != 'errorRate' || self.max <= 1.0))",
        "max must not be negative, and errorRate is a share from 0 to 1: write max: 0.01 for 1 %",
    ),
    rule(
        "!has(self.maxDrop) || (self.maxDrop >= 0.0 && (self.maxDrop <= 0.5 || self.metric !="
        " 'accuracy'))",
        "maxDrop must not be negative, and of accuracy is a share of at most 0.5: write maxDrop:"
        " 0.05 for five points below stable",
    ),
    rule(
        "!has(self.maxIncrease) || (self.maxIncrease >= 0.0 && (self.maxIncrease <= 0.5 ||"
        " self.metric != 'errorRate'))",
        "maxIncrease must not be negative, and for errorRate is a share of at most 0.5: write"
        " maxIncrease: 0.01 for one point above stable",
    ),
    rule(
        f"!({LABELLED.format('self')}) || ((!has(self.min) || self.metric != 'accuracy' ||"
        " (self.min > 0.0 && self.min < 1.0)) && (!has(self.max) || self.metric != 'errorRate' ||"
        " (self.max > 0.0 && self.max < 1.0)))",
        "no count of labels proves a share of exactly 0 or 1: write a threshold in between, such as"
        " 0.999, or evidence: Reported",
    ),
    rule(
        "!(self.metric == 'errorRate' && has(self.maxIncrease)) || " + LABELLED.format("self"),
        "errorRate with maxIncrease is compared with stable scrape by scrape: write evidence:"
        " Labelled with it",
    ),
    rule(
        "!(self.metric == 'latencyP95Seconds' && has(self.maxIncrease)) ||"
        f" !({LABELLED.format('self')})",
        "latencyP95Seconds with maxIncrease compares two percentiles: leave evidence out",
    ),
    rule(
        "!has(self.tolerance) || self.tolerance == 0.0 || ((!has(self.min) || self.metric !="
        " 'accuracy' || self.tolerance < self.min) && (!has(self.max) || !(self.metric in"
        " ['errorRate', 'disagreement']) || self.max + self.tolerance < 1.0))",
        "tolerance is taken off the threshold: write 0 or a share smaller than it",
    ),
    rule(
        f"(has(self.maxSamples) ? self.maxSamples : {MAX_SAMPLES}) >= (has(self.minSamples) ?"
        f" self.minSamples : {MIN_SAMPLES})",
        "maxSamples is at least minSamples: write a greater maxSamples",
    ),
]


class Alpha(ApiModel):
    """How likely a wrong verdict may be, each way."""

    promote: float = Field(
        0.05,
        description="Chance to promote a model that does not keep the threshold.",
        json_schema_extra=cel(
            "self >= 0.0001 && self <= 0.5",
            "alpha is a chance from 0.0001 to 0.5: write 0.05 for 5 %",
        ),
    )
    rollback: float = Field(
        0.05,
        description=(
            "Chance to roll back a model that keeps the threshold; several Labelled gates share it."
        ),
        json_schema_extra=cel(
            "self >= 0.0001 && self <= 0.5",
            "alpha is a chance from 0.0001 to 0.5: write 0.05 for 5 %",
        ),
    )


class Gate(ApiModel, json_schema_extra={"x-kubernetes-validations": GATE_RULES}):
    """One rule on one metric."""

    name: str = Field(
        alias="metric",
        max_length=32,
        description=(
            "accuracy, errorRate, latencyP95Seconds, predictionShift (answers against stable's),"
            " inputDrift (live rows against training), disagreement (copies of stable's requests),"
            " or a metric of the operator's configuration."
        ),
        json_schema_extra=cel(
            f"self.matches('{METRIC_NAME}')",
            "metric is a name: write accuracy, errorRate, latencyP95Seconds, predictionShift,"
            " inputDrift, disagreement, or one that the operator's configuration has, such as"
            " conversionRate",
        ),
    )
    min: float | None = Field(
        None, description="Passes at or above this value (accuracy: a share from 0 to 1)."
    )
    max: float | None = Field(
        None,
        description=(
            "Passes at or below this value (errorRate, predictionShift, disagreement: a share;"
            " latencyP95Seconds: seconds; inputDrift: PSI)."
        ),
    )
    max_drop: float | None = Field(
        None,
        description=(
            "Passes where the value is at most this much below stable's (accuracy: a share)."
        ),
    )
    max_increase: float | None = Field(
        None,
        description=(
            "Passes where the value is at most this much above stable's (errorRate: a share;"
            " latencyP95Seconds: seconds)."
        ),
    )
    evidence: EvidenceKind = Field(
        EvidenceKind.REPORTED,
        description=(
            "Reported: the value as the metric has it. Labelled: a sequential test on counts, with"
            " known error."
        ),
    )
    alpha: Alpha = Field(Alpha(), description="Labelled: how likely a wrong verdict may be.")
    min_samples: int = Field(
        MIN_SAMPLES,
        description=(
            "Labels or requests needed before the gate can pass (Reported, all but accuracy: before"
            " it says anything)."
        ),
        json_schema_extra=cel(
            "self >= 1 && self <= 1000000",
            "minSamples is a count: write a whole number of at least 1",
        ),
    )
    max_samples: int = Field(
        MAX_SAMPLES,
        description=(
            "Labelled: with so many labels and no verdict the gate is inconclusive, and"
            " onNoEvidence decides; copies (disagreement) are as many as they are worth."
        ),
        json_schema_extra=cel(
            "self >= 10 && self <= 1000000",
            "maxSamples is a count: write a whole number from 10 to 1000000",
        ),
    )
    tolerance: float = Field(
        0.0,
        description=(
            "Labelled: promote already where the share is proved to be above threshold - tolerance."
        ),
        json_schema_extra=cel(
            "self >= 0.0",
            "tolerance is taken off the threshold: write 0 or a share smaller than it",
        ),
    )
    label_delay: Duration = Field(
        Duration("0s"),
        description=(
            "Labelled accuracy: how long labels take; younger predictions are not expected to have"
            " one."
        ),
    )
    min_coverage: float = Field(
        0.8,
        description=(
            "Labelled accuracy: below this share of labelled predictions, missing labels count"
            " against the verdict."
        ),
        json_schema_extra=cel(
            "self >= 0.0 && self <= 1.0", "minCoverage is a share from 0 to 1: write 0.8 for 80 %"
        ),
    )
    design_effect: float | None = Field(
        None,
        description=(
            "Labelled: counts are divided by this, for labels that are not independent; estimated"
            " where not given, and for disagreement at least 5 or a 20th of each look."
        ),
        json_schema_extra=cel(
            "self >= 1.0 && self <= 1000.0",
            "designEffect divides the counts: write a number of at least 1",
        ),
    )

    @model_validator(mode="before")
    @classmethod
    def _counted(cls, said: Any) -> Any:
        """Some are told by counts, and by nothing else."""
        if isinstance(said, dict) and said.get("metric") in ALWAYS_COUNTED:
            return {**said, "evidence": EvidenceKind.LABELLED}
        return said

    @property
    def metric(self) -> Metric:
        """How it is read and judged: one of BUILT_IN, or OWN."""
        return Metric(self.name) if self.name in BUILT_IN else Metric.OWN

    @property
    def of_good(self) -> bool:
        """Whether the value is the better the greater it is; else it counts what is bad."""
        return self.min is not None or self.max_drop is not None

    @property
    def labelled(self) -> bool:
        """Whether the gate is a sequential test."""
        return self.evidence is EvidenceKind.LABELLED

    @property
    def against_stable(self) -> bool:
        """Whether the bound is a difference to stable."""
        return (
            self.max_drop is not None
            or self.max_increase is not None
            or self.metric in ALWAYS_COUNTED
        )

    @property
    def paired(self) -> bool:
        """Whether counts of both revisions are compared scrape by scrape; answers to copies are
        compared one by one, where they are made.
        """
        return self.against_stable and self.metric is not Metric.DISAGREEMENT

    @property
    def threshold(self) -> float:
        """The bound the value is held against; admission made sure that there is exactly one."""
        bounds = [
            b for b in (self.min, self.max, self.max_drop, self.max_increase) if b is not None
        ]
        if len(bounds) != 1:
            raise ValueError(
                f"gate {self.name}: {len(bounds)} thresholds; write exactly one of min, max,"
                " maxDrop, maxIncrease"
            )
        return bounds[0]


class Analysis(ApiModel):
    """How a candidate is judged."""

    interval: Duration = Field(
        Duration("15s"),
        description="How often the gates are measured.",
        json_schema_extra=cel(
            between("1s"),
            "write an interval of at least 1s, such as 15s or 1m, and of a year (8760h) at most",
        ),
    )
    on_failure: OnFailure = Field(
        OnFailure.ROLLBACK, description="What follows when a gate fails: Rollback or Pause."
    )
    on_no_evidence: OnNoEvidence = Field(
        OnNoEvidence.ROLLBACK,
        description=(
            "What follows when maxHold is over without evidence: Rollback, Pause or Promote."
        ),
    )
    max_hold: Duration = Field(
        Duration("10m"), description="How long a step that is due waits for evidence."
    )
    gates: tuple[Gate, ...] = Field(
        (Gate(metric=Metric.ACCURACY, min=0.70),),
        min_length=1,
        max_length=10,
        description="All must pass for promotion; one failure is enough to roll back.",
    )
