"""One look at a rollout for people: the object, its pods, and what accuracy did; gathered once, and
drawn elsewhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from rollout_cli.cluster.kube_client import Access, Object
from rollout_cli.cluster.prometheus import Prometheus
from rollout_cli.cluster.rollout import Rollout, read
from rollout_cli.exit_codes import Failure, Refused
from rollout_operator.domain.api.names import REVISION, ROLLOUT
from rollout_operator.domain.gates.samples import ACCURACY

SHORTEST, LONGEST = timedelta(minutes=1), timedelta(minutes=15)
"""Of accuracy's past, as much as the attempt is old, within these bounds."""
POINTS = 90


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod as its user sees it; trouble is "" for a pod that is Ready."""

    name: str
    revision: str
    ready: bool
    trouble: str
    restarts: int
    since: datetime | None

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
class Look:
    """accuracy: points (Unix seconds, share) by revision, from `since` on; note: why there are
    none, "" where there are.
    """

    rollout: Rollout
    now: datetime
    since: datetime
    pods: tuple[Pod, ...] = ()
    accuracy: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)
    note: str = ""


def window(rollout: Rollout, now: datetime) -> datetime:
    """From when on accuracy is shown."""
    began = rollout.status.attempt_since or now
    # A little of what was before shows what stable is like.
    return max(now - LONGEST, min(now - SHORTEST, began - timedelta(seconds=20)))


class Watcher:
    """Looks at one rollout again and again; where there is no Prometheus it remembers what status
    said while it looked.
    """

    def __init__(self, access: Access, prometheus: Prometheus | None, note: str = "") -> None:
        self._access, self._prometheus, self._note = access, prometheus, note
        self._remembered: dict[str, list[tuple[float, float]]] = {}

    def look(self, name: str) -> Look:
        """Look once. Raises Absent, Refused or Unreachable of the rollout itself; of the rest only
        shows less.
        """
        rollout = read(self._access, name)
        now = datetime.now(UTC)
        since = window(rollout, now)
        try:
            path = f"/api/v1/namespaces/{rollout.namespace}/pods"
            pods = tuple(
                Pod.of(raw) for raw in self._access.items(path, f"{ROLLOUT}={rollout.name}")
            )
        except Refused:
            pods = ()
        return self._with_accuracy(Look(rollout, now, since, pods))

    def _with_accuracy(self, look: Look) -> Look:
        status = look.rollout.status
        revisions = [r.revision for r in (status.stable, status.candidate) if r is not None]
        note = self._note
        if self._prometheus is not None and revisions:
            try:
                return _replace(look, _history(self._prometheus, look, revisions), "")
            except Failure as failure:
                note = str(failure)
        for gate in status.gates:
            if gate.metric == "accuracy" and gate.value is not None:
                self._remembered.setdefault(gate.revision, []).append(
                    (look.now.timestamp(), gate.value)
                )
        return _replace(look, {r: tuple(points) for r, points in self._remembered.items()}, note)


def _replace(look: Look, accuracy: Mapping[str, Sequence[tuple[float, float]]], note: str) -> Look:
    return Look(look.rollout, look.now, look.since, look.pods, accuracy, note)


def _history(
    prometheus: Prometheus, look: Look, revisions: list[str]
) -> dict[str, Sequence[tuple[float, float]]]:
    """The lowest accuracy that any pod of a revision reported: what the gate reads."""
    expression = (
        f'min by (revision) ({ACCURACY}{{namespace="{look.rollout.namespace}",'
        f' revision=~"{"|".join(revisions)}"}})'
    )
    start, end = look.since.timestamp(), look.now.timestamp()
    found = prometheus.matrix(expression, start, end, max(1.0, (end - start) / POINTS))
    return {one.labels.get("revision", ""): one.points for one in found}
