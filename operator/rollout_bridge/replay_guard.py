"""Which deliveries were carried out already, so that one that is sent again does nothing; and how
far one got that is being retried.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

MOST = 10_000
"""Deliveries remembered at once: about 2 MB."""


class Replayed(Exception):
    """This delivery was carried out already."""


class Busy(Exception):
    """It is being carried out right now, or too many are remembered; it may be sent again."""


@dataclass
class _Delivery:
    until: float
    """When it is forgotten, in seconds of the clock of Replays."""
    under_way: bool = True
    """Whether it is being carried out right now."""
    over: bool = False
    """Whether it is done with: sent again, it is a replay."""
    done: set[str] = field(default_factory=set)
    """Targets, as text, that a retry leaves out: all that were not unavailable."""


@dataclass
class Replays:
    """Remembers each signed delivery as long as its timestamp would be taken."""

    keep: float
    """Seconds for which a delivery is remembered."""
    clock: Callable[[], float] = time.monotonic
    """Monotonic time in seconds."""
    _known: dict[str, _Delivery] = field(default_factory=dict)

    def begin(self, delivery: str) -> set[str]:
        """Begin, or go on with, a delivery; returns what of it is done. Raises Replayed or Busy."""
        self._forget()
        if (known := self._known.get(delivery)) is None:
            if len(self._known) >= MOST:
                raise Busy(f"{MOST} deliveries came in within {self.keep:.0f} s")
            self._known[delivery] = known = _Delivery(self.clock() + self.keep)
        elif known.over:
            raise Replayed("this delivery was carried out already")
        elif known.under_way:
            raise Busy("this delivery is being carried out")
        known.under_way = True
        return known.done

    def end(self, delivery: str, *, over: bool) -> None:
        """The delivery is `over`, or may be sent again."""
        if (known := self._known.get(delivery)) is not None:
            known.under_way, known.over = False, over

    def _forget(self) -> None:
        now = self.clock()
        # Oldest first, all kept equally long.
        for delivery, known in list(self._known.items()):
            if known.until > now:
                break
            del self._known[delivery]
