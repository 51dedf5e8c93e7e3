"""What a person asks for: the spec of a ModelRollout. The CRD's schema, defaults and CEL rules are
made from this.
"""

import re
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from rollout_operator.domain.api.api_types import ApiModel, Duration, between, cel, rule, rules
from rollout_operator.domain.api.traffic import Traffic

_LETTERS = (
    r"A-Za-z0-9\u00c0-\u061b\u061d-\u167f\u1681-\u180d\u180f-\u1fff\u2c00-\u2fef\u3001-\ud7ff"
)
"""In a set of characters: letters and digits of any script, no blanks, controls or marks of
direction. RE2 and Python read it alike.
"""
MODEL_NAME = f"[{_LETTERS}_-]([{_LETTERS}_. -]*[{_LETTERS}_.-])?"
MODEL_ALIAS = f"[{_LETTERS}_-]+"
MODEL_URI = f"^models:/{MODEL_NAME}(/[1-9][0-9]{{0,9}}|@{MODEL_ALIAS})$"
MODEL_URI_FORM = (
    "write models:/<name>/<version> with a whole number as version, such as models:/iris/7, or"
    " models:/<name>@<alias>; names are of letters, digits, blanks and _ . -, and aliases of"
    " letters, digits and _ -"
)
LATEST = "@[Ll][Aa][Tt][Ee][Ss][Tt]$"
NOT_LATEST = (
    "@latest is whatever version anybody registered last: set an alias of your own in MLflow, and"
    " write models:/<name>@<alias>"
)
MAX_NAME = 48
"""Longest name of a ModelRollout: `<name>-<revision>-` must survive whole in the names of its pods
(58 characters).
"""


class Metric(StrEnum):
    """What a gate can look at."""

    ACCURACY = "accuracy"
    ERROR_RATE = "errorRate"
    LATENCY_P95 = "latencyP95Seconds"


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


class AdvanceOn(StrEnum):
    """What ends a step."""

    TIME = "Time"
    EVIDENCE = "Evidence"


QUANTITY_RULE = cel(
    "type(self) == int ? self >= 0 : isQuantity(string(self)) &&"
    " quantity(string(self)).compareTo(quantity('0')) >= 0",
    "write a Kubernetes quantity such as 100m, 2 or 256Mi, not below 0",
)
Quantity = Annotated[
    int | str,
    Field(json_schema_extra={"x-kubernetes-int-or-string": True, "maxLength": 32, **QUANTITY_RULE}),
]


class Amounts(ApiModel):
    """Amounts of CPU and memory, as Kubernetes quantities."""

    cpu: Quantity | None = Field(None, description="CPU, for example 100m or 2.")
    memory: Quantity | None = Field(None, description="Memory, for example 256Mi.")


def _within_limit(amount: str) -> dict[str, str]:
    requested, most = (f"quantity(string(self.{part}.{amount}))" for part in ("requests", "limits"))
    there = f"has(self.limits) && has(self.limits.{amount}) && has(self.requests.{amount})"
    message = (
        f"limits.{amount} is below requests.{amount}, which is {{}} where it is not given: write a"
        " limit of at least the request"
    )
    return rule(
        f"!({there}) || {requested}.compareTo({most}) <= 0",
        message.format({"cpu": "100m", "memory": "256Mi"}[amount]),
    )


class Resources(
    ApiModel,
    json_schema_extra={"x-kubernetes-validations": [_within_limit("cpu"), _within_limit("memory")]},
):
    """What a pod of the model server asks for and may use at most."""

    requests: Amounts = Field(
        Amounts(cpu="100m", memory="256Mi"), description="Reserved for each pod."
    )
    limits: Amounts | None = Field(None, description="At most, for each pod.")


class Step(ApiModel):
    """A weight held for a time."""

    weight: int = Field(
        description="Share of requests that the candidate answers, in percent.",
        json_schema_extra=cel(
            "self >= 1 && self <= 100", "weight is a percentage: write a whole number from 1 to 100"
        ),
    )
    hold: Duration = Field(
        Duration("60s"), description="How long the weight is held at least before the next step."
    )


class Strategy(ApiModel):
    """How a candidate gets its traffic."""

    steps: tuple[Step, ...] = Field(
        (Step(weight=10), Step(weight=50)),
        min_length=1,
        max_length=20,
        description="The steps of a trial, in ascending weight. Promotion follows the last one.",
        json_schema_extra=cel(
            "[self.map(s, s.weight)].all(w, w.isSorted() && w.all(x, w.exists_one(y, y == x)))",
            "steps must ascend: write each weight greater than the one before it, such as 10, 50",
        ),
    )
    advance_on: AdvanceOn = Field(
        AdvanceOn.TIME,
        description=(
            "What ends a step: Time (hold is over and all gates pass) or Evidence (step k of n ends"
            " when each Labelled gate has k/n of the evidence that promotion needs; hold is not"
            " waited for)."
        ),
    )
    progress_deadline: Duration = Field(
        Duration("10m"),
        description="Longest wait for pods in one phase; after it the candidate is rolled back.",
    )
    scale_down_delay: Duration = Field(
        Duration("30s"), description="How long the pods of a replaced revision are kept."
    )


