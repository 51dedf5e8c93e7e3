"""Whether this process still hears the API server: what it writes must come back through its watch.

A process whose watch is deaf looks healthy from outside (kopf #1276): it answers probes and decides
from what it once knew. Own writes prove the watch without a request of their own; where nothing is
written, nothing was decided either, and kopf begins silent streams anew.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from rollout_operator.controller.raw_objects import Key

log = logging.getLogger(__name__)

LONGEST_UNSEEN = 120.0
"""Seconds after which a write that has not come back means that the watch is deaf; kopf begins a
silent one anew after 70 s.
"""
OVERDUE = LONGEST_UNSEEN / 2
"""Seconds after which the API server itself is asked whether what was written is still there."""


@dataclass
class UnseenWrites:
    """Own writes that have not come back yet. The watch may bring a version before the reply to its
    write is read, or after.
    """

    clock: Callable[[], float] = time.monotonic
    """Monotonic time in seconds."""
    _waiting: dict[Key, tuple[int, float]] = field(default_factory=dict)
    _seen: dict[Key, int] = field(default_factory=dict)
    """The newest version that the watch has brought of each rollout."""
    _gone: dict[Key, float] = field(default_factory=dict)
    """When a rollout was last told to be gone; let go of after LONGEST_UNSEEN."""

    def wrote(self, key: Key, version: int) -> None:
        """A status was written, and has this resourceVersion now."""
        if key in self._gone or version <= self._seen.get(key, 0):
            return
        _, since = self._waiting.get(key, (0, self.clock()))
        self._waiting[key] = (version, since)

    def seen(self, key: Key, version: int) -> None:
        """The watch brought this version."""
        self._gone.pop(key, None)
        self._seen[key] = max(version, self._seen.get(key, 0))
        if (waiting := self._waiting.get(key)) is not None and version >= waiting[0]:
            del self._waiting[key]
        elif waiting is not None:
            # An older write came back: the watch lives, and the newer write has its own time.
            self._waiting[key] = (waiting[0], self.clock())

    def forget(self, key: Key) -> None:
        """The rollout is gone; a reply that is read after that waits for nothing."""
        now = self.clock()
        self._waiting.pop(key, None)
        self._seen.pop(key, None)
        self._gone = {k: at for k, at in self._gone.items() if now - at <= LONGEST_UNSEEN}
        self._gone[key] = now

    def overdue(self) -> list[Key]:
        """Rollouts whose writes are long in coming back."""
        now = self.clock()
        return [key for key, (_, since) in self._waiting.items() if now - since > OVERDUE]

    def trouble(self) -> str:
        """Which write has waited too long, "" for none; for the same write the same sentence."""
        oldest = min(((since, key) for key, (_, since) in self._waiting.items()), default=None)
        if oldest is None or self.clock() - oldest[0] <= LONGEST_UNSEEN:
            return ""
        key = oldest[1]
        return (
            f"The status of {'/'.join(key)} was written more than {LONGEST_UNSEEN:.0f} s ago"
            f" (version {self._waiting[key][0]}) and has not come back through the watch."
        )


class Health:
    """What is wrong with this process, by the first of its checks that says anything."""

    def __init__(self, *checks: Callable[[], str]) -> None:
        self._checks = checks
        self._logged = ""

    def trouble(self) -> str:
        """The sentence, "" where all is well; each new trouble, and its end, is logged once."""
        trouble = next((wrong for check in self._checks if (wrong := check())), "")
        if trouble and trouble != self._logged:
            log.error("/healthz says 503: %s", trouble)
        elif self._logged and not trouble:
            log.info("/healthz says 200 again.")
        self._logged = trouble
        return trouble
