"""What came within the query's window alone, whatever a revision's counters hold from before."""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from rollout_operator.domain.api.analysis import Gate
from rollout_operator.domain.gates.certainty import Tally
from rollout_operator.domain.gates.gate_status import Trial
from rollout_operator.domain.gates.readings import KINDS, Reading
from rollout_operator.domain.gates.samples import NoEvidence, fresh
from rollout_operator.domain.observed import Answer, MetricsUnreachable, Series


def within(series: Iterable[Series]) -> tuple[Series, ...]:
    """Counters from the window's beginning on. Those of a pod restart together: one that fell means
    that all of them count anew.
    """
    of_pod: dict[str, list[Series]] = defaultdict(list)
    for one in series:
        of_pod[one.pod].append(one)
    return tuple(
        replace(s, value=s.value - s.first, first=0.0)
        if all(math.isnan(o.value) or o.first <= o.value for o in of_one)
        else s
        for of_one in of_pod.values()
        for s in of_one
    )


def reading_lately(
    gate: Gate, answer: Answer | None, trial: Trial, since: datetime
) -> Reading | None:
    """What came within the window; None where it does not allow a statement."""
    if answer is None or isinstance(answer, MetricsUnreachable):
        return None
    try:
        return KINDS[gate.metric].read(list(within(fresh(answer, since, trial.now))), gate)
    except NoEvidence:
        return None


def tally_lately(gate: Gate, answer: Answer | None, trial: Trial, since: datetime) -> Tally | None:
    """What came within the window; None where it cannot be read."""
    if answer is None or isinstance(answer, MetricsUnreachable):
        return None
    try:
        return Tally.sum(gate, within(fresh(answer, since, trial.now)))
    except NoEvidence:
        return None
