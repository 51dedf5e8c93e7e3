"""Watches a ModelRollout and its canary Ingress by polling: nothing to re-establish when something
in between restarts.
"""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from scripts.demo.rollout import Rollout
from scripts.demo.shares import Sighting
from scripts.kube import KubeError, Object

INTERVAL = 0.4


class Watch:
    """Notes every weight that stands in the canary Ingress, and tells of every status that says
    something new.
    """

    def __init__(self, rollout: Rollout, tell: Callable[[Object], None]) -> None:
        self.rollout, self._tell = rollout, tell
        self.sightings: list[Sighting] = []
        self.status: Object = {}
        self._said: tuple[object, ...] = ()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._stop.wait(INTERVAL):
            try:
                canary, status = self.rollout.canary(), self.rollout.status()
            except KubeError:
                continue  # the next look tells; a gap only makes the window of a weight shorter
            self._sight(canary, status)
            said = tuple(status.get(part) for part in ("attempt", "phase", "reason", "message"))
            if status.get("phase") and said != self._said:
                self._said, self.status = said, status
                self._tell(status)

    def _sight(self, canary: tuple[str, int] | None, status: Object) -> None:
        """Note the weight, if the status read just after it still speaks of the same candidate."""
        stable, candidate = status.get("stable") or {}, status.get("candidate") or {}
        if not stable:
            return
        if canary is None:
            self.sightings.append(Sighting(time.monotonic(), None, stable["version"], 0))
        elif canary[0] == candidate.get("revision"):
            self.sightings.append(
                Sighting(time.monotonic(), candidate["version"], stable["version"], canary[1])
            )
