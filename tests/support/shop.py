"""What a shop and a foreign server say of the revisions that answer them, for a real Prometheus."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from rollout_operator.domain.api.names import revision_name
from tests.support import metrics_servers
from tests.support.scripted_world import ScriptedWorld, serving

A_SECOND = 200
"""Visits that each revision brings to the shop, and requests that each of its pods answers."""
BOUNDS = (0.1, 0.5, 1.0, float("inf"))


@dataclass
class Shop:
    """Counts visits and orders by revision, and pods' requests by their latency."""

    world: ScriptedWorld
    """Knows who has pods."""
    conversion: Mapping[str, float] = field(default_factory=dict)
    """Share of visits that end with an order, by version."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """How long every request takes, by version; 0.05 where it is not named."""
    clock: Callable[[], float] = time.time
    _began: dict[str, float] = field(default_factory=dict)

    def lines(self) -> Iterator[str]:
        """All its series now, as a scrape has them."""
        for revision, of in self.world.revisions.items():
            began = self._began.setdefault(revision, self.clock())
            visits = int((self.clock() - began) * A_SECOND)
            labels = f'namespace="{of.namespace}",revision="{revision}"'
            orders = int(visits * self.conversion.get(of.version, 0.1))
            yield f"shop_visits_total{{{labels}}} {visits}"
            yield f"shop_orders_total{{{labels}}} {orders}"
            yield f"shop_revenue_total{{{labels}}} {orders * 25}"
            # A server that knows nothing of revisions, in the revision's pod.
            pod = f"{revision_name(of.rollout, revision)}-6d5f7-abcde"
            labels, took = (
                f'namespace="{of.namespace}",pod="{pod}"',
                self.seconds.get(of.version, 0.05),
            )
            for bound in BOUNDS:
                count = visits if took <= bound else 0
                le = "+Inf" if bound == BOUNDS[-1] else bound
                yield f'foreign_seconds_bucket{{{labels},le="{le}"}} {count}'
            yield f"foreign_seconds_count{{{labels}}} {visits}"

    async def _scraped(self, _: web.Request) -> web.Response:
        return web.Response(text="".join(f"{line}\n" for line in self.lines()))

    @contextlib.contextmanager
    def scraped(self, home: Path) -> Iterator[str]:
        """A Prometheus that scrapes it every second; yields its URL."""
        app = web.Application()
        app.router.add_get("/metrics", self._scraped)
        with serving(app) as shown:
            job = {
                "job_name": "shop",
                "honor_labels": True,
                "static_configs": [{"targets": [shown.removeprefix("http://")]}],
            }
            config = {"global": {"scrape_interval": "1s"}, "scrape_configs": [job]}
            with metrics_servers.prometheus(home, config) as url:
                yield url
