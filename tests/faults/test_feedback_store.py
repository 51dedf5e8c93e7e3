"""Labels that are replayed while model servers are killed: what is counted equals an exact oracle.

Real servers, real requests, SIGKILL at any moment. A caller knows what it was answered, tries again
what was not, and sends labels late, more than once, in any order, and corrected.
"""

import json
import random
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from rollout_operator.domain.api.analysis import Gate
from rollout_operator.domain.api.gate_results import PodCounts
from rollout_operator.domain.gates.label_counters import counts, gained
from rollout_operator.domain.observed import Series
from tests.faults.coverage import REPLAYED
from tests.support.model_servers import flowers, write_model
from tests.support.mortal_server import MortalServer
from tests.support.postgres import Server, postgres

DAY = 24 * 3600.0
STABLE, CANDIDATE = "stable00", "candid01"
GATE = Gate.model_validate({"metric": "accuracy", "min": 0.8, "evidence": "Labelled"})
DUPLICATES, CORRECTIONS, BY_SIGNED_ID, SEVERAL_ROWS = 0.30, 0.05, 0.3, 0.1
"""Shares: of labels that are sent again, of those that are corrected, of requests that are labelled
by the server's ids, and of those with several rows.
"""
IN_A_BATCH = 40


@dataclass
class Fleet:
    """Pods of two revisions with one store, of which any may be killed at any time."""

    servers: list[MortalServer]
    chance: random.Random
    database: Server | None = None
    """Killed, too, while labels are sent; None where there is none to kill."""
    ahead: float = 0.0
    """Seconds by which clocks of servers that start now are."""
    good: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    """What the operator's gates have counted, by revision."""
    total: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    known: dict[str, tuple[PodCounts, ...]] = field(default_factory=dict)
    last: dict[tuple[str, str, str], float] = field(default_factory=dict)
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30))

    def sent(self, path: str, body: Any, dies: bool = False) -> httpx.Response:
        """The answer of any pod, tried again at others until there is one; dies: the first that is
        asked is killed meanwhile.
        """
        while True:
            server = self.chance.choice(self.servers)
            killer = None
            if dies:
                wait, dies = self.chance.uniform(0, 0.02), False
                killer = threading.Timer(wait, server.kill)
                killer.start()
            try:
                reply = self.client.post(f"{server.url}{path}", json=body)
                assert reply.status_code in {200, 503}, reply.text
                if reply.status_code == 200:
                    return reply
            except httpx.HTTPError:
                pass
            finally:
                if killer is not None:
                    killer.join()
                    server.start(self.ahead)
                    self.scrape()

    def scrape(self) -> None:
        """What a Prometheus would see of all pods, and what gates make of it."""
        series = [one for server in self.servers for one in server.series()]
        for revision in {server.revision for server in self.servers}:
            mine = [one for one in series if one.job == revision and one.name in READ]
            self._falls_never(revision, mine)
            now = counts(GATE, mine)
            gain = gained(self.known.get(revision, ()), now, first_counts=True)
            self.known[revision] = gain.pods
            self.good[revision] += gain.good
            self.total[revision] += gain.total

    def _falls_never(self, revision: str, series: list[Series]) -> None:
        greatest: dict[tuple[str, str, str], float] = {}
        for one in series:
            if one.name in SHARED:
                place = revision, one.name, one.outcome
                greatest[place] = max(one.value, greatest.get(place, 0.0))
        for place, value in greatest.items():
            assert value >= self.last.get(place, 0.0), f"{place} fell"
        self.last.update(greatest)


SHARED = {"ml_feedback_stored_total", "ml_feedback_retracted_total"}
READ = {"ml_feedback_total", "ml_predictions_total", *SHARED}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "iris")


@pytest.fixture(params=["sqlite", "postgresql", "postgresql that is killed, too"])
def fleet(request: pytest.FixtureRequest, model: Path, tmp_path: Path) -> Iterator[Fleet]:
    def with_store(address: str, database: Server | None = None) -> Iterator[Fleet]:
        env = {"FEEDBACK_KEY": "of a test", "FEEDBACK_STORE": address, "FEEDBACK_SCOPE": "u1"}
        places = (("a", STABLE), ("b", STABLE), ("c", CANDIDATE))
        servers = [
            MortalServer(name, model, revision, tmp_path / f"{name}.log", **env)
            for name, revision in places
        ]
        try:
            for server in servers:
                server.start()
            yield Fleet(servers, random.Random(23), database)
        finally:
            for server in servers:
                server.kill()

    if request.param == "sqlite":
        yield from with_store(f"sqlite:{tmp_path}/labels")
    else:
        with postgres() as database:
            dies = request.param != "postgresql"
            yield from with_store(database.address, database if dies else None)


@dataclass
class Answered:
    """What a caller has of one row that was predicted."""

    label: dict[str, Any]
    """What says which prediction a label is for."""
    revision: str
    said: str
    late: float
    """Seconds after the prediction at which its label comes."""
    right: str
    corrected: str = ""
    """What turns out to be right in the end; "" where that was known at once."""

    @property
    def is_right(self) -> bool:
        """By the last word."""
        return self.said == (self.corrected or self.right)


