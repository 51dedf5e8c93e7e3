"""What a look asks somebody outside: the registry, Prometheus, routers. All may take long,
or hang.
"""

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from rollout_operator.adapters.model_registry import ModelRegistry
from rollout_operator.adapters.prometheus import Prometheus, Told
from rollout_operator.adapters.router_probe import Routers
from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import Revision, Status
from rollout_operator.domain.api.words import Phase
from rollout_operator.domain.gates.promql import Snapshot, series_of
from rollout_operator.domain.machine.redirect import needs_resolution
from rollout_operator.domain.machine.schedule import (
    at_step_ends,
    beat,
    interval_since,
    step_began,
    step_due,
)
from rollout_operator.domain.machine.trial import needs_measurement
from rollout_operator.domain.observed import Answer, Heard, MetricsUnreachable, Resolution
from rollout_operator.domain.route_probe import Way


@dataclass(frozen=True, slots=True)
class RouteQuery:
    """A route whose router is to be asked."""

    way: Way
    """Its host, path and routers, and the revisions that may answer."""
    at: datetime
    """Now."""
    apart: timedelta
    """It is not asked again where it was asked less than this before."""


@dataclass(frozen=True, slots=True)
class Query:
    """What one reconcile asks outside."""

    model_uri: str = ""
    """What the registry is asked for; "" for nothing."""
    metrics: tuple[str, ...] = ()
    """Whose series Prometheus is asked for."""
    tick: float = 0.0
    """Series are wanted no older than this, as Unix time in seconds."""
    route: RouteQuery | None = None
    """Which route is asked; None for none."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What came back."""

    resolution: Resolution | None = None
    """From the registry; None where it was not asked."""
    measured: Mapping[str, Snapshot | MetricsUnreachable] = field(default_factory=dict)
    """From Prometheus, by the names of metrics."""
    asked_at: datetime | None = None
    """When the oldest of those was asked for; None where there is none."""
    heard: Heard | None = None
    """From the router; None where it was not asked, or cannot be."""

    def of(self, namespace: str, rollout: str, revision: Revision | None) -> dict[str, Answer]:
        """The series of one revision for every metric; nothing of none."""
        if revision is None:
            return {}
        name = revision.revision
        return {
            metric: told
            if isinstance(told, MetricsUnreachable)
            else series_of(told, namespace, rollout, name)
            for metric, told in self.measured.items()
        }


def query_for(
    uid: str, spec: Spec | None, status: Status, now: datetime, route: RouteQuery | None = None
) -> Query:
    """What `decide` cannot go on without; route: the one that is to be asked."""
    if spec is None:
        return Query()
    uri = spec.model_uri if needs_resolution(spec, status) and not spec.paused else ""
    if not needs_measurement(spec, status):
        return Query(uri, route=route)
    tick = no_older_than(uid, spec, status, now)
    return Query(uri, tuple(sorted({gate.name for gate in spec.analysis.gates})), tick, route)


def no_older_than(uid: str, spec: Spec, status: Status, now: datetime) -> float:
    """From when on, as Unix time in seconds, the metrics have to be that a look at `now` goes by.

    Any look takes what was asked in the same beat. One at the end of an interval takes nothing from
    before it, and one at the end of a step hardly anything.
    """
    apart, ends = beat(spec), at_step_ends(spec)
    least = max(
        math.floor(now.timestamp() / apart) * apart, interval_since(uid, spec, now).timestamp()
    )
    began = step_began(status) if status.phase is Phase.TRIAL else None
    if began is None or (due := step_due(status, spec, began)) > now:
        return least
    return max(least, math.floor(due.timestamp() / ends) * ends)


def cached(asked: Query, prometheus: Prometheus, routers: Routers | None = None) -> Answers | None:
    """What `ask` would answer without a wait: whoever looks in the same tick has asked already;
    None where it would wait.
    """
    found = {
        metric: told
        for metric in asked.metrics
        if (told := prometheus.cached(metric, asked.tick)) is not None
    }
    heard, route = None, asked.route
    if route is not None and routers is not None:
        if not routers.fresh(route.way, route.at, route.apart):
            return None
        heard = routers.known(route.way)
    if asked.model_uri or len(found) < len(asked.metrics):
        return None
    return _answers(found, heard=heard)


async def ask(
    asked: Query, registry: ModelRegistry, prometheus: Prometheus, routers: Routers | None = None
) -> Answers:
    """Ask it; never raises for what they do."""
    resolution, found, heard = await asyncio.gather(
        _resolution(asked, registry), _measured(asked, prometheus), _heard(asked, routers)
    )
    return _answers(found, resolution, heard)


def _answers(
    found: Mapping[str, Told], resolution: Resolution | None = None, heard: Heard | None = None
) -> Answers:
    asked_at = min((told.at for told in found.values()), default=None)
    return Answers(
        resolution,
        {metric: told.answer for metric, told in found.items()},
        datetime.fromtimestamp(asked_at, tz=UTC) if asked_at is not None else None,
        heard,
    )


async def _resolution(asked: Query, registry: ModelRegistry) -> Resolution | None:
    return await registry.resolve(asked.model_uri) if asked.model_uri else None


async def _heard(asked: Query, routers: Routers | None) -> Heard | None:
    if asked.route is None or routers is None:
        return None
    return await routers.ask(asked.route.way, asked.route.at, asked.route.apart)


async def _measured(asked: Query, prometheus: Prometheus) -> Mapping[str, Told]:
    found = await asyncio.gather(
        *(prometheus.snapshot(metric, asked.tick) for metric in asked.metrics)
    )
    return dict(zip(asked.metrics, found, strict=True))
