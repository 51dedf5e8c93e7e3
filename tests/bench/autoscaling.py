"""`make bench-autoscaling`: an equal version is promoted, and no request lost, though requests
become ten times as many in the middle of its trial.

Rollouts side by side, each with a HorizontalPodAutoscaler for each revision and metrics-server's
figures. At first every stable alone gets the load, for the number of pods that it takes; then trial
after trial of an equal version gets the same. Writes build/autoscaling.json.
"""

import argparse
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from rich.console import Console

from scripts.demo.models import RECIPES, Registry, train
from scripts.demo.rollout import Rollout, eventually, fresh_namespace, verdict_of
from scripts.demo.traffic import answers_on
from scripts.kube import Kube, Object
from tests.bench.autoscaling_figures import TIMES, Course, Pods, figures
from tests.bench.load import Load
from tests.bench.traffic_figures import keep, print_table
from tests.e2e.harness import copy_of

TARGET = Path("build/autoscaling.json")
PATIENCE = 900.0
ROWS = 1000
"""Rows of a request: it costs milliseconds of CPU, so that a pod has enough with a few a second."""
BEFORE, DURING = 15.0, 75.0
"""Seconds of the trial before they become more, and as long as they are."""
ALONE = 2
"""Times that stable alone is watched: an autoscaler does not do the same each time."""
APART = 45.0
"""Seconds between the lanes, so that not all of them have their pods to start at once."""
SETTINGS: Object = {
    "autoscaling": {"min": 2, "max": 12, "metric": "cpu", "target": 80},
    "resources": {
        "requests": {"cpu": "20m", "memory": "128Mi"},
        "limits": {"cpu": "400m", "memory": "400Mi"},
    },
    "strategy": {
        "steps": [{"weight": 10, "hold": f"{BEFORE + DURING + 20:.0f}s"}],
        "progressDeadline": "8m",
        "scaleDownDelay": "5s",
    },
    "analysis": {
        "interval": "5s",
        "maxHold": "5m",
        "gates": [
            {"metric": "errorRate", "max": 0.01},
            {"metric": "latencyP95Seconds", "max": 0.25},
        ],
    },
}
say = Console(stderr=True).print


