"""The parts of the benchmark, each with its figures. A ratio is of runs that took turns."""

import os
import random
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rollout_inference.loading.loader import load_folder
from rollout_inference.settings import Settings
from rollout_model import estimator
from rollout_model.artifact import verify
from rollout_model.parity import ties
from rollout_model.signature import frame
from rollout_model.trial_rows import trial_rows
from scripts.cluster.paths import REPOSITORY
from tests.bench.inference.counting import figures as counting_figures
from tests.bench.inference.measure import Load, Server, answer, free_port, ratio, wrk
from tests.bench.inference.peers import ROW, Models, Peer, ours
from tests.bench.inference.probes import ROWS as CLIENTS_ROWS
from tests.bench.inference.probes import each, median
from tests.bench.traffic_figures import Figure

CONNECTIONS = 16
SLOW, SLOW_SECONDS = 200, 60
ROWS = 200_000
"""Of each kind: three kinds make 600,000."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What the parts share. seconds: of one run of wrk; rounds: of each server."""

    made: Models
    peers: Mapping[str, Peer]
    scratch: Path
    seconds: float
    rounds: int
    say: Callable[[str], None]

    @contextmanager
    def running(self, *names: str) -> Iterator[dict[str, Server]]:
        """Servers of these names, all ready and all having answered once."""
        with ExitStack() as stack:
            found = {}
            for name in names:
                peer = self.peers[name]
                found[name] = stack.enter_context(peer.server(self.scratch))
                if (body := peer.ask([ROW])) is not None:
                    answer(found[name].url + peer.path, body)
                self.say(f"{peer.name} is ready")
            yield found

    def turns(
        self, servers: Mapping[str, Server], rows: int, connections: int
    ) -> tuple[dict[str, list[Load]], dict[str, float]]:
        """Load on each server in turn, round by round; and the CPU microseconds that one request
        cost each.
        """
        loads: dict[str, list[Load]] = {name: [] for name in servers}
        cpu = dict.fromkeys(servers, 0.0)
        chosen = random.Random(0)
        batch = (
            [ROW]
            if rows == 1
            else [[round(chosen.uniform(0, 8), 1) for _ in ROW] for _ in range(rows)]
        )
        for number in range(self.rounds + 1):
            for name, server in servers.items():
                peer, before = self.peers[name], server.cpu()
                load = wrk(
                    server.url + peer.path,
                    peer.ask(batch),
                    self.seconds if number else 1,
                    connections,
                    self.scratch,
                )
                if load.failed:
                    raise RuntimeError(
                        f"{peer.name}: {load.failed} of {load.requests} requests failed"
                    )
                if number:  # the first round warms up
                    if not load.requests:
                        raise RuntimeError(
                            f"{peer.name} answered nothing within {self.seconds:g} s: give it more"
                            " by --seconds"
                        )
                    loads[name].append(load)
                    cpu[name] += server.cpu() - before
        return loads, {
            n: 1e6 * spent / sum(one.requests for one in loads[n]) for n, spent in cpu.items()
        }

    def requests(
        self, metric: str, loads: Mapping[str, Sequence[Load]], name: str, goal: float
    ) -> Figure:
        """Requests a second of "ours" by those of the peer `name`, whose runs took turns."""
        rates = {n: [one.rate for one in loads[n]] for n in ("ours", name)}
        value = ratio(rates["ours"], rates[name])
        return Figure(
            metric,
            round(value, 3),
            "x",
            f">= {goal}",
            value >= goal,
            f"{self.peers[name].name}: {statistics.median(rates[name]):.0f}/s, ours"
            f" {statistics.median(rates['ours']):.0f}/s",
        )


def with_cpu(figure: Figure, cpu: Mapping[str, float], name: str) -> Figure:
    """The figure, which says the CPU microseconds of a request, too."""
    said = f"; CPU of a request {cpu[name]:.0f} µs, ours {cpu['ours']:.0f} µs"
    return replace(figure, against=figure.against + said)


