"""`make bench-traffic`: no request is lost and every share is kept, while versions are promoted and
rolled back and the operator is killed.

Open-loop load goes through the real router all the time: five rollouts side by side, each promoted
and rolled back in turn. After that the canary's route is deleted and edited by a foreign hand, in
the middle of a trial. Both routers, one after the other, or the one that ROUTERS names; both parts,
or the one that PARTS names. Writes build/traffic.json; what was measured alone replaces its own
lines there.
"""

import argparse
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from rich.console import Console

from scripts.demo.models import RECIPES, Registry, train
from scripts.demo.rollout import Rollout, eventually, verdict_of
from scripts.demo.traffic import answers_on
from scripts.demo.watch import Watch
from scripts.kube import Kube, Object
from tests.bench.journal import Journal
from tests.bench.lags import Course, moment
from tests.bench.load import Load
from tests.bench.repairs import TIMES, Repairs
from tests.bench.repairs import measure as measure_repairs
from tests.bench.routed import ROUTERS, Router, routed
from tests.bench.traffic_figures import Figure, Tally, figures, keep, print_table, repair_figures
from tests.e2e.harness import OPERATOR, copy_of, kill_operator, operator_pod

TARGET = Path("build/traffic.json")
MODEL = "iris-bench"
LANES = 5
PATIENCE = 600.0
SETTINGS: Object = {
    "replicas": 1,
    "resources": {"requests": {"cpu": "50m", "memory": "192Mi"}},
    "strategy": {
        "steps": [{"weight": 10, "hold": "12s"}, {"weight": 50, "hold": "12s"}],
        "progressDeadline": "5m",
        "scaleDownDelay": "10s",
    },
    "analysis": {"interval": "2s"},
}
say = Console(stderr=True).print


@dataclass
class Lane:
    """One rollout and the load on it."""

    rollout: Rollout
    traffic: Load
    watch: Watch
    journal: Journal
    promoted: int = 0
    rolled_back: int = 0
    trouble: list[str] = field(default_factory=list)

    def roll_out(self, uri: str, expected: str) -> None:
        """Ask for a version and wait for its verdict, and for the rollout to be at rest."""
        eventually(lambda: self.rollout.apply(uri), f"the API server to take {uri}", 60)

        def ended() -> Object | None:
            status = self.rollout.status()
            return (
                verdict_of(status, uri)
                if status.get("phase") in {"Promoted", "RolledBack"} and verdict_of(status, uri)
                else None
            )

        verdict = eventually(ended, f"a verdict about {uri}", PATIENCE, self.rollout.tell)
        if verdict["verdict"] != expected:
            self.trouble.append(
                f"{self.rollout.namespace}: {uri} was to be {expected}: {verdict['message']}"
            )
        self.promoted += verdict["verdict"] == "Promoted"
        self.rolled_back += verdict["verdict"] == "RolledBack"


def lane(kube: Kube, router: Router, name: str, rate: float, settings: Object) -> Lane:
    """A rollout and a share of the load."""
    rollout = routed(kube, router, name, settings)
    return Lane(
        rollout,
        Load(os.environ[router.url], rollout.host, rate),
        Watch(rollout, lambda _: None),
        Journal(rollout, router),
    )


def repaired(kube: Kube, registry: Registry, router: Router, uris: Sequence[str]) -> Repairs:
    """A trial that lasts, whose route is spoiled again and again; without load: a deleted HTTPRoute
    answers nobody.
    """
    say(f"{router.name}: spoiling the canary's route {2 * TIMES} times", style="dim", markup=False)
    rollout = routed(kube, router, "repairs", SETTINGS)
    rollout.settings["strategy"] = {
        **rollout.settings["strategy"],
        "steps": [{"weight": 10, "hold": "30m"}],
    }
    rollout.apply(uris[0])
    rollout.wait("Promoted", uris[0], PATIENCE)
    candidate = copy_of(registry, uris[1])
    rollout.apply(candidate)
    rollout.wait("Trial", candidate, PATIENCE)
    found = measure_repairs(rollout)
    kube.delete(f"/api/v1/namespaces/{rollout.namespace}")
    return found


def fresh_pod(kube: Kube) -> None:
    """Replace the operator's pod: a process that died twice is started late by the kubelet, which
    would only wait.
    """
    name = operator_pod(kube)["metadata"]["name"]
    kube.delete(f"{OPERATOR}/{name}")
    eventually(
        lambda: True if operator_pod(kube)["metadata"]["name"] != name else None,
        "a new operator pod",
        PATIENCE,
    )


