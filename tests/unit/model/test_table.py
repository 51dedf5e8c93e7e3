"""Rows of mixed columns: what each kind takes, what it becomes, and what is said of the rest."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.models.utils import _enforce_schema
from mlflow.types import ColSpec, DataType, Schema
from mlflow.utils.proto_json_utils import dataframe_from_parsed_json

from rollout_model.errors import BadInput
from rollout_model.table import LONGEST_TEXT, Column, Kind, Table, from_text

KINDS = {
    Kind.DOUBLE: [1, -2.5, None],
    Kind.FLOAT: [0.1, 3, None],
    Kind.LONG: [1, 2.0, 3],
    Kind.INTEGER: [-1, 0, 7],
    Kind.BOOLEAN: [True, False, True],
    Kind.STRING: ["Adelie", "", None],
    Kind.DATETIME: ["2026-11-29T08:00:00", "2026-11-29T12:30:00", None],
}


@pytest.mark.parametrize(("kind", "cells"), KINDS.items(), ids=[str(kind) for kind in KINDS])
def test_a_column_becomes_what_mlflow_gives_to_its_model(kind: Kind, cells: list[Any]) -> None:
    ours = Table.of([Column("x", kind)], [[cell] for cell in cells]).frame()
    schema = Schema([ColSpec(DataType[kind.value], "x")])
    sent = {"columns": ["x"], "data": [[cell] for cell in cells]}
    parsed = dataframe_from_parsed_json(sent, "split", schema)  # type: ignore[no-untyped-call]
    theirs = _enforce_schema(parsed, schema)
    assert ours["x"].dtype.kind == theirs["x"].dtype.kind
    pairs = zip(ours["x"], theirs["x"], strict=True)
    assert all(a == b or (pd.isna(a) and pd.isna(b)) for a, b in pairs)


WRONG: dict[str, tuple[Kind, Any, str]] = {
    "a word for a number": (Kind.DOUBLE, "5", "row 0: 'x' must be a number, not '5'"),
    "a truth value for a number": (Kind.LONG, True, "row 0: 'x' must be a whole number, not True"),
    "a fraction for a whole number": (Kind.INTEGER, 1.5, "must be a whole number, not 1.5"),
    "a number beyond single precision": (Kind.DOUBLE, 1e39, "is beyond ±3.403e+38"),
    "infinity": (Kind.DOUBLE, float("inf"), "is beyond"),
    "not a number": (Kind.DOUBLE, float("nan"), "is beyond"),
    "a number for text": (Kind.STRING, 5, "must be text, not 5"),
    "a list for text": (Kind.STRING, ["a"], "must be text, not list"),
    "a number for a truth value": (Kind.BOOLEAN, 1, "must be true or false, not 1"),
    "no date": (Kind.DATETIME, "yesterday", "must be a date such as 2026-11-29"),
    "a time with a zone": (Kind.DATETIME, "2026-11-29T12:00:00Z", "has a time zone"),
    "a part of a microsecond": (
        Kind.DATETIME,
        "1969-12-31T23:59:59.999999999",
        "finer than microseconds: send at most six digits",
    ),
    "a very long text": (Kind.STRING, "x" * (LONGEST_TEXT + 1), "send at most 65536"),
}


@pytest.mark.parametrize(("kind", "cell", "said"), WRONG.values(), ids=WRONG.keys())
def test_what_does_not_fit_its_column_is_said_with_its_row(
    kind: Kind, cell: Any, said: str
) -> None:
    with pytest.raises(BadInput, match="row 0: 'x'") as caught:
        Table.of([Column("x", kind)], [[cell]])
    assert said in str(caught.value)


@pytest.mark.parametrize("kind", list(Kind), ids=str)
def test_a_missing_value_is_taken_where_the_model_takes_it(kind: Kind) -> None:
    table = Table.of([Column("x", kind)], [[None], [None]])
    assert len(table) == 2
    assert table.frame()["x"].isna().all()
    with pytest.raises(BadInput, match="row 0: 'x' is missing"):
        Table.of([Column("x", kind, closed=True)], [[None]])


def test_tables_are_joined_and_parted_again() -> None:
    columns = [Column("island", Kind.STRING), Column("mass", Kind.DOUBLE)]
    one = Table.of(columns, [["Dream", 1], ["Biscoe", None]])
    other = Table.of(columns, [[None, 3]])
    both = one.joined([other])
    assert len(both) == 3
    assert both.part(0, 2).frame().equals(one.frame())
    assert both.part(2, 3).frame().equals(other.frame())
    assert np.isnan(both.values[1][1])


CELLS: dict[str, tuple[Kind, str, Any]] = {
    "a number": (Kind.DOUBLE, "1e-2", 0.01),
    "a whole number": (Kind.LONG, "7", 7.0),
    "text that looks like a number": (Kind.STRING, "007", "007"),
    "NA is a word": (Kind.STRING, "NA", "NA"),
    "a truth value": (Kind.BOOLEAN, "True", True),
    "a date": (Kind.DATETIME, "2026-11-29", "2026-11-29"),
    "an empty cell is missing": (Kind.STRING, "", None),
}


@pytest.mark.parametrize(("kind", "cell", "value"), CELLS.values(), ids=CELLS.keys())
def test_a_cell_of_csv_is_read_by_its_column(kind: Kind, cell: str, value: Any) -> None:
    assert from_text(Column("x", kind), cell) == value


@pytest.mark.parametrize("kind", [Kind.DOUBLE, Kind.BOOLEAN], ids=str)
def test_a_cell_that_is_none_of_its_column_is_refused(kind: Kind) -> None:
    with pytest.raises(BadInput, match="'x' must be"):
        from_text(Column("x", kind), "maybe")


GAPS = {"as pandas reads it": math.nan, "as Python has it": None}


@pytest.mark.parametrize("gap", GAPS.values(), ids=GAPS.keys())
@pytest.mark.parametrize(
    ("kind", "cell"),
    [pytest.param(Kind.STRING, "a", id="text"), pytest.param(Kind.BOOLEAN, True, id="truth")],
)
def test_a_gap_is_given_as_the_model_knows_it(kind: Kind, cell: object, gap: float | None) -> None:
    made = Table.of([Column("x", kind)], [[cell], [None]]).frame(gap)["x"].tolist()
    assert made[0] == cell
    assert made[1] is None if gap is None else math.isnan(made[1])


def test_truth_values_that_may_be_missing_stay_what_they_were_in_training() -> None:
    """pandas has objects in a column with gaps, and SimpleImputer takes objects only."""
    gappy, whole = Column("x", Kind.BOOLEAN, optional=True), Column("x", Kind.BOOLEAN)
    assert [Table.of([one], [[True]]).frame()["x"].dtype.kind for one in (gappy, whole)] == [
        "O",
        "b",
    ]


@pytest.mark.parametrize("cell", ["0001-01-01", "1677-12-31", "2262-01-01T00:00:00"])
def test_a_date_that_would_become_another_one_is_refused(cell: str) -> None:
    with pytest.raises(BadInput, match="send dates from 1678 to 2261"):
        Table.of([Column("x", Kind.DATETIME)], [[cell]])


def test_a_date_may_have_zeros_behind_its_microseconds() -> None:
    table = Table.of([Column("x", Kind.DATETIME)], [["1969-12-31T23:59:59.123456000"]])
    assert table.cells() == [["1969-12-31T23:59:59.123456"]]
