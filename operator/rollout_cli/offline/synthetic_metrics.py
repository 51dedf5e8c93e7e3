"""Generated metrics: what model servers of a given quality would export under a given load. Seeded:
the same seed, the same trial.
"""

import math
import random
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from types import MappingProxyType

from rollout_cli.offline.simulator import CANDIDATE, STABLE
from rollout_cli.offline.synthetic_own import Generated, SyntheticOwn
from rollout_operator.domain.api.analysis import Metric
from rollout_operator.domain.gates.promql import NAMES
from rollout_operator.domain.gates.samples import (
    ACCURACY,
    ACCURACY_SAMPLES,
    DRIFT,
    DRIFT_PSI,
    DRIFT_ROWS,
    ERRORS,
    FEEDBACK,
    LATENCY_BUCKET,
    PREDICTED,
    PREDICTIONS,
    REQUESTS,
    SHADOW,
    window,
)
from rollout_operator.domain.observed import Answer, Series

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, math.inf)
"""Buckets of the model server's histogram, in seconds; those of gates come in beside them."""
LIVE_AFTER = 30
"""Labels after which a reported accuracy is that of the labels, no longer of the training."""
SPREAD = 0.5
"""Of latencies: standard deviation of their natural logarithm."""


@dataclass(frozen=True, slots=True)
class Quality:
    """How good a model and its pods are."""

    accuracy: float = 0.85
    """Share of right answers."""
    errors: float = 0.0
    """Share of server errors."""
    latency: float = 0.02
    """Median, in seconds."""
    shift: float = 0.0
    """How much more often than the other it gives the first of two classes: a share to 0.5."""
    drift: float = 0.0
    """PSI of its live rows against those of training."""
    differs: float = 0.0
    """Share of copies that it answers otherwise than stable."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of the models."""

    rps: float = 20.0
    """Requests per second to the host."""
    labels: float = 0.9
    """Share of predictions that get a label."""
    scrape: float = 5.0
    """Seconds between two scrapes."""


@dataclass
class _Counters:
    """Counters of one revision since its pods started."""

    requests: int = 0
    """Answered, with a server error or without."""
    errors: int = 0
    """Requests answered with a server error."""
    right: int = 0
    """Labels that agree with the prediction."""
    labels: int = 0
    """Predictions that got a label."""
    first: int = 0
    """Answers of the first of two classes."""
    copies: int = 0
    """Requests of which the candidate was sent a copy."""
    otherwise: int = 0
    """Those that it answered otherwise."""
    buckets: Counter[float] = field(default_factory=Counter)
    """Requests by upper bound of latency in seconds; not cumulative."""


