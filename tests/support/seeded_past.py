"""What Prometheus has scraped of seeded rollouts: for a server to be filled with, so that there is
something to draw.
"""

import math
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rollout_operator.domain.gates.samples import (
    ACCURACY,
    ACCURACY_SAMPLES,
    ERRORS,
    FEEDBACK,
    LATENCY_BUCKET,
    PREDICTIONS,
    REQUESTS,
)
from tests.support.seeds import Seed

EVERY = 15.0
"""Seconds between scrapes."""
AHEAD = timedelta(hours=1)
"""The past is made up to here, for tests that take their time."""
RATE = 20.0
"""Requests a second of a rollout."""
BUCKETS = (0.05, 0.1, 0.25, 1.0, math.inf)


@dataclass
class Pod:
    """One pod's counters, as they grow."""

    namespace: str
    revision: str
    accuracy: float
    """Share of right answers."""
    slow: float
    """Share of answers slower than 0.1 s."""
    dice: random.Random
    served: float = 0.0
    right: float = 0.0
    errors: float = 0.0
    within: dict[float, float] = field(default_factory=lambda: dict.fromkeys(BUCKETS, 0.0))

    def serve(self, requests: float) -> None:
        """So many requests more; each gets a label."""
        requests *= self.dice.uniform(0.9, 1.1)
        self.served += requests
        self.right += requests * min(1.0, self.dice.gauss(self.accuracy, 0.02))
        self.errors += requests * 0.002 * self.dice.uniform(0, 2)
        slow = min(1.0, max(0.0, self.dice.gauss(self.slow, 0.01)))
        shares = (0.7 * (1 - slow), 1 - slow, 1 - slow / 20, 1.0, 1.0)
        for bound, share in zip(BUCKETS, shares, strict=True):
            self.within[bound] += requests * share

    def samples(self) -> Iterator[tuple[str, dict[str, str], float]]:
        """Name, labels and value of each series."""
        labelled = self.served or 1.0
        yield ACCURACY, {}, self.right / labelled
        yield ACCURACY_SAMPLES, {}, labelled
        yield FEEDBACK, {"outcome": "correct"}, self.right
        yield FEEDBACK, {"outcome": "wrong"}, self.served - self.right
        yield PREDICTIONS, {}, self.served
        yield REQUESTS, {}, self.served
        yield ERRORS, {}, self.errors
        for bound, count in self.within.items():
            yield LATENCY_BUCKET, {"le": "+Inf" if bound == math.inf else f"{bound}"}, count


def openmetrics(some: Iterable[Seed], now: datetime) -> Iterator[str]:
    """All that was scraped of those that were on trial lately, as OpenMetrics with times."""
    by_name: dict[str, list[str]] = {}
    for seed in some:
        status = seed.status
        if status.candidate is None or status.stable is None or status.attempt_since is None:
            continue
        failing = str(status.reason) == "GateFailed"
        dice = random.Random(seed.place)
        stable, candidate = (
            Pod(seed.namespace, revision.revision, accuracy, slow, dice)
            for revision, accuracy, slow in (
                (status.stable, 0.915, 0.06),
                (status.candidate, 0.852 if failing else 0.926, 0.045),
            )
        )
        at = status.attempt_since - timedelta(minutes=12)
        end = now + AHEAD
        while at < end:
            weight, phase = weight_at(seed, at)
            for pod, share in ((stable, 100 - weight), (candidate, weight)):
                pod.serve(RATE * EVERY * share / 100)
                for name, labels, value in pod.samples():
                    if pod is candidate and not candidate.served:
                        continue
                    who = {
                        "namespace": pod.namespace,
                        "revision": pod.revision,
                        "pod": pod.revision,
                    }
                    _add(by_name, name, {**who, **labels}, value, at)
            own = {"namespace": seed.namespace, "name": seed.name}
            _add(by_name, "modelrollout_weight", own, weight, at)
            for bound, value in interval(candidate):
                labelled = {**own, "gate": "accuracy", "evidence": "Labelled", "bound": bound}
                _add(by_name, "modelrollout_gate_bound", labelled, value, at)
            _add(by_name, "modelrollout_phase", {**own, "phase": phase}, 1, at)
            at += timedelta(seconds=EVERY)
    for lines in by_name.values():
        yield from lines
    yield "# EOF"


def interval(pod: Pod) -> Iterator[tuple[str, float]]:
    """The ends of what is known of its accuracy, three standard deviations apart from it; nothing
    before the first label.
    """
    if pod.served:
        share = pod.right / pod.served
        apart = 3 * math.sqrt(share * (1 - share) / pod.served)
        yield "lower", max(0.0, share - apart)
        yield "upper", min(1.0, share + apart)


def weight_at(seed: Seed, at: datetime) -> tuple[int, str]:
    """The candidate's weight and the phase at a moment of the attempt, by the steps of the spec."""
    status = seed.status
    assert status.attempt_since is not None
    into = (at - status.attempt_since).total_seconds() / 60
    over = status.phase_since if str(status.phase) == "RolledBack" else None
    if over is not None and at >= over - timedelta(minutes=1):
        return 0, "RolledBack"
    if into < 1:
        return 0, "Starting" if into >= 0 else "Promoted"
    return (5 if into < 11 else 20 if into < 41 else 50), "Trial"


def _add(
    by_name: dict[str, list[str]], name: str, labels: dict[str, str], value: float, at: datetime
) -> None:
    said = ",".join(f'{key}="{text}"' for key, text in labels.items())
    by_name.setdefault(name, []).append(f"{name}{{{said}}} {value:.6f} {at.timestamp():.3f}")
