"""What pods say is wrong, where they are long in becoming Ready."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from rollout_operator.adapters.kubernetes_api import Cluster
from rollout_operator.domain.api.status import Revision, Status
from rollout_operator.domain.api.words import Phase
from rollout_operator.domain.machine.schedule import READINESS_LOOK
from rollout_operator.domain.observed import Workload

WAITING = frozenset({Phase.STARTING, Phase.PROMOTING, Phase.SHIFTING, Phase.SWITCHING})
"""Phases that wait for pods or endpoints."""
LONGEST_MESSAGE = 400
LONGEST_REASON = 300

CANNOT_SERVE = frozenset({("model", 65), ("fetch", 65)})
"""Containers, and the exit code by which they say that the model's files themselves are wrong:
EX_DATAERR of sysexits.h, as rollout_model.errors has it.
"""

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
    said, lasting = trouble(pods)
    return {**workloads, revision.revision: replace(known, trouble=said, lasting=lasting)}


def _long_missing(status: Status, now: datetime) -> tuple[Revision, int] | None:
    """Whose pods should long be Ready, and how many; None where nobody waits long."""
    short = status.shortage
    if short is not None and status.stable is not None:
        told = short.stalled or now - short.since < READINESS_LOOK
        return None if told else (status.stable, short.wanted)
    if status.candidate is not None and waits_long(status, now):
        return status.candidate, status.candidate.replicas
    return None


class Trouble(NamedTuple):
    """What pods say is wrong."""

    said: str = ""
    """One sentence; "" where they say nothing."""
    lasting: bool = False
    """Whether it is of the model's files, which no pod can serve."""


def trouble(pods: Iterable[Pod]) -> Trouble:
    """What the pods themselves say is wrong.

    A container's own last words (its termination message) come before what Kubernetes makes of
    them, and those that say that no pod can serve before all others.
    """
    said: list[Trouble] = []
    reasons: list[str] = []
    for pod in pods:
        status = pod.get("status", {})
        steps = (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ()))
        for container in steps:
            if (last_words := _last_words(pod, container)) is not None:
                said.append(last_words)
                continue
            waiting = container.get("state", {}).get("waiting") or {}
            if waiting.get("reason", "") not in {"", "ContainerCreating", "PodInitializing"}:
                reasons.append(_reason(waiting))
        reasons += [_reason(c) for c in _unschedulable(status)]
    said.sort(key=lambda one: not one.lasting)
    return next(iter(said), Trouble(reasons[0].rstrip(": ") if reasons else ""))


def _last_words(pod: Pod, container: Mapping[str, Any]) -> Trouble | None:
    """Why a container ended, in its own words or for want of memory; None for any other reason."""
    for state in (container.get("state", {}), container.get("lastState", {})):
        terminated = state.get("terminated") or {}
        if message := terminated.get("message"):
            lasting = (container.get("name"), terminated.get("exitCode")) in CANNOT_SERVE
            return Trouble(f"The pod says: {str(message).strip()[:LONGEST_MESSAGE]}", lasting)
        if terminated.get("reason") == "OOMKilled":
            return Trouble(
                f"OOMKilled: the model needs more memory than {_memory_limit(pod, container)}:"
                " raise spec.resources.limits.memory"
            )
    return None


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
