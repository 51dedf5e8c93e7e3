"""`make bench-shadow`: what copies cost the users of stable. Two model servers as processes, stable
and its candidate, and load at a steady rate; stretches with all requests copied and without are
measured in turns, and so are a candidate that hangs, one that is dead and one that answers garbage.
Writes build/bench-shadow.json.

All of it shares one machine. In a cluster the candidate's pods have CPU of their own; here it has
the lowest priority, so that what it needs is not taken from stable.
"""

import argparse
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from scripts.demo.traffic import Answer
from tests.bench.load import Load
from tests.bench.traffic_figures import Figure, keep, print_table
from tests.support.model_servers import (
    ModelServer,
    candidate,
    garbage,
    model_server,
    write_model,
)

TARGET = Path("build/bench-shadow.json")
STABLE, CANDIDATE = "aaaaaaaa", "bbbbbbbb"
GOAL = 1.05
SETTLES = 1.0
"""Seconds at the beginning of a stretch that are not counted."""
RENEW = 5.0
say = Console(stderr=True).print


@dataclass(frozen=True, slots=True)
class Stretch:
    """Answers within one stretch."""

    answers: tuple[Answer, ...]

    @property
    def p99(self) -> float:
        """Seconds."""
        taken = sorted(a.ended - a.sent for a in self.answers)
        return taken[min(len(taken) - 1, int(0.99 * len(taken)))]

    @property
    def lost(self) -> int:
        """Requests without an answer of 200."""
        return sum(not a.ok for a in self.answers)


def stretch(stable: ModelServer, percent: int, seconds: float, load: Load) -> Stretch:
    """What is answered while so much is copied."""
    stable.told(CANDIDATE, percent)
    time.sleep(SETTLES)
    began = time.monotonic()
    while (left := began + seconds - time.monotonic()) > 0:
        if percent:
            stable.told(CANDIDATE, percent)
        time.sleep(min(RENEW, left))
    ended = time.monotonic()
    # What was sent last may be under way.
    time.sleep(0.5)
    answers = [a for a in list(load.answers) if began <= a.sent < ended]
    return Stretch(tuple(answers))


def in_turns(stable: ModelServer, wanted: argparse.Namespace) -> Iterator[tuple[Stretch, ...]]:
    """Stretches side by side: without copies, with, and without. What the first and the last differ
    by is chance.
    """
    with Load(stable.url, "stable", wanted.rate) as load:
        stretch(stable, 100, wanted.seconds, load)  # whatever is slow at first is over then
    for number in range(wanted.rounds):
        with Load(stable.url, "stable", wanted.rate) as load:
            found = tuple(stretch(stable, n, wanted.seconds, load) for n in (0, 100, 0))
        said = ", ".join(f"{1000 * one.p99:.2f}" for one in found)
        say(f"{number}: p99 without copies, with, and without: {said} ms", style="dim")
        yield found


def troubled(stable: ModelServer, wanted: argparse.Namespace) -> tuple[Stretch, dict[str, float]]:
    """A stretch of copies to a candidate in trouble, and what came of the copies in it."""
    before = stable.series("ml_shadow_total", "outcome")
    with Load(stable.url, "stable", wanted.rate) as load:
        found = stretch(stable, 100, wanted.seconds, load)
    after = stable.series("ml_shadow_total", "outcome")
    return found, {name: n - before.get(name, 0.0) for name, n in after.items()}


def measure(wanted: argparse.Namespace) -> Iterator[Figure]:
    with ExitStack() as started, tempfile.TemporaryDirectory(prefix="bench-shadow-") as directory:
        scratch = Path(directory)
        folder = write_model(scratch / "iris")
        other = started.enter_context(model_server(folder, CANDIDATE, scratch))
        for thread in Path(f"/proc/{other.process.pid}/task").iterdir():
            os.setpriority(os.PRIO_PROCESS, int(thread.name), 19)
        stable = started.enter_context(
            model_server(folder, STABLE, scratch, MODEL_SHADOW_URL=other.url)
        )
        rounds = list(in_turns(stable, wanted))
        usual = statistics.median((b.p99 + a.p99) / 2 for b, _, a in rounds)
        ratio = statistics.median(2 * c.p99 / (b.p99 + a.p99) for b, c, a in rounds)
        chance = statistics.median(a.p99 / b.p99 for b, _, a in rounds)
        against = f"{1000 * usual:.2f} ms without; these beside each other {chance:.3f}"
        yield Figure(
            "p99 with all requests copied", round(ratio, 3), "x", "1.05", ratio <= GOAL, against
        )
        lost = sum(one.lost for found in rounds for one in found)
        asked = sum(len(one.answers) for found in rounds for one in found)
        yield Figure("requests lost", lost, "requests", "0", lost == 0, f"of {asked}")
        counts = stable.series("ml_shadow_total", "outcome")
        compared = sum(counts[name] for name in ("same", "slower", "different", "failed"))
        share = 100 * compared / max(1, compared + counts["dropped"] + counts["unreached"])
        yield Figure("copies that were compared", round(share, 1), "%", "", True, f"{compared:.0f}")
        for name in ("hangs", "is dead"):
            other.process.send_signal(signal.SIGSTOP if name == "hangs" else signal.SIGKILL)
            yield from of_trouble(name, *troubled(stable, wanted), usual)
        other.process.wait()
        port = started.enter_context(candidate(garbage))
        moved = started.enter_context(
            model_server(folder, STABLE, scratch, MODEL_SHADOW_URL=f"http://127.0.0.1:{port}")
        )
        yield from of_trouble("answers garbage", *troubled(moved, wanted), usual)


def of_trouble(
    name: str, found: Stretch, counts: dict[str, float], usual: float
) -> Iterator[Figure]:
    """What a candidate in trouble costs."""
    say(f"{name}: {counts}", style="dim", markup=False)
    lost, asked = found.lost, len(found.answers)
    what = f"requests lost while the candidate {name}"
    yield Figure(what, lost, "requests", "0", lost == 0, f"of {asked}")
    ratio = found.p99 / usual
    yield Figure(
        f"p99 while the candidate {name}", round(ratio, 3), "x", "", True, "of that without copies"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench-shadow", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="seconds of one stretch")
    parser.add_argument("--rounds", type=int, default=5, help="times that they are measured")
    parser.add_argument("--rate", type=float, default=200, help="requests a second")
    wanted = parser.parse_args()
    say(f"{os.cpu_count()} CPUs", style="dim")
    found = list(measure(wanted))
    keep(TARGET, found)
    print_table(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
