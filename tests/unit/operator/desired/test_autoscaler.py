"""The HorizontalPodAutoscalers of a rollout: which revisions have one, and what it is told."""

from typing import Any

import pytest

from rollout_operator.desired.build import build
from rollout_operator.desired.common import Manifest, Owner
from rollout_operator.domain.api.status import Status
from rollout_operator.domain.api.words import Phase
from tests.support.builders import UID, on_trial, revision, spec

OWNER = Owner(UID, "iris", "models")
V1, V2, V3 = revision(1), revision(2), revision(3)
SCALING = {"min": 3, "max": 8, "metric": "cpu", "target": 70}
RESTS = on_trial(phase=Phase.PROMOTED, candidate=None, step=None, weight=0)


def made(status: Status, **scaling: Any) -> dict[str, Manifest]:
    """The Deployments and autoscalers, by kind and revision."""
    wanted = spec("models:/iris/2", autoscaling=SCALING | scaling)
    return {
        f"{m['kind']} {m['metadata']['name'].removeprefix('iris-')}": m
        for m in build(OWNER, wanted, status, {})
        if m["kind"] in {"Deployment", "HorizontalPodAutoscaler"}
    }


TOLD: dict[str, tuple[Status, dict[str, tuple[int, int, str]]]] = {
    "at rest": (RESTS, {V1.revision: (3, 8, "Max")}),
    "a trial: stable gives no pods away": (
        on_trial(candidate=V2.model_copy(update={"replicas": 2})),
        {V1.revision: (3, 8, "Disabled"), V2.revision: (2, 8, "Max")},
    ),
    "a candidate that was as large as was once allowed": (
        on_trial(candidate=V2.model_copy(update={"replicas": 20})),
        {V1.revision: (3, 8, "Disabled"), V2.revision: (8, 8, "Max")},
    ),
    "a first deploy": (
        Status(phase=Phase.STARTING, attempt=1, candidate=V1.model_copy(update={"replicas": 3})),
        {V1.revision: (3, 8, "Max")},
    ),
    "what retires has none": (
        RESTS.model_copy(update={"retiring": (V3,)}),
        {V1.revision: (3, 8, "Max")},
    ),
}


@pytest.mark.parametrize(("status", "told"), TOLD.values(), ids=TOLD.keys())
def test_each_revision_that_serves_has_one(
    status: Status, told: dict[str, tuple[int, int, str]]
) -> None:
    objects = made(status)
    found = {
        name.split()[1]: m["spec"] for name, m in objects.items() if name.startswith("Horizontal")
    }
    assert {
        of: (
            one["minReplicas"],
            one["maxReplicas"],
            one["behavior"]["scaleDown"]["selectPolicy"],
        )
        for of, one in found.items()
    } == told
    for of, one in found.items():
        assert one["scaleTargetRef"] == {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": f"iris-{of}",
        }
        assert "replicas" not in objects[f"Deployment {of}"]["spec"]
    kept = {r.revision: r.replicas for r in status.retiring}
    assert kept == {r: objects[f"Deployment {r}"]["spec"]["replicas"] for r in kept}


METRICS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "CPU, of the server's container alone": (
        {"metric": "cpu", "target": 70},
        {
            "type": "ContainerResource",
            "containerResource": {
                "name": "cpu",
                "container": "model",
                "target": {"type": "Utilization", "averageUtilization": 70},
            },
        },
    ),
    "requests per second": (
        {"metric": "rps", "target": 20},
        {
            "type": "Pods",
            "pods": {
                "metric": {"name": "ml_requests_per_second"},
                "target": {"type": "AverageValue", "averageValue": "20"},
            },
        },
    ),
    "latency, in thousandths": (
        {"metric": "latency", "target": 1.25},
        {
            "type": "Pods",
            "pods": {
                "metric": {"name": "ml_request_latency_p95_seconds"},
                "target": {"type": "AverageValue", "averageValue": "1250m"},
            },
        },
    ),
}


@pytest.mark.parametrize(("scaling", "metric"), METRICS.values(), ids=METRICS.keys())
def test_the_metric_that_it_follows(scaling: dict[str, Any], metric: dict[str, Any]) -> None:
    one = made(RESTS, **scaling)[f"HorizontalPodAutoscaler {V1.revision}"]
    assert one["spec"]["metrics"] == [metric]


def test_the_container_that_it_follows_is_there() -> None:
    objects = made(RESTS, metric="cpu")
    pod = objects[f"Deployment {V1.revision}"]["spec"]["template"]["spec"]
    (metric,) = objects[f"HorizontalPodAutoscaler {V1.revision}"]["spec"]["metrics"]
    assert metric["containerResource"]["container"] in [c["name"] for c in pod["containers"]]


def test_without_autoscaling_there_is_none() -> None:
    kinds = {m["kind"] for m in build(OWNER, spec("models:/iris/2"), on_trial(), {})}
    assert "HorizontalPodAutoscaler" not in kinds
