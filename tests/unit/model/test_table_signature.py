"""What of MLflow's column types is served, and as what."""

import json
import re
from typing import Any

import pytest

from rollout_model.errors import BadInput
from rollout_model.signature import Signature
from rollout_model.table import Column, Kind
from rollout_model.table_signature import TableSignature, signature_of


def inputs(*kinds: str, **more: Any) -> dict[str, str]:
    columns = [{"type": kind, "name": f"c{n}"} | more for n, kind in enumerate(kinds)]
    return {"inputs": json.dumps(columns)}


def test_numbers_alone_are_rows_of_one_array() -> None:
    made = signature_of(inputs("double", "long", "float", "integer"))
    assert type(made) is Signature
    assert (made.names, made.whole, made.doubtful) == (("c0", "c1", "c2", "c3"), (1, 3), ())


@pytest.mark.parametrize("kind", ["string", "boolean", "datetime"])
def test_one_other_column_makes_a_table(kind: str) -> None:
    made = signature_of(inputs("double", kind, required=False))
    assert isinstance(made, TableSignature)
    assert made.table[1] == Column("c1", Kind(kind), optional=True)
    assert (made.demanded, made.doubtful) == ((), (0, 1))


@pytest.mark.parametrize("kind", ["binary", "array", "object", "map", "any"])
def test_a_column_that_is_not_served_is_named(kind: str) -> None:
    with pytest.raises(ValueError, match=f"columns of {kind}: only numbers, text, booleans and"):
        signature_of(inputs("string", kind))


def tensors(kind: str) -> dict[str, str]:
    spec = {"type": "tensor", "tensor-spec": {"dtype": kind, "shape": [-1, 2]}}
    return {"inputs": json.dumps([spec])}


@pytest.mark.parametrize("kind", ["str", "bytes", "datetime64[ns]", "complex128"])
def test_an_array_of_something_else_than_numbers_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match=f"takes tensors of {re.escape(kind)}, not rows of num"):
        signature_of(tensors(kind))


@pytest.mark.parametrize(
    ("kind", "whole"), [("float32", ()), ("uint8", (0, 1)), ("bool", ()), ("object", ())]
)
def test_an_array_of_numbers_has_columns_without_names(kind: str, whole: tuple[int, ...]) -> None:
    made = signature_of(tensors(kind))
    assert (made.width, made.named, made.whole) == (2, False, whole)


def test_columns_are_closed_where_the_model_takes_no_gap() -> None:
    made = signature_of(inputs("string", "string")).closing((1,))
    assert len(made.rows([[None, "a"]], 1)) == 1
    with pytest.raises(BadInput, match="row 0: 'c1' is missing, and the model takes no missing"):
        made.rows([["a", None]], 1)


def test_a_column_alone_needs_no_brackets() -> None:
    made = signature_of(inputs("string"))
    assert len(made.rows(["a", ["b"], {"c0": "c"}], 3)) == 3


BLANK = {
    "text": ("string", ""),
    "a truth value": ("boolean", False),
    "a date": ("datetime", "2000-01-01"),
}


@pytest.mark.parametrize(("kind", "cell"), BLANK.values(), ids=BLANK.keys())
def test_without_an_example_a_row_is_made_up_that_fits(kind: str, cell: object) -> None:
    made = signature_of(inputs(kind, "long"))
    assert made.blank == [cell, 0.0]
    assert len(made.known([made.blank])) == 1
