"""What is kept of answers that differ: a sample by chance, and no value that may not be seen."""

import json
import random
from collections import Counter
from typing import Any

import msgspec
import pytest
from starlette.testclient import TestClient

from rollout_inference.app import create_app
from rollout_inference.loading.loader import LoadedModel
from rollout_inference.settings import Settings
from rollout_inference.shadow import copier, messages
from rollout_inference.shadow.asked import LONGEST_NAME, LONGEST_VALUE, NAMES, asked
from rollout_inference.shadow.copies import first_of
from rollout_inference.shadow.messages import Copy, Difference, Target
from rollout_inference.shadow.sample import KEPT, Sample
from rollout_operator.domain import shadow as told_by
from tests.support.builders import START
from tests.unit.inference.conftest import KEY

COLUMNS = ["age", "name", "income"]
ROWS = [[41, "Ann", 1.5], [42, "Bob", 2.5]]
RECORDS = [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]
BY_COLUMN = {name: [row[n] for row in ROWS] for n, name in enumerate(COLUMNS)}


def v2(*tensors: dict[str, Any]) -> dict[str, Any]:
    return {"id": "order-17", "inputs": [{"datatype": "BYTES", **one} for one in tensors]}


BODIES: dict[str, Any] = {
    "our own protocol, lists": {"instances": ROWS, "request_id": "order-17"},
    "our own protocol, objects": {"instances": RECORDS},
    "MLflow's records": {"dataframe_records": RECORDS},
    "MLflow's split": {"dataframe_split": {"columns": COLUMNS, "data": ROWS}},
    "MLflow's split, columns in another order": {
        "dataframe_split": {"columns": COLUMNS[::-1], "data": [row[::-1] for row in ROWS]}
    },
    "MLflow's split without columns": {"dataframe_split": {"data": ROWS}},
    "MLflow's columns": {"inputs": BY_COLUMN},
    "MLflow's inputs by row": {"inputs": ROWS},
    "a tensor for each column": v2(
        *({"name": n, "shape": [2, 1], "data": BY_COLUMN[n]} for n in COLUMNS)
    ),
    "a tensor of all columns": v2(
        {"name": "rows", "shape": [2, 3], "data": [cell for row in ROWS for cell in row]}
    ),
    "a tensor of all columns, nested": v2({"name": "rows", "shape": [2, 3], "data": ROWS}),
}


def copy_of(body: Any, kind: bytes = b"application/json") -> Copy:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Copy("/predict/", [(b"content-type", kind)], sent, b"", 0.001)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_a_field_is_seen_where_it_was_named_and_no_other(body: Any) -> None:
    assert asked(copy_of(body), 1, COLUMNS, ["age"]) == ({"age": "42"}, ["name", "income"])
    assert asked(copy_of(body), 0, COLUMNS, []) == ({}, COLUMNS)


def test_csv_is_read_by_its_own_header() -> None:
    body = b"income,name,age\n1.5,Ann,41\n2.5,Bob,42\n"
    found = asked(copy_of(body, b"text/csv; charset=utf-8"), 1, COLUMNS, ["age"])
    assert found == ({"age": '"42"'}, ["name", "income"])


def test_a_name_that_the_model_does_not_know_is_not_told() -> None:
    """A caller may have written anything there."""
    body = {"instances": [{"age": 41, "Ann's diagnosis": "flu"}]}
    assert asked(copy_of(body), 0, COLUMNS, ["age", "Ann's diagnosis"]) == ({"age": "41"}, [])


