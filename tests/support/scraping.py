"""Scrapes as companies have them, and what every kind of gate makes of them; a real Prometheus may
take the scrapes' place.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from rollout_operator.domain.api.analysis import Gate, Metric
from rollout_operator.domain.api.gate_results import EvidenceStatus, GateStatus
from rollout_operator.domain.gates.gate_status import Trial
from rollout_operator.domain.gates.labelled_gate import measure_labels
from rollout_operator.domain.gates.prediction_shift import measure_shift
from rollout_operator.domain.gates.reported_gate import measure
from rollout_operator.domain.gates.samples import learned
from rollout_operator.domain.observed import Answer, MetricsUnreachable, Series
from tests.support.builders import START, at, revision

V1, V2 = revision(1), revision(2)
LABELLED = {"evidence": "Labelled"}
GATES: dict[str, dict[str, Any]] = {
    "accuracy": {"metric": "accuracy", "min": 0.7},
    "accuracy beside stable": {"metric": "accuracy", "maxDrop": 0.05},
    "error rate": {"metric": "errorRate", "max": 0.01},
    "error rate beside stable": {"metric": "errorRate", "maxIncrease": 0.01},
    "latency": {"metric": "latencyP95Seconds", "max": 0.25},
    "latency beside stable": {"metric": "latencyP95Seconds", "maxIncrease": 0.1},
    "accuracy by labels": {"metric": "accuracy", "min": 0.7, **LABELLED},
    "accuracy beside stable by labels": {"metric": "accuracy", "maxDrop": 0.1, **LABELLED},
    "error rate by counts": {"metric": "errorRate", "max": 0.05, **LABELLED},
    "error rate beside stable by counts": {"metric": "errorRate", "maxIncrease": 0.1, **LABELLED},
    "latency by counts": {"metric": "latencyP95Seconds", "max": 0.25, **LABELLED},
    "answers beside stable's": {"metric": "predictionShift", "max": 0.1},
}
"""Every metric that is read from pods' own series, each bound that it takes, and each kind of
evidence.
"""
RATE = 4
"""Requests a second to each revision; each gets its label at once."""
SECONDS = 600

Name = tuple[str, str, str, str]
"""Of a series: its name, bucket, outcome and bin."""


def values(moment: float, good: bool) -> dict[Name, float]:
    """What a pod says that has served since its second -10."""
    served = RATE * (moment + 10)
    right = round(served * (0.93 if good else 0.6))
    bucket = "ml_request_latency_seconds_bucket"
    return {
        ("ml_model_accuracy", "", "", ""): 0.93 if good else 0.6,
        ("ml_feedback_total", "", "correct", ""): right,
        ("ml_feedback_total", "", "wrong", ""): served - right,
        ("ml_predictions_total", "", "", ""): served,
        ("ml_predicted_total", "", "", "setosa"): right,
        ("ml_predicted_total", "", "", "other"): served - right,
        ("ml_request_count_total", "", "", ""): served,
        ("ml_request_errors_total", "", "", ""): 0.0 if good else served * 0.2,
        (bucket, "0.1", "", ""): served if good else 0.0,
        (bucket, "0.25", "", ""): served if good else 0.0,
        (bucket, "1.0", "", ""): served,
        (bucket, "+Inf", "", ""): served,
    }


@dataclass(frozen=True)
class Scrapes:
    """One pod, scraped by `jobs` every `every` seconds, from second `late` on; the second job half
    an interval later.
    """

    every: int
    late: float
    jobs: int
    good: bool

    def times(self, job: int) -> list[float]:
        """The seconds of a job's scrapes."""
        first = self.late + job * self.every / 2
        return [first + n * self.every for n in range(int((SECONDS - first) // self.every) + 1)]

    def shown(self, now: float, back: float) -> Iterator[Series]:
        """What a range selector shows at `now`."""
        for job in range(self.jobs):
            times = [moment for moment in self.times(job) if now - back < moment <= now]
            if not times:
                continue
            begin, end = values(times[0], self.good), values(times[-1], self.good)
            gap = float(self.every) if len(times) > 1 else 0.0
            for (name, le, outcome, of), value in end.items():
                yield Series(
                    name,
                    "a",
                    START.timestamp() + times[-1],
                    value,
                    le=le,
                    outcome=outcome,
                    bin=of,
                    first=begin[name, le, outcome, of],
                    gap=gap,
                    job=f"job-{job}",
                    instance="10.0.0.1:8080",
                )


Ask = Callable[[Scrapes, float, float], Iterable[Series] | MetricsUnreachable]
"""What a Prometheus shows of such a pod at a second, that many seconds back."""


def looks(
    gate: Gate, interval: int, ours: Scrapes, theirs: Scrapes, ask: Ask = Scrapes.shown
) -> list[tuple[int, GateStatus]]:
    """What the gate says at each look of a trial, with the second."""
    back, told = 30.0, list[tuple[int, GateStatus]]()
    known: tuple[EvidenceStatus, ...] = ()
    for look in range(10, SECONDS, interval):
        mine, stables = (_answer(ask(one, look, back)) for one in (ours, theirs))
        trial = Trial(V2, V1, START, at(look))
        if gate.labelled:
            test = measure_shift if gate.metric is Metric.PREDICTION_SHIFT else measure_labels
            said, counted = test(gate, mine, stables, trial, known)
            known = known if counted is None else (counted,)
        else:
            said = measure(gate, mine, stables, trial)
        told.append((look, said))
        if not isinstance(mine, MetricsUnreachable) and not isinstance(stables, MetricsUnreachable):
            back = learned([*mine, *stables], back, at(look).timestamp())
    return told


def _answer(shown: Iterable[Series] | MetricsUnreachable) -> Answer:
    return shown if isinstance(shown, MetricsUnreachable) else tuple(shown)
