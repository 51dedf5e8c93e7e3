"""Contracts: read, refused with the place of what is wrong, and drafted from data."""

import re
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from rollout_trainer.checks import examine
from rollout_trainer.columns import Range
from rollout_trainer.contract import Contract, contract_for, read
from rollout_trainer.draft import draft
from rollout_trainer.errors import TrainerError
from tests.unit.trainer.samples import CONTRACT, RAW, birds, weighed

GOOD = {"label": "kind", "classes": ["a", "b"], "features": {"x": {"min": 0, "max": 1}}}


def test_the_contract_of_a_file_lies_beside_its_folder() -> None:
    assert contract_for(RAW) == read(CONTRACT)
    assert contract_for(RAW).columns == (
        "sepal_length",
        "sepal_width",
        "petal_length",
        "petal_width",
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        pytest.param(
            {"features": {"x": {"min": 1, "max": 1}}},
            "features.x: min 1 must be less than max 1",
            id="an empty range",
        ),
        pytest.param({"features": {}}, "features", id="no feature"),
        pytest.param({"classes": ["a"]}, "classes", id="one class"),
        pytest.param({"classes": ["a", "a"]}, "a class is named twice", id="a class twice"),
        pytest.param({"label": "x"}, "cannot be a feature too", id="the label among the features"),
        pytest.param({"max_missing": 1.5}, "max_missing", id="more than all"),
        pytest.param({"maxmissing": 0.5}, "maxmissing", id="a key that is misspelt"),
        pytest.param(
            {"features": {"x": {"type": "words"}}},
            "features.x: type must be number, string, boolean or datetime",
            id="a kind that there is not",
        ),
        pytest.param(
            {"features": {"number": {"type": "number", "min": 0}}},
            "features.number.max: Field required",
            id="half a range",
        ),
        pytest.param(
            {"features": {"x": {"type": "string", "values": [True, "a"]}}},
            "features.x.values: YAML takes yes, no, true",
            id="a word that is none",
        ),
        pytest.param(
            {"features": {"x": {"type": "string", "min": 0}}}, "features.x.min", id="text in order"
        ),
        pytest.param(
            {
                "features": {
                    "x": {"type": "datetime", "min": date(2026, 2, 1), "max": date(2026, 1, 1)}
                }
            },
            "features.x: dates are of the years|must be before",
            id="dates the wrong way round",
        ),
        pytest.param(
            {
                "features": {
                    "x": {"type": "datetime", "min": "2026-01-01T00:00Z", "max": "2027-01-01"}
                }
            },
            "features.x: dates have no time zone",
            id="a zone",
        ),
        pytest.param(
            {"range": {"min": 0, "max": 1}}, "either classes.*or range", id="classes and a range"
        ),
        pytest.param({"classes": None}, "either classes.*or range", id="neither"),
        pytest.param(
            {"metadata": {"x": {"type": "boolean"}}},
            "x is among features and metadata",
            id="a column in two places",
        ),
    ],
)
def test_a_contract_that_is_not_valid_is_a_sentence(
    tmp_path: Path, change: dict[str, object], sentence: str
) -> None:
    path = tmp_path / "contract.yaml"
    path.write_text(yaml.safe_dump({**GOOD, **change}))
    with pytest.raises(TrainerError, match=sentence) as refused:
        read(path)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize("text", ["a: [", "", "- 1"], ids=["no YAML", "nothing", "a list"])
def test_a_file_that_is_no_contract_is_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "contract.yaml").write_text(text)
    with pytest.raises(TrainerError, match=r"contract\.yaml"):
        read(tmp_path / "contract.yaml")


@pytest.mark.parametrize(
    ("first", "is_taken"),
    [
        pytest.param("010", False, id="octal"),
        pytest.param("0x1F", False, id="hexadecimal"),
        pytest.param("0b11", False, id="binary"),
        pytest.param("1_000", False, id="an underscore"),
        pytest.param("1:30", False, id="sexagesimal"),
        pytest.param("+1", False, id="a sign"),
        pytest.param("'010'", True, id="octal in quotes"),
        pytest.param('"010"', True, id="octal in double quotes"),
        pytest.param("a08", True, id="a word"),
    ],
)
def test_a_class_is_read_as_it_is_written_or_refused(
    tmp_path: Path, first: str, is_taken: bool
) -> None:
    path = tmp_path / "contract.yaml"
    path.write_text(f"label: kind\nclasses: [{first}, 'b']\nfeatures: {{x: {{min: 0, max: 1}}}}\n")
    if is_taken:
        assert read(path).classes == (first.strip("'\""), "b")
    else:
        with pytest.raises(TrainerError, match=re.escape(f"write '{first}' in quotes")):
            read(path)


