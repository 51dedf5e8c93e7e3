"""What the dashboard's benchmark stands on: an API server with many rollouts and an audit log, the
dashboard as a process, and viewers with equal rights, each with a token of his own.
"""

import contextlib
import itertools
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from scripts.cluster.apiserver import apiserver
from tests.support.api_client import ApiClient
from tests.support.audit_log import AuditLog
from tests.support.board_client import BoardClient, ServerSentEvent
from tests.support.dashboard_process import DashboardProcess
from tests.support.kinds import path_of
from tests.support.seeds import Seed, crowd
from tests.support.viewers import READS, Viewer, viewer

NAMESPACES = tuple(f"team-{n:02}" for n in range(10))
WIDTH = 8
"""Requests of the harness under way at once."""
REVIEWS = ("selfsubjectaccessreviews", "selfsubjectreviews")
"""Questions about rights, which are asked for each viewer."""
MARK = re.compile(r"about (\d+) more labels")
FIRST_MARK = 100_000
"""Marks are numbers of labels that no seed speaks of."""


@dataclass(frozen=True)
class Requests:
    """What the dashboard asked of the API server in some time."""

    reads: Counter[str]
    """Verb and resource, of everything but questions about rights; a watch counts once."""
    reviews: int
    """Questions about rights."""


@dataclass
class BoardStage:
    """All of it, running."""

    api: ApiClient
    audit: AuditLog
    board: DashboardProcess
    crowd: Sequence[Seed]
    people: list[Viewer] = field(default_factory=list)

    def newcomer(self) -> BoardClient:
        """One more viewer of all rollouts, logged in."""
        self.people.append(viewer(self.api, f"viewer-{len(self.people):02}", READS))
        return BoardClient.of(self.board.url, self.people[-1].token)

    @contextlib.contextmanager
    def counted(self) -> Iterator[list[Requests]]:
        """What is asked as long as the context lasts, as the only element of the list."""
        found: list[Requests] = []
        before = self.audit.asked()
        yield found
        asked = self.audit.asked() - before
        reads = Counter[str]()
        reviews = 0
        for one, times in asked.items():
            if one.resource in REVIEWS:
                reviews += times
            else:
                reads[f"{one.verb} {one.resource}"] += times
        found.append(Requests(reads, reviews))


class Marks:
    """Changes of status that can be told apart on the screen: each has a number of its own."""

    def __init__(self, stage: BoardStage, on_trial: Sequence[Seed]) -> None:
        self._stage, self._turn = stage, itertools.cycle(on_trial)
        self.sent: dict[int, float] = {}
        """When each was sent, before its request, Unix time."""

    def make(self) -> int:
        """Change the next rollout's status; returns the number."""
        seed, mark = next(self._turn), FIRST_MARK + len(self.sent)
        gate = seed.status.gates[0].model_copy(update={"labels_left": mark})
        now = seed.status.step_since
        status = seed.status.model_copy(
            update={"gates": (gate, *seed.status.gates[1:]), "no_evidence_since": now}
        )
        path = f"{path_of('ModelRollout', seed.namespace, seed.name)}/status"
        self.sent[mark] = time.time()
        reply = self._stage.api.patch(path, {"status": status.to_api()})
        assert reply.status_code == 200, reply.text
        return mark

    @contextlib.contextmanager
    def going_on(self, rate: float) -> Iterator[None]:
        """So many a second, as long as the context lasts."""
        ended = threading.Event()

        def go() -> None:
            while not ended.wait(1 / rate):
                self.make()

        thread = threading.Thread(target=go, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def seen(events: Sequence[ServerSentEvent]) -> dict[int, float]:
    """When each mark was first told to a viewer, Unix time."""
    first: dict[int, float] = {}
    for event in events:
        for mark in map(int, MARK.findall(str(event.data))):
            first.setdefault(mark, event.at)
    return first


@contextlib.contextmanager
def board_stage(directory: Path, count: int, on_trial: int) -> Iterator[BoardStage]:
    """The stage with so many rollouts; nobody looks yet."""
    audit = AuditLog(directory)
    with apiserver(directory / "apiserver", flags=audit.flags) as kubeconfig:
        api = ApiClient(kubeconfig)
        api.install_crd()
        for namespace in NAMESPACES:
            api.namespace(namespace)
        some = tuple(crowd(count, on_trial, NAMESPACES))
        with ThreadPoolExecutor(WIDTH) as pool:
            for _ in pool.map(lambda seed: seed.plant(api), some):
                pass
        with DashboardProcess(kubeconfig, directory / "dashboard.log") as board:
            yield BoardStage(api, audit, board, some)
