"""A rollout at one moment, for people: the object, its pods, and what accuracy did."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from rollout_cli.api.kubernetes import Object
from rollout_cli.api.rollout import Rollout
from rollout_operator.domain.api.names import REVISION

Accuracy = Mapping[str, Sequence[tuple[float, float]]]
"""Points by revision: Unix seconds, share of right answers."""


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod as its user sees it."""

    name: str
    """`metadata.name` of the object."""
    revision: str
    """Of its revision label; "" where it has none."""
    ready: bool
    """Whether its condition Ready is True."""
    trouble: str
    """Why it is not Ready; "" where it is."""
    restarts: int
    """Of all its containers."""
    since: datetime | None
    """When it started; None where no node has it yet."""

    @classmethod
    def of(cls, raw: Object) -> "Pod":
        """Read a pod of the API."""
        meta, status = raw["metadata"], raw.get("status", {})
        containers = status.get("containerStatuses", ())
        ready = any(
            c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", ())
        )
        ended = [
            (c.get(k) or {}).get("terminated") or {}
            for c in containers
            for k in ("state", "lastState")
        ]
        killed = [e["reason"] for e in ended if e.get("reason") == "OOMKilled"]
        waiting = [
            w["reason"]
            for c in containers
            if (w := c.get("state", {}).get("waiting")) and w.get("reason")
        ]
        unscheduled = [
            c.get("reason", "")
            for c in status.get("conditions", ())
            if c["type"] == "PodScheduled" and c["status"] == "False"
        ]
        trouble = (
            "Terminating"
            if "deletionTimestamp" in meta
            else ""
            if ready
            else next(iter([*killed, *waiting, *unscheduled]), "not Ready yet")
        )
        return cls(
            name=meta["name"],
            revision=meta.get("labels", {}).get(REVISION, ""),
            ready=ready,
            trouble=trouble,
            restarts=sum(int(c.get("restartCount", 0)) for c in containers),
            since=datetime.fromisoformat(started) if (started := status.get("startTime")) else None,
        )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A rollout at one moment."""

    rollout: Rollout
    """As just read from the API."""
    now: datetime
    """UTC, by this machine's clock."""
    since: datetime
    """From when on accuracy is shown."""
    pods: tuple[Pod, ...] = ()
    """Pods of all its revisions; empty where one may not list them."""
    accuracy: Accuracy = field(default_factory=dict)
    """By Prometheus, else what status said while this program looked; empty without values."""
    note: str = ""
    """Why there is no accuracy of the past; "" where there is."""
