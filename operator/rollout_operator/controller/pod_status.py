"""What pods say is wrong, where they are long in becoming Ready."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from rollout_operator.adapters.kubernetes_api import Cluster
from rollout_operator.domain.api.status import Revision, Status
from rollout_operator.domain.api.words import Phase
from rollout_operator.domain.machine.schedule import READINESS_LOOK
from rollout_operator.domain.observed import Workload

WAITING = frozenset({Phase.STARTING, Phase.PROMOTING, Phase.SHIFTING, Phase.SWITCHING})
"""Phases that wait for pods or endpoints."""
LONGEST_MESSAGE = 400
LONGEST_REASON = 300

Pod = Mapping[str, Any]


def waits_long(status: Status, now: datetime) -> bool:
    """Whether a phase that waits for pods has lasted long."""
    return status.phase in WAITING and now - (status.phase_since or now) >= READINESS_LOOK


async def with_pods_trouble(
    key: tuple[str, str],
    status: Status,
    workloads: Mapping[str, Workload],
    cluster: Cluster,
    now: datetime,
) -> Mapping[str, Workload]:
    """The workloads, with what the pods say where they are long in becoming Ready: the candidate's,
    or those of what is promoted.

    Raises CallFailed.
    """
    if (missing := _long_missing(status, now)) is None:
        return workloads
    revision, wanted = missing
    known = workloads.get(revision.revision)
    if known is None or known.trouble or min(known.ready, known.as_asked) >= wanted:
        return workloads
    pods = await cluster.pods(*key, revision.revision)
    return {**workloads, revision.revision: replace(known, trouble=trouble(pods))}


def _long_missing(status: Status, now: datetime) -> tuple[Revision, int] | None:
    """Whose pods should long be Ready, and how many; None where nobody waits long."""
    short = status.shortage
    if short is not None and status.stable is not None:
        told = short.stalled or now - short.since < READINESS_LOOK
        return None if told else (status.stable, short.wanted)
    if status.candidate is not None and waits_long(status, now):
        return status.candidate, status.candidate.replicas
    return None


def trouble(pods: Iterable[Pod]) -> str:
    """What the pods themselves say is wrong, as one sentence; "" where they say nothing.

    A container's own last words (its termination message) come before what Kubernetes makes of
    them.
    """
    reasons: list[str] = []
    for pod in pods:
        status = pod.get("status", {})
        steps = (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ()))
        for container in steps:
            if last_words := _last_words(pod, container):
                return last_words
            waiting = container.get("state", {}).get("waiting") or {}
            if waiting.get("reason", "") not in {"", "ContainerCreating", "PodInitializing"}:
                reasons.append(_reason(waiting))
        reasons += [_reason(c) for c in _unschedulable(status)]
    return reasons[0].rstrip(": ") if reasons else ""


def _last_words(pod: Pod, container: Mapping[str, Any]) -> str:
    """Why a container ended, in its own words or for want of memory; "" for any other reason."""
    for state in (container.get("state", {}), container.get("lastState", {})):
        terminated = state.get("terminated") or {}
        if message := terminated.get("message"):
            return f"The pod says: {str(message).strip()[:LONGEST_MESSAGE]}"
        if terminated.get("reason") == "OOMKilled":
            return (
                f"OOMKilled: the model needs more memory than {_memory_limit(pod, container)}:"
                " raise spec.resources.limits.memory"
            )
    return ""


def _unschedulable(status: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for condition in status.get("conditions", ()):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            yield condition


def _reason(state: Mapping[str, Any]) -> str:
    return f"{state.get('reason', '')}: {state.get('message', '')}"[:LONGEST_REASON]


def _memory_limit(pod: Pod, container: Mapping[str, Any]) -> str:
    """What a container may take of memory, in words."""
    spec = pod.get("spec", {})
    containers = (*spec.get("initContainers", ()), *spec.get("containers", ()))
    limits = (
        c.get("resources", {}).get("limits", {}).get("memory")
        for c in containers
        if c["name"] == container.get("name")
    )
    limit = next(limits, None)
    return f"its limit of {limit}" if limit else "the node had"