def throughput(bench: Bench) -> Iterator[Figure]:
    """One worker, one row of Iris in a request, 16 connections, with all metrics on; beside one
    peer after the other.
    """
    goals = {"hello": 0.25, "naive": 100, "mlflow": 50, "mlserver": 30, "mlserver-onnx": 3}
    with bench.running("ours") as ours:
        for name, goal in goals.items():
            with bench.running(name) as theirs:
                loads, cpu = bench.turns({**ours, **theirs}, 1, CONNECTIONS)
            yield bench.requests(f"1 row: requests by {name}", loads, name, goal)
            if name == "hello":
                tail = ratio(
                    [one.p99 for one in loads["ours"]], [one.p99 for one in loads["hello"]]
                )
                slow = statistics.median(one.p99 for one in loads["hello"])
                yield Figure(
                    "1 row: p99 by hello",
                    round(tail, 2),
                    "x",
                    "<= 4",
                    tail <= 4,
                    f"hello's p99 {1000 * slow:.1f} ms",
                )
                yield Figure(
                    "1 row: CPU of a request, ours", round(cpu["ours"], 1), "µs", "", True, ""
                )
            yield Figure(
                f"1 row: CPU of a request, {name}", round(cpu[name], 1), "µs", "", True, ""
            )


def batches(bench: Bench) -> list[Figure]:
    """512 rows in a request, 4 connections: the same body to both servers, and our own protocol
    beside it.
    """
    with bench.running("ours", "mlflow") as servers:
        ours = bench.peers["ours"]
        same = Peer("ours, /invocations", ours.start, "/invocations", bench.peers["mlflow"].ask)
        both = replace(bench, peers={**bench.peers, "same": same})
        loads, _ = both.turns({**servers, "same": servers["ours"]}, 512, 4)
    rates = {name: [one.rate for one in runs] for name, runs in loads.items()}
    found = []
    for name, what in (("same", "/invocations"), ("ours", "/predict/")):
        value = ratio(rates[name], rates["mlflow"])
        against = f"mlflow models serve, {statistics.median(rates['mlflow']):.1f}/s"
        found.append(
            Figure(f"512 rows: {what} by mlflow", round(value, 2), "x", ">= 5", value >= 5, against)
        )
    return found


def equality(bench: Bench) -> list[Figure]:
    """Labels beside scikit-learn's: random rows, and rows of which every value is at a split
    threshold or one step beside it.
    """
    settings = Settings(model_path=bench.made.folder)
    artifact = verify(bench.made.folder, settings.load_policy)
    forest, model = (
        estimator.load(artifact, settings.load_policy),
        load_folder(bench.made.folder, settings),
    )
    rows = differ = tied = 0
    for some in trial_rows(forest, artifact.signature, artifact.example, seed=7, count=ROWS):
        chances = forest.predict_proba(frame(artifact.signature, some))
        other = np.array(model.runtime.run(some).labels) != forest.classes_[chances.argmax(axis=1)]
        tie = ties(chances)
        rows, differ, tied = (
            rows + len(some),
            differ + int((other & ~tie).sum()),
            tied + int((other & tie).sum()),
        )
    goal, enough = "0 of 600000", rows >= 600_000
    return [
        Figure(
            "labels that differ from scikit-learn's",
            differ,
            "rows",
            goal,
            enough and differ == 0,
            f"{rows} rows, {tied} exact ties",
        )
    ]


