"""What a probe waits while sixteen clients send two thousand rows each: models that cost most by
the row.
"""

import json
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.svm import SVC

from rollout_trainer.data import Split
from rollout_trainer.evaluate import evaluate
from rollout_trainer.package import write_package
from tests.bench.inference.measure import Server

CLIENTS, ROWS = 16, 2_000
EVERY = 0.05
"""Seconds between two probes."""
PATIENCE = 5.0
"""Seconds after which kubelet gives a probe up: timeoutSeconds of the pods."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A model to be made, its columns and training rows, and how many rows a request asks."""

    model: Callable[[], Any]
    columns: int
    rows: int
    asked: int = ROWS


KINDS: Mapping[str, Kind] = {
    "calibrated isotonic, 5 x 100 trees": Kind(
        lambda: CalibratedClassifierCV(
            RandomForestClassifier(100, random_state=0), method="isotonic", cv=5
        ),
        20,
        2_000,
    ),
    "SVC, some thousand support vectors": Kind(lambda: SVC(C=1.0, random_state=0), 20, 12_000),
    "forest of 100 trees, 50 columns": Kind(
        lambda: RandomForestClassifier(100, max_depth=20, random_state=0), 50, 5_000
    ),
    "forest of 1,000 trees, 50 columns": Kind(
        lambda: RandomForestClassifier(1_000, max_depth=20, random_state=0), 50, 5_000
    ),
    "forest of 100 trees, 4 columns, 100,000 rows a request": Kind(
        lambda: RandomForestClassifier(100, random_state=0), 4, 2_000, 100_000
    ),
}


def made(kind: Kind, folder: Path) -> pd.DataFrame:
    """Store the fitted model as the trainer does; returns rows to ask it."""
    x, y = make_classification(
        kind.rows + kind.asked,
        kind.columns,
        n_informative=kind.columns // 2,
        flip_y=0.15,
        random_state=0,
    )
    names = [f"c{n}" for n in range(kind.columns)]
    frame, labels = pd.DataFrame(x.round(4), columns=names), pd.Series(np.where(y, "yes", "no"))
    split = Split(
        frame[: kind.rows], labels[: kind.rows], frame[kind.rows :], labels[kind.rows :], ""
    )
    model = kind.model().fit(split.train, split.train_labels)
    write_package(folder, model, split, evaluate(model, split))
    return split.test


@dataclass(slots=True)
class Seen:
    """Seconds that probes waited, in order; lost: probes without a 200; answered: requests of
    clients, failed: those without a 200.
    """

    waited: list[float]
    lost: int = 0
    answered: int = 0
    failed: int = 0

    def at(self, share: float) -> float:
        return self.waited[min(len(self.waited) - 1, int(share * len(self.waited)))]


def probed(server: Server, rows: pd.DataFrame, seconds: float) -> Seen:
    """Probes of /health/ while CLIENTS ask one request after the other."""
    body = json.dumps({"instances": rows.to_numpy().tolist()}).encode()
    seen, over = Seen([]), threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=server.url, timeout=600, trust_env=False) as http:
            while not over.is_set():
                status = http.post("/predict/", content=body).status_code
                seen.answered, seen.failed = seen.answered + 1, seen.failed + (status != 200)

    with (
        ThreadPoolExecutor(CLIENTS) as clients,
        httpx.Client(base_url=server.url, timeout=PATIENCE, trust_env=False) as http,
    ):
        asking = [clients.submit(ask) for _ in range(CLIENTS)]
        time.sleep(1)
        until = time.monotonic() + seconds
        while (begun := time.monotonic()) < until:
            try:
                seen.lost += http.get("/health/").status_code != 200
            except httpx.HTTPError:
                seen.lost += 1
            seen.waited.append(time.monotonic() - begun)
            time.sleep(EVERY)
        over.set()
        for one in asking:
            one.result()
    seen.waited.sort()
    return seen


def each(
    scratch: Path, serve: Callable[[Path], Server], seconds: float
) -> Iterator[tuple[str, Seen]]:
    """Every kind of model in turn."""
    for number, (name, kind) in enumerate(KINDS.items()):
        folder = scratch / f"probed-{number}"
        rows = made(kind, folder)
        with serve(folder) as server:
            yield name, probed(server, rows, seconds)


def median(seen: Seen) -> float:
    """Seconds."""
    return statistics.median(seen.waited)
