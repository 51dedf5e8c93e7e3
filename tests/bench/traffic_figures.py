"""Figures of benchmarks, and how requests and sightings become those of the traffic benchmark.
Pure, but for file and table.
"""

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from scripts.demo.shares import Sighting, shares
from scripts.demo.traffic import Answer
from tests.bench.lags import Course, waits
from tests.bench.repairs import Repairs

ENOUGH = 2000
"""Requests that a share is judged by, over all trials at its weight."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table."""

    metric: str
    value: float
    unit: str
    goal: str
    met: bool
    against: str

    def to_json(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Tally:
    """What happened with one router; lanes: sightings of weights, and the answers, of each rollout;
    courses: what was written and entered when, of each.
    """

    router: str
    promoted: int
    rolled_back: int
    kills: int
    seconds: float
    answers: Sequence[Answer]
    lanes: Sequence[tuple[Sequence[Sighting], Sequence[Answer]]]
    courses: Sequence[Course] = ()


def shares_by_weight(
    lanes: Iterable[tuple[Sequence[Sighting], Sequence[Answer]]],
) -> dict[int, tuple[int, int]]:
    """For each weight: requests that the candidate answered, and all, over all trials."""
    found: dict[int, tuple[int, int]] = {}
    for sightings, answers in lanes:
        for share in shares(sightings, answers):
            if share.version == share.candidate:
                served, total = found.get(share.weight, (0, 0))
                found[share.weight] = (
                    served + round(share.served * share.requests / 100),
                    total + share.requests,
                )
    return dict(sorted(found.items()))


def figures(tally: Tally, wanted: argparse.Namespace) -> list[Figure]:
    """The lines of one router."""
    name, sent = tally.router, len(tally.answers)
    failed = sum(not a.ok for a in tally.answers)
    rate = sent / tally.seconds if tally.seconds else 0.0
    times = sorted(a.ended - a.sent for a in tally.answers if a.ok)
    p99 = times[int(0.99 * (len(times) - 1))] if times else 0.0
    found = [
        Figure(
            f"{name}: promotions",
            tally.promoted,
            "",
            f">= {wanted.pairs}",
            tally.promoted >= wanted.pairs,
            "",
        ),
        Figure(
            f"{name}: rollbacks",
            tally.rolled_back,
            "",
            f">= {wanted.pairs}",
            tally.rolled_back >= wanted.pairs,
            "",
        ),
        Figure(
            f"{name}: SIGKILLs of the operator",
            tally.kills,
            "",
            f">= {wanted.kills}",
            tally.kills >= wanted.kills,
            "",
        ),
        Figure(
            f"{name}: requests",
            sent,
            "",
            f">= {wanted.requests}",
            sent >= wanted.requests,
            "open loop",
        ),
        Figure(f"{name}: rate", round(rate, 1), "1/s", ">= 100", rate >= 100, "open loop"),
        Figure(
            f"{name}: failed requests", failed, "", "0", failed == 0, "Flagger#256: 54 of 249,974"
        ),
        Figure(f"{name}: p99 of a request", round(1000 * p99, 1), "ms", "", True, ""),
    ]
    for weight, (served, total) in shares_by_weight(tally.lanes).items():
        error = abs(100 * served / total - weight)
        against = f"{total} requests"
        met = error <= 1 and total >= ENOUGH
        found.append(
            Figure(
                f"{name}: share error at {weight} %",
                round(error, 2),
                "points",
                "<= 1, 2000 requests",
                met,
                against,
            )
        )
    return found + lag_figures(tally)


def lag_figures(tally: Tally) -> list[Figure]:
    """How long the router lagged behind each move, and how long the operator waited: longer, or a
    request could reach pods that are gone.
    """
    found = []
    for kind, of in waits(tally.courses).items():
        metric, against = f"{tally.router}: {kind}", f"of {of.lag.times}"
        lag, drain, spare = round(of.lag.most, 2), round(of.drain.most, 1), round(of.spare, 2)
        found += [
            Figure(f"{metric}, longest lag of the router", lag, "s", "", True, against),
            Figure(f"{metric}, longest drain", drain, "s", "", True, against),
            Figure(f"{metric}, least drain - lag", spare, "s", "> 0", spare > 0, against),
        ]
    return found


def repair_figures(router: str, repairs: Repairs) -> list[Figure]:
    """The lines of the foreign hands."""
    found = []
    for what, times in (("deleted", repairs.deleted), ("edited", repairs.edited)):
        slowest = max(times, default=float("inf"))
        found.append(
            Figure(
                f"{router}: canary route {what}, repaired",
                round(slowest, 2),
                "s",
                "<= 5",
                slowest <= 5,
                f"slowest of {len(times)}",
            )
        )
    adopted = repairs.adopted
    return [
        *found,
        Figure(
            f"{router}: foreign edits taken for progress",
            adopted,
            "",
            "0",
            adopted == 0,
            f"of {len(repairs.edited) * 2}",
        ),
    ]


def keep(target: Path, found: Iterable[Figure]) -> None:
    """Write figures to a file, where they take the place of older ones of the same name: parts can
    be run one by one.
    """
    known = {f["metric"]: f for f in json.loads(target.read_text())} if target.exists() else {}
    known |= {f.metric: f.to_json() for f in found}
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(list(known.values()), indent=2) + "\n")


def print_table(found: Iterable[Figure]) -> None:
    """The figures as people read them."""
    table = Table("metric", "value", "unit", "goal", "met", "against")
    for one in found:
        table.add_row(
            one.metric,
            f"{one.value:g}",
            one.unit,
            one.goal,
            "yes" if one.met else "NO",
            one.against,
        )
    Console(width=140).print(table)
