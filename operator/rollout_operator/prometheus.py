"""The only module that knows Prometheus: one query for each metric and tick serves all rollouts.

A range selector in an instant query gives the samples with their own timestamps, and none after a series went stale;
`last_over_time` or a plain selector would give the time of the query instead.
Source: prometheus.io/docs/prometheus/latest/querying/api/#instant-queries.
"""

import asyncio
import json
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from rollout_operator.domain.observed import Answer, MetricsUnreachable, Series
from rollout_operator.domain.series import (
    ACCURACY,
    ACCURACY_SAMPLES,
    ERRORS,
    FEEDBACK,
    LATENCY_BUCKET,
    PREDICTIONS,
    REQUESTS,
    STALE_AFTER,
)
from rollout_operator.domain.spec import Metric
from rollout_operator.telemetry import PROMETHEUS_QUERIES

TIMEOUT = aiohttp.ClientTimeout(total=5)
_WINDOW = f"{int(STALE_AFTER.total_seconds())}s"

QUERIES: Mapping[Metric, str] = {
    Metric.ACCURACY: f'{{__name__=~"{ACCURACY}|{ACCURACY_SAMPLES}|{FEEDBACK}|{PREDICTIONS}"}}[{_WINDOW}]',
    Metric.ERROR_RATE: f'{{__name__=~"{REQUESTS}|{ERRORS}"}}[{_WINDOW}]',
    Metric.LATENCY_P95: f"{LATENCY_BUCKET}[{_WINDOW}]",
}

Key = tuple[str, str]
"""Namespace and revision."""
Snapshot = Mapping[Key, tuple[Series, ...]]


@dataclass
class _Asked:
    tick: float
    answer: asyncio.Task[Snapshot | MetricsUnreachable]


@dataclass
class Prometheus:
    """Asks Prometheus, at most once for each metric and tick."""

    url: str
    session: aiohttp.ClientSession
    _asked: dict[Metric, _Asked] = field(default_factory=dict)

    async def answer(self, metric: Metric, namespace: str, revision: str, tick: float) -> Answer:
        """The series of one revision, no older than `tick` (Unix time, seconds)."""
        asked = self._asked.get(metric)
        if asked is None or asked.tick < tick:
            asked = self._asked[metric] = _Asked(tick, asyncio.create_task(self._query(metric)))
        snapshot = await asyncio.shield(asked.answer)
        if isinstance(snapshot, MetricsUnreachable):
            return snapshot
        return snapshot.get((namespace, revision), ())

    async def _query(self, metric: Metric) -> Snapshot | MetricsUnreachable:
        try:
            async with self.session.post(
                f"{self.url}/api/v1/query", data={"query": QUERIES[metric]}, timeout=TIMEOUT, allow_redirects=False
            ) as response:
                status, body = response.status, await response.read()
            result = read(status, body)
        except (TimeoutError, OSError, aiohttp.ClientError) as failure:
            result = MetricsUnreachable(f"Prometheus did not answer: {type(failure).__name__} {failure}".strip())
        outcome = "unreachable" if isinstance(result, MetricsUnreachable) else "ok"
        PROMETHEUS_QUERIES.labels(metric.value, outcome).inc()
        return result


def read(status: int, body: bytes) -> Snapshot | MetricsUnreachable:
    """Read a reply of the query API; whatever is not a plain matrix without warnings is no answer."""
    if status != 200:
        return MetricsUnreachable(f"Prometheus answered HTTP {status}")
    try:
        reply = json.loads(body)
        if reply["status"] != "success" or reply["data"]["resultType"] != "matrix":
            return MetricsUnreachable("Prometheus answered with something else than a matrix")
        if reply.get("warnings"):
            return MetricsUnreachable(f"Prometheus warns: {reply['warnings'][0]}")
        found: dict[Key, list[Series]] = defaultdict(list)
        for one in reply["data"]["result"]:
            labels = one["metric"]
            found[labels.get("namespace", ""), labels.get("revision", "")].append(_newest(labels, one["values"]))
    except (ValueError, KeyError, TypeError, IndexError) as failure:
        return MetricsUnreachable(f"Prometheus' answer cannot be read: {type(failure).__name__}")
    return {key: tuple(series) for key, series in found.items()}


def _newest(labels: Mapping[str, str], values: list[Any]) -> Series:
    at, value = values[-1]
    return Series(
        name=labels["__name__"],
        pod=labels.get("pod", ""),
        at=float(at) if math.isfinite(float(at)) else 0.0,
        value=float(value),
        source=labels.get("source", ""),
        le=labels.get("le", ""),
        outcome=labels.get("outcome", ""),
        first=float(values[0][1]),
    )
