"""Contracts: read, refused with the place of what is wrong, and drafted from data."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from rollout_trainer.checks import examine
from rollout_trainer.contract import Contract, contract_for, draft, read
from rollout_trainer.errors import TrainerError
from tests.unit.trainer.samples import CONTRACT, RAW, weighed

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
    assert list(read(path).classes) == yaml.safe_load(classes)


def test_data_without_a_contract_is_told_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match="Draft it with `python -m rollout_trainer draft"):
        contract_for(tmp_path / "raw/wine.csv")


def test_what_is_drafted_is_met_by_the_data() -> None:
    table = weighed()
    drafted = Contract.model_validate(yaml.safe_load(draft(table, "kind")))
    assert not examine(table, drafted).broken
    assert drafted.classes == ("heavy", "light")
    assert drafted.features["mass"].min >= 0, "what was never negative may not become so"


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
    drafted = Contract.model_validate(yaml.safe_load(draft(table, "kind")))
    assert not examine(table, drafted).broken
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
    drafted = Contract.model_validate(yaml.safe_load(draft(table, "kind")))
    assert drafted.classes == (0, 1)
    assert not examine(table, drafted).broken


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        pytest.param(
            weighed().drop(columns="kind"), "no column kind: there are mass, size", id="no label"
        ),
        pytest.param(weighed().assign(colour="red"), "something else: colour", id="words"),
        pytest.param(weighed().assign(size=1.0), "one value only: size", id="a constant"),
        pytest.param(
            weighed().assign(kind=lambda t: t["mass"]), "fractions", id="a label of fractions"
        ),
    ],
)
def test_what_cannot_be_drafted_is_a_sentence(table: pd.DataFrame, sentence: str) -> None:
    with pytest.raises(TrainerError, match=sentence):
        draft(table, "kind")
