"""Live rows and answers, counted in the bins of training: each once, from whatever thread, in so
many series, so much memory and so much time.
"""

import json
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient

from rollout_inference.app import create_app
from rollout_inference.live_profile import LiveProfile
from rollout_inference.loading.loader import load_folder
from rollout_inference.settings import Settings
from rollout_model.digest import tree_digest
from rollout_model.errors import LoadFailed
from rollout_model.signature import Signature
from rollout_model.table import Column, Kind, Table
from rollout_model.table_signature import TableSignature
from rollout_model.training_profile import FILE, TrainingProfile, profile_of

MOST_SERIES = 462
"""Of a pod, as docs/reference/metrics.md says."""
RANDOM = np.random.default_rng(0)
ROWS = RANDOM.normal(size=(1000, 10))
TEN = Signature(tuple(f"c{n}" for n in range(10)), named=True)


def live(
    signature: Signature, profile: TrainingProfile | None, classes: Any = (), task: str = "other"
) -> LiveProfile:
    made = LiveProfile(("model",), ("iris",))
    made.serves(signature, profile, classes, task)
    return made


def series(shown: LiveProfile) -> dict[tuple[str, str, str], float]:
    """Value by name, column and bin."""
    registry = CollectorRegistry()
    registry.register(shown)
    return {
        (one.name, one.labels.get("column", ""), one.labels["bin"]): one.value
        for family in registry.collect()
        for one in family.samples
    }


def inputs(shown: LiveProfile, column: str) -> dict[str, float]:
    mine = ("ml_input_total", column)
    return {place: n for (*of, place), n in series(shown).items() if tuple(of) == mine}


COLUMNS = tuple(
    Column(name, kind)
    for name, kind in (
        ("mass", Kind.DOUBLE),
        ("seen", Kind.DATETIME),
        ("island", Kind.STRING),
        ("tagged", Kind.BOOLEAN),
        ("note", Kind.STRING),
    )
)
MIXED = TableSignature(tuple(c.name for c in COLUMNS), named=True, table=COLUMNS)


def birds(count: int) -> Table:
    return Table.of(
        COLUMNS,
        [
            [
                None if n % 7 == 0 else float(n),
                "2026-01-01",
                ("Dream", "Biscoe", None)[n % 3],
                n % 2 == 0,
                "x" * (n % 50) + str(n),
            ]
            for n in range(count)
        ],
    )


BIRDS = birds(210)


@pytest.mark.parametrize("size", [1, 2, 64, 210])
def test_training_rows_come_out_as_the_profile_has_them(size: int) -> None:
    profile = profile_of(MIXED, BIRDS, ["a", "b"], classes=True)
    shown = live(MIXED, profile)
    for start in range(0, 210, size):
        part = BIRDS.part(start, min(210, start + size))
        shown.note(part, ["a"] * len(part))
    found = series(shown)
    for one in profile.columns:
        for name, share in zip(one.names, one.shares, strict=True):
            assert found["ml_input_total", one.name, name] == round(210 * share)
            assert found["ml_input_trained", one.name, name] == share
    assert found["ml_predicted_total", "", "a"] == 210
    assert found["ml_predicted_trained", "", "b"] == 0.5


def test_requests_of_many_threads_are_each_counted_once() -> None:
    profile = profile_of(TEN, ROWS, ["a"], classes=True)
    shown = live(TEN, profile)

    def send(number: int) -> None:
        for n in range(500):
            shown.note(ROWS[n : n + 1 + number % 3], ["a"] * (1 + number % 3))
            if n % 100 == 0:
                shown.count()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(send, range(6)))
    sent = 500 * 2 * (1 + 2 + 3)
    assert sum(inputs(shown, "c3").values()) == sent
    assert series(shown)["ml_predicted_total", "", "a"] == sent


ANSWERS: dict[str, tuple[Any, bool, list[Any], dict[str, float]]] = {
    "classes": (["a", "b"], True, ["a", "c", "a"], {"a": 2, "b": 0, "other": 1}),
    "whole numbers as classes": ([0, 1], True, [0, 1.0, 2], {"0": 1, "1": 1, "other": 1}),
    "truth values": ([True, False], True, [True, True], {"false": 0, "true": 2, "other": 0}),
    "numbers": (
        [0.0, 10.0, 20.0],
        False,
        [-5.0, 5.0, 1e300, float("nan")],
        {"5.0": 2, "10.0": 0, "+Inf": 1},
    ),
    "several answers to a row": (["a"], True, [["a", "b"], ["a", "c"]], {"a": 0, "other": 0}),
}


@pytest.mark.parametrize(
    ("trained", "classes", "said", "expected"), ANSWERS.values(), ids=ANSWERS.keys()
)
def test_answers(trained: Any, classes: bool, said: list[Any], expected: dict[str, float]) -> None:
    profile = profile_of(TEN, ROWS, trained, classes)
    shown = live(TEN, profile, task="classifier" if classes else "regressor")
    shown.note(ROWS[: len(said)], said)
    found = {b: n for (name, _, b), n in series(shown).items() if name == "ml_predicted_total"}
    assert {name: found[name] for name in expected} == expected


def test_without_a_profile_the_classes_that_a_model_names_are_counted_and_no_inputs() -> None:
    shown = live(TEN, None, ["a", "b"], "classifier")
    shown.note(ROWS[:3], ["a", "b", "a"])
    assert series(shown) == {
        ("ml_predicted_total", "", "a"): 2,
        ("ml_predicted_total", "", "b"): 1,
        ("ml_predicted_total", "", "other"): 0,
    }
    for nothing in (live(TEN, None, [], "other"), live(TEN, None, [], "regressor")):
        nothing.note(ROWS[:3], [1.0, 2.0, 3.0])
        assert series(nothing) == {}


