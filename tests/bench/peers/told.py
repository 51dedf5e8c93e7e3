"""What docs/comparison.md gets of a run: the medians of its table, and a picture."""

import json
import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scripts.docs import peers
from tests.bench.operator.plots import draw
from tests.bench.peers import figures
from tests.bench.peers.waves import Wave
from tests.bench.traffic_figures import Figure

PICTURE = "peers.svg"
DRAWN = (
    ("until all are promoted", "s", "seconds until all are promoted"),
    ("to the last first weight", "s", "seconds to the last first weight"),
    ("CPU for each promotion", "ms", "CPU of the program for each promotion, cleaning up included"),
    ("memory at its peak", "MiB", "memory at its peak"),
)
LAST = "seconds to the last first weight"
TOLD = (
    "seconds until all are promoted",
    "seconds to the first weight, median",
    LAST,
    "API requests for each promotion, cleaning up included",
    "CPU of the program for each promotion, cleaning up included",
    "CPU of API server and etcd for each promotion",
    "Prometheus queries for each promotion",
    "memory at its peak",
)


def tell(
    waves: Mapping[int, Mapping[str, Sequence[Wave]]],
    bad: Sequence[Figure],
    measured: Path,
) -> None:
    """Write the table's figures, the page and the picture; measured: what `keep` has written. What
    was told of other numbers of rollouts stays, with its day.

    waves: by number of rollouts and by whom; bad: how soon a bad value had its weight of 0.
    """
    rows: list[dict[str, Any]] = [
        {
            "figure": name,
            "unit": line.unit,
            "rollouts": count,
            "values": {
                who: round(statistics.median(map(line.of, found[who])), 2) for who in peers.TOOLS
            },
        }
        for name in TOLD
        for count, found in waves.items()
        for line in figures.lines(count)
        # Of one, the last is the first.
        if line.name == name and (count > 1 or name != LAST)
    ]
    rows += _of_bad(bad)
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    rows = merged(json.loads(peers.SEEN.read_text())["rows"], [r | {"day": day} for r in rows])
    (one,) = {len(w) for found in waves.values() for who, w in found.items() if who in peers.TOOLS}
    told = {"waves": one, "rows": rows}
    peers.SEEN.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    peers.PAGE.write_text(peers.page())
    if len(waves) < 2:
        return  # A curve has more than one point.
    draw(
        measured,
        {PICTURE: [(title, unit, [f"{n}, {t}" for t in peers.TOOLS]) for title, unit, n in DRAWN]},
    )


def merged(before: Sequence[dict[str, Any]], now: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of now, and those of before that none of them replaces, by figure and by number."""
    place = {(r["figure"], r["rollouts"]): r for r in (*before, *now)}
    figures_in_order = list(dict.fromkeys((*TOLD, *(r["figure"] for r in place.values()))))
    return sorted(
        place.values(), key=lambda r: (figures_in_order.index(r["figure"]), r["rollouts"])
    )


def _of_bad(found: Sequence[Figure]) -> list[dict[str, object]]:
    rows: dict[tuple[str, int], dict[str, float]] = {}
    for one in found:
        head, who = one.metric.rsplit(", ", 1)
        count, name = head.split(": ", 1)
        rows.setdefault((name, int(count.removeprefix("N="))), {})[who] = one.value
    return [
        {"figure": name, "unit": "s", "rollouts": count, "values": values}
        for (name, count), values in rows.items()
        if values.keys() >= peers.TOOLS.keys()
    ]