class SyntheticMetrics:
    """A source for a replay: both revisions are one pod each, scraped together."""

    def __init__(
        self,
        qualities: Mapping[str, Quality],
        load: Load,
        seed: int = 0,
        bounds: Iterable[float] = (),
        own: Mapping[str, Generated] = MappingProxyType({}),
    ) -> None:
        self.start: datetime = START
        self.end: datetime | None = None
        self._qualities, self._load = qualities, load
        self._random = random.Random(seed)  # noqa: S311 - a simulation, no secret
        # Of its own, so that a trial without such gates goes as it went before there were any.
        self._answers = random.Random(seed)  # noqa: S311 - likewise
        self._own = SyntheticOwn(own, seed)
        self._copied = random.Random(seed)  # noqa: S311 - likewise
        self._bounds = sorted({*BOUNDS, *bounds})
        self._counters = {role: _Counters() for role in qualities}
        self._scraped: dict[str, list[tuple[float, tuple[Series, ...]]]] = {
            role: [] for role in qualities
        }
        self._next = START.timestamp() + load.scrape

    def advance(self, now: datetime, weight: int, copied: int) -> None:
        """Answer requests and be scraped, up to `now`."""
        while self._next <= now.timestamp():
            for role in self._qualities:
                part = weight if role == CANDIDATE else 100 - weight
                requests = self._poisson(self._load.rps * part / 100 * self._load.scrape)
                self._serve(role, requests)
                self._own.serve(role, requests, self._next)
                if role == STABLE:
                    self._copy(requests, copied)
                kept = [
                    s for s in self._scraped[role] if s[0] > self._next - window(self._load.scrape)
                ]
                self._scraped[role] = [*kept, (self._next, self._series(role, self._next))]
            self._next += self._load.scrape

    def answer(self, metric: str, role: str, now: datetime) -> Answer:
        """The newest scrape, with what counters were at the beginning of the query's window."""
        if metric in self._own:
            return self._own.answer(metric, role, now)
        oldest = (now - timedelta(seconds=window(self._load.scrape))).timestamp()
        scrapes = [
            series for at, series in self._scraped.get(role, ()) if oldest < at <= now.timestamp()
        ]
        if not scrapes:
            return ()
        gap = self._load.scrape if len(scrapes) > 1 else 0.0
        first = {(s.name, s.le, s.outcome, s.bin): s.value for s in scrapes[0]}
        drift = metric == Metric.INPUT_DRIFT
        names = (DRIFT,) if drift else NAMES[Metric(metric)]
        return tuple(
            Series(
                s.name,
                s.pod,
                s.at,
                s.value,
                s.source,
                s.le,
                s.outcome,
                first[s.name, s.le, s.outcome, s.bin],
                gap,
                column=s.column,
                bin=s.bin,
                candidate=s.candidate,
            )
            for s in scrapes[-1]
            if s.name in names
        )

    def _poisson(self, mean: float) -> int:
        if mean > 50:
            return max(0, round(self._random.gauss(mean, math.sqrt(mean))))
        limit, product, count = math.exp(-mean), self._random.random(), 0
        while product > limit:
            product *= self._random.random()
            count += 1
        return count

    def _serve(self, role: str, requests: int) -> None:
        quality, counted, chance = self._qualities[role], self._counters[role], self._random.random
        for _ in range(requests):
            counted.requests += 1
            latency = self._random.lognormvariate(math.log(quality.latency), SPREAD)
            counted.buckets[self._bounds[bisect_left(self._bounds, latency)]] += 1
            if chance() < quality.errors:
                counted.errors += 1
                continue
            counted.first += self._answers.random() < 0.5 + quality.shift
            if chance() < self._load.labels:
                counted.labels += 1
                counted.right += chance() < quality.accuracy

    def _copy(self, requests: int, copied: int) -> None:
        """Stable's requests, of which so many percent are copied to the candidate."""
        counted, chance = self._counters[STABLE], self._copied.random
        for _ in range(requests):
            if 100 * chance() < copied:
                counted.copies += 1
                counted.otherwise += chance() < self._qualities[CANDIDATE].differs

    def _series(self, role: str, at: float) -> tuple[Series, ...]:
        counted, pod = self._counters[role], f"{role}-pod"
        live = counted.labels >= LIVE_AFTER
        value = counted.right / counted.labels if live else self._qualities[role].accuracy
        plain = {
            ACCURACY: value,
            ACCURACY_SAMPLES: counted.labels if live else LIVE_AFTER,
            REQUESTS: counted.requests,
            ERRORS: counted.errors,
            PREDICTIONS: counted.requests - counted.errors,
        }
        outcomes = {"correct": counted.right, "wrong": counted.labels - counted.right}
        answered = counted.requests - counted.errors
        classes = {"first": counted.first, "second": answered - counted.first}
        drift = {DRIFT_PSI: self._qualities[role].drift, DRIFT_ROWS: answered}
        copies = {"same": counted.copies - counted.otherwise, "different": counted.otherwise}
        below = zip(self._bounds, accumulate(counted.buckets[b] for b in self._bounds), strict=True)
        return (
            *(Series(name, pod, at, v) for name, v in plain.items()),
            *(Series(FEEDBACK, pod, at, n, outcome=outcome) for outcome, n in outcomes.items()),
            *(Series(PREDICTED, pod, at, n, bin=name) for name, n in classes.items()),
            *(
                Series(SHADOW, pod, at, n, outcome=outcome, candidate=CANDIDATE)
                for outcome, n in copies.items()
                if role == STABLE
            ),
            *(Series(DRIFT, "", at, v, column="generated", bin=what) for what, v in drift.items()),
            *(
                Series(LATENCY_BUCKET, pod, at, n, le="+Inf" if b == math.inf else repr(b))
                for b, n in below
            ),
        )


def by_role(candidate: Quality, stable: Quality) -> dict[str, Quality]:
    """The qualities by role."""
    return {CANDIDATE: candidate, STABLE: stable}
