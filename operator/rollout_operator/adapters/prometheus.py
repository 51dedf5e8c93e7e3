"""The only module that knows Prometheus: one query for each metric and tick serves all rollouts."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import aiohttp

from rollout_operator.adapters.prometheus_login import PrometheusLogin
from rollout_operator.domain.api.analysis import Metric
from rollout_operator.domain.gates.promql import Snapshot, own_form, query, read, read_own
from rollout_operator.domain.gates.samples import STALE_AFTER, learned
from rollout_operator.domain.observed import MetricsUnreachable
from rollout_operator.domain.own_metrics import OwnMetric
from rollout_operator.domain.prometheus_access import AccessError, PrometheusAccess
from rollout_operator.domain.prometheus_refusal import no_answer, without_secrets
from rollout_operator.metrics import PROMETHEUS_QUERIES

Answered = Snapshot | MetricsUnreachable
Reader = Callable[[int, bytes, PrometheusAccess], Answered]
"""Reads a reply: its HTTP status, its body, and by what it was asked for."""

TIMEOUT = aiohttp.ClientTimeout(total=5)


@dataclass(frozen=True, slots=True)
class Told:
    """What Prometheus has said of a metric."""

    answer: Answered
    """The series of all revisions, or why there are none."""
    at: float
    """When it was asked, as Unix time in seconds: nothing since is in the answer."""


@dataclass
class _Asked:
    tick: float
    """Unix time in seconds; the answer is not older."""
    answer: asyncio.Task[Told]
    """The query, under way or done."""


@dataclass
class Prometheus:
    """Asks Prometheus, at most once for each metric and tick."""

    url: str
    """Base URL, without credentials or a trailing slash."""
    session: aiohttp.ClientSession
    """Prometheus' alone: no other server that hangs holds up measurements."""
    login: PrometheusLogin = field(default_factory=PrometheusLogin)
    """Headers and TLS of each query; by default no credentials."""
    clock: Callable[[], float] = time.time
    """Unix time in seconds, which the age of samples is told by."""
    own: Mapping[str, OwnMetric] = field(default_factory=dict)
    """Metrics of the configuration, by name; all other names are built in."""
    _asked: dict[str, _Asked] = field(default_factory=dict)
    _windows: dict[str, float] = field(default_factory=dict)
    """How far back each query looks, in seconds: it follows the scrapes that the answers show."""

    def cached(self, metric: str, tick: float) -> Told | None:
        """What `snapshot` would answer without a wait; None where it would wait."""
        asked = self._since(metric, tick)
        return asked.answer.result() if asked is not None and asked.answer.done() else None

    async def snapshot(self, metric: str, tick: float) -> Told:
        """The series of all revisions, no older than `tick` (Unix time, seconds)."""
        asked = self._since(metric, tick)
        if asked is None:
            asked = self._asked[metric] = _Asked(tick, asyncio.create_task(self._told(metric)))
        return await asyncio.shield(asked.answer)

    def _since(self, metric: str, tick: float) -> _Asked | None:
        """What was asked at `tick` or later; what is of a tick to come was asked before the clock
        was set back, nobody knows how long ago.
        """
        asked = self._asked.get(metric)
        return asked if asked is not None and tick <= asked.tick <= self.clock() else None

    async def _told(self, metric: str) -> Told:
        at = self.clock()
        return Told(await self._query(metric), at)

    async def _query(self, metric: str) -> Answered:
        own = self.own.get(metric)
        if own is not None:
            result = await self._ask(own_form(own), partial(read_own, own))
        else:
            window = self._windows.get(metric, STALE_AFTER.total_seconds())
            result = await self._ask({"query": query(Metric(metric), window)}, read)
            if not isinstance(result, MetricsUnreachable):
                self._windows[metric] = learned(
                    (one for series in result.values() for one in series), window, self.clock()
                )
        outcome = "unreachable" if isinstance(result, MetricsUnreachable) else "ok"
        PROMETHEUS_QUERIES.labels(metric, outcome).inc()
        return result

    async def _ask(self, form: Mapping[str, str], read_reply: Reader) -> Answered:
        """One query, and its reply read; never raises for what Prometheus does."""
        try:
            headers = self.login.headers()
            async with self.session.post(
                f"{self.url}/api/v1/query",
                data=form,
                headers=headers,
                ssl=self.login.tls(),
                timeout=TIMEOUT,
                allow_redirects=False,
            ) as response:
                status, body = response.status, await response.read()
            if status != 200:
                body = without_secrets(body, headers)
            return read_reply(status, body, self.login.access)
        except AccessError as failure:
            return MetricsUnreachable(str(failure))
        except (TimeoutError, OSError, aiohttp.ClientError) as failure:
            return MetricsUnreachable(no_answer(failure, self.url))
