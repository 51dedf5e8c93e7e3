"""What a person asks for: the spec of a ModelRollout. The CRD's schema, defaults and CEL rules are made from this."""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from rollout_operator.domain.schema import DURATION, ApiModel, Duration, cel

MODEL_NAME = "[A-Za-z0-9_][A-Za-z0-9_.-]*"
MODEL_URI = f"^models:/{MODEL_NAME}(/[1-9][0-9]{{0,9}}|@[A-Za-z][A-Za-z0-9_-]*)$"
HOST = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?\\.)*[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
PATH = "^/[A-Za-z0-9._~/-]*$"
MAX_NAME = 48
"""Longest name of a ModelRollout: `<name>-<revision>-` must survive whole in the names of its pods (58 characters)."""


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


def _rule(rule: str, message: str) -> dict[str, str]:
    only: dict[str, str] = cel(rule, message)["x-kubernetes-validations"][0]
    return only


def _quantity() -> dict[str, Any]:
    return {
        "x-kubernetes-int-or-string": True,
        "maxLength": 32,
        **cel("type(self) == int ? self >= 0 : isQuantity(string(self))", "write a Kubernetes quantity such as 100m, 2 or 256Mi"),
    }


Quantity = Annotated[int | str, Field(json_schema_extra=_quantity())]


class Amounts(ApiModel):
    """Amounts of CPU and memory, as Kubernetes quantities."""

    cpu: Quantity | None = Field(None, description="CPU, for example 100m or 2.")
    memory: Quantity | None = Field(None, description="Memory, for example 256Mi.")


class Resources(ApiModel):
    """What a pod of the model server asks for and may use at most."""

    requests: Amounts = Field(Amounts(cpu="100m", memory="256Mi"), description="Reserved for each pod.")
    limits: Amounts | None = Field(None, description="At most, for each pod.")


class Traffic(ApiModel):
    """Where requests for the model come in."""

    provider: Literal["Ingress"] = Field("Ingress", description="The router: Ingress with nginx canary annotations.")
    host: str = Field(
        max_length=253,
        description="The host name that the model answers on.",
        json_schema_extra=cel(f"self.matches('{HOST}')", "write a lower-case host name such as iris.example.com"),
    )
    path: str = Field(
        "/",
        max_length=256,
        description="The path prefix that the model answers on.",
        json_schema_extra=cel(f"self.matches('{PATH}')", "write a path that starts with / and holds letters, digits and . _ ~ / - only"),
    )
    ingress_class_name: str = Field(
        "nginx",
        max_length=63,
        description="The IngressClass of both Ingresses.",
        json_schema_extra=cel("self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')", "write the name of an IngressClass, such as nginx"),
    )


class Step(ApiModel):
    """A weight held for a time."""

    weight: int = Field(
        description="Share of requests that the candidate answers, in percent.",
        json_schema_extra=cel("self >= 1 && self <= 100", "weight is a percentage: write a whole number from 1 to 100"),
    )
    hold: Duration = Field("60s", description="How long the weight is held at least before the next step.")


class Strategy(ApiModel):
    """How a candidate gets its traffic."""

    steps: tuple[Step, ...] = Field(
        (Step(weight=10), Step(weight=50)),
        min_length=1,
        max_length=20,
        description="The steps of a trial, in ascending weight. Promotion follows the last one.",
        json_schema_extra=cel(
            "self.map(s, s.weight).isSorted() && self.all(s, self.exists_one(t, t.weight == s.weight))",
            "steps must ascend: write each weight greater than the one before it, such as 10, 50",
        ),
    )
    progress_deadline: Duration = Field("10m", description="Longest wait for pods in one phase; after it the candidate is rolled back.")
    scale_down_delay: Duration = Field("30s", description="How long the pods of a replaced revision are kept.")


GATE_RULES = [
    _rule(
        "self.metric == 'accuracy' ? has(self.min) && !has(self.max) : has(self.max) && !has(self.min)",
        "accuracy takes min (at least), errorRate and latencyP95Seconds take max (at most): write exactly that one",
    ),
    _rule(
        "!has(self.min) || (self.min >= 0.0 && self.min <= 1.0)",
        "accuracy is a share from 0 to 1: write min: 0.70 for 70 %",
    ),
    _rule(
        "!has(self.max) || (self.max >= 0.0 && (self.metric != 'errorRate' || self.max <= 1.0))",
        "max must not be negative, and errorRate is a share from 0 to 1: write max: 0.01 for 1 %",
    ),
]


class Gate(ApiModel, json_schema_extra={"x-kubernetes-validations": GATE_RULES}):
    """One rule on one metric."""

    metric: Metric = Field(description="accuracy, errorRate or latencyP95Seconds.")
    min: float | None = Field(None, description="Passes at or above this value (accuracy: a share from 0 to 1).")
    max: float | None = Field(None, description="Passes at or below this value (errorRate: a share; latencyP95Seconds: seconds).")
    min_samples: int = Field(
        30,
        description="Requests that errorRate and latencyP95Seconds need before they say anything.",
        json_schema_extra=cel("self >= 1 && self <= 1000000", "minSamples is a count: write a whole number of at least 1"),
    )

    @property
    def threshold(self) -> float:
        """The bound the value is held against; admission made sure that there is exactly one."""
        bound = self.min if self.metric is Metric.ACCURACY else self.max
        if bound is None:
            raise ValueError(f"gate {self.metric}: no threshold; accuracy takes min, the others take max")
        return bound


class Analysis(ApiModel):
    """How a candidate is judged."""

    interval: Duration = Field(
        "15s",
        description="How often the gates are measured.",
        json_schema_extra=cel(
            f"self != '0s' && self != '0m' && self.matches('{DURATION}')", "write an interval of at least 1s, such as 15s or 1m"
        ),
    )
    on_failure: OnFailure = Field(OnFailure.ROLLBACK, description="What follows when a gate fails: Rollback or Pause.")
    on_no_evidence: OnNoEvidence = Field(
        OnNoEvidence.ROLLBACK, description="What follows when maxHold is over without evidence: Rollback, Pause or Promote."
    )
    max_hold: Duration = Field("10m", description="How long a step that is due waits for evidence.")
    gates: tuple[Gate, ...] = Field(
        (Gate(metric=Metric.ACCURACY, min=0.70),),
        min_length=1,
        max_length=10,
        description="All must pass for promotion; one failure is enough to roll back.",
    )


class Spec(ApiModel):
    """The spec of a ModelRollout; two lines (modelUri, traffic.host) are enough."""

    model_uri: str = Field(
        max_length=256,
        description="The MODEL_URI: models:/<name>/<version>, or models:/<name>@<alias>, whose version is pinned in status.",
        json_schema_extra=cel(
            f"self.matches('{MODEL_URI}')",
            "write models:/<name>/<version> with a whole number as version, such as models:/iris/7, or models:/<name>@<alias>",
        ),
    )
    replicas: int = Field(
        2,
        description="Pods of the stable revision.",
        json_schema_extra=cel("self >= 1 && self <= 1000", "replicas is a count of pods: write a whole number from 1 to 1000"),
    )
    resources: Resources = Field(Resources(), description="CPU and memory of each model server pod.")
    traffic: Traffic = Field(description="Where requests come in.")
    strategy: Strategy = Field(Strategy(), description="How a candidate gets its traffic.")
    analysis: Analysis = Field(Analysis(), description="How a candidate is judged.")
    paused: bool = Field(False, description="Hold everything where it is.")


NAME_RULES = [
    _rule(
        f"size(self.metadata.name) <= {MAX_NAME}",
        f"metadata.name is too long: write at most {MAX_NAME} characters, because pods and Services are named after it",
    ),
    _rule(
        "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
        "metadata.name names a Service: write lower-case letters, digits and -, beginning with a letter",
    ),
]