@pytest.mark.parametrize("classes", ["[0, 1]", "[-1, 1]", "[10, 20]"])
def test_plain_numbers_stay_classes(tmp_path: Path, classes: str) -> None:
    path = tmp_path / "contract.yaml"
    path.write_text(f"label: kind\nclasses: {classes}\nfeatures: {{x: {{min: 0, max: 1}}}}\n")
    assert list(read(path).classes or ()) == yaml.safe_load(classes)


def test_data_without_a_contract_is_told_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match="Draft it with `python -m rollout_trainer draft"):
        contract_for(tmp_path / "raw/wine.csv")


def test_what_is_drafted_is_met_by_the_data() -> None:
    table = weighed()
    drafted = Contract.model_validate(yaml.safe_load(draft(table, "kind").text))
    assert not examine(table, drafted).broken
    assert drafted.classes == ("heavy", "light")
    assert isinstance(mass := drafted.features["mass"], Range)
    assert mass.min >= 0, "what was never negative may not become so"


@pytest.mark.parametrize(
    ("start", "step"),
    [
        pytest.param(1.79e12, 60_000.0, id="minutes in milliseconds since 1970"),
        pytest.param(1.79e12, 1e-3, id="the next numbers but a few"),
        pytest.param(1e6, 1e-4, id="a narrow band far from zero"),
        pytest.param(-1.79e12, 60_000.0, id="far below zero"),
        pytest.param(0.0, 1e-9, id="very small numbers"),
        pytest.param(-3e300, 1e298, id="very large numbers"),
        pytest.param(0.99999, 1e-7, id="shares close to one"),
    ],
)
def test_a_drafted_range_has_digits_enough_for_the_data(start: float, step: float) -> None:
    table = weighed().assign(when=lambda t: start + step * np.arange(len(t)))
    drafted = Contract.model_validate(yaml.safe_load(draft(table, "kind").text))
    assert not examine(table, drafted).broken
    assert isinstance(drafted.features["when"], Range)
    limits, width = drafted.features["when"], table["when"].max() - table["when"].min()
    assert limits.max - limits.min <= 1.7 * width, (
        "and no more room than a quarter on both sides, or so"
    )
    (shown,) = [
        f for f in examine(table, drafted).findings if f.column == "when" and f.check == "values"
    ]
    for said in (shown.allowed, shown.found):
        assert float(said.split(" to ")[0]) < float(said.split(" to ")[1])


def test_a_draft_holds_whole_numbers_as_classes() -> None:
    table = weighed().assign(kind=lambda t: (t["kind"] == "heavy").astype(int))
    drafted = Contract.model_validate(yaml.safe_load(draft(table, "kind").text))
    assert drafted.classes == (0, 1)
    assert not examine(table, drafted).broken


def of(*cells: str, label: str = "a,b") -> pd.DataFrame:
    """A table of text whose column x has these cells again and again."""
    labels = label.split(",")
    rows = range(60)
    return pd.DataFrame(
        {
            "x": [cells[row % len(cells)] for row in rows],
            "y": [str(row) for row in rows],
            "kind": [labels[row % len(labels)] for row in rows],
        }
    )


