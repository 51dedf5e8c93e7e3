"""The dashboard before a cluster with seeded rollouts: API server, Prometheus with their past, and
people with four kinds of token.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from scripts.cluster.apiserver import apiserver
from tests.support import metrics_servers
from tests.support.api_client import ApiClient, wait_for
from tests.support.audit_log import AuditLog
from tests.support.dashboard_process import DashboardProcess
from tests.support.kinds import path_of
from tests.support.seeded_objects import plant_beside
from tests.support.seeded_past import openmetrics
from tests.support.seeds import TEAM_A, Seed, plant, seeds
from tests.support.viewers import READS, STEERS, Viewer, viewer


@dataclass(frozen=True)
class People:
    """Four kinds of token; a fifth one, none at all, is not here."""

    stranger: Viewer
    """Known to the cluster, and without any right."""
    reader: Viewer
    """May read what is in TEAM_A."""
    admin: Viewer
    """May read and steer what is in TEAM_A."""
    watcher: Viewer
    """May read everything, and steer nothing."""

    @classmethod
    def of(cls, api: ApiClient) -> "People":
        """New ones, once the API server knows their rights."""
        made = cls(
            stranger=viewer(api, "stranger"),
            reader=viewer(api, "reader", READS, [TEAM_A]),
            admin=viewer(api, "admin", STEERS, [TEAM_A]),
            watcher=viewer(api, "watcher", READS),
        )
        path = path_of("ModelRollout", TEAM_A)
        for who in (made.reader, made.admin, made.watcher):
            mine = {"Authorization": f"Bearer {who.token}"}
            wait_for(
                lambda mine=mine: api.http.get(path, headers=mine).status_code == 200,  # type: ignore[misc]
                f"the rights of {who.name} to be known",
            )
        return made


@dataclass(frozen=True)
class SeededBoard:
    """All of it, running."""

    api: ApiClient
    audit: AuditLog
    seeds: tuple[Seed, ...]
    people: People
    prometheus: str
    """URL."""
    board: DashboardProcess
    """As the chart runs it; it is told which namespaces there are."""


@contextlib.contextmanager
def seeded_board(directory: Path) -> Iterator[SeededBoard]:
    """The stage, with its files in `directory`."""
    audit = AuditLog(directory)
    with apiserver(directory / "apiserver", flags=audit.flags) as kubeconfig:
        api = ApiClient(kubeconfig)
        api.install_crd()
        now = datetime.now(UTC).replace(microsecond=0)
        some = seeds(now)
        plant(api, some)
        for seed in some:
            plant_beside(api, seed)
        people = People.of(api)
        home = directory / "prometheus"
        home.mkdir()
        metrics_servers.remember(home, openmetrics(some, now))
        namespaces = ",".join(sorted({seed.namespace for seed in some}))
        with (
            metrics_servers.prometheus(home, {}) as url,
            DashboardProcess(
                api.kubeconfig,
                directory / "dashboard.log",
                NAMESPACES=namespaces,
                PROMETHEUS_URL=url,
            ) as board,
        ):
            yield SeededBoard(api, audit, some, people, url, board)