@dataclass
class Run:
    """One router under load."""

    kube: Kube
    registry: Registry
    router: Router
    wanted: argparse.Namespace
    lanes: list[Lane]
    kills: int = 0

    def cycles(self, lane: Lane, good: str, bad: str) -> None:
        """Promotions and rollbacks in turn, each of a version of its own."""
        try:
            for _ in range(-(-self.wanted.pairs // len(self.lanes))):
                lane.roll_out(copy_of(self.registry, good), "Promoted")
                lane.roll_out(copy_of(self.registry, bad), "RolledBack")
        except Exception as failure:
            lane.trouble.append(f"{lane.rollout.namespace}: {failure}")

    def go(self, good: str, bad: str) -> float:
        """All cycles and kills under load, and load until there are enough requests; returns its
        seconds.
        """
        begun = time.monotonic()
        with ExitStack() as stack:
            for one in self.lanes:
                stack.enter_context(one.watch)
                stack.enter_context(one.journal)
                stack.enter_context(one.traffic)
            workers = [
                threading.Thread(target=self.cycles, args=(one, good, bad)) for one in self.lanes
            ]
            for worker in workers:
                worker.start()
            while any(worker.is_alive() for worker in workers):
                if self.kills < self.wanted.kills:
                    # Often enough for all of them to fall between the first verdict and the last.
                    time.sleep(random.uniform(5, 20))
                    kill_operator(self.kube)
                    fresh_pod(self.kube)
                    self.kills += 1
                else:
                    time.sleep(5)
                self.tell()
            while sum(len(o.traffic.answers) for o in self.lanes) < self.wanted.requests:
                time.sleep(1)
            return time.monotonic() - begun

    def tell(self) -> None:
        done, sent = (
            sum(o.promoted + o.rolled_back for o in self.lanes),
            sum(len(o.traffic.answers) for o in self.lanes),
        )
        failed = Counter(a.failure[:80] for o in self.lanes for a in o.traffic.failed)
        said = "; ".join(f"{n} times {what}" for what, n in failed.most_common(3)) or "0 failed"
        say(
            f"{self.router.name}: {done} verdicts, {self.kills} kills, {sent} requests, {said}",
            style="dim",
            markup=False,
        )

    def tally(self, seconds: float) -> Tally:
        """What came out; namespaces of a run without trouble go."""
        answers = [a for o in self.lanes for a in o.traffic.answers]
        courses = [
            Course(o.journal.written, o.journal.entered, o.traffic.answers) for o in self.lanes
        ]
        trouble = [t for o in self.lanes for t in o.trouble]
        trouble += [
            f"{n} times {what}"
            for what, n in Counter(a.failure for a in answers if not a.ok).most_common(5)
        ]
        trouble += [
            f"{answer.failure}: {moment(course, answer)}"
            for course in courses
            for answer in course.answers
            if not answer.ok
        ][:20]
        for text in trouble:
            say(text, style="red", markup=False)
        for one in self.lanes:
            if not trouble:
                self.kube.delete(f"/api/v1/namespaces/{one.rollout.namespace}")
        return Tally(
            router=self.router.name,
            promoted=sum(o.promoted for o in self.lanes),
            rolled_back=sum(o.rolled_back for o in self.lanes),
            kills=self.kills,
            seconds=seconds,
            answers=answers,
            lanes=[(o.watch.sightings, o.traffic.answers) for o in self.lanes],
            courses=courses,
        )


def measure(run: Run, uris: Sequence[str]) -> Tally:
    """First deploys, and then the run."""
    modest, good, bad = uris
    url = os.environ[run.router.url]
    for one in run.lanes:
        one.roll_out(modest, "Promoted")
        one.promoted = 0
        eventually(
            partial(_answers, url, one.traffic.host), f"{one.traffic.host} to answer", PATIENCE
        )
    return run.tally(run.go(good, bad))


def _answers(url: str, host: str) -> bool | None:
    return answers_on(url, host) or None


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-traffic", description=__doc__)
    parser.add_argument(
        "--rate",
        type=float,
        default=float(os.environ.get("RATE", "160")),
        help="requests a second through each router",
    )
    parser.add_argument(
        "--pairs", type=int, default=10, help="promotions, and as many rollbacks, for each router"
    )
    parser.add_argument(
        "--kills", type=int, default=5, help="SIGKILLs of the operator, for each router"
    )
    parser.add_argument(
        "--requests", type=int, default=50_000, help="requests at least, for each router"
    )
    parser.add_argument(
        "--parts",
        default=os.environ.get("PARTS", "load,repairs"),
        help="what to measure, comma-separated",
    )
    parser.add_argument(
        "--routers",
        default=os.environ.get("ROUTERS", "Ingress,HTTPRoute"),
        help=f"which routers, comma-separated: {', '.join(ROUTERS)}",
    )
    return parser.parse_args()


def missing(routers: Iterable[Router]) -> bool:
    """Whether a variable of the environment is not set; says which."""
    names = {"KUBECONFIG", "MLFLOW_TRACKING_URI", *(r.url for r in routers)}
    if absent := sorted(n for n in names if not os.environ.get(n)):
        say(f"{', '.join(absent)} not set: run it by its target of make", style="red")
    return bool(absent)


def trained() -> tuple[Kube, Registry, list[str]]:
    """The cluster and the registry, in which a model of each recipe is now."""
    kube, registry = Kube(), Registry(os.environ["MLFLOW_TRACKING_URI"])
    say("Training three models", style="dim")
    return kube, registry, [train(registry, MODEL, recipe).uri for recipe in RECIPES]


def main() -> int:
    wanted = arguments()
    routers = [ROUTERS[name] for name in wanted.routers.split(",")]
    if missing(routers):
        return 1
    kube, registry, uris = trained()
    found: list[Figure] = []
    for router in routers:
        if "load" in wanted.parts:
            lanes = [
                lane(kube, router, str(n), wanted.rate / LANES, SETTINGS) for n in range(LANES)
            ]
            found += figures(measure(Run(kube, registry, router, wanted, lanes), uris), wanted)
            keep(TARGET, found)
        if "repairs" in wanted.parts:
            found += repair_figures(router.name, repaired(kube, registry, router, uris))
            keep(TARGET, found)
    print_table(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
