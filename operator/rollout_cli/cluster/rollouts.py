"""Reads ModelRollouts from a cluster."""

from typing import Any

from rollout_cli.api.kubernetes import KubeApi, rollouts_path
from rollout_cli.api.rollout import NOT_INSTALLED, Rollout, bare_name
from rollout_cli.exit_codes import Absent
from rollout_operator.domain.api.names import KIND


def read(kube: KubeApi, name: str) -> Rollout:
    """The rollout of this name; raises Absent with what there is instead."""
    try:
        return Rollout.of(kube.get(rollouts_path(kube.namespace, bare_name(name))))
    except Absent as absent:
        raise Absent(_instead(kube, bare_name(name), str(absent))) from absent


def read_all(kube: KubeApi, everywhere: bool) -> list[Rollout]:
    """All rollouts of the namespace, or of all namespaces."""
    try:
        found: list[dict[str, Any]] = kube.items(
            rollouts_path("" if everywhere else kube.namespace)
        )
    except Absent as absent:
        raise Absent(NOT_INSTALLED) from absent
    return [Rollout.of(raw) for raw in found]


def _instead(kube: KubeApi, name: str, message: str) -> str:
    if "not found" not in message:
        return NOT_INSTALLED
    names = sorted(r["metadata"]["name"] for r in kube.items(rollouts_path(kube.namespace)))
    there = (
        f"There {'is' if len(names) == 1 else 'are'} {', '.join(names[:8])}"
        if names
        else "That namespace has none"
    )
    return (
        f"There is no {KIND} {name!r} in namespace {kube.namespace!r}. {there}; look elsewhere"
        " with -n NAMESPACE, or `get -A`."
    )
