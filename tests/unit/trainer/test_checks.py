"""Every rule of a contract, met and broken; and the data that is committed, which meets its own."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rollout_trainer.checks import examine
from rollout_trainer.contract import Contract, contract_for
from rollout_trainer.data import accept, read, to_csv
from rollout_trainer.errors import DataRefused
from tests.unit.trainer.samples import PROCESSED, RAW, WEIGHTS, birds, weighed

Change = Callable[[pd.DataFrame], pd.DataFrame]


def put(row: int, column: str, value: str | float | None) -> Change:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        changed = table.astype(object)
        changed.loc[row, column] = value
        return changed

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(
            lambda t: t.drop(columns=["size"]), "columns: no column size", id="a column is missing"
        ),
        pytest.param(put(3, "mass", 101.0), "values of mass: 101.0 in row 5", id="above the range"),
        pytest.param(put(0, "size", -0.5), "values of size: -0.5 in row 2", id="below the range"),
        pytest.param(
            put(7, "size", "wide"), "values of size: wide in row 9", id="a word for a number"
        ),
        pytest.param(put(7, "size", float("inf")), "values of size: inf in row 9", id="infinite"),
        pytest.param(
            put(1, "kind", "middling"),
            "classes of kind: middling in row 3",
            id="a class nobody knows",
        ),
        pytest.param(put(1, "mass", None), "missing values: 1.67 %", id="a missing number"),
        pytest.param(put(1, "kind", None), "missing values: 1.67 %", id="a missing label"),
        pytest.param(
            lambda t: pd.concat([t, t.head(10)]), "duplicates: 14.3 %", id="too many duplicates"
        ),
        pytest.param(lambda t: t.head(29), "rows: 29", id="too few rows"),
        pytest.param(lambda t: t.head(0), "rows: 0", id="no row"),
        pytest.param(
            lambda t: t[t["kind"] == "heavy"],
            "class balance of kind: 0 % light",
            id="a class is gone",
        ),
        pytest.param(
            lambda t: t.assign(mass=np.minimum(t["mass"] + 40, 100)),
            "drift of mass: distance",
            id="a feature has drifted",
        ),
        pytest.param(
            lambda t: pd.concat([t[t["kind"] == "heavy"], t[t["kind"] == "light"].head(3)]),
            "drift of kind",
            id="the classes have drifted",
        ),
    ],
)
def test_what_breaks_the_contract_is_named(change: Change, said: str) -> None:
    examined = examine(change(weighed()), WEIGHTS, weighed(seed=1))
    assert said in " | ".join(map(str, examined.broken))
    assert examined.clean is None
    with pytest.raises(DataRefused, match="breaks its contract") as refused:
        accept(RAW, examined)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("change", "rows"),
    [
        pytest.param(lambda t: t, 60, id="as it is"),
        pytest.param(lambda t: t.assign(note="x"), 60, id="a column more, which is left out"),
        pytest.param(lambda t: t[["kind", "size", "mass"]], 60, id="columns in another order"),
        pytest.param(lambda t: t.sample(frac=1, random_state=0), 60, id="rows in another order"),
        pytest.param(lambda t: pd.concat([t, t.head(2)]), 62, id="a few duplicates"),
        pytest.param(
            lambda t: t.assign(mass=t["mass"].round().astype(int)), 60, id="whole numbers"
        ),
    ],
)
def test_what_meets_the_contract_comes_out_clean(change: Change, rows: int) -> None:
    examined = examine(change(weighed()), WEIGHTS, weighed(seed=1))
    assert not examined.broken
    assert examined.clean is not None
    assert list(examined.clean.columns) == ["mass", "size", "kind"]
    assert len(examined.clean) == rows


MIXED = Contract.model_validate(
    {
        "label": "wing",
        "range": {"min": 0, "max": 500},
        "features": {
            "mass": {"min": 0, "max": 3000, "required": False},
            "island": {
                "type": "string",
                "values": ["north", "south", "west"],
                "required": False,
            },
            "ringed": {"type": "boolean", "required": False},
            "seen": {
                "type": "datetime",
                "min": "2023-01-01",
                "max": "2026-12-31",
                "required": False,
            },
            "note": {"type": "string", "max_length": 60, "required": False},
        },
        "metadata": {"observer": {"type": "string", "max_length": 3}},
        "max_missing": 0.01,
    }
)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(put(3, "island", "east"), "values of island: east in row 5", id="a new word"),
        pytest.param(put(3, "island", "NA"), "values of island: NA in row 5", id="NA, a word here"),
        pytest.param(put(3, "ringed", "maybe"), "values of ringed: maybe in row 5", id="no truth"),
        pytest.param(put(3, "seen", "29/11/2025"), "values of seen: 29/11/2025", id="another form"),
        pytest.param(put(3, "seen", "2027-01-01"), "values of seen: 2027-01-01", id="too late"),
        pytest.param(put(3, "seen", "2025-02-30"), "values of seen: 2025-02-30", id="no such day"),
        pytest.param(
            put(3, "seen", "2025-02-03T00:00Z"), "values of seen: 2025-02-03T00:00Z", id="a zone"
        ),
        pytest.param(put(3, "note", "x" * 61), "values of note: xxx", id="too long a text"),
        pytest.param(put(3, "wing", "wide"), "values of wing: wide in row 5", id="a word to learn"),
        pytest.param(put(3, "wing", 501), "values of wing: 501 in row 5", id="too large to learn"),
        pytest.param(
            lambda t: t.assign(observer=t["observer"].where(t["observer"] != "O03")),
            "missing values: ",
            id="required metadata",
        ),
        pytest.param(
            lambda t: t.assign(island="north"), "drift of island: distance", id="words drift"
        ),
        pytest.param(
            lambda t: t.assign(ringed=t["ringed"].where(t.index % 3 == 0)),
            "drift of ringed: distance",
            id="truth values that are missing now",
        ),
        pytest.param(
            lambda t: t.assign(mass=t["mass"].where(t.index % 3 == 0)),
            "drift of mass: distance",
            id="numbers that are missing now",
        ),
        pytest.param(
            lambda t: t.assign(seen="2026-11-29"), "drift of seen: distance", id="later dates"
        ),
        pytest.param(lambda t: t.assign(note="x"), "drift of note: distance", id="shorter text"),
        pytest.param(
            lambda t: t.assign(wing=t["wing"] + 100), "drift of wing: distance", id="what is learnt"
        ),
    ],
)
def test_what_breaks_a_contract_of_mixed_columns_is_named(change: Change, said: str) -> None:
    examined = examine(change(birds()), MIXED, birds(seed=1))
    assert said in " | ".join(map(str, examined.broken))
    assert examined.clean is None


def test_rows_with_gaps_stay_where_the_contract_lets_columns_have_them(tmp_path: Path) -> None:
    table = put(4, "wing", None)(birds())
    examined = examine(table, MIXED, birds(seed=1))
    assert not examined.broken
    assert examined.clean is not None
    assert (len(examined.clean), examined.left_out) == (239, 1), "no label, no row"
    assert [str(one) for one in examined.clean.dtypes] == [
        "float64",
        "object",
        "object",
        "datetime64[ns]",
        "object",
        "object",
        "float64",
    ]
    assert examined.clean.isna().any().to_dict() == {
        **dict.fromkeys(MIXED.columns, True),
        "observer": False,
        "wing": False,
    }
    (tmp_path / "birds.csv").write_text(to_csv(examined.clean))
    again = examine(read(tmp_path / "birds.csv", MIXED.as_text), MIXED).clean
    assert again is not None
    pd.testing.assert_frame_equal(again, examined.clean)


def test_rows_with_allowed_missing_values_are_left_out() -> None:
    examined = examine(
        put(1, "mass", None)(weighed()), WEIGHTS.model_copy(update={"max_missing": 0.05})
    )
    assert examined.clean is not None
    assert len(examined.clean) == 59
    assert examined.clean.notna().all().all()


def test_drift_is_not_called_where_chance_explains_it() -> None:
    """Forty rows of the same source never differ by nothing; none of a hundred draws may be
    refused.
    """
    refused = [
        n for n in range(100) if examine(weighed(40, seed=n + 1), WEIGHTS, weighed(40)).broken
    ]
    assert not refused


def test_many_offending_rows_are_counted_not_listed() -> None:
    (broken,) = [
        f for f in examine(weighed().assign(size=11.0), WEIGHTS).broken if f.check == "values"
    ]
    assert "and 55 more" in broken.found


def test_the_raw_data_meets_its_contract() -> None:
    assert not examine(read(RAW), contract_for(RAW), read(PROCESSED)).broken


def test_the_processed_data_is_there_and_is_what_the_raw_data_gives() -> None:
    examined = examine(read(RAW), contract_for(RAW))
    assert PROCESSED.is_file(), "run `python -m rollout_trainer prepare data/raw/iris.csv`"
    assert examined.clean is not None
    assert PROCESSED.read_bytes().decode() == to_csv(examined.clean), (
        "run `python -m rollout_trainer prepare data/raw/iris.csv`"
    )
    assert len(examined.clean) == 150
