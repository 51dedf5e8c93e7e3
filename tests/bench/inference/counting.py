"""What it costs to count live rows in the bins of training: CPU time a row of ten columns, and what
is kept meanwhile.
"""

import time
import tracemalloc
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from rollout_inference.live_profile import LiveProfile
from rollout_model.signature import AnyRows, Signature
from rollout_model.table import Column, Kind, Table
from rollout_model.table_signature import TableSignature
from rollout_model.training_profile import profile_of
from tests.bench.traffic_figures import Figure

COLUMNS, ROWS, TURNS = 10, 2_000, 20
MOST, MOST_KEPT = 3.0, 1024.0
"""µs a row, and KiB."""


def rows_of(mixed: bool) -> tuple[Signature, AnyRows]:
    """Ten columns of numbers; or five of them, and five of text."""
    random = np.random.default_rng(0)
    names = tuple(f"c{n}" for n in range(COLUMNS))
    if not mixed:
        return Signature(names, named=True), random.normal(size=(ROWS, COLUMNS))
    kinds = (Kind.DOUBLE,) * 5 + (Kind.STRING,) * 5
    columns = tuple(Column(name, kind) for name, kind in zip(names, kinds, strict=True))
    cells = [
        [*random.normal(size=5).tolist(), *random.choice(list("abcdefghijkl"), 5).tolist()]
        for _ in range(ROWS)
    ]
    return TableSignature(names, named=True, table=columns), Table.of(columns, cells)


def parts_of(rows: AnyRows, size: int) -> list[AnyRows]:
    """Requests of so many rows."""
    starts = range(0, ROWS, size)
    if isinstance(rows, Table):
        return [rows.part(n, n + size) for n in starts]
    return [rows[n : n + size] for n in starts]


def counted(
    signature: Signature, rows: AnyRows, requests: Sequence[AnyRows]
) -> tuple[float, float]:
    """µs of CPU a row, the quickest turn, and KiB that are kept after all of them."""
    shown = LiveProfile(("model",), ("bench",))
    shown.serves(signature, profile_of(signature, rows, ["a", "b"], True), ["a", "b"], "classifier")
    answers: list[list[Any]] = [["a"] * len(request) for request in requests]
    turns = []
    for _ in range(TURNS):
        begun = time.thread_time()
        for request, answer in zip(requests, answers, strict=True):
            shown.note(request, answer)
        shown.count()
        turns.append((time.thread_time() - begun) / ROWS)
    tracemalloc.start()
    for request, answer in zip(requests, answers, strict=True):
        shown.note(request, answer)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return 1e6 * min(turns), kept / 1024


def figures() -> Iterator[Figure]:
    """Of numbers and of mixed columns, one row in a request and 64."""
    for mixed in (False, True):
        signature, rows = rows_of(mixed)
        for size in (1, 64):
            cost, kept = counted(signature, rows, parts_of(rows, size))
            what = (
                f"counting {'5 numbers and 5 texts' if mixed else '10 numbers'}, {size} a request"
            )
            met, enough = cost <= MOST, kept <= MOST_KEPT
            yield Figure(f"{what}: a row", round(cost, 2), "us", f"<= {MOST:g}", met, "CPU time")
            yield Figure(
                f"{what}: kept", round(kept, 1), "KiB", f"<= {MOST_KEPT:g}", enough, "tracemalloc"
            )
