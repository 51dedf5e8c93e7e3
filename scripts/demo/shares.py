"""Which version served which share while a weight stood in the canary Ingress. Pure: sightings and
answers in, shares out.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from scripts.demo.traffic import Answer

SETTLE = 2.0
"""Seconds after a weight was first seen until every request is expected to follow it: the router
polls and reloads.
"""
ENOUGH = 100
"""Requests from which on a served share is held against the asked one."""
TOLERANCE = 5.0
"""Percentage points that a served share may differ from the asked one."""


class Sighting(NamedTuple):
    """Which weight stood beside which versions."""

    at: float
    """Monotonic time, s."""
    candidate: str | None
    """Its version; None where there is none."""
    stable: str
    """Its version."""
    weight: int
    """Of the candidate, 0 to 100; 0 where there is none."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one version was to serve, and served, at one weight."""

    candidate: str
    """The version that had the weight."""
    weight: int
    """0 to 100."""
    version: str
    """The one whose share this is: the candidate or the stable one."""
    asked: float
    """Percent."""
    served: float
    """Percent of `requests`."""
    requests: int
    """Answered by either version while this weight stood; failed ones do not count."""

    @property
    def counts(self) -> bool:
        return self.requests >= ENOUGH

    @property
    def kept(self) -> bool:
        return not self.counts or abs(self.asked - self.served) <= TOLERANCE


def shares(sightings: Sequence[Sighting], answers: Iterable[Answer]) -> list[Share]:
    """The shares of stable and candidate at each weight above 0, in order of appearance.

    A request counts where it was sent at least SETTLE after its weight was first seen and ended
    before the last time that the same weight was seen; all others were under way while the weight
    changed.
    """
    windows: list[tuple[Sighting, float, float]] = []
    for seen in sightings:
        if windows and windows[-1][0][1:] == seen[1:]:
            windows[-1] = (windows[-1][0], windows[-1][1], seen.at)
        else:
            windows.append((seen, seen.at + SETTLE, seen.at))
    served: dict[tuple[str, str, int], Counter[str]] = {}
    good = [a for a in answers if a.ok]
    for seen, start, end in windows:
        if seen.candidate is not None and seen.weight > 0:
            counted = served.setdefault((seen.candidate, seen.stable, seen.weight), Counter())
            counted.update(a.version for a in good if start <= a.sent and a.ended <= end)
    return [
        Share(
            candidate,
            weight,
            version,
            asked,
            100 * counted[version] / counted.total(),
            counted.total(),
        )
        for (candidate, stable, weight), counted in served.items()
        if counted.total()
        for version, asked in ((candidate, float(weight)), (stable, 100.0 - weight))
    ]
