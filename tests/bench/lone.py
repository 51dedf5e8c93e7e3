"""`make bench-lone`: how long one rollout alone takes from a change to promoted, through Traefik,
with 100 requests a second on it all the time.

Three steps of 10 s (10, 50 and 100 %), which are the task that `make bench-peers` gives every tool.
Writes build/lone.json.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from scripts.demo.rollout import eventually
from tests.bench.routed import ROUTERS, Router
from tests.bench.traffic import Lane, lane, missing, say, trained
from tests.bench.traffic_figures import Figure, keep, print_table
from tests.e2e.harness import copy_of

TARGET = Path("build/lone.json")
STEPS, HOLD = (10, 50, 100), 10
SETTINGS = {
    "replicas": 1,
    "resources": {"requests": {"cpu": "50m", "memory": "192Mi"}},
    "strategy": {
        "steps": [{"weight": w, "hold": f"{HOLD}s"} for w in STEPS],
        "progressDeadline": "5m",
        "scaleDownDelay": "10s",
    },
    "analysis": {"interval": "10s", "gates": [{"metric": "accuracy", "min": 0.1}]},
}
SETTLED = 15.0
"""Seconds between two promotions, in which what was replaced goes."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-lone", description=__doc__)
    parser.add_argument("--promotions", type=int, default=20, help="of each router")
    parser.add_argument("--rate", type=float, default=100, help="requests a second")
    parser.add_argument(
        "--routers",
        default=os.environ.get("ROUTERS", "Ingress,HTTPRoute"),
        help=f"which routers, comma-separated: {', '.join(ROUTERS)}",
    )
    return parser.parse_args()


def promoted(one: Lane, uri: str) -> tuple[float, float]:
    """Ask for a version; seconds until its first weight was written, and until it was promoted."""
    written, entered = len(one.journal.written), len(one.journal.entered)
    began = time.monotonic()
    one.roll_out(uri, "Promoted")
    eventually(lambda: _promoted_since(one, entered), "the journal to have it", 10)
    first = next(w.at for w in one.journal.written[written:] if w.weight)
    return first - began, one.journal.entered[-1].at - began


def _promoted_since(one: Lane, entered: int) -> bool | None:
    """None where the journal does not have it yet."""
    return any(e.phase == "Promoted" for e in one.journal.entered[entered:]) or None


def measure(one: Lane, uris: Sequence[str]) -> Iterator[tuple[float, float]]:
    """The times of each promotion, under load."""
    one.roll_out(uris[0], "Promoted")
    with ExitStack() as stack:
        stack.enter_context(one.journal)
        stack.enter_context(one.traffic)
        for uri in uris[1:]:
            time.sleep(SETTLED)
            found = promoted(one, uri)
            say(
                f"first weight after {found[0]:.1f} s, promoted after {found[1]:.1f} s", style="dim"
            )
            yield found


def figures(router: Router, one: Lane, times: Sequence[tuple[float, float]]) -> Iterator[Figure]:
    """The lines of one router."""
    firsts, ends = zip(*times, strict=True)
    asked, lost = len(one.traffic.answers), len(one.traffic.failed)
    note = f"{len(times)} promotions, {len(STEPS)} steps of {HOLD} s"
    for what, values in (("to the first weight", firsts), ("to promoted", ends)):
        median, most = statistics.median(values), max(values)
        name = f"{router.name}: seconds from a change {what}"
        yield Figure(f"{name}, median", round(median, 2), "s", "", True, note)
        yield Figure(f"{name}, longest", round(most, 2), "s", "", True, note)
    yield Figure(f"{router.name}: requests lost", lost, "", "0", not lost, f"of {asked}")


def main() -> int:
    wanted = arguments()
    routers = [ROUTERS[name] for name in wanted.routers.split(",")]
    if missing(routers):
        return 1
    kube, registry, (_, good, _) = trained()
    found: list[Figure] = []
    for router in routers:
        one = lane(kube, router, "lone", wanted.rate, SETTINGS)
        uris = [good, *(copy_of(registry, good) for _ in range(wanted.promotions))]
        found += figures(router, one, [*measure(one, uris)])
        keep(TARGET, found)
        if not (one.trouble or one.traffic.failed):
            kube.delete(f"/api/v1/namespaces/{one.rollout.namespace}")
    print_table(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