@dataclass
class Lane:
    """One rollout, with its load and what was seen."""

    kube: Kube
    rollout: Rollout
    url: str
    rate: float
    course: Course = field(default_factory=Course)

    def pods(self) -> int:
        """Pods of the rollout that are not on their way out, Ready or not."""
        found = self.kube.items(
            f"/api/v1/namespaces/{self.rollout.namespace}/pods",
            f"rollouts.mlops.dev/rollout={self.rollout.name}",
        )
        return sum("deletionTimestamp" not in pod["metadata"] for pod in found)

    @contextmanager
    def watched(self) -> Iterator[Pods]:
        """The pods as long as the context lasts, looked at twice a second."""
        seen, done = Pods(), threading.Event()

        def look() -> None:
            before = time.monotonic()
            while not done.wait(0.5):
                count, now = self.pods(), time.monotonic()
                seen.most = max(seen.most, count)
                seen.seconds += count * (now - before)
                seen.lasted += now - before
                before = now

        watcher = threading.Thread(target=look, daemon=True)
        watcher.start()
        try:
            yield seen
        finally:
            done.set()
            watcher.join(10)

    def loaded(self) -> Pods:
        """The load is as it was, then TIMES as much for a while; what pods there were meanwhile."""
        more = Load(self.url, self.rollout.host, self.rate * (TIMES - 1), ROWS)
        with self.watched() as seen:
            time.sleep(BEFORE)
            with more:
                time.sleep(DURING)
        self.course.answers += more.answers
        return seen

    def calm(self) -> None:
        """Wait until the pods are the fewest again."""
        least = int(SETTINGS["autoscaling"]["min"])
        eventually(
            lambda: True if self.pods() <= least else None,
            f"{self.rollout.namespace} to have {least} pods again",
            PATIENCE,
        )

    def trial(self, uri: str) -> None:
        """One trial of `uri`, to its verdict."""
        self.rollout.apply(uri)
        self.rollout.wait("Trial", uri, PATIENCE)
        self.course.trials.append(self.loaded())

        def ended() -> Object | None:
            return verdict_of(self.rollout.status(), uri) or None

        with self.watched() as seen:
            verdict = eventually(ended, f"a verdict about {uri}", PATIENCE, self.rollout.tell)
        self.course.takeovers.append(seen)
        if verdict["verdict"] == "Promoted":
            self.course.promoted += 1
        else:
            self.course.trouble.append(f"{uri}: {verdict['message']}")
        events = self.kube.items(f"/api/v1/namespaces/{self.rollout.namespace}/events")
        self.course.excused = sum(e.get("reason") == "Overloaded" for e in events)

    def lost(self) -> list[str]:
        """Each request that failed: when, for how long, what its answer said of itself, and why."""
        return [
            f"{self.rollout.host}: at {a.sent:.3f} s for {1000 * (a.ended - a.sent):.0f} ms,"
            f" version {a.version or '?'}, revision {a.revision or '?'}: {a.failure}"
            for a in self.course.answers
            if not a.ok
        ]

    def told(self) -> str:
        """How far it is, with the pods of stable alone and of the last trial."""
        seen = [
            f"{pods.seconds / pods.lasted:.1f} (at most {pods.most})"
            for pods in (self.course.alone, *self.course.trials[-1:], *self.course.takeovers[-1:])
            if pods.lasted
        ]
        return (
            f"{self.rollout.namespace}: {self.course.promoted} promoted; pods alone, in the trial,"
            f" and while it took over: {', '.join(seen)}"
        )

    def run(self, registry: Registry, good: str, rounds: int) -> None:
        """Stable alone, and then trial after trial of copies of it."""
        base = Load(self.url, self.rollout.host, self.rate, ROWS)
        try:
            with base:
                for _ in range(ALONE):
                    self.course.alone += self.loaded()
                    self.calm()
                for _ in range(rounds):
                    self.trial(copy_of(registry, good))
                    self.calm()
                    say(self.told(), style="dim", markup=False)
        except Exception as failure:
            self.course.trouble.append(str(failure))
        self.course.answers += base.answers


def _answers(url: str, host: str) -> bool | None:
    return answers_on(url, host) or None


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench-autoscaling", description=__doc__)
    parser.add_argument("--lanes", type=int, default=3, help="rollouts side by side")
    parser.add_argument("--rounds", type=int, default=7, help="trials of each")
    parser.add_argument("--rate", type=float, default=3.0, help="requests a second of each")
    wanted = parser.parse_args()
    kube, registry, url = (
        Kube(),
        Registry(os.environ["MLFLOW_TRACKING_URI"]),
        os.environ["INGRESS_URL"],
    )
    good = train(registry, "iris-autoscaling", RECIPES[1]).uri
    lanes = []
    for number in range(wanted.lanes):
        namespace = f"bench-autoscaling-{number}"
        fresh_namespace(kube, namespace)
        lanes.append(Lane(kube, Rollout(kube, namespace, settings=SETTINGS), url, wanted.rate))
        lanes[-1].rollout.apply(good)
    for one in lanes:
        one.rollout.wait("Promoted", good, PATIENCE)
        eventually(partial(_answers, url, one.rollout.host), "its host to answer", PATIENCE)
    workers = [threading.Thread(target=o.run, args=(registry, good, wanted.rounds)) for o in lanes]
    for worker in workers:
        worker.start()
        time.sleep(APART)
    for worker in workers:
        worker.join()
    for text in (t for one in lanes for t in [*one.course.trouble, *one.lost()]):
        say(text, style="red", markup=False)
    found = figures([one.course for one in lanes], wanted.lanes * wanted.rounds)
    keep(TARGET, found)
    print_table(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
