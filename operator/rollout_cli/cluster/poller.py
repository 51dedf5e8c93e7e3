"""Gathers what `get` draws, again and again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from rollout_cli.api.kubernetes import KubeApi
from rollout_cli.api.prometheus import Prometheus
from rollout_cli.api.rollout import Rollout
from rollout_cli.api.snapshot import Accuracy, Pod, Snapshot
from rollout_cli.cluster.rollouts import read
from rollout_cli.exit_codes import Failure, Refused
from rollout_operator.domain.api.names import ROLLOUT
from rollout_operator.domain.gates.samples import ACCURACY

SHORTEST, LONGEST = timedelta(minutes=1), timedelta(minutes=15)
"""Of accuracy's past, as much as the attempt is old, within these bounds."""
POINTS = 90
"""Samples of that time, at most."""


def window(rollout: Rollout, now: datetime) -> datetime:
    """From when on accuracy is shown."""
    began = rollout.status.attempt_since or now
    # A little of what was before shows what stable is like.
    return max(now - LONGEST, min(now - SHORTEST, began - timedelta(seconds=20)))


class Poller:
    """Looks at one rollout again and again; where there is no Prometheus it remembers what status
    said while it looked.
    """

    def __init__(self, kube: KubeApi, prometheus: Prometheus | None, note: str = "") -> None:
        self._kube, self._prometheus, self._note = kube, prometheus, note
        self._remembered: dict[str, list[tuple[float, float]]] = {}

    def poll(self, name: str) -> Snapshot:
        """Look once. Raises Absent, Refused or Unreachable of the rollout itself; of the rest only
        shows less.
        """
        rollout = read(self._kube, name)
        now = datetime.now(UTC)
        since = window(rollout, now)
        try:
            path = f"/api/v1/namespaces/{rollout.namespace}/pods"
            pods = tuple(Pod.of(raw) for raw in self._kube.items(path, f"{ROLLOUT}={rollout.name}"))
        except Refused:
            pods = ()
        return self._with_accuracy(Snapshot(rollout, now, since, pods))

    def _with_accuracy(self, snapshot: Snapshot) -> Snapshot:
        status = snapshot.rollout.status
        revisions = [r.revision for r in (status.stable, status.candidate) if r is not None]
        note = self._note
        if self._prometheus is not None and revisions:
            try:
                return replace(
                    snapshot, accuracy=_history(self._prometheus, snapshot, revisions), note=""
                )
            except Failure as failure:
                note = str(failure)
        for gate in status.gates:
            if gate.metric == "accuracy" and gate.value is not None:
                self._remembered.setdefault(gate.revision, []).append(
                    (snapshot.now.timestamp(), gate.value)
                )
        accuracy = {r: tuple(points) for r, points in self._remembered.items()}
        return replace(snapshot, accuracy=accuracy, note=note)


def _history(prometheus: Prometheus, snapshot: Snapshot, revisions: list[str]) -> Accuracy:
    """The lowest accuracy that any pod of a revision reported: what the gate reads."""
    expression = (
        f'min by (revision) ({ACCURACY}{{namespace="{snapshot.rollout.namespace}",'
        f' revision=~"{"|".join(revisions)}"}})'
    )
    start, end = snapshot.since.timestamp(), snapshot.now.timestamp()
    series = prometheus.matrix(expression, start, end, max(1.0, (end - start) / POINTS))
    return {s.labels.get("revision", ""): s.points for s in series}
