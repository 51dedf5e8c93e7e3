"""`make bench-routers`: one ModelRollout through every router that can be had, under load.

Each router in turn gets five rollouts with open-loop load, which are promoted and rolled back while
the operator is killed. Beside lost requests and shares it measures how long each router goes on by
what its route said before, and how long the operator waits for it. Writes build/routers.json, and
with `make docs` the table in docs/reference/routers.md.
"""

import argparse
import json
import os
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from scripts.docs.routers import FOUND, Measured, Waited
from scripts.kube import Object
from tests.bench.lags import waits
from tests.bench.routed import ROUTERS, Router
from tests.bench.traffic import LANES, SETTINGS, Run, lane, measure, missing, trained
from tests.bench.traffic_figures import Figure, Tally, figures, keep, print_table, shares_by_weight

TARGET = Path("build/routers.json")


def settings(holds: str) -> Object:
    """A rollout's, with the holds of its steps at 10 and 50 %."""
    first, second = holds.split(",")
    steps = [{"weight": 10, "hold": f"{first}s"}, {"weight": 50, "hold": f"{second}s"}]
    return {**SETTINGS, "strategy": {**SETTINGS["strategy"], "steps": steps}}


def summary(router: Router, tally: Tally, at: datetime) -> Measured:
    """One row of the table."""
    times = sorted(a.ended - a.sent for a in tally.answers if a.ok)
    return Measured(
        name=router.name,
        title=router.title,
        provider=router.provider,
        at=at.strftime("%Y-%m-%d"),
        promoted=tally.promoted,
        rolled_back=tally.rolled_back,
        kills=tally.kills,
        requests=len(tally.answers),
        failed=sum(not a.ok for a in tally.answers),
        p99=round(1000 * times[int(0.99 * (len(times) - 1))]) if times else 0,
        shares={
            str(weight): (round(abs(100 * served / total - weight), 2), total)
            for weight, (served, total) in shares_by_weight(tally.lanes).items()
        },
        waits={
            kind: Waited(
                of.lag.times,
                *(
                    round(s, 2)
                    for s in (of.lag.middle, of.lag.most, of.drain.middle, of.drain.most, of.spare)
                ),
            )
            for kind, of in waits(tally.courses).items()
        },
    )


def note(measured: Measured) -> None:
    """Put a row into the file that the table is made from, in place of an older one of the
    router.
    """
    known = {row["name"]: row for row in json.loads(FOUND.read_text())} if FOUND.exists() else {}
    known[measured.name] = asdict(measured)
    rows = [known[name] for name in ROUTERS if name in known]
    FOUND.write_text(json.dumps(rows, indent=2) + "\n")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-routers", description=__doc__)
    for name, kind, default, told in (
        ("rate", float, 160.0, "requests a second through each router"),
        ("pairs", int, 10, "promotions, and as many rollbacks, for each router"),
        ("kills", int, 2, "SIGKILLs of the operator, for each router"),
        ("requests", int, 25_000, "requests at least, for each router"),
        # With ten promotions and 32 requests a second each, well above the 2,000 for a share.
        ("holds", str, "15,20", "seconds at 10 % and at 50 %"),
    ):
        parser.add_argument(f"--{name}", type=kind, default=default, help=told)
    parser.add_argument(
        "--routers",
        default=os.environ.get("ROUTERS", ",".join(ROUTERS)),
        help="which routers, comma-separated",
    )
    return parser.parse_args()


def main() -> int:
    wanted = arguments()
    routers = [ROUTERS[name] for name in wanted.routers.split(",")]
    if missing(routers):
        return 1
    kube, registry, uris = trained()
    found: list[Figure] = []
    for router in routers:
        rate = wanted.rate / LANES
        lanes = [lane(kube, router, str(n), rate, settings(wanted.holds)) for n in range(LANES)]
        tally = measure(Run(kube, registry, router, wanted, lanes), uris)
        found += figures(tally, wanted)
        keep(TARGET, found)
        note(summary(router, tally, datetime.now(UTC)))
    print_table(found)
    return int(not all(one.met for one in found))


if __name__ == "__main__":
    sys.exit(main())