def contract(bench: Bench) -> list[Figure]:
    """schemathesis against the OpenAPI document, with many examples of every route, right ones and
    wrong ones.
    """
    examples = 150
    bench.say(f"{examples} examples of every route")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "tests/unit/inference/test_openapi.py"]
    env = {**os.environ, "SCHEMATHESIS_EXAMPLES": str(examples)}
    done = subprocess.run(
        command, cwd=REPOSITORY, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        bench.say(done.stdout[-3000:])
    met = done.returncode == 0
    return [
        Figure(
            "OpenAPI: 5xx or other violations",
            int(not met),
            "",
            "0",
            met,
            f"schemathesis, {examples} examples of each route",
        )
    ]


def slow_clients(bench: Bench) -> list[Figure]:
    """p99 of requests while 200 sockets send a byte a second, for 60 s, beside p99 without them."""
    each, turns = 10.0, round(SLOW_SECONDS / 10)
    calm, disturbed = [], []
    with bench.running("ours") as servers:
        url, path = servers["ours"].url, bench.peers["ours"].path
        body = bench.peers["ours"].ask([ROW])
        wrk(url + path, body, 2, CONNECTIONS, bench.scratch)
        for _ in range(turns):
            calm.append(wrk(url + path, body, each, CONNECTIONS, bench.scratch))
            with _slow_sockets(url):
                disturbed.append(wrk(url + path, body, each, CONNECTIONS, bench.scratch))
    value = ratio([one.p99 for one in disturbed], [one.p99 for one in calm])
    failed = sum(one.failed for one in disturbed)
    against = (
        f"p99 without them {1000 * statistics.median(one.p99 for one in calm):.1f} ms; {failed}"
        " requests failed"
    )
    return [
        Figure(
            f"{SLOW} slow sockets for {SLOW_SECONDS} s: p99",
            round(value, 2),
            "x",
            "< 2",
            value < 2 and not failed,
            against,
        )
    ]


@contextmanager
def _slow_sockets(url: str) -> Iterator[None]:
    command = [sys.executable, "-m", "tests.bench.inference.slow", url, str(SLOW)]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()  # all are connected
        yield
        process.stdin.close()
        process.wait(20)


def starts(bench: Bench) -> list[Figure]:
    """From the start of the process until it says that it is ready; and the memory of its processes
    after a hundred requests.
    """
    names = ("ours", "converting", "mlflow", "mlserver")
    seconds: dict[str, list[float]] = {name: [] for name in names}
    memory: dict[str, list[float]] = {name: [] for name in names}
    for number in range(bench.rounds + 1):
        for name in names:
            peer = bench.peers[name]
            with peer.server(bench.scratch) as server:
                for _ in range(100):
                    answer(server.url + peer.path, peer.ask([ROW]))
                if number:
                    seconds[name].append(server.seconds)
                    memory[name].append(server.memory())
    usual, late = statistics.median(seconds["ours"]), statistics.median(seconds["converting"])
    found = [
        Figure(
            "start to ready, converting at start",
            round(late, 2),
            "s",
            "",
            True,
            f"{usual:.2f} s with the conversion stored",
        )
    ]
    for name in names[2:]:
        for what, measured, unit in (("start to ready", seconds, "s"), ("memory", memory, "MiB")):
            value = ratio(measured["ours"], measured[name])
            against = (
                f"{bench.peers[name].name}: {statistics.median(measured[name]):.1f} {unit}, ours"
                f" {statistics.median(measured['ours']):.1f}"
            )
            found.append(
                Figure(f"{what} by {name}", round(value, 2), "x", "< 1", value < 1, against)
            )
    return found


def probes(bench: Bench) -> Iterator[Figure]:
    """/health/ while sixteen clients send two thousand rows each, to models of which a row costs
    most.
    """
    for name, seen in each(
        bench.scratch,
        lambda folder: ours(folder)(free_port(), bench.scratch),
        max(20, bench.seconds),
    ):
        tail, against = (
            1000 * seen.at(0.99),
            f"median {1000 * median(seen):.1f} ms, most {1000 * seen.at(1):.1f} ms",
        )
        yield Figure(
            f"probe beside {name}: p99", round(tail, 1), "ms", "<= 50", tail <= 50, against
        )
        lost, asked = (
            seen.lost + seen.failed,
            f"{len(seen.waited)} probes, {seen.answered} requests of {CLIENTS_ROWS} rows",
        )
        yield Figure(f"probe beside {name}: lost or failed", lost, "", "0", lost == 0, asked)


def counting(_: Bench) -> Iterator[Figure]:
    """What the bins of live rows cost."""
    return counting_figures()


PARTS: Mapping[str, Callable[[Bench], Iterable[Figure]]] = {
    "throughput": throughput,
    "batches": batches,
    "equality": equality,
    "contract": contract,
    "slow": slow_clients,
    "starts": starts,
    "probes": probes,
    "counting": counting,
}