def test_an_answer_that_cannot_be_counted_is_an_answer_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shown = live(TEN, profile_of(TEN, ROWS, [1.0], classes=False), task="regressor")
    shown.note(np.repeat(ROWS, 10, axis=0), [10**400] * 10_000)
    assert "not counted any more" in caplog.text
    assert series(shown) == {}
    shown.note(ROWS, [1.0] * 1000)


def test_an_answer_that_cannot_be_counted_takes_no_other_series_away(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One row waits until somebody asks for the series."""
    shown = live(TEN, profile_of(TEN, ROWS, [1.0], classes=False), task="regressor")
    shown.note(ROWS[:1], [10**400])
    assert series(shown) == {}
    assert "not counted any more" in caplog.text


WIDE = Signature(tuple(f"{n}" * 300 for n in range(1000)), named=True)
TEXT = tuple(Column(f"text {n}", Kind.STRING) for n in range(30))
TEXTS = TableSignature(tuple(c.name for c in TEXT), named=True, table=TEXT)


def long_texts(count: int) -> Table:
    """Every cell is another text of 2,000 characters."""
    return Table.of(TEXT, [[f"{n} {c} " + "y" * 2000 for c in range(30)] for n in range(count)])


def test_series_and_memory_are_bounded_whatever_the_data() -> None:
    """A thousand columns; texts and classes that are all different; a request of many rows."""
    wide = RANDOM.normal(size=(60, 1000))
    classes = [f"class {n}" + "z" * 1000 for n in range(100)] * 5
    named = Table.of(TEXT, [[f"{n % 15} {c}" for c in range(30)] for n in range(150)])
    most = 0
    cases: tuple[tuple[Signature, Any, Any], ...] = (
        (WIDE, wide, wide),
        (TEXTS, named, long_texts(100)),
        (TEXTS, long_texts(100), long_texts(100)),
    )
    for signature, trained, rows in cases:
        shown = live(signature, profile_of(signature, trained, classes, classes=True))
        tracemalloc.start()
        for _ in range(30):
            for n in range(len(rows)):
                part = rows.part(n, n + 1) if isinstance(rows, Table) else rows[n : n + 1].copy()
                shown.note(part, classes[n : n + 1])
        kept, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert kept < 2**20
        found = series(shown)
        assert len(found) <= MOST_SERIES
        assert max(len(label) for key in found for label in key) <= 100
        most = max(most, len(found))
    assert most == MOST_SERIES


def test_what_counting_costs() -> None:
    """A few µs for a row of ten columns, as CPU time of the quickest round: `make bench-inference
    ONLY=counting` has the figures, and its goal is 3; a busy machine is given room.
    """
    columns = tuple(Column(f"c{n}", Kind.STRING if n % 2 else Kind.DOUBLE) for n in range(10))
    mixed = TableSignature(tuple(c.name for c in columns), named=True, table=columns)
    cells = [[("abcdefghij"[n % 10] if c % 2 else n * 0.5) for c in range(10)] for n in range(500)]
    table = Table.of(columns, cells)
    for signature, rows, singles in (
        (TEN, ROWS, [ROWS[n : n + 1] for n in range(500)]),
        (mixed, table, [table.part(n, n + 1) for n in range(500)]),
    ):
        shown = live(signature, profile_of(signature, rows, ["a", "b"], classes=True))
        rounds = []
        for _ in range(20):
            begun = time.thread_time()
            for one in singles:
                shown.note(one, ["a"])
            shown.count()
            rounds.append((time.thread_time() - begun) / len(singles))
        assert min(rounds) < 12e-6


def test_a_server_counts_what_it_answers(client: TestClient) -> None:
    before = client.get("/metrics/").text
    assert 'ml_input_trained{bin="+Inf",column="sepal_length"' in before
    rows = [[5.1, 3.5, 1.4, 0.2], [99.0, 3.5, 1.4, 0.2]]
    assert client.post("/predict/", json={"instances": rows}).status_code == 200

    def value(text: str, begins: str) -> float:
        return next(float(line.split()[-1]) for line in text.splitlines() if begins in line)

    after = client.get("/metrics/").text
    for begins in (
        'ml_input_total{bin="+Inf",column="sepal_length"',
        'ml_predicted_total{bin="setosa"',
    ):
        assert value(after, begins) > value(before, begins)


def test_the_profile_is_part_of_the_digest(copy: Path) -> None:
    digest = tree_digest(copy)
    said = json.loads((copy / FILE).read_text())
    assert said["columns"][0]["name"] == "sepal_length"
    (copy / FILE).write_text(json.dumps({**said, "rows": said["rows"] + 1}))
    with pytest.raises(LoadFailed, match="DigestMismatch"):
        load_folder(copy, Settings(model_path=copy, model_digest=digest))


def test_a_file_that_is_no_profile_is_said_to_be_none(copy: Path) -> None:
    (copy / FILE).write_text("{}")
    with pytest.raises(LoadFailed, match=r"training_profile\.json is no profile of training data"):
        load_folder(copy, Settings(model_path=copy))


def test_a_model_without_the_file_is_served(copy: Path) -> None:
    (copy / FILE).unlink()
    settings = Settings(model_path=copy)
    client = TestClient(create_app(settings, load_folder(copy, settings)))
    client.post("/predict/", json={"instances": [[5.1, 3.5, 1.4, 0.2]]})
    shown = client.get("/metrics/").text
    assert "ml_input" not in shown
    assert 'ml_predicted_total{bin="setosa"' in shown
