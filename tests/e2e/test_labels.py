"""Labels that come back through the router, at whatever pod, decide about the candidate whose
predictions they are for.
"""

import csv
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import httpx
import pytest

from scripts.demo.rollout import Rollout, verdict_of
from scripts.demo.traffic import TIMEOUT, Traffic
from tests.e2e.harness import PATIENCE, Trained, hold

DATA = Path(__file__).parents[2] / "data" / "raw" / "iris.csv"
CANDIDATE = {"X-Model-Candidate": "true"}
"""Testers' header: every prediction is the candidate's. Labels are sent without it, so that mostly
stable's pods take them.
"""


GATE = {"metric": "accuracy", "min": 0.7, "evidence": "Labelled", "minCoverage": 0.5}
"""The other traffic sends no labels; its share of the candidate's predictions counts as missing."""


@contextmanager
def labelling(url: str, host: str) -> Iterator[list[int]]:
    """Two clients that have flowers named by the candidate and send back what they really are; the
    status codes of their labels.
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
                        label = {"id": said.json()["prediction_ids"][0], "label": species}
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


@pytest.mark.parametrize("verdict", ["Promoted", "RolledBack"])
def test_labels_decide(
    verdict: str, rollout: Rollout, models: Trained, stable: Traffic, ingress_url: str
) -> None:
    """The training metric of the bad version is no hindrance here: what its answers are worth is
    seen by their labels alone.
    """
    uri = models.good if verdict == "Promoted" else models.bad
    hold(rollout, 4)
    rollout.settings["analysis"] = {"interval": "2s", "gates": [dict(GATE)]}
    rollout.apply(uri)
    rollout.wait("Trial", uri, PATIENCE)
    with labelling(ingress_url, rollout.host) as codes:
        status = rollout.wait(verdict, uri, PATIENCE)
    assert set(codes) == {200}, "every label is taken, once, by whichever pod it comes to"
    ended = verdict_of(status, uri)
    (gate,) = ended["gates"]
    assert gate["measurement"] == ("Pass" if verdict == "Promoted" else "Fail")
    assert gate["samples"] <= len(codes)
    assert not stable.failed
