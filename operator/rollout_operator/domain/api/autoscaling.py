"""How many pods there are, where an autoscaler decides it: the part of a spec that says so."""

from enum import StrEnum
from typing import Any

from pydantic import Field

from rollout_operator.domain.api.api_types import ApiModel, cel, rule

MOST_PODS = 1000


class ScalingMetric(StrEnum):
    """What the number of pods follows."""

    CPU = "cpu"
    RPS = "rps"
    LATENCY = "latency"


def _pods(name: str) -> dict[str, Any]:
    return cel(
        f"self >= 1 && self <= {MOST_PODS}",
        f"{name} is a count of pods: write a whole number from 1 to {MOST_PODS}",
    )


RULES = [
    rule(
        "self.min <= self.max",
        "max is below min, which is 2 where it is not given: write a max of at least min",
    ),
    rule(
        "self.metric != 'cpu' || (self.target >= 1.0 && self.target <= 1000.0 &&"
        " double(int(self.target)) == self.target)",
        "the target of cpu is a percentage of what pods request: write a whole number from 1 to"
        " 1000, such as 70",
    ),
    rule(
        "self.target >= 0.001 && self.target <= 1000000.0",
        "target is what a pod is to have: write a number from 0.001 to 1000000, such as 70 (cpu,"
        " percent), 20 (rps, requests per second) or 0.25 (latency, seconds)",
    ),
]


class Autoscaling(ApiModel, json_schema_extra={"x-kubernetes-validations": RULES}):
    """The bounds of the number of pods, and what it follows."""

    min: int = Field(
        2, description="Pods of stable at least.", json_schema_extra=_pods("autoscaling.min")
    )
    max: int = Field(
        description="Pods of one revision at most.", json_schema_extra=_pods("autoscaling.max")
    )
    metric: ScalingMetric = Field(
        ScalingMetric.CPU,
        description=(
            "What it follows: cpu (by metrics-server), rps or latency (by prometheus-adapter, with"
            " the rules of monitoring/)."
        ),
    )
    target: float = Field(
        description=(
            "What a pod is to have: of cpu percent of its request, of rps requests per second, of"
            " latency seconds at the 95th percentile."
        )
    )

    def clamp(self, pods: int) -> int:
        """This number of pods, or what is nearest to it from 1 to `max`."""
        return max(1, min(pods, self.max))