UNREADABLE = {
    "no JSON": b"\x16\x03",
    "a list": [1],
    "nothing": {},
    "instances that are a number": {"instances": 7},
    "fewer rows": {"instances": [[1, 2, 3]]},
    "a tensor of nothing": v2({"name": "x", "shape": [0], "data": []}),
    "a tensor without data": v2({"name": "x", "shape": [2]}),
    "a tensor whose shape is none": v2({"name": "x", "shape": 7, "data": [1]}),
    "nested too deeply": b"[" * 100_000,
    "columns that are none": {"dataframe_split": {"columns": 7, "data": ROWS}},
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_cannot_be_read_is_told_nothing_of(body: Any) -> None:
    assert asked(copy_of(body), 1, COLUMNS, COLUMNS) == ({}, [])


def test_what_is_told_of_fields_is_bounded() -> None:
    columns = [f"{n}{'x' * 200}" for n in range(100)]
    body = {"instances": [["y" * 500] * 100]}
    shown, masked = asked(copy_of(body), 0, columns, columns[:7])
    assert (len(shown), len(masked)) == (7, NAMES - 7)
    assert max(map(len, [*shown, *masked])) == LONGEST_NAME
    assert max(map(len, shown.values())) == LONGEST_VALUE


def test_what_the_process_is_told_of_columns_has_room_in_a_packet() -> None:
    assert first_of(COLUMNS) == COLUMNS
    many = first_of([f"column {n}" for n in range(5000)])
    assert many == [f"column {n}" for n in range(200)]
    long = [f"{n}{'ü' * 5000}" for n in range(300)]
    few = first_of(long)
    assert few == long[: len(few)]
    assert len(few) > 0
    assert len(msgspec.msgpack.encode(Target("a", 80, "t", 0.1, few, few))) < messages.PACKET


TARGET = Target("iris-abc", 80, "tok", 0.01, COLUMNS, ["age"])


def test_a_difference_has_both_answers_and_what_may_be_seen() -> None:
    copy = Copy("/predict/", [], json.dumps({"instances": ROWS[:1]}).encode(), native("a"), 0.01)
    outcome, kept = copier.compared(copy, 200, native("b"), 0.01, TARGET)
    assert (outcome, kept and kept.outcome) == (messages.DIFFERENT, messages.DIFFERENT)
    assert kept is not None
    assert (kept.stable, kept.candidate) == ('{"predict":"a"}', '{"predict":"b"}')
    assert (kept.shown, kept.masked) == ({"age": "41"}, ["name", "income"])
    assert "Ann" not in repr(kept)
    outcome, kept = copier.compared(copy, 500, b'{"error": "Ann is no number"}', 0.01, TARGET)
    assert (outcome, kept and kept.candidate) == (messages.FAILED, "HTTP 500")
    assert "Ann" not in repr(kept)
    assert copier.compared(copy, 200, native("a"), 0.01, TARGET) == (messages.ALIKE, None)


def native(*predictions: Any) -> bytes:
    return json.dumps({"predictions": predictions}).encode()


def test_answers_are_kept_up_to_a_length() -> None:
    copy = Copy("/predict/", [], b"{}", native("a" * 10_000), 0.01)
    _, kept = copier.compared(copy, 200, native("b" * 10_000), 0.01, TARGET)
    assert kept is not None
    assert {len(kept.stable), len(kept.candidate)} == {copier.LONGEST_ANSWER}
    # As the operator reads it: what a pod keeps is what a status has room for.
    said = json.dumps({"differences": [msgspec.to_builtins(kept)]}).encode()
    assert len(told_by.differences(said, "abc")) == 1


def difference(n: int, outcome: str = messages.DIFFERENT) -> Difference:
    return Difference(outcome, "a", str(n), float(n))


def test_each_difference_has_the_same_chance_to_be_kept() -> None:
    """2,000 samples of 40: each is in about a tenth of them (five standard deviations)."""
    counts = Counter[str]()
    for seed in range(2000):
        sample = Sample("abc", random.Random(seed))
        for n in range(40):
            sample.add(difference(n))
        kept = sample.of("abc")
        assert len(kept) == KEPT
        counts.update(one.candidate for one in kept)
    assert len(counts) == 40
    assert all(abs(count - 200) < 5 * 14 for count in counts.values())


def test_failures_have_room_beside_differences_and_another_candidate_has_none() -> None:
    sample = Sample("abc")
    for n in range(1000):
        sample.add(difference(n))
    sample.add(difference(7, messages.FAILED))
    assert Counter(one.outcome for one in sample.of("abc")) == {"different": KEPT, "failed": 1}
    assert sample.of("def") == []


def test_who_may_order_copies_is_told_of_differences_and_nobody_else(
    loaded: LoadedModel, settings: Settings
) -> None:
    here = settings.model_copy(update={"shadow_url": "http://127.0.0.1:9"})
    app = create_app(here, loaded)

    def order(fields: tuple[str, ...] = (), *, ends: bool = False, later: float = 0) -> Any:
        shadow = told_by.Shadow("abc123", "def456", 20, fields)
        now = START.fromtimestamp(START.timestamp() + later, START.tzinfo)
        body, signature = told_by.message(shadow, now, KEY, ends=ends)
        return client.post("/shadow/", content=body, headers={"x-shadow-signature": signature})

    with pytest.MonkeyPatch.context() as patch, TestClient(app) as client:
        patch.setattr("rollout_inference.shadow.orders.time.time", START.timestamp)
        assert order().json() == {"candidate": "def456", "percent": 20, "differences": []}
        app.state.copies.sample.add(difference(7))
        (one,) = told_by.differences(order(later=1).content, "def456")
        assert (one.candidate, one.outcome) == ("7", "different")
        stranger = client.post("/shadow/", content=b"{}", headers={"x-shadow-signature": "0" * 64})
        assert (stranger.status_code, "differences" in stranger.text) == (403, False)
        assert client.get("/shadow/").status_code == 405
        # It is told once more when it ends, and gone when other fields may be seen.
        assert len(order(later=2, ends=True).json()["differences"]) == 1
        order(later=3)
        app.state.copies.sample.add(difference(8))
        assert order(("age",), later=4).json()["differences"] == []
