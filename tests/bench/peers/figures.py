"""From what was measured to the lines of build/peers.json. Pure."""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.bench.operator.record import share
from tests.bench.peers.waves import Wave
from tests.bench.traffic_figures import Figure

OURS, ARGO, FLAGGER, BEFORE = "ours", "argo-rollouts", "flagger", "before"
Read = Callable[[Wave], float]


@dataclass(frozen=True)
class Line:
    """One figure of a wave, and the most that ours may be by another's."""

    name: str
    unit: str
    of: Read
    most: Mapping[str, float]
    """Ratio by whom; of everybody else there is no goal."""
    at_most: float | None = None
    """What ours may be by itself; None for no goal."""


def lines(count: int) -> Sequence[Line]:
    """What is told of waves of so many."""
    lone, crowd = count == 1, count >= 200
    return (
        Line(
            "seconds until all are promoted",
            "s",
            lambda w: w.seconds,
            {ARGO: 1.05} if lone else {ARGO: 0.5, FLAGGER: 0.6} if crowd else {},
        ),
        Line(
            "seconds to the first weight, median",
            "s",
            lambda w: w.first_weight,
            {ARGO: 0.9} if lone else {},
        ),
        Line(
            "seconds to the last first weight",
            "s",
            lambda w: w.last_first_weight,
            {ARGO: 0.8} if crowd else {},
        ),
        Line("API requests for each promotion", "", lambda w: w.requests, {}),
        Line(
            "API requests for each promotion, cleaning up included",
            "",
            lambda w: w.requests_with_cleaning,
            {},
            13 if lone else 14 if crowd else None,
        ),
        Line("CPU of the program for each promotion", "ms", lambda w: w.cpu, {}),
        Line(
            "CPU of the program for each promotion, cleaning up included",
            "ms",
            lambda w: w.cpu_with_cleaning,
            {BEFORE: 0.5} if lone else {BEFORE: 0.5, ARGO: 0.2, FLAGGER: 0.5},
        ),
        Line(
            "CPU of API server and etcd for each promotion",
            "ms",
            lambda w: w.server_cpu,
            {BEFORE: 0.7},
        ),
        Line(
            "Prometheus queries for each promotion",
            "",
            lambda w: w.queries,
            {ARGO: 1.0} if lone else {},
        ),
        Line("memory at its peak", "MiB", lambda w: w.memory, {FLAGGER: 0.8}),
    )


def of_waves(count: int, waves: Mapping[str, Sequence[Wave]]) -> Iterator[Figure]:
    """Medians of each contender's waves, and ours by the others'."""
    for line in lines(count):
        medians = {
            who: statistics.median(map(line.of, found)) for who, found in waves.items() if found
        }
        yield from _told(f"N={count}: {line.name}", line, medians)


def of_bad(count: int, lags: Mapping[str, Sequence[float]], interval: float) -> Iterator[Figure]:
    """How soon a bad value had its weight of 0."""
    name = f"N={count}: seconds from a bad value to weight 0"
    for what, part, most in (("median", 0.5, 0.55 * interval), ("longest", 1.0, interval + 0.5)):
        for who, found in lags.items():
            value, ours = share(found, part), who == OURS
            goal = f"<= {most:g}" if ours else ""
            yield Figure(
                f"{name}, {what}, {who}",
                round(value, 2),
                "s",
                goal,
                value <= most or not ours,
                f"{len(found)} tries, interval {interval:g} s",
            )


def _told(name: str, line: Line, medians: Mapping[str, float]) -> Iterator[Figure]:
    for who, value in medians.items():
        most = line.at_most if who == OURS else None
        said = "" if most is None else f"<= {most:g}"
        met = most is None or value <= most
        yield Figure(f"{name}, {who}", round(value, 2), line.unit, said, met, "")
    ours = medians.get(OURS)
    for who, value in medians.items():
        if ours is None or who == OURS or not value:
            continue
        ratio, bound = ours / value, line.most.get(who)
        goal = "" if bound is None else f"<= {bound:g}"
        met = bound is None or ratio <= bound
        yield Figure(f"{name}, ours ÷ {who}", round(ratio, 2), "x", goal, met, "")
