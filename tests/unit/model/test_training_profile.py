"""What a model's training data was like: made, written, read; refused where it is no profile."""

import json
from typing import Any

import numpy as np
import pytest

from rollout_model.signature import Signature
from rollout_model.table import Column, Kind, Table
from rollout_model.table_signature import TableSignature
from rollout_model.training_profile import MOST_COLUMNS, placed, profile_of, read, written

ROWS = np.random.default_rng(0).normal(size=(200, 3))
NUMBERS = Signature(("a", "b", "c"), named=True)
COLUMNS = (
    Column("mass", Kind.DOUBLE),
    Column("seen", Kind.DATETIME),
    Column("island", Kind.STRING),
    Column("tagged", Kind.BOOLEAN),
    Column("eggs", Kind.LONG),
)
MIXED = TableSignature(tuple(c.name for c in COLUMNS), named=True, table=COLUMNS)
BIRDS = Table.of(
    COLUMNS, [[4200.5, "2026-01-01", "Dream", True, 2], [None, None, None, None, None]] * 10
)


def test_what_is_written_is_read_again() -> None:
    for signature, rows in ((NUMBERS, ROWS), (MIXED, BIRDS)):
        profile = profile_of(signature, rows, ["a", "b", "b"], classes=True)
        assert read(written(profile)) == profile
        assert written(read(written(profile))) == written(profile)


def test_columns_of_all_kinds_but_dates() -> None:
    profile = profile_of(MIXED, BIRDS, [1.5] * 20, classes=False)
    assert [(one.name, one.kind) for one in profile.columns] == [
        ("mass", "number"),
        ("island", "category"),
        ("tagged", "category"),
        ("eggs", "number"),
    ]
    assert all(one.shares[-1] == 0.5 for one in profile.columns), "the share of gaps"
    assert profile.answers is not None
    assert (profile.answers.kind, profile.answered) == ("number", 20)
    assert [position for position, _ in placed(profile, MIXED)] == [0, 2, 3, 4]


def test_there_are_at_most_so_many_columns() -> None:
    wide = Signature(tuple(map(str, range(1000))), named=False)
    profile = profile_of(wide, np.zeros((5, 1000)), [], classes=True)
    assert [one.name for one in profile.columns] == [str(n) for n in range(MOST_COLUMNS)]
    assert profile.answers is None


def test_of_two_columns_of_one_name_the_first_is_profiled_and_counted() -> None:
    twice = Signature(("a", "a", "b"), named=True)
    profile = profile_of(twice, ROWS, [], classes=True)
    assert [(position, one.name) for position, one in placed(profile, twice)] == [
        (0, "a"),
        (2, "b"),
    ]


def test_several_answers_to_a_row_are_not_described() -> None:
    assert profile_of(NUMBERS, ROWS, [[1, 2], [3, 4]], classes=True).answers is None


def test_a_column_of_another_kind_than_the_profile_has_is_left_out() -> None:
    profile = profile_of(MIXED, BIRDS, [], classes=True)
    others = {"mass": Kind.STRING, "island": Kind.DOUBLE, "eggs": Kind.DATETIME}
    table = tuple(Column(c.name, others.get(c.name, c.kind)) for c in COLUMNS)
    changed = TableSignature(MIXED.names, named=True, table=table)
    assert [one.name for _, one in placed(profile, changed)] == ["tagged"]
    assert [one.name for _, one in placed(profile, Signature(MIXED.names, named=True))] == [
        "mass",
        "eggs",
    ]


ONE = Signature(("a",), named=True)
GOOD = json.loads(written(profile_of(ONE, ROWS[:, :1], ["x", "y"], classes=True)))
SPOILT: dict[str, tuple[Any, str]] = {
    "no JSON": ("{", "malformed|truncated"),
    "a list": ([], "Expected `object`"),
    "another version": ({**GOOD, "version": 2}, "version 2 is not known"),
    "an unknown field": ({**GOOD, "more": 1}, "unknown field"),
    "too many columns": (
        {**GOOD, "columns": [{**GOOD["columns"][0], "name": str(n)} for n in range(21)]},
        "21 columns",
    ),
    "a column twice": ({**GOOD, "columns": GOOD["columns"] * 2}, "one that another has"),
    "a column without a name": (
        {**GOOD, "columns": [{**GOOD["answers"], "name": ""}]},
        "no name",
    ),
    "answers with a name": ({**GOOD, "answers": GOOD["columns"][0]}, "a column's name"),
    **{
        what: ({**GOOD, "columns": [{**GOOD["columns"][0], **change}]}, why)
        for what, change, why in (
            ("too many edges", {"edges": list(range(50)), "shares": [0.0] * 51 + [1.0]}, "at most"),
            ("edges that fall", {"edges": [2, 1], "shares": [1, 0, 0, 0]}, "do not ascend"),
            ("an edge twice", {"edges": [1, 1], "shares": [1, 0, 0, 0]}, "do not ascend"),
            ("too few shares", {"edges": [1, 2], "shares": [1, 0]}, "2 shares for 2 bins"),
            ("a negative share", {"edges": [], "shares": [2, -1]}, "add up to 1"),
            ("shares that add up to more", {"edges": [], "shares": [1, 1]}, "add up to 1"),
            ("categories of a number", {"categories": ["a"]}, "other bins than a number"),
            (
                "a category twice",
                {"kind": "category", "edges": [], "categories": ["a"] * 2, "shares": [1, 0, 0, 0]},
                "a category twice",
            ),
        )
    },
}


@pytest.mark.parametrize(("said", "why"), SPOILT.values(), ids=SPOILT.keys())
def test_what_is_no_profile(said: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read(said if isinstance(said, str) else json.dumps(said))
