"""`make bench-inference`: our model server beside a hello-world, what one would write first,
`mlflow models serve` and MLServer.

The peers are installed into environments of their own, in the cache. All serve the same forest of
100 trees. Writes build/bench-inference.json.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from scripts.cluster import debian
from tests.bench.inference.parts import PARTS, Bench
from tests.bench.inference.peers import ENVIRONMENTS, environment, models, peers
from tests.bench.traffic_figures import Figure, keep, print_table

TARGET = Path("build/bench-inference.json")
say = Console(stderr=True).print


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-inference", description=__doc__)
    parser.add_argument(
        "--only",
        default=",".join(PARTS),
        help=f"which parts, comma-separated, of: {', '.join(PARTS)}",
    )
    parser.add_argument("--seconds", type=float, default=5, help="seconds of one run")
    parser.add_argument(
        "--rounds", type=int, default=3, help="runs of each server, in turns; one more warms up"
    )
    wanted = parser.parse_args()
    if unknown := set(wanted.only.split(",")) - PARTS.keys():
        parser.error(
            f"there is no part {', '.join(sorted(unknown))}: choose from {', '.join(PARTS)}"
        )
    return wanted


def main() -> int:
    wanted = arguments()
    debian.install({"wrk": "wrk"})
    for name in ENVIRONMENTS:
        say(f"Environment of {name}", style="dim")
        environment(name)
    everything: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="bench-inference-") as directory:
        scratch = Path(directory)
        made = models(scratch)
        bench = Bench(
            made,
            peers(made),
            scratch,
            wanted.seconds,
            wanted.rounds,
            lambda text: say(text, style="dim", markup=False),
        )
        for name in wanted.only.split(","):
            say(f"{name}: {(PARTS[name].__doc__ or '').splitlines()[0]}")
            for figure in PARTS[name](bench):
                everything.append(figure)
                keep(TARGET, [figure])
                say(
                    f"  {figure.metric}: {figure.value:g} {figure.unit}, goal {figure.goal or '-'},"
                    f" {figure.against}",
                    style="dim",
                    markup=False,
                )
    print_table(everything)
    return 0


if __name__ == "__main__":
    sys.exit(main())
