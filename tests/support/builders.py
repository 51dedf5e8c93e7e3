"""Builders of test values: a rollout under observation, with what a test does not care about filled
in.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from rollout_operator.domain.api.analysis import Metric
from rollout_operator.domain.api.route_status import Unrouted
from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import Revision, Shortage, Status
from rollout_operator.domain.api.words import Phase, Reason
from rollout_operator.domain.observed import Observed, Resolution, Resolved, Series, Workload
from rollout_operator.domain.revision import revision_of

START = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
UID = "11111111-2222-3333-4444-555555555555"
IMAGE = "localhost/rollouts/inference:test"
DIGEST = "sha256:" + "a" * 64


def at(seconds: float) -> datetime:
    """A moment, in seconds after the start of the test's story."""
    return START + timedelta(seconds=seconds)


def spec(uri: str = "models:/iris/1", **changes: Any) -> Spec:
    """A spec with short times: steps of 10 % and 50 % held 20 s, interval 5 s, deadline 60 s,
    maxHold 40 s.
    """
    raw: dict[str, Any] = {
        "modelUri": uri,
        "replicas": 2,
        "traffic": {"host": "iris.example.com"},
        "strategy": {
            "steps": [{"weight": 10, "hold": "20s"}, {"weight": 50, "hold": "20s"}],
            "progressDeadline": "1m",
            "scaleDownDelay": "30s",
        },
        "analysis": {"interval": "5s", "maxHold": "40s"},
    }
    for path, value in changes.items():
        *parents, leaf = path.split("__")
        place = raw
        for parent in parents:
            place = place[parent]
        place[leaf] = value
    return Spec.model_validate(raw)


def resolved(version: int, name: str = "iris") -> Resolved:
    """What the registry says of a version, with a digest of its own."""
    return Resolved(
        uri=f"models:/{name}/{version}",
        version=str(version),
        digest="sha256:" + f"{version:064x}",
        run=f"run{version}",
    )


def revision(version: int, for_spec: Spec | None = None, **changes: Any) -> Revision:
    """The revision of a version, as the engine would make it at the start."""
    made = revision_of(
        resolved(version), for_spec or spec(f"models:/iris/{version}"), UID, IMAGE, START
    )
    return made.model_copy(update=changes)


def observed(now: float, **changes: Any) -> Observed:
    """One look, `now` seconds after the start."""
    values: dict[str, Any] = {
        "now": at(now),
        "uid": UID,
        "name": "iris",
        "generation": 1,
        "spec": spec(),
        "status": Status(),
        "image": IMAGE,
    }
    return Observed(**(values | changes))


REASONS = {
    Phase.STARTING: Reason.WAITING_FOR_PODS,
    Phase.TRIAL: Reason.MEASURING,
    Phase.ROLLING_BACK: Reason.GATE_FAILED,
    Phase.ROLLED_BACK: Reason.GATE_FAILED,
}
"""Why a rollout of a test is in a phase; what is on its way to be promoted has passed its gates."""


def on_trial(**changes: Any) -> Status:
    """Version 1 is stable, version 2 is in the first step of its trial since second 0."""
    values: dict[str, Any] = {
        "observed_generation": 1,
        "phase": Phase.TRIAL,
        "phase_since": START,
        "attempt": 2,
        "attempt_since": START,
        "stable": revision(1, promoted=True, ready_at=at(-600), since=at(-600)),
        "candidate": revision(2, replicas=1, ready_at=START),
        "step": 0,
        "step_since": START,
        "weight": 10,
        "reason": REASONS.get(changes.get("phase", Phase.TRIAL), Reason.GATES_PASSED),
    }
    return Status(**(values | changes))


def shortage(stalled: bool) -> Shortage:
    """Of the three pods that the spec asks for, one is Ready since second 0."""
    return Shortage(
        ready=1,
        wanted=3,
        since=START,
        stalled=stalled,
        message="1 of 3 pods is Ready. exceeded quota: pods",
    )


def unrouted(stalled: bool) -> Unrouted:
    """The route that the spec asks for is not accepted since second 0."""
    return Unrouted(
        since=START,
        stalled=stalled,
        message="The HTTPRoute for a.example.com/ is not accepted: no such Gateway.",
    )


def accuracy(value: float, sampled: float, pod: str = "pod-a") -> dict[str, tuple[Series, ...]]:
    """An answer of Prometheus with one accuracy series, sampled at that second."""
    series = Series(name="ml_model_accuracy", pod=pod, at=at(sampled).timestamp(), value=value)
    return {Metric.ACCURACY: (series,)}


def ready(*revisions: Revision, count: int = 2) -> Mapping[str, Workload]:
    """Deployments whose pods are all Ready."""
    return {r.revision: Workload(ready=count, wanted=count) for r in revisions}


def registry(*versions: int) -> Mapping[str, Resolution]:
    """A registry with these versions, by URI."""
    return {f"models:/iris/{v}": resolved(v) for v in versions}