def test_replayed_labels_are_counted_as_an_exact_oracle_counts_them(
    fleet: Fleet, figure: Callable[..., None]
) -> None:
    chance, rows = fleet.chance, flowers().train.to_numpy().tolist()
    answered = [
        one
        for number in range(REPLAYED.requests)
        for one in asked(fleet, number, rows, dies=number in dying(REPLAYED.requests))
    ]
    labels = [(one.late, {**one.label, "label": one.right}) for one in answered]
    corrections = chance.sample(answered, round(CORRECTIONS * len(answered)))
    for one in corrections:
        one.corrected = chance.choice(sorted(SPECIES - {one.right}))
        late = chance.uniform(one.late, 3 * DAY)
        labels.append((late, {**one.label, "label": one.corrected, "version": 1}))
    again = chance.sample(labels, round(DUPLICATES * len(labels)))
    labels += [(chance.uniform(late, 3 * DAY), label) for late, label in again]
    labels.sort(key=lambda one: one[0])
    days = [[label for late, label in labels if day <= late / DAY < day + 1] for day in range(3)]
    for day, due in enumerate(days):
        fleet.ahead = (day + 1) * DAY - 60
        for server in fleet.servers:
            # All pods are replaced each day, without a goodbye.
            server.kill()
            server.start(fleet.ahead)
        batches = [due[n : n + IN_A_BATCH] for n in range(0, len(due), IN_A_BATCH)]
        for number, batch in enumerate(batches):
            deliver(fleet, batch, dies=number in dying(len(batches)))
    fleet.scrape()
    for revision in (STABLE, CANDIDATE):
        mine = [one for one in answered if one.revision == revision]
        assert mine
        assert fleet.total[revision] == len(mine)
        assert fleet.good[revision] == sum(one.is_right for one in mine)
    killed = sum(server.kills for server in fleet.servers)
    assert killed >= 3 * len(fleet.servers)
    least = 3 * len(fleet.servers) + REPLAYED.kills
    figure("servers killed while labels were replayed", killed, "kills", least)
    figure("labels counted as the oracle counts them", len(answered), "labels", len(answered))


SPECIES = {"setosa", "versicolor", "virginica"}


def dying(many: int) -> set[int]:
    """At which of so many requests a pod is killed: evenly spread, REPLAYED.kills of the run."""
    times = max(1, REPLAYED.kills // 2)
    return {round((n + 0.5) * many / times) for n in range(times)}


def asked(fleet: Fleet, number: int, rows: list[Any], dies: bool) -> Iterator[Answered]:
    """One request, by the caller's own id or without one."""
    chance = fleet.chance
    many = chance.randint(2, 4) if chance.random() < SEVERAL_ROWS else 1
    some = chance.sample(rows, many)
    name = "" if chance.random() < BY_SIGNED_ID else f"order-{number}"
    reply = fleet.sent(
        "/predict/", {"instances": some, **({"request_id": name} if name else {})}, dies
    )
    assert reply.headers.get("x-feedback-remembered", "true") == "true"
    said = reply.json()
    for row, (prediction, one) in enumerate(
        zip(said["predictions"], said["prediction_ids"], strict=True)
    ):
        right = prediction if chance.random() < 0.85 else chance.choice(sorted(SPECIES))
        which = {"request_id": name, "row": row} if name else {"id": one}
        yield Answered(which, said["revision"], prediction, chance.uniform(0, 3 * DAY), right)


def deliver(fleet: Fleet, batch: list[dict[str, Any]], dies: bool) -> None:
    """Send labels until each has been taken; what the store could not take is sent again."""
    left = batch
    if dies and fleet.database is not None:
        # In the middle of the transaction of these labels, or of its commit.
        crash = threading.Timer(fleet.chance.uniform(0, 0.02), fleet.database.kill)
        crash.start()
        fleet.sent("/feedback/", left)
        crash.join()
        fleet.database.start()
    while left:
        results = fleet.sent("/feedback/", left, dies).json()["results"]
        dies = False
        unknown = [one for one in results if one.get("status", 503) != 503]
        assert not unknown, unknown[:3]
        left = [one for one, said in zip(left, results, strict=True) if said.get("status") == 503]
        if left:
            time.sleep(0.2)


def test_a_job_that_is_killed_again_and_again_sends_each_label_once(
    model: Path, tmp_path: Path
) -> None:
    """The program that sends files, killed at any moment, with a server that is killed, too."""
    chance, rows = random.Random(7), flowers().train.to_numpy().tolist()
    env = {"FEEDBACK_KEY": "of a test", "FEEDBACK_STORE": f"sqlite:{tmp_path}/labels"}
    server = MortalServer("a", model, STABLE, tmp_path / "server.log", **env)
    server.start()
    fleet = Fleet([server], chance)
    try:
        answered = [
            one for n in range(REPLAYED.requests) for one in asked(fleet, n, rows, dies=False)
        ]
        lines = [{**one.label, "label": one.right} for one in answered]
        file, progress = tmp_path / "labels.jsonl", tmp_path / "progress"
        file.write_text("".join(json.dumps(one) + "\n" for one in lines))
        command = [sys.executable, "-m", "rollout_inference.send_labels"]
        command += [f"{server.url}/feedback/", str(file), "--progress", str(progress)]
        kills = 0
        while True:
            with subprocess.Popen([*command, "--batch", "5"], stdout=subprocess.DEVNULL) as job:
                if kills < REPLAYED.kills // 2:
                    _wait_for(lambda: progress.exists() or job.poll() is not None)
                    time.sleep(chance.uniform(0, 0.05))
                    job.kill()
                    kills += 1
                    if kills % 2:
                        server.kill()
                        server.start(keeps_port=True)
                elif job.wait(300) == 0:
                    break
        fleet.scrape()
    finally:
        server.kill()
    assert fleet.total[STABLE] == len(answered)
    assert fleet.good[STABLE] == sum(one.said == one.right for one in answered)


def _wait_for(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)
