"""`make bench-peers`: the operator beside Argo Rollouts and Flagger, in turns on one API server.

Kubernetes' own controllers and scheduler run, and kwok's nodes; both peers are built from their Go
modules first. Each wave asks for another version of all rollouts of one contender at once, while
the others' programs do not run. Writes build/peers.json, and where all three were measured the
table and the picture of docs/comparison.md.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from scripts.cluster import gobuild
from scripts.docs import peers
from tests.bench.operator.waves import Pace, names
from tests.bench.peers import figures
from tests.bench.peers.contenders import ArgoRollouts, Contender, Flagger, Ours
from tests.bench.peers.stand import Stand, stand
from tests.bench.peers.told import tell
from tests.bench.peers.waves import Wave, first, turned_bad, wave
from tests.bench.traffic_figures import Figure, keep, print_table

TARGET, RAW = Path("build/peers.json"), Path("build/peers-waves.json")
PACE = Pace(interval=10, hold=10)
say = Console(stderr=True).print


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-peers", description=__doc__)
    everybody = (figures.OURS, figures.ARGO, figures.FLAGGER)
    parser.add_argument("--only", default=",".join(everybody), help="whom, comma-separated")
    parser.add_argument("--rollouts", default="1,50,200", help="how many, comma-separated")
    parser.add_argument("--waves", type=int, default=3, help="waves of each")
    parser.add_argument(
        "--bad",
        type=int,
        default=10,
        help="rollouts that turn bad in a trial, beside one; of more, all of ours do; 0 for none",
    )
    parser.add_argument(
        "--before",
        type=Path,
        help="another checkout with its .venv, whose operator runs as a contender, too",
    )
    wanted = parser.parse_args()
    if unknown := set(wanted.only.split(",")) - set(everybody):
        parser.error(f"unknown: {', '.join(sorted(unknown))}: choose from {', '.join(everybody)}")
    if wanted.before and not (python := wanted.before / ".venv/bin/python").exists():
        parser.error(f"--before {wanted.before}: there is no {python}: run `make setup` there")
    return wanted


def contenders(wanted: argparse.Namespace) -> list[Contender]:
    """Who is asked for; the peers' programs are built."""
    names, found = wanted.only.split(","), list[Contender]()
    if figures.OURS in names:
        found.append(Ours(figures.OURS, PACE))
    if wanted.before:
        python = str((wanted.before / ".venv/bin/python").absolute())
        found.append(Ours(figures.BEFORE, PACE, python=python))
    if figures.ARGO in names:
        gobuild.build(gobuild.ARGO_ROLLOUTS)
        found.append(ArgoRollouts(figures.ARGO, PACE))
    if figures.FLAGGER in names:
        gobuild.build(gobuild.FLAGGER)
        found.append(Flagger(figures.FLAGGER, PACE))
    return found


async def run(
    directory: Path, of: list[Contender], count: int, waves: int, bad: int
) -> tuple[list[Figure], dict[str, list[Wave]]]:
    """All waves of so many rollouts, on an API server of their own."""
    found: dict[str, list[Wave]] = {one.name: [] for one in of}
    async with stand(directory, of, lambda text: say(text, style="dim", markup=False)) as on:
        for one in of:
            on.say(f"N={count}: first versions of {one.name}")
            await first(on, one, names(count))
        for turn in range(waves):
            # Another one begins in each round.
            for one in of[turn % len(of) :] + of[: turn % len(of)]:
                done = await wave(on, one, count, turn + 2)
                found[one.name].append(done)
                on.say(
                    f"N={count}: {one.name}: {done.seconds:.1f} s, {done.requests:.1f} requests,"
                    f" {done.cpu:.0f} ms each"
                )
        turned = await _turned_bad(on, of, count, waves + 2, bad) if bad else {}
    told = list(figures.of_waves(count, found))
    if turned:
        told += figures.of_bad(bad if count == 1 else count, turned, PACE.interval)
    return told, found


async def _turned_bad(
    on: Stand, of: list[Contender], count: int, version: int, bad: int
) -> dict[str, list[float]]:
    """Beside one rollout so many more turn bad, of each contender; of more at once, all of ours:
    peers that are as many are still busy with the wave before.
    """
    lone = count == 1
    tried = of if lone else [one for one in of if isinstance(one, Ours)]
    lags: dict[str, list[float]] = {one.name: [] for one in tried}
    if lone:
        for one in of:
            # Only now: what is quiet beside a lone rollout costs Flagger requests, too.
            await first(on, one, names(bad)[count:])
    for turn in range(2 if lone else 1):
        for one in tried:
            number = bad if lone else count
            lags[one.name] += await turned_bad(on, one, number, version + turn)
            on.say(f"{one.name}: turned bad, {number} rollouts")
    return lags


async def main() -> int:
    wanted = arguments()
    everything, raw = list[Figure](), dict[str, object]()
    measured, bad, of = dict[int, dict[str, list[Wave]]](), list[Figure](), list[Contender]()
    for count in (int(n) for n in wanted.rollouts.split(",")):
        of = contenders(wanted)
        with tempfile.TemporaryDirectory(prefix="bench-peers-") as directory:
            told, waves = await run(Path(directory), of, count, wanted.waves, wanted.bad)
        raw[f"N={count}"] = {who: [asdict(w) for w in found] for who, found in waves.items()}
        keep_raw(raw)
        measured[count] = waves
        bad += [one for one in told if figures.BAD in one.metric]
        everything += told
        keep(TARGET, told)
    print_table(everything)
    if peers.TOOLS.keys() <= {one.name for one in of}:
        tell(measured, bad, TARGET)
        say(f"{peers.PAGE.relative_to(Path.cwd())} has them, too")
    return 0


def keep_raw(waves: dict[str, object]) -> None:
    """Every wave as it was measured."""
    RAW.parent.mkdir(exist_ok=True)
    RAW.write_text(json.dumps(waves, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
