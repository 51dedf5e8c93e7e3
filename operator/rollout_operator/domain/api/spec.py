"""What a person asks for: the spec of a ModelRollout. The CRD's schema, defaults and CEL rules are
made from this.
"""

import re
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from rollout_operator.domain.api.analysis import LABELLED, Analysis
from rollout_operator.domain.api.api_types import PROFILE_NAME, ApiModel, Duration, cel, rule, rules
from rollout_operator.domain.api.autoscaling import Autoscaling
from rollout_operator.domain.api.traffic import MOST_WEIGHT, Traffic
from rollout_operator.domain.api.windows import MOST_WINDOWS, Window

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


class AdvanceOn(StrEnum):
    """What ends a step."""

    TIME = "Time"
    EVIDENCE = "Evidence"


class Approval(StrEnum):
    """Whether a person decides after the last step."""

    NONE = "None"
    REQUIRED = "Required"


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


ASCENDING = "steps must ascend: write each weight greater than the one before it, such as 10, 50"
COPIES_ALONE = (
    "copies alone promote nothing: write a step with a weight above 0 after the one of weight 0"
)


class Step(
    ApiModel,
    json_schema_extra={
        "x-kubernetes-validations": [
            rule(
                "self.weight > 0 || (has(self.shadow) && self.shadow > 0)",
                "a step of weight 0 shows nothing without copies: write shadow: 20 beside it, or a"
                " weight from 1 to 100",
            )
        ]
    },
):
    """A weight held for a time."""

    weight: int = Field(
        description="Share of requests that the candidate answers, in percent.",
        json_schema_extra=cel(
            "self >= 0 && self <= 100", "weight is a percentage: write a whole number from 1 to 100"
        ),
    )
    shadow: int = Field(
        0,
        description=(
            "Share of stable's requests that its pods copy to the candidate's, in percent. The"
            " answers are compared, and nobody else gets them."
        ),
        json_schema_extra=cel(
            "self >= 0 && self <= 100", "shadow is a percentage: write a whole number from 1 to 100"
        ),
    )
    hold: Duration = Field(
        Duration("60s"), description="How long the weight is held at least before the next step."
    )

    @property
    def asked(self) -> int:
        """How many requests the candidate gets, copies or not, in percent of all at most."""
        return max(self.weight, self.shadow)


class Strategy(ApiModel):
    """How a candidate gets its traffic."""

    steps: tuple[Step, ...] = Field(
        (Step(weight=10), Step(weight=50)),
        min_length=1,
        max_length=20,
        description="The steps of a trial, in ascending weight. Promotion follows the last one.",
        json_schema_extra=rules(
            (
                "[self.map(s, s.weight)].all(w, w.isSorted() && w.all(x, w.exists_one(y, y == x)))",
                ASCENDING,
            ),
            (
                "self.exists(s, s.weight > 0)",
                COPIES_ALONE,
            ),
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
    approval: Approval = Field(
        Approval.NONE,
        description=(
            "Who promotes after the last step: None (the gates do) or Required (once they have"
            " passed, a person is waited for: approve)."
        ),
    )
    windows: tuple[Window, ...] = Field(
        (),
        max_length=MOST_WINDOWS,
        description=(
            "When it is frozen: no step up and no promotion, while gates are measured and a"
            " rollback is done as ever. Besides those of the operator's configuration."
        ),
    )
    progress_deadline: Duration = Field(
        Duration("10m"),
        description="Longest wait for pods in one phase; after it the candidate is rolled back.",
    )
    scale_down_delay: Duration = Field(
        Duration("30s"), description="How long the pods of a replaced revision are kept."
    )
    watch: Duration = Field(
        Duration("0s"),
        description=(
            "How long the gates go on being measured after promotion, while the pods of the version"
            " before stay ready: a failure goes back to them at once. 0s for not at all."
        ),
    )


SPEC_RULES = [
    rule(
        "!self.analysis.gates.exists(g, g.metric == 'disagreement') ||"
        " self.strategy.steps.exists(s, has(s.shadow) && s.shadow > 0)",
        "disagreement compares the answers to copies, and no step makes any: write shadow in a step"
        " of strategy.steps, such as {weight: 0, shadow: 20}, or take the gate out",
    ),
    rule(
        "self.strategy.advanceOn != 'Evidence' || self.analysis.gates.exists(g, "
        + LABELLED.format("g")
        + ")",
        "advanceOn: Evidence needs a gate with evidence: Labelled: add one to analysis.gates, or"
        " write advanceOn: Time",
    ),
    rule(
        "duration(self.strategy.watch) == duration('0s') || self.analysis.gates.exists(g,"
        " has(g.min) || has(g.max))",
        "the version before gets no requests in a watch, so no gate can compare with it: add one"
        " with min or max to analysis.gates, or write watch: 0s",
    ),
    rule(
        "!has(self.autoscaling) || self.autoscaling.metric != 'cpu' ||"
        " has(self.resources.requests.cpu)",
        "autoscaling by CPU follows a percentage of what pods request: write"
        " resources.requests.cpu, or autoscaling.metric: rps",
    ),
    rule(
        "!has(self.autoscaling) || !has(oldSelf.autoscaling) || self.replicas == oldSelf.replicas",
        "the number of pods is autoscaling's: change autoscaling.min and autoscaling.max and leave"
        " replicas as it is, or remove autoscaling to scale by replicas",
    ),
    rule(
        f"self.traffic.provider != 'None' || self.strategy.steps.all(s, s.weight <= {MOST_WEIGHT})",
        "with provider: None a candidate on trial has at most as many pods as stable: write weights"
        f" of {MOST_WEIGHT} at most; it gets all connections when it is promoted",
    ),
    rule(
        "!has(self.autoscaling) || self.traffic.provider != 'None'",
        "with provider: None the numbers of pods are the split, which an autoscaler would change:"
        " write replicas in place of autoscaling, or another provider",
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
        description=(
            "Pods of the stable revision; without meaning where there is autoscaling. A whole"
            " number always: the scale subresource writes it."
        ),
        json_schema_extra=cel(
            "self >= 1 && self <= 1000",
            "replicas is a count of pods: write a whole number from 1 to 1000",
        ),
    )
    autoscaling: Autoscaling | None = Field(
        None,
        description=(
            "Have an autoscaler decide how many pods there are, of each revision for itself, in"
            " place of replicas. A change tries nothing."
        ),
    )
    resources: Resources = Field(
        Resources(),
        description=(
            "CPU and memory of each model server pod; a change replaces the pods of stable one by"
            " one, and tries nothing."
        ),
    )
    profile: str | None = Field(
        None,
        max_length=63,
        description=(
            "Where and how pods run: a profile of the operator's configuration that this namespace"
            " may use. A change replaces the pods of stable one by one, and tries nothing."
        ),
        json_schema_extra=cel(
            f"self.matches('{PROFILE_NAME}')",
            "profile is a name: write lower-case letters, digits and -, such as gpu",
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