@pytest.mark.parametrize(
    ("table", "column", "note"),
    [
        pytest.param(
            of("EU", "ASIA", "EU"), {"type": "string", "values": ["ASIA", "EU"]}, "", id="words"
        ),
        pytest.param(
            of("EU", "", "ASIA"),
            {"type": "string", "values": ["ASIA", "EU"], "required": False},
            "",
            id="words with gaps",
        ),
        pytest.param(
            of("yes", "no", "y"), {"type": "string", "values": ["no", "y", "yes"]}, "", id="yes, no"
        ),
        pytest.param(
            of("EU", "NA", "ASIA"),
            {"type": "string", "values": ["ASIA", "EU", "NA"]},
            "x holds NA, which is read as a word",
            id="NA among words may be Namibia",
        ),
        pytest.param(
            of("EU", "NA", "ASIA").assign(y=lambda t: t["y"].where(t["y"] != "7", "NA")),
            {"type": "string", "values": ["ASIA", "EU"], "required": False},
            "",
            id="NA where numbers are missing, too, is none",
        ),
        pytest.param(of("true", "False", "TRUE"), {"type": "boolean"}, "", id="truth values"),
        pytest.param(
            of("True", "", "False"), {"type": "boolean", "required": False}, "", id="with gaps"
        ),
        pytest.param(
            of("2026-01-01", "2026-01-09"),
            {"type": "datetime", "min": date(2025, 12, 30), "max": date(2026, 1, 11)},
            "",
            id="dates",
        ),
        pytest.param(
            of("2026-01-01T06:30", "", "2026-01-01 18:30:01"),
            {
                "type": "datetime",
                "min": date(2025, 12, 31),
                "max": date(2026, 1, 3),
                "required": False,
            },
            "",
            id="times with gaps",
        ),
        pytest.param(
            of("03/11/2026", "29/11/2026"),
            {"type": "string", "values": ["03/11/2026", "29/11/2026"]},
            "not 03/11/2026, to have dates",
            id="dates of another form",
        ),
        pytest.param(
            of("2026-01-01T06:30+01:00", "2026-01-01T06:30Z"),
            {"type": "string", "values": ["2026-01-01T06:30+01:00", "2026-01-01T06:30Z"]},
            "not 2026-01-01T06:30+01:00, to have dates",
            id="times with a zone",
        ),
        pytest.param(of("007", "12"), {"type": "string", "values": ["007", "12"]}, "", id="codes"),
        pytest.param(of("1", "NaN", "9"), {"min": 0, "max": 11, "required": False}, "", id="gaps"),
        pytest.param(of("1e3", "-2.5"), {"min": -253.1, "max": 1251}, "", id="numbers"),
        pytest.param(
            of(*(f"a day at sea, number {n}" for n in range(60))),
            {"type": "string", "max_length": 50},
            "",
            id="free text",
        ),
        pytest.param(
            of(*(f"ID{n}" for n in range(60))),
            {"type": "string", "max_length": 10},
            "x has another word in almost every row",
            id="an id",
        ),
    ],
)
def test_each_column_is_drafted_as_what_it_holds(
    table: pd.DataFrame, column: dict[str, object], note: str
) -> None:
    drafted = draft(table, "kind")
    said = yaml.safe_load(drafted.text)
    assert said["features"]["x"] == column
    assert any(note in one for one in drafted.notes) if note else not drafted.notes
    contract = Contract.model_validate(said)
    examined = examine(table, contract, table)
    assert not examined.broken
    assert examined.clean is not None
    assert len(examined.clean) == 60, "no row is lost"


def test_what_a_split_goes_by_is_no_feature() -> None:
    contract = Contract.model_validate(
        yaml.safe_load(draft(birds(), "kind", metadata=["observer", "seen"]).text)
    )
    assert contract.columns == ("mass", "beak", "island", "ringed", "note", "wing")
    assert tuple(contract.metadata) == ("seen", "observer")
    clean = examine(birds(), contract).clean
    assert clean is not None
    assert len(clean) == 240


@pytest.mark.parametrize(
    ("label", "task", "drafted"),
    [
        pytest.param("0.5,1.5", None, "range", id="fractions"),
        pytest.param(",".join(map(str, range(30))), None, "range", id="many whole numbers"),
        pytest.param("1,2,3", None, "classes", id="few whole numbers"),
        pytest.param("1,2,3", "regression", "range", id="few, said to be estimated"),
        pytest.param(
            ",".join(map(str, range(30))),
            "classification",
            "classes",
            id="many, said to be",
        ),
        pytest.param("007,008", None, "classes", id="codes"),
    ],
)
def test_a_label_is_one_of_classes_or_a_number(label: str, task: str | None, drafted: str) -> None:
    table = of("a", "b", label=label)
    contract = Contract.model_validate(yaml.safe_load(draft(table, "kind", task).text))
    assert (contract.range is not None) == (drafted == "range")
    assert not examine(table, contract).broken


@pytest.mark.parametrize(
    ("table", "task", "sentence"),
    [
        pytest.param(
            weighed().drop(columns="kind"),
            None,
            "no column kind: there are mass, size",
            id="no label",
        ),
        pytest.param(
            weighed().assign(size=1.0, mass=2.0),
            None,
            r"No column is left to predict kind from.*mass, size",
            id="constants only",
        ),
        pytest.param(weighed().assign(kind=None), None, "kind is empty", id="a label of gaps"),
        pytest.param(weighed().assign(kind="a"), None, "one value only", id="one class"),
        pytest.param(
            weighed().assign(kind=lambda t: t["mass"]),
            "classification",
            "fractions: a class must be a word or a whole number",
            id="fractions for classes",
        ),
        pytest.param(
            weighed(), "regression", "holds (light|heavy): only numbers", id="words for a number"
        ),
    ],
)
def test_what_cannot_be_drafted_is_a_sentence(
    table: pd.DataFrame, task: str | None, sentence: str
) -> None:
    with pytest.raises(TrainerError, match=sentence):
        draft(table, "kind", task)
