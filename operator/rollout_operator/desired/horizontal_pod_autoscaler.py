"""The HorizontalPodAutoscaler of one revision: it alone says how many pods its Deployment has."""

from rollout_operator.desired.common import Manifest, Owner
from rollout_operator.domain.api.autoscaling import Autoscaling, ScalingMetric
from rollout_operator.domain.api.names import revision_name

CONTAINER = "model"
SERIES = {
    ScalingMetric.RPS: "ml_requests_per_second",
    ScalingMetric.LATENCY: "ml_request_latency_p95_seconds",
}
"""By metric: what prometheus-adapter calls it, by the rules of monitoring/."""


def horizontal_pod_autoscaler(
    owner: Owner, revision: str, least: int, scaling: Autoscaling, *, shrinks: bool = True
) -> Manifest:
    """least: pods at least, of which `max` of the spec is the most; shrinks: whether it may take
    pods away.
    """
    name = revision_name(owner.name, revision)
    # Written in full: what is left out is filled in by the API server, and would be no difference
    # any more.
    policy = "Max" if shrinks else "Disabled"
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": owner.metadata(name, revision),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": min(least, scaling.max),
            "maxReplicas": scaling.max,
            "metrics": [_metric(scaling)],
            "behavior": {"scaleDown": {"selectPolicy": policy}},
        },
    }


def _metric(scaling: Autoscaling) -> Manifest:
    if scaling.metric is ScalingMetric.CPU:
        # Of the one container: a sidecar that requests no CPU would leave the whole pod without
        # a figure.
        target = {"type": "Utilization", "averageUtilization": int(scaling.target)}
        of = {"name": "cpu", "container": CONTAINER, "target": target}
        return {"type": "ContainerResource", "containerResource": of}
    target = {"type": "AverageValue", "averageValue": _quantity(scaling.target)}
    of = {"metric": {"name": SERIES[scaling.metric]}, "target": target}
    return {"type": "Pods", "pods": of}


def _quantity(value: float) -> str:
    """A number as a Kubernetes quantity, in thousandths, as the API server writes it."""
    thousandths = round(value * 1000)
    return f"{thousandths}m" if thousandths % 1000 else str(thousandths // 1000)
