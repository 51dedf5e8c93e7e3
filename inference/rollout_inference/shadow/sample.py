"""A few of the answers that differed, chosen by chance among all that were told: not the last ones,
which may all come of one caller.
"""

import random
from collections import Counter, defaultdict

from rollout_inference.shadow.messages import Difference

KEPT = 4
"""Differences of each outcome that are kept; each has 3,000 characters at most."""


class Sample:
    """Of one candidate. Each that was told is in it with the same chance (Vitter, 1985, R)."""

    def __init__(self, candidate: str, chance: random.Random | None = None) -> None:
        self._candidate, self._chance = candidate, chance or random.Random()  # noqa: S311 - no secret
        self._kept: defaultdict[str, list[Difference]] = defaultdict(list)
        self._told = Counter[str]()

    def add(self, one: Difference) -> None:
        """Have it in the sample, perhaps in the place of another of its outcome."""
        kept = self._kept[one.outcome]
        self._told[one.outcome] += 1
        place = self._chance.randrange(self._told[one.outcome])
        if len(kept) < KEPT:
            kept.append(one)
        elif place < KEPT:
            kept[place] = one

    def of(self, candidate: str) -> list[Difference]:
        """What is kept of this candidate; nothing where another is asked for."""
        if candidate != self._candidate:
            return []
        return [one for kept in self._kept.values() for one in kept]
