"""The gate's boundaries read off the real gate code, and exact chances by dynamic programming over
them.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rollout_operator.domain.api.analysis import Gate
from rollout_operator.domain.gates.judgement import evidence_of_share


@dataclass(frozen=True)
class Boundaries:
    """For each number of labels: the fewest right ones that promote, the most that roll back (-1:
    none).
    """

    promote: npt.NDArray[np.int64]
    roll_back: npt.NDArray[np.int64]


def boundaries(gate: Gate, most: int) -> Boundaries:
    """Walk along both boundaries: with one more label each moves by at most one."""
    promote, roll_back = np.arange(most + 1) + 1, np.full(most + 1, -1)
    high, low = 1, -1
    for n in range(1, most + 1):
        if high <= n and evidence_of_share(high, n - high, 0, gate, 1)[0] < 1:
            high += 1
        if evidence_of_share(low + 1, n - low - 1, 0, gate, 1)[1] >= 1:
            low += 1
        promote[n] = high if n >= gate.min_samples and high <= n else n + 1
        roll_back[n] = low
    return Boundaries(promote, roll_back)


@dataclass(frozen=True)
class Chances:
    """How an attempt ends that is looked at after every label; labels: how many it takes on
    average.
    """

    promote: float
    roll_back: float
    labels: float


def chances(lines: Boundaries, share: float) -> Chances:
    """Exact chances for independent labels that are right with this share."""
    most = len(lines.promote) - 1
    alive = np.zeros(most + 2)
    alive[0] = 1.0
    promoted = rolled_back = labels = 0.0
    for n in range(1, most + 1):
        alive[1 : n + 1] = alive[1 : n + 1] * (1 - share) + alive[:n] * share
        alive[0] *= 1 - share
        up, down = alive[lines.promote[n] : n + 1].sum(), alive[: lines.roll_back[n] + 1].sum()
        alive[lines.promote[n] : n + 1] = 0
        alive[: lines.roll_back[n] + 1] = 0
        promoted, rolled_back, labels = promoted + up, rolled_back + down, labels + n * (up + down)
    return Chances(promoted, rolled_back, labels + most * (1 - promoted - rolled_back))