LABELLED = "has({0}.evidence) && {0}.evidence == 'Labelled'"
MIN_SAMPLES, MAX_SAMPLES = 30, 2000
# What is left out of a gate is not there when the rules are read: the API server fills in nothing
# inside of a list.
GATE_RULES = [
    rule(
        "self.metric == 'accuracy' ? !has(self.max) && !has(self.maxIncrease) && has(self.min) !="
        " has(self.maxDrop) : !has(self.min) && !has(self.maxDrop) && has(self.max) !="
        " has(self.maxIncrease)",
        "accuracy takes min (at least) or maxDrop (against stable), errorRate and latencyP95Seconds"
        " take max (at most) or maxIncrease (against stable): write exactly one",
    ),
    rule(
        "!has(self.max) || (self.max >= 0.0 && (self.metric != 'errorRate' || self.max <= 1.0))",
        "max must not be negative, and errorRate is a share from 0 to 1: write max: 0.01 for 1 %",
    ),
    rule(
        "!has(self.maxIncrease) || (self.maxIncrease >= 0.0 && (self.metric != 'errorRate' ||"
        " self.maxIncrease <= 0.5))",
        "maxIncrease must not be negative, and for errorRate is a share of at most 0.5: write"
        " maxIncrease: 0.01 for one point above stable",
    ),
    rule(
        f"!({LABELLED.format('self')}) || ((!has(self.min) || (self.min > 0.0 && self.min < 1.0))"
        " && (!has(self.max) || self.metric != 'errorRate' || (self.max > 0.0 && self.max < 1.0)))",
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
        "!has(self.tolerance) || self.tolerance == 0.0 || ((!has(self.min) || self.tolerance <"
        " self.min) && (!has(self.max) || self.metric != 'errorRate' || self.max + self.tolerance <"
        " 1.0))",
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

    metric: Metric = Field(description="accuracy, errorRate or latencyP95Seconds.")
    min: float | None = Field(
        None,
        description="Passes at or above this value (accuracy: a share from 0 to 1).",
        json_schema_extra=cel(
            "self >= 0.0 && self <= 1.0",
            "accuracy is a share from 0 to 1: write min: 0.70 for 70 %",
        ),
    )
    max: float | None = Field(
        None,
        description=(
            "Passes at or below this value (errorRate: a share; latencyP95Seconds: seconds)."
        ),
    )
    max_drop: float | None = Field(
        None,
        description="Passes where accuracy is at most this much below stable's (a share).",
        json_schema_extra=cel(
            "self >= 0.0 && self <= 0.5",
            "maxDrop is a share from 0 to 0.5: write maxDrop: 0.05 for five points below stable",
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
            "Labels or requests needed before the gate can pass (Reported errorRate,"
            " latencyP95Seconds: before it says anything)."
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
            " onNoEvidence decides."
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
            " where not given."
        ),
        json_schema_extra=cel(
            "self >= 1.0 && self <= 1000.0",
            "designEffect divides the counts: write a number of at least 1",
        ),
    )

    @property
    def labelled(self) -> bool:
        """Whether the gate is a sequential test."""
        return self.evidence is EvidenceKind.LABELLED

    @property
    def against_stable(self) -> bool:
        """Whether the bound is a difference to stable."""
        return self.max_drop is not None or self.max_increase is not None

    @property
    def threshold(self) -> float:
        """The bound the value is held against; admission made sure that there is exactly one."""
        bounds = [
            b for b in (self.min, self.max, self.max_drop, self.max_increase) if b is not None
        ]
        if len(bounds) != 1:
            raise ValueError(
                f"gate {self.metric}: {len(bounds)} thresholds; write exactly one of min, max,"
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


SPEC_RULES = [
    rule(
        "self.strategy.advanceOn != 'Evidence' || self.analysis.gates.exists(g, "
        + LABELLED.format("g")
        + ")",
        "advanceOn: Evidence needs a gate with evidence: Labelled: add one to analysis.gates, or"
        " write advanceOn: Time",
    ),
]


def _no_latest(uri: str) -> str:
    """The URI; raises ValueError for the alias that MLflow itself answers, also in objects from
    before the CRD refused it.
    """
    if re.search(LATEST, uri):
        raise ValueError(NOT_LATEST)
    return uri


class Spec(ApiModel, json_schema_extra={"x-kubernetes-validations": SPEC_RULES}):
    """The spec of a ModelRollout; two lines (modelUri, traffic.host) are enough."""

    model_uri: Annotated[str, AfterValidator(_no_latest)] = Field(
        max_length=256,
        description=(
            "The MODEL_URI: models:/<name>/<version>, or models:/<name>@<alias>, whose version is"
            " pinned in status."
        ),
        json_schema_extra=rules(
            (
                f"self.matches('{MODEL_URI}')",
                MODEL_URI_FORM,
            ),
            (f"!self.matches('{LATEST}')", NOT_LATEST),
        ),
    )
    replicas: int = Field(
        2,
        description="Pods of the stable revision.",
        json_schema_extra=cel(
            "self >= 1 && self <= 1000",
            "replicas is a count of pods: write a whole number from 1 to 1000",
        ),
    )
    resources: Resources = Field(
        Resources(),
        description=(
            "CPU and memory of each model server pod; a change replaces the pods of stable one by"
            " one, and tries nothing."
        ),
    )
    traffic: Traffic = Field(description="Where requests come in.")
    strategy: Strategy = Field(Strategy(), description="How a candidate gets its traffic.")
    allow_signature_change: bool = Field(
        False,
        description=(
            "Roll out a version even if requests that stable accepts would not fit its signature."
        ),
    )
    analysis: Analysis = Field(Analysis(), description="How a candidate is judged.")
    paused: bool = Field(False, description="Hold everything where it is.")


NAME_RULES = [
    rule(
        f"size(self.metadata.name) <= {MAX_NAME}",
        f"metadata.name is too long: write at most {MAX_NAME} characters, because pods and Services"
        " are named after it",
    ),
    rule(
        "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
        "metadata.name names a Service: write lower-case letters, digits and -, beginning with a"
        " letter",
    ),
]
