"""`make bench-operator`: what one operator costs and how quick it is with 50, 200 and 1,000
rollouts, on a real kube-apiserver.

Bare mode: no controllers run; the benchmark marks Deployments Ready and writes EndpointSlices. Full
mode (`--only full`): Kubernetes' own controllers and scheduler, and nodes played by kwok, which is
built first. Writes build/operator.json.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from rich.console import Console

from tests.bench.operator.parts import PARTS, Bench
from tests.bench.traffic_figures import Figure, keep, print_table

TARGET = Path("build/operator.json")
say = Console(stderr=True).print


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-operator", description=__doc__)
    parser.add_argument(
        "--only",
        default=",".join(PARTS),
        help=f"which parts, comma-separated, of: {', '.join(PARTS)}",
    )
    parser.add_argument(
        "--rollouts", default="50,200,1000", help="how many rollouts, comma-separated, for `waves`"
    )
    parser.add_argument(
        "--full", default="50,200", help="how many rollouts, comma-separated, for `full`"
    )
    parser.add_argument(
        "--finished", type=int, default=10_000, help="finished rollouts that a new process meets"
    )
    parser.add_argument("--soaked", type=int, default=200, help="rollouts of the soak")
    parser.add_argument(
        "--ticks", type=int, default=10_000, help="looks at the metrics that the soak lasts"
    )
    parser.add_argument("--idle", type=float, default=60, help="seconds in which nothing happens")
    parser.add_argument(
        "--interval", type=int, default=10, help="seconds between two looks at the metrics"
    )
    parser.add_argument("--hold", type=int, default=20, help="seconds at each weight")
    wanted = parser.parse_args()
    if unknown := set(wanted.only.split(",")) - PARTS.keys():
        parser.error(
            f"there is no part {', '.join(sorted(unknown))}: choose from {', '.join(PARTS)}"
        )
    return wanted


async def main() -> int:
    wanted = arguments()
    bench = Bench(
        rollouts=[int(n) for n in wanted.rollouts.split(",")],
        full=[int(n) for n in wanted.full.split(",")],
        interval=wanted.interval,
        hold=wanted.hold,
        finished=wanted.finished,
        soaked=wanted.soaked,
        ticks=wanted.ticks,
        idle=wanted.idle,
        say=lambda text: say(text, style="dim", markup=False),
    )
    parts: list[tuple[str, Callable[[Bench, Path], Awaitable[list[Figure]]]]] = [
        (n, PARTS[n]) for n in wanted.only.split(",")
    ]
    everything: list[Figure] = []
    for name, part in parts:
        say(f"{name}: {(part.__doc__ or '').splitlines()[0]}")
        with tempfile.TemporaryDirectory(prefix=f"bench-operator-{name}-") as directory:
            found = await part(bench, Path(directory))
        everything += found
        keep(TARGET, found)
    print_table(everything)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
