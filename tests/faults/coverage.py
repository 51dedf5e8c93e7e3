"""How much is tried: everything with FAULTS=all (`make test-faults`), else a sample that `make
test` has the time for.
"""

import os
from dataclasses import dataclass

from tests.faults.proxy import Fault
from tests.faults.stories import STORIES

ALL = os.environ.get("FAULTS") == "all"
STRIDE = 1 if ALL else 20
"""Every which write of a story is spoiled, in process."""
STATUSES_APART = 1 if ALL else 3
"""After which statuses a rollout is deleted, in process."""
IDLE = 60.0 if ALL else 8.0
"""Seconds in which a real process may write nothing once all is done."""
SHORT = {"promotion", "rollback on low accuracy", "another model mid-canary", "deleted mid-canary"}
PLAYED = tuple(story for story in STORIES if ALL or story.name in SHORT)
"""Stories for real processes; those that wait for deadlines are left to the full run."""
EVENT_FAULTS = (Fault.DROP, Fault.DELAY) if ALL else (Fault.DROP,)
WRITES_APART, EVENTS_APART = (1, 1) if ALL else (6, 18)
"""Every which write or event is spoiled, under real processes."""
BY_TWO = 50 if ALL else 12
"""Rollouts under two operators."""
STOPPED = (40.0, 20.0) if ALL else (8.0, 5.0)
"""Seconds for which each of two operators stands still; the usual lease is 15."""
KILLED = (3, 2) if ALL else (7, 1)
"""Every which write is killed, and how many rounds of all stories there are."""
MUTATIONS = 5 if ALL else 1
"""Examples of right values, and as many of wrong ones, for a field of the spec."""
FIELDS_APART = 1 if ALL else 6
"""Every which field is mutated."""
CHAINS = (25,) * 5 if ALL else (1, 1)
"""How many chains of mutations there are, by the passes between two of them."""
OUTAGE = 180.0 if ALL else 6.0
"""Seconds for which Prometheus or the registry refuses."""
BAD_MODELS = 20 if ALL else 3
INTERVALS = (5, 15) if ALL else (2,)
"""How many good models turn bad, and how often they are measured, in seconds."""


@dataclass(frozen=True)
class Replay:
    """How much of labels is replayed."""

    requests: int
    """Predictions, some of several rows."""
    kills: int
    """Servers that are killed in the middle of a request or of labels, at least."""


REPLAYED = Replay(3_000, 60) if ALL else Replay(150, 6)
"""Labels for real model servers with a store."""
