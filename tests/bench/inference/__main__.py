"""`make bench-inference`: our model server beside a hello-world, what one would write first,
`mlflow models serve` and MLServer; or, by --beside, the same server of another checkout.

The peers are installed into environments of their own, in the cache. All serve the same forest of
100 trees. Writes build/bench-inference.json.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from rich.console import Console

from scripts.cluster import debian
from tests.bench.inference.beside import beside
from tests.bench.inference.libraries import libraries
from tests.bench.inference.parts import PARTS as USUAL
from tests.bench.inference.parts import Bench
from tests.bench.inference.peers import ENVIRONMENTS, environment, models, peers
from tests.bench.inference.tables import tables
from tests.bench.traffic_figures import Figure, keep, print_table

TARGET = Path("build/bench-inference.json")
PARTS: Mapping[str, Callable[[Bench], Iterable[Figure]]] = {
    **USUAL,
    "tables": tables,
    "libraries": libraries,
}
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
    parser.add_argument(
        "--beside",
        type=Path,
        metavar="PATH",
        help="another checkout with a .venv: its server beside this one, instead of all parts",
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
    for name in ENVIRONMENTS if wanted.beside is None else ():
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
        parts: Mapping[str, Callable[[Bench], Iterable[Figure]]] = (
            {name: PARTS[name] for name in wanted.only.split(",")}
            if wanted.beside is None
            else {"beside": partial(beside, other=wanted.beside.resolve())}
        )
        for name, part in parts.items():
            say(f"{name}: {((beside if wanted.beside else part).__doc__ or '').splitlines()[0]}")
            for figure in part(bench):
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
