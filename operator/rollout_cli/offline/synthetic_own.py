"""Generated metrics of the operator's configuration: replies as Prometheus would give them to the
operator's own query, of versions that come to given values.
"""

import json
import math
import random
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from rollout_cli.exit_codes import WrongUsage
from rollout_cli.offline.simulator import CANDIDATE, ROLLOUT, STABLE
from rollout_operator.domain.api.names import revision_name
from rollout_operator.domain.gates.promql import part_names, read_own, series_of
from rollout_operator.domain.observed import Answer
from rollout_operator.domain.own_metrics import PART, By, Counts, OwnMetric, OwnMetrics

HOW = "write --own conversionRate=0.04, or with stable's value --own conversionRate=0.04:0.05"
_LEVELS = frozenset({Counts.PERCENTILE, Counts.GAUGE})
"""What is no sum."""
_GIVEN = re.compile(r"([^=:]+)=([^=:]+)(?::([^=:]+))?")


@dataclass(frozen=True, slots=True)
class Generated:
    """One metric, and what it comes to."""

    metric: OwnMetric
    """As the configuration has it."""
    values: Mapping[str, float]
    """Of candidate and stable, in its unit."""


@dataclass(frozen=True, slots=True)
class _Tally:
    at: float
    """Unix time in seconds."""
    sums: tuple[float, ...]
    """What its expressions count, since the pods started."""


def given_values(words: Iterable[str], known: OwnMetrics) -> dict[str, Generated]:
    """What `--own` says, by the metrics' names; stable is as good as the candidate where it says
    nothing of it. Raises WrongUsage.
    """
    found = {}
    for word in words:
        said = _GIVEN.fullmatch(word)
        if said is None:
            raise WrongUsage(f"--own {word} gives no metric a value: {HOW}.")
        name = said[1]
        metric = known.by_name.get(name)
        if metric is None:
            names = ", ".join(known.by_name) or "none"
            raise WrongUsage(f"--own {word}: of --values, the metrics are: {names}.")
        values = [_value(word, metric, text) for text in said.groups()[1:] if text]
        found[name] = Generated(metric, {CANDIDATE: values[0], STABLE: values[-1]})
    return found


def _value(word: str, metric: OwnMetric, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    least, most = -math.inf, math.inf
    if metric.counts is Counts.SHARE:
        least, most = 0.0, 1.0
    elif metric.bounds is not None:
        least, most = metric.bounds.min, metric.bounds.max
    if not (math.isfinite(value) and least <= value <= most):
        within = "" if math.isinf(most) else f" from {least:g} to {most:g}"
        raise WrongUsage(f"--own {word}: write a number{within}.")
    return value


class SyntheticOwn:
    """Series of a shop, or of whoever counts: one process for each revision."""

    def __init__(self, generated: Mapping[str, Generated], seed: int) -> None:
        self._generated = generated
        self._random = random.Random(seed)  # noqa: S311 - a simulation, no secret
        self._tallies: dict[tuple[str, str], list[_Tally]] = defaultdict(list)

    def __contains__(self, name: str) -> bool:
        return name in self._generated

    def serve(self, role: str, requests: int, at: float) -> None:
        """So many requests have led to something since the scrape before; this one is `at`."""
        for name, of in self._generated.items():
            tallies = self._tallies[name, role]
            before = tallies[-1].sums if tallies else (0.0,) * len(part_names(of.metric))
            came = self._came(of.metric, of.values[role], requests)
            after = [a + b for a, b in zip(before, came, strict=False)]
            if of.metric.counts in _LEVELS:
                after[0] = of.values[role]
            tallies.append(_Tally(at, tuple(after)))

    def _came(self, metric: OwnMetric, value: float, requests: int) -> Iterator[float]:
        """What each expression counts of so many requests."""
        chance = self._random.random
        if metric.counts is Counts.SHARE:
            yield sum(chance() < value for _ in range(requests))
        elif metric.counts is Counts.MEAN and metric.bounds is not None:
            # All or nothing: values of this mean cannot be further apart.
            low, high = metric.bounds.min, metric.bounds.max
            most = sum(chance() < (value - low) / (high - low) for _ in range(requests))
            yield most * high + (requests - most) * low
            yield requests
            yield most * high * high + (requests - most) * low * low
            return
        else:
            yield value * requests
        yield requests

    def answer(self, name: str, role: str, now: datetime) -> Answer:
        """What Prometheus would have answered to the operator's query."""
        metric, moment = self._generated[name].metric, now.timestamp()
        sums = self._sums(name, role, moment, metric.stale.total_seconds())
        if not sums:
            return ()
        if metric.reach:
            earlier = self._sums(name, role, moment - metric.reach, math.inf) or (0.0,) * len(sums)
            within = [new - old for new, old in zip(sums, earlier, strict=True)]
            # A value is not of what came within the range alone.
            sums = (sums[0], *within[1:]) if metric.counts in _LEVELS else tuple(within)
        pod = f"{revision_name(ROLLOUT, role)}-generated-shop1"
        label, whose = ("pod", pod) if metric.by is By.POD else ("revision", role)
        result = [
            {
                "metric": {PART: part, "namespace": ROLLOUT, label: whose},
                "value": [moment, repr(value)],
            }
            for part, _, value in zip(part_names(metric), metric.expressions(), sums, strict=False)
        ]
        body = {"status": "success", "data": {"resultType": "vector", "result": result}}
        read = read_own(metric, 200, json.dumps(body).encode())
        return series_of(read, ROLLOUT, ROLLOUT, role) if isinstance(read, Mapping) else read

    def _sums(self, name: str, role: str, at: float, stale: float) -> tuple[float, ...]:
        """As they were scraped last, no longer ago than `stale` seconds; empty where they were
        not.
        """
        tallies = self._tallies.get((name, role), [])
        found = next((t for t in reversed(tallies) if t.at <= at), None)
        return () if found is None or found.at <= at - stale else found.sums
