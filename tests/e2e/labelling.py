"""Clients that send labels back through the router."""

import csv
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import httpx

from scripts.demo.traffic import TIMEOUT

DATA = Path(__file__).parents[2] / "data" / "raw" / "iris.csv"
KINDS = ("setosa", "versicolor", "virginica")
CANDIDATE = {"X-Model-Candidate": "true"}
"""Testers' header: every prediction is the candidate's. Labels are sent without it, so that mostly
stable's pods take them.
"""


@contextmanager
def labelling(url: str, host: str, turned: threading.Event | None = None) -> Iterator[list[int]]:
    """Two clients that have flowers named by the candidate and send back what they really are; the
    status codes of their labels.

    turned: from when on every flower is another than the model says.
    """
    with DATA.open() as file:
        flowers = [
            ([float(value) for value in list(row.values())[:4]], row["species"])
            for row in csv.DictReader(file)
        ]
    # Shared by both: labels of the same flower at the same time would not be independent.
    turns = cycle(flowers[::7] + flowers[1::7] + flowers[2::7])
    done, codes = threading.Event(), list[int]()

    def work() -> None:
        with httpx.Client(
            base_url=url, headers={"Host": host}, timeout=TIMEOUT, trust_env=False
        ) as http:
            for row, species in turns:
                if done.is_set():
                    return
                try:
                    said = http.post("/predict/", json={"instances": [row]}, headers=CANDIDATE)
                    if said.status_code == 200:
                        told = said.json()
                        bad = turned is not None and turned.is_set()
                        other = next(s for s in KINDS if s != told["predictions"][0])
                        label = {
                            "id": told["prediction_ids"][0],
                            "label": other if bad else species,
                        }
                        codes.append(http.post("/feedback/", json=label).status_code)
                except httpx.TransportError:
                    done.wait(1)  # what was lost on the way is no answer

    threads = [threading.Thread(target=work, name="labels", daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield codes
    finally:
        done.set()
        for thread in threads:
            thread.join(2 * TIMEOUT)
